package signal

import (
	"fmt"
	"slices"
)

// Fault is what happened to a signal at the first sample that is wrong.
type Fault int

// The faults that Compare tells apart.
const (
	// None: every sample is there, in its place.
	None Fault = iota
	// Missing: samples are left out, what follows comes too early.
	Missing
	// Duplicated: the samples just before are played once more, what follows
	// comes too late.
	Duplicated
	// Shifted: foreign samples are put in, what follows comes too late.
	Shifted
	// Silenced: samples are zero, what follows is in its place.
	Silenced
	// Changed: samples are different, what follows is in its place.
	Changed
	// Truncated: the signal begins too late or ends too early.
	Truncated
	// Foreign: nothing of the reference is found within two seconds.
	Foreign
)

var faultNames = [...]string{
	"exact", "missing", "duplicated", "shifted", "silenced", "changed", "truncated", "foreign",
}

func (f Fault) String() string {
	if f < 0 || int(f) >= len(faultNames) {
		return fmt.Sprintf("Fault(%d)", int(f))
	}
	return faultNames[f]
}

// Diff is the result of Compare.
type Diff struct {
	// First is the index in the reference of the first sample that is wrong,
	// -1 if none is.
	First int
	// Count is how many samples of the reference are not in their place. One
	// sample left out makes nearly all that follow wrong.
	Count int
	// Fault is what happened at First.
	Fault Fault
	// Samples is how many samples that took, put in or changed; for Foreign
	// and Truncated, all that could not be found. Changes less than 64 samples
	// apart are one.
	Samples int
}

// Exact reports whether no sample was wrong.
func (d Diff) Exact() bool { return d.Count == 0 }

func (d Diff) String() string {
	if d.Exact() {
		return "exact"
	}
	return fmt.Sprintf("%d samples %v at %d; %d not in their place", d.Samples, d.Fault, d.First, d.Count)
}

// Compare checks sample by sample that ref lies in got from got[at] on, and
// says what happened at the first place where it does not. What got holds
// before and after is not looked at. A negative at says that got begins in the
// middle of ref.
func Compare(got, ref []int16, at int) Diff {
	d := Diff{First: -1}
	for i, want := range ref {
		if g := at + i; g >= 0 && g < len(got) && got[g] == want {
			continue
		}
		if d.Count == 0 {
			d.First = i
		}
		d.Count++
	}
	if d.Count > 0 {
		d.Fault, d.Samples = diagnose(got, ref, at, d.First)
	}
	return d
}

const (
	// search is how far a signal may be displaced to be found again.
	search = 2 * SampleRate
	// sure is how many equal samples in a row are no coincidence; at the very
	// end of a signal, few must do.
	sure, few = 64, 8
)

// diagnose looks for the shortest fault that explains how the signals go on
// from ref[i], where they differ for the first time.
func diagnose(got, ref []int16, at, i int) (Fault, int) {
	if at+i < 0 {
		return Truncated, -(at + i)
	}
	if at+i >= len(got) {
		return Truncated, len(ref) - i
	}
	g, r := got[at+i:], ref[i:]
	for k := 1; k <= search; k++ {
		switch {
		case resumes(g, from(r, k)):
			return Missing, k
		case resumes(from(g, k), r):
			if before := at + i - k; before < 0 || silent(g[:k]) || !slices.Equal(got[before:at+i], g[:k]) {
				return Shifted, k
			}
			return Duplicated, k
		case resumes(from(g, k), from(r, k)):
			return inPlace(g[:k]), k
		}
	}
	g = g[:min(len(g), len(r))]
	if silent(g) || len(r) <= sure {
		return inPlace(g), len(g)
	}
	return Foreign, len(r)
}

func inPlace(wrong []int16) Fault {
	if silent(wrong) {
		return Silenced
	}
	return Changed
}

// resumes reports whether a and b go on alike. A constant proves nothing.
func resumes(a, b []int16) bool {
	n := min(len(a), len(b), sure)
	if n < few || a[0] != b[0] || !slices.Equal(a[:n], b[:n]) {
		return false
	}
	return slices.ContainsFunc(a[:n], func(s int16) bool { return s != a[0] })
}

func from(pcm []int16, k int) []int16 { return pcm[min(k, len(pcm)):] }

func silent(pcm []int16) bool {
	return !slices.ContainsFunc(pcm, func(s int16) bool { return s != 0 })
}
