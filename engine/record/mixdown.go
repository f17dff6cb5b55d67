package record

import (
	"math"
	"slices"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// holdBack is how far the sum stays behind the tracks, in samples: late
	// frames and flushes mostly land before it passes.
	holdBack = pcm.SampleRate
	// mixStep is the least that is summed at a time while a call goes on.
	mixStep = pcm.SampleRate / 2
	// maxRedo bounds the list of spans to be summed again; beyond, the
	// nearest neighbours become one.
	maxRedo = 64
	// runSamples is the most that is read or written at a time.
	runSamples = pcm.SampleRate
)

// scratch holds the samples at hand of one goroutine.
type scratch struct {
	run []int16 // to be written
	in  []int16
	sum []int32
	raw []byte // of in, in the file
}

func newScratch() *scratch {
	return &scratch{
		run: make([]int16, 0, runSamples),
		in:  make([]int16, runSamples),
		sum: make([]int32, runSamples),
		raw: make([]byte, runSamples*sampleBytes),
	}
}

// mixdown writes the sum of a call's tracks, read back from their files: what
// is in the sum is what is in the files, whatever happened before.
type mixdown struct {
	out  fileTrack
	to   int64  // all before is summed, but for
	todo []span // which changed since, in order, apart from each other
}

// redo notes that a track changed.
func (m *mixdown) redo(s span) {
	s.to = min(s.to, m.to)
	if s.len() == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(m.todo, s.from, func(x span, from int64) int {
		if x.to < from {
			return -1
		}
		return 1
	})
	j := i // todo[i:j] touch s
	for j < len(m.todo) && m.todo[j].from <= s.to {
		s = span{min(s.from, m.todo[j].from), max(s.to, m.todo[j].to)}
		j++
	}
	m.todo = slices.Replace(m.todo, i, j, s)
	if len(m.todo) > maxRedo {
		m.joinNearest()
	}
}

// joinNearest makes one span of the two that lie closest.
func (m *mixdown) joinNearest() {
	best := 1
	for i := 2; i < len(m.todo); i++ {
		if m.todo[i].from-m.todo[i-1].to < m.todo[best].from-m.todo[best-1].to {
			best = i
		}
	}
	m.todo[best-1].to = m.todo[best].to
	m.todo = slices.Delete(m.todo, best, best+1)
}

// advance sums what is due up to a position, and again what changed.
func (m *mixdown) advance(f *folder, to int64, sc *scratch) {
	if m.out.wave == nil {
		return
	}
	if to-m.to >= mixStep {
		m.todo = append(m.todo, span{m.to, to})
		m.to = to
	}
	if len(m.todo) == 0 {
		return
	}
	if err := m.settle(f.tracks, sc); err != nil {
		f.failed(err)
	}
	if err := m.out.wave.setEnd(m.to); err != nil {
		f.failed(err)
	}
}

// settle sums the spans of the list. What fails stays on it.
func (m *mixdown) settle(tracks []*fileTrack, sc *scratch) error {
	for len(m.todo) > 0 {
		s := &m.todo[0]
		for s.len() > 0 {
			n := min(s.len(), runSamples)
			if err := m.sum(tracks, span{s.from, s.from + n}, sc); err != nil {
				return err
			}
			s.from += n
		}
		m.todo = slices.Delete(m.todo, 0, 1)
	}
	return nil
}

// sum writes clamp(sum of the tracks) over at most runSamples samples.
func (m *mixdown) sum(tracks []*fileTrack, s span, sc *scratch) error {
	n := s.len()
	acc, in := sc.sum[:n], sc.in[:n]
	clear(acc)
	for _, t := range tracks {
		if t.wave == nil || t.wave.samples <= s.from {
			continue
		}
		if err := t.wave.read(s.from, in, sc.raw); err != nil {
			return err
		}
		for i, v := range in {
			acc[i] += int32(v)
		}
	}
	for i, v := range acc {
		in[i] = int16(min(max(v, math.MinInt16), math.MaxInt16))
	}
	_, err := m.out.wave.write(s.from, in)
	return err
}
