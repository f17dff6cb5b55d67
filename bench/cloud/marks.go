package cloud

import "github.com/mixminus/mixminus/engine/pcm"

// maxMarks bounds the marks of a call that are waiting; more are counted as
// not understood.
const maxMarks = 10000

const badMarks = "too many marks wait"

// mark is one that the bot put behind some of its audio.
type mark struct {
	id        string
	at        int64 // position at which the audio before it has been heard
	cancelled bool  // it was flushed
}

// setMark notes a mark behind all that the bot has said. Called with Call.mu
// held.
func (c *Call) setMark(id string, at int64) {
	if len(c.marks) >= maxMarks {
		c.bad[badMarks]++
		return
	}
	c.marks = append(c.marks, mark{id: id, at: max(at, c.playout.end)})
}

// cancelMarks cancels those that the flush at a position overtook. Called with
// Call.mu held.
func (c *Call) cancelMarks(at int64) {
	for i := range c.marks {
		if c.marks[i].at > at {
			c.marks[i].at, c.marks[i].cancelled = at, true
		}
	}
}

// mark tells of the marks that have been heard or flushed. Only a bot that
// sets marks gets such messages: official parsers that do not know them break.
func (s *stream) mark(slot int) {
	c := s.c
	c.mu.Lock()
	var due []mark
	for len(c.marks) > 0 && c.marks[0].at <= int64(slot)*pcm.FrameSamples {
		due, c.marks = append(due, c.marks[0]), c.marks[1:]
	}
	c.mu.Unlock()
	for _, m := range due {
		if s.conn == nil {
			return
		}
		if err := s.conn.mark(c, m.id, m.cancelled); err != nil {
			s.drop(slot, slot+redialAfter, ByDisconnect, link.hangUp)
		}
	}
}
