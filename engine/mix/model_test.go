package mix

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// rules is the Assembler as its comment states it, with maps and without
// bounds.
type rules struct {
	open      map[int64]*ruledSlot
	delivered map[uint32]map[int64]bool
	floor     int64
	newest    int64
	late      uint64
}

type ruledSlot struct {
	first int64
	who   int16
}

func (r *rules) push(speaker uint32, n, now int64) {
	d := r.delivered[speaker]
	if d == nil {
		d = map[int64]bool{}
		r.delivered[speaker] = d
	}
	again := false
	for m := range d {
		again = again || m >= n
	}
	d[n] = true
	if again || n < r.floor || n <= r.newest-Window {
		r.late++
		return
	}
	r.newest = max(r.newest, n)
	if r.open[n] == nil {
		r.open[n] = &ruledSlot{first: now}
	}
	r.open[n].who |= 1 << speaker
}

func (r *rules) drain(now int64) (got []string) {
	for len(r.open) > 0 {
		oldest := int64(math.MaxInt64)
		overdue := false
		for n, s := range r.open {
			oldest = min(oldest, n)
			overdue = overdue || now-s.first >= int64(Hold)
		}
		if !overdue && oldest > r.newest-Window && r.awaited(oldest) {
			break
		}
		got = append(got, fmt.Sprintf("%d:%b", oldest, r.open[oldest].who))
		delete(r.open, oldest)
		r.floor = oldest + 1
	}
	return got
}

func (r *rules) awaited(n int64) bool {
	for _, d := range r.delivered {
		active, there := false, false
		for m := range d {
			active = active || m < n && m >= n-3
			there = there || m >= n
		}
		if active && !there {
			return true
		}
	}
	return false
}

// TestAssemblerAgainstRules plays speakers with delays, pauses and jumps.
func TestAssemblerAgainstRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := NewAssembler(0)
		r := &rules{open: map[int64]*ruledSlot{}, delivered: map[uint32]map[int64]bool{}, newest: -1}
		var now, pushed, mixed int64
		next := [4]int64{}
		base := int64(0)
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now += rapid.SampledFrom([]int64{0, 0, 1, 5, 20, 60}).Draw(t, "ms") * ms
			if sp := rapid.IntRange(-1, 3).Draw(t, "speaker"); sp >= 0 {
				next[sp] = max(next[sp], base)
				n := next[sp] + rapid.SampledFrom([]int64{0, 0, 0, 0, 0, 1, 2, 4, 30, 33, 1000, -1, -5}).Draw(t, "jump")
				if n >= 0 {
					next[sp] = max(next[sp], n+1)
					base = max(base, n-rapid.Int64Range(0, 6).Draw(t, "behind"))
					a.Push(voice(uint32(sp), n), now)
					r.push(uint32(sp), n, now)
					pushed++
				}
			}
			want, got := r.drain(now), drain(t, a, now)
			require.Equal(t, want, got)
			require.Equal(t, r.late, a.Late())
			for _, s := range got {
				var n, who int64
				fmt.Sscanf(s, "%d:%b", &n, &who)
				for ; who > 0; who &= who - 1 {
					mixed++
				}
			}
			if at, ok := a.Deadline(); ok {
				require.Greater(t, at, now)
			}
			require.Equal(t, len(r.open) > 0, a.pending > 0)
		}
		var waiting int64
		for _, s := range r.open {
			for w := s.who; w > 0; w &= w - 1 {
				waiting++
			}
		}
		require.Equal(t, pushed, mixed+waiting+int64(a.Late()), "none lost uncounted")
	})
}
