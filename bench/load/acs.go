package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
)

// acsWire is ACS's audio streaming (docs/EMULATOR.md) from the cloud's side.
type acsWire struct {
	letters []*letter
	key     uint32

	// Owned by the reader.
	c     *call
	now   int64
	in    deframer
	marks markReader
	found func(mark)
}

// newACSWire makes that of call number n, whose first frame is due at first.
func newACSWire(r *runner, n int, first int64) *acsWire {
	w := &acsWire{key: rand.Uint32() | 1, marks: markReader{frameBytes: r.clip.bytes}}
	for s := range r.cfg.streams() {
		id := ""
		if r.cfg.Unmixed {
			id = "8:acs:" + uuid.NewString() + "_" + uuid.NewString()
		}
		w.letters = append(w.letters, newLetter(r.clip, n*37+s*101, id, r.clock.wall(first), w.key))
	}
	w.in.message = w.message
	w.found = func(m mark) { w.c.back(m, w.now) }
	return w
}

func (w *acsWire) frame(m mark) []byte { return w.letters[m.speaker].fill(m) }

// hello is the first message of a connection.
func (w *acsWire) hello(rate int) []byte {
	text := fmt.Appendf(nil, `{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":%q,"encoding":"PCM","sampleRate":%d,"channels":1,"length":%d}}`,
		uuid.NewString(), rate, rate/50*2)
	b := appendHeader(nil, opText, len(text), w.key)
	at := len(b)
	b = append(b, text...)
	maskInto(b[at:], text, uint64(w.key)<<32|uint64(w.key))
	return b
}

// bye closes the connection in good order (1000).
func (w *acsWire) bye() []byte { return control(opClose, []byte{3, 232}, w.key) }

func (w *acsWire) heard(c *call, b []byte, now int64) error {
	w.c, w.now = c, now
	return w.in.feed(b)
}

func (w *acsWire) message(op byte, payload []byte) {
	switch op {
	case opPing:
		w.c.answer(control(opPong, payload, w.key))
	case opPong:
	case opClose:
		w.c.fail(closedBy(payload))
	default:
		data, ok := audioIn(payload)
		if !ok {
			w.c.tally.other++
			return
		}
		w.c.tally.altered += int64(w.marks.read(data, w.found))
	}
}

// closedBy is what a close frame says.
func closedBy(payload []byte) error {
	if len(payload) < 2 {
		return fmt.Errorf("closed by the server")
	}
	return fmt.Errorf("closed by the server: %d %.100q", binary.BigEndian.Uint16(payload), payload[2:])
}
