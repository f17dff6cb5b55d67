package signal

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// cut returns pcm with the samples [from, to) replaced by others.
func cut(pcm []int16, from, to int, others ...int16) []int16 {
	return slices.Concat(pcm[:from], others, pcm[to:])
}

func TestCompareFindsEveryFault(t *testing.T) {
	ref, other := Speech(Allison), Speech(June)
	const p = 48000 // in the middle of a word
	for _, c := range []struct {
		name  string
		got   []int16
		fault Fault
		first int // at least; the signals may agree for a few samples more
		n     int
	}{
		{"a frame left out", cut(ref, p, p+frame), Missing, p, frame},
		{"a sample left out", cut(ref, p, p+1), Missing, p, 1},
		{"a second left out", cut(ref, p, p+16000), Missing, p, 16000},
		{"the first frame left out", ref[frame:], Missing, 0, frame},
		{"a frame played twice", cut(ref, p, p, ref[p-frame:p]...), Duplicated, p, frame},
		{"a sample played twice", cut(ref, p, p, ref[p-1]), Duplicated, p, 1},
		{"one sample late from the start", slices.Concat(Silence(1), ref), Shifted, 0, 1},
		{"a sample put in", cut(ref, p, p, 12345), Shifted, p, 1},
		{"a frame of silence put in", cut(ref, p, p, Silence(frame)...), Shifted, p, frame},
		{"a frame silenced", cut(ref, p, p+frame, Silence(frame)...), Silenced, p, frame},
		{"a click", cut(ref, p, p+1, ref[p]^0x4000), Changed, p, 1},
		{"one bit", cut(ref, p, p+1, ref[p]^1), Changed, p, 1},
		{"a frame of another speaker", cut(ref, p, p+frame, other[p:p+frame]...), Changed, p, frame},
		{"speakers swapped", other, Foreign, 0, len(ref)},
		{"speakers swapped later", slices.Concat(ref[:p], other), Foreign, p, len(ref) - p},
		{"frames in the wrong order", slices.Concat(ref[:p], ref[p+frame:p+2*frame], ref[p:p+frame], ref[p+2*frame:]), Missing, p, frame},
		{"end cut off", ref[:len(ref)-500], Truncated, len(ref) - 500, 500},
		{"end silenced", cut(ref, p, len(ref), Silence(len(ref)-p)...), Silenced, p, len(ref) - p},
		{"last sample", cut(ref, len(ref)-1, len(ref), 999), Changed, len(ref) - 1, 1},
		{"nothing", nil, Truncated, 0, len(ref)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Compare(c.got, ref, 0)
			require.Equal(t, c.fault.String(), d.Fault.String(), "%v", d)
			require.InDelta(t, c.first+4, d.First, 4, "%v", d)
			require.InDelta(t, c.n, d.Samples, 8, "%v", d)
			require.False(t, d.Exact())
			require.Positive(t, d.Count)
		})
	}
}

// Every frame of every voice, so that no fault hides in a quiet place.
func TestCompareFindsFaultsEverywhere(t *testing.T) {
	for _, v := range Voices() {
		ref := Speech(v)
		for p := frame; p+2*frame < len(ref); p += 13 * frame {
			for _, c := range []struct {
				fault Fault
				got   []int16
			}{
				{Missing, cut(ref, p, p+frame)},
				{Duplicated, cut(ref, p, p, ref[p-frame:p]...)},
				{Silenced, cut(ref, p, p+frame, Silence(frame)...)},
			} {
				d := Compare(c.got, ref, 0)
				require.Equal(t, c.fault, d.Fault, "%v at %d: %v", v, p, d)
				require.InDelta(t, frame, d.Samples, 8, "%v at %d: %v", v, p, d)
			}
		}
	}
}

func TestCompareExact(t *testing.T) {
	ref := Speech(Carlo)
	want := Diff{First: -1}
	require.Equal(t, want, Compare(ref, ref, 0))
	require.Equal(t, want, Compare(slices.Concat(Silence(640), ref, Silence(9)), ref, 640))
	require.Equal(t, want, Compare(nil, nil, 0))
	require.True(t, want.Exact())
	require.Equal(t, "exact", want.String())
}

func TestCompareCounts(t *testing.T) {
	ref := Ramp(1000, 0)
	got := slices.Clone(ref)
	got[10], got[100], got[990] = 0, 0, 0
	d := Compare(got, ref, 0)
	require.Equal(t, 3, d.Count)
	require.Equal(t, 10, d.First)
	require.Equal(t, "1 samples silenced at 10; 3 not in their place", d.String())

	d = Compare(ref[200:], ref, -200)
	require.Equal(t, Diff{First: 0, Count: 200, Fault: Truncated, Samples: 200}, d)
	d = Compare(ref, ref, 5000)
	require.Equal(t, Diff{First: 0, Count: 1000, Fault: Truncated, Samples: 1000}, d)
}
