package cloud

import (
	"slices"
	"sync"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// micDelay is how much is waited for before a microphone is heard, again
	// after each time that it ran dry. More than micSlack comes of a clock that
	// runs fast, or of a stall: it is made up for where nothing is said, below
	// micQuiet, and what exceeds micMost is cut to micDelay.
	micDelay = 3 * pcm.FrameSamples
	micSlack = 6 * pcm.FrameSamples
	micMost  = 25 * pcm.FrameSamples
	micQuiet = 32 * 32 // mean square: -60 dBFS
)

// mic is a person's microphone: what packets brought, on its way to the slots
// of a call, whose clock is another.
type mic struct {
	mu      sync.Mutex
	queue   []int16
	running bool
}

func (m *mic) write(samples []int16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue = append(m.queue, samples...)
	if len(m.queue) > micMost {
		m.queue = slices.Clone(m.queue[len(m.queue)-micDelay:])
	}
}

// frame takes what is said in the next slot.
func (m *mic) frame() []int16 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = len(m.queue) >= micDelay || m.running && len(m.queue) >= pcm.FrameSamples
	if !m.running {
		return quiet[:]
	}
	frame := m.next()
	for len(m.queue) > micSlack && power(frame) < micQuiet {
		frame = m.next()
	}
	return frame
}

func (m *mic) next() []int16 {
	frame := slices.Clone(m.queue[:pcm.FrameSamples])
	m.queue = m.queue[:copy(m.queue, m.queue[pcm.FrameSamples:])]
	return frame
}

// recentSlots is how many slots of a microphone are known besides what the log
// keeps: whoever asks for a slot asks soon.
const recentSlots = 8

// feed takes a slot from the actor's microphone.
func (a *actor) feed(slot int) {
	if a.fed == 0 {
		a.start = slot
	}
	frame := a.mic.frame()
	a.recent[slot%recentSlots] = frame
	a.fed = slot + 1
	if len(a.samples) < maxClip {
		a.samples = append(a.samples, frame...)
	}
}

// live returns what came from the microphone in a slot, if that is not too long
// ago.
func (a *actor) live(slot int) ([]int16, bool) {
	if a.mic == nil || slot >= a.fed || slot < a.fed-recentSlots || slot < a.start {
		return nil, false
	}
	return a.recent[slot%recentSlots], true
}
