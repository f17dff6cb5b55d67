package cloud

import (
	"cmp"
	"slices"
)

// dominantSpeakers is how many of them an unmixed stream carries: "up to four
// channels for the four most dominant speakers" (ACS, audio streaming).
const dominantSpeakers = 4

// dominant returns the limit of a call whose script says so, 0 if there is
// none.
func (s *Server) dominant(script int) int {
	return max(0, cmp.Or(script, s.Dominant, dominantSpeakers))
}

// dominanceDecay is what of a speaker's level is left after a slot: half after
// a third of a second, so that a pause between two words costs nobody their
// place. How the service decides is not documented.
const dominanceDecay = 0.96

// dominance ranks speakers by how loud they have been of late. It is owned by
// the call's goroutine.
type dominance struct {
	levels []float64 // mean square, decaying
}

// lesser returns who is not among the n loudest, those who came first before
// others as loud. 0 means no limit.
func (d *dominance) lesser(lines []line, n int) map[int]bool {
	if n == 0 || len(lines) <= n {
		return nil
	}
	for len(d.levels) < len(lines) {
		d.levels = append(d.levels, 0)
	}
	var here []int
	for _, l := range lines {
		d.levels[l.speaker] = max(d.levels[l.speaker]*dominanceDecay, power(l.samples))
		if !l.off {
			here = append(here, l.speaker)
		}
	}
	slices.SortStableFunc(here, func(a, b int) int { return cmp.Compare(d.levels[b], d.levels[a]) })
	lesser := map[int]bool{}
	for _, speaker := range here[min(n, len(here)):] {
		lesser[speaker] = true
	}
	return lesser
}

func power(samples []int16) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += float64(s) * float64(s)
	}
	return sum / float64(len(samples))
}
