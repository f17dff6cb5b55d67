package load

import (
	"context"
	"fmt"
	"time"
)

// Step is one run of a search.
type Step struct {
	Calls   int     `json:"calls"`
	Verdict Verdict `json:"verdict"`
	Report  *Report `json:"report"`
}

// Search is what a search for the limit found.
type Search struct {
	// Good is the highest number of calls that kept all limits; 0 if none did.
	Good int `json:"good"`
	// Bad is the lowest number that did not; 0 if none was found up to Most.
	Bad  int `json:"bad"`
	Most int `json:"most"`
	// Broke is what broke first, at Bad.
	Broke []Break `json:"broke,omitempty"`
	// Late is why nothing can be said of more calls than Good: the generator
	// was late at Bad. Empty if it was not.
	Late  string `json:"late,omitempty"`
	Steps []Step `json:"steps"`
}

// FindLimit raises the number of calls, from cfg.Calls on by doubling, until a
// limit breaks or most is reached, and then closes in on the highest number
// that keeps all limits, to a tenth. What breaks is tried once more: a machine
// has bad moments. told is called after each run; nil: it is
// not.
func FindLimit(ctx context.Context, cfg Config, most int, told func(Step)) (*Search, error) {
	first := max(1, cfg.Calls)
	each := cfg.Ramp / time.Duration(first) // of the calls of every step
	return search(ctx, first, most, func(n int) (*Report, error) {
		c := cfg
		c.Calls, c.Ramp = n, each*time.Duration(n)
		return Run(ctx, c)
	}, told)
}

func search(ctx context.Context, first, most int, run func(n int) (*Report, error), told func(Step)) (*Search, error) {
	if most < first {
		return nil, errConfig("find the limit: from %d calls up to %d: want the other way round", first, most)
	}
	s := &Search{Most: most}
	for n, again := first, false; n > 0 && ctx.Err() == nil; {
		rep, err := run(n)
		if err != nil {
			return nil, fmt.Errorf("%d calls: %w", n, err)
		}
		if rep.Interrupted {
			break
		}
		step := Step{n, rep.Verdict, rep}
		s.Steps = append(s.Steps, step)
		if told != nil {
			told(step)
		}
		if again = !again && rep.Verdict.Result != Pass; !again {
			s.note(step)
			n = s.next()
		}
	}
	return s, nil
}

// note takes the last try at a number of calls.
func (s *Search) note(step Step) {
	v := step.Verdict
	switch {
	case v.Result == Pass:
		s.Good = max(s.Good, step.Calls)
	case s.Bad == 0 || step.Calls < s.Bad:
		s.Bad, s.Broke, s.Late = step.Calls, v.Breaks, ""
		if v.Result == Inconclusive {
			s.Late = v.Late
		}
	}
}

// next is how many calls to try, 0 if it is known well enough.
func (s *Search) next() int {
	switch {
	case s.Bad == 0 && s.Good < s.Most:
		return min(2*s.Good, s.Most)
	case s.Bad == 0 || s.Bad <= s.Good+max(1, s.Good/10):
		return 0 // or less: a bad moment may last for two tries
	}
	return (s.Good + s.Bad) / 2
}
