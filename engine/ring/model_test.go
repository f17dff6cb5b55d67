package ring

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mixminus/mixminus/engine/pcm"
)

// TestModel runs random schedules of every operation against a slice.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "n")
		w, r := New(n)
		m := &model{size: max(2, 1<<bitsFor(n))}
		if rapid.Bool().Draw(t, "lazy") {
			w, r = newLazy(n)
			m = &model{size: (n + 2*segmentFrames - 2) / segmentFrames * segmentFrames, lazy: true}
		}
		small := rapid.IntRange(-1, m.size+2)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				var f pcm.Frame
				fill(&f, m.seq)
				require.Equal(t, m.offer(1) == 1, w.Push(&f))
			},
			"slot": func(t *rapid.T) {
				s := w.Slot()
				if s != nil {
					fill(s, m.seq)
					w.Commit()
				}
				require.Equal(t, m.offer(1) == 1, s != nil)
			},
			"slots": func(t *rapid.T) {
				want := small.Draw(t, "want")
				m.checkSlots(t, w, want)
			},
			"pop": func(t *rapid.T) {
				var f pcm.Frame
				require.Equal(t, len(m.queue) > 0, r.Pop(&f))
				m.taken(t, &f)
			},
			"peek": func(t *rapid.T) {
				f := r.Peek()
				require.Equal(t, len(m.queue) > 0, f != nil)
				if f != nil {
					m.taken(t, f)
					r.Release()
				}
			},
			"peekN": func(t *rapid.T) {
				fs := r.PeekN(small.Draw(t, "max"))
				k := rapid.IntRange(0, len(fs)).Draw(t, "take")
				for i := range fs[:k] {
					m.taken(t, &fs[i])
				}
				r.ReleaseN(k)
			},
			"skip": func(t *rapid.T) {
				depth := small.Draw(t, "depth")
				k := max(0, len(m.queue)-max(0, depth))
				require.Equal(t, k, r.SkipTo(depth))
				m.queue = m.queue[k:]
				m.skipped += uint64(k)
			},
			"close": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "really") == 0 {
					w.Close()
					m.closed = true
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(m.queue), r.Len())
				require.Equal(t, m.dropped, w.Dropped())
				require.Equal(t, m.skipped, r.Skipped())
				require.Equal(t, m.closed && len(m.queue) == 0, r.Closed())
			},
		})
	})
}

func bitsFor(n int) (b int) {
	for 1<<b < n {
		b++
	}
	return b
}

// model is the ring as a slice.
type model struct {
	size             int
	lazy             bool
	queue            []uint32
	seq              uint32
	closed           bool
	dropped, skipped uint64
}

// free returns how many frames still fit.
func (m *model) free() int {
	n := m.size - len(m.queue)
	if m.lazy { // the segment that is being read is not given back yet
		n -= (int(m.seq) - len(m.queue)) % segmentFrames
	}
	return n
}

// offer puts one frame after another into the queue and returns how many
// found room.
func (m *model) offer(n int) (taken int) {
	for range n {
		if m.closed || m.free() == 0 {
			m.dropped++
			continue
		}
		m.queue = append(m.queue, m.seq)
		m.seq++
		taken++
	}
	return taken
}

// checkSlots offers want frames in one batch, as the ring allows.
func (m *model) checkSlots(t *rapid.T, w *Writer, want int) {
	s := w.Slots(want)
	if want < 1 {
		require.Nil(t, s)
		return
	}
	free := m.free()
	if m.closed || free == 0 {
		require.Nil(t, s)
		m.offer(want)
		return
	}
	require.NotEmpty(t, s)
	require.LessOrEqual(t, len(s), min(want, free))
	k := rapid.IntRange(0, len(s)).Draw(t, "commit")
	for i := range k {
		fill(&s[i], m.seq+uint32(i))
	}
	w.CommitN(k)
	require.Equal(t, k, m.offer(k))
}

// taken checks a frame read against the front of the queue and removes it.
func (m *model) taken(t *rapid.T, f *pcm.Frame) {
	if len(m.queue) == 0 {
		return
	}
	require.Equal(t, m.queue[0], f.Seq)
	require.True(t, intact(f))
	m.queue = m.queue[1:]
}
