package record

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRedoModel: the list of what to sum again covers all that changed below
// the sum's end, in order and apart, and no more unless it grew too long.
func TestRedoModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const end = 4000
		m := mixdown{to: end}
		var want [end]bool
		n := rapid.IntRange(0, 3*maxRedo).Draw(t, "n")
		for range n {
			from := rapid.Int64Range(0, end+100).Draw(t, "from")
			to := from + rapid.Int64Range(-1, 20).Draw(t, "len")
			m.redo(span{from, to})
			for i := from; i < min(to, end); i++ {
				want[i] = true
			}
			require.LessOrEqual(t, len(m.todo), maxRedo)
		}
		var got [end]bool
		last := int64(-1)
		for _, s := range m.todo {
			require.Positive(t, s.len())
			require.Greater(t, s.from, last, "apart")
			last = s.to
			for i := s.from; i < s.to; i++ {
				got[i] = true
			}
		}
		for i := range want {
			if want[i] && !got[i] || got[i] && !want[i] && n <= maxRedo {
				t.Fatalf("sample %d: to do %v, want %v", i, got[i], want[i])
			}
		}
	})
}
