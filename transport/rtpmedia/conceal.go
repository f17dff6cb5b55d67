package rtpmedia

import "math"

// A Concealer makes up audio for what was lost, after ITU-T G.711, Appendix I,
// whose idea this is: voice is nearly periodic, so what is missing sounds most
// like the last pitch period once more. That is repeated, then the last two
// and three, so that it does not buzz, and fades out within 60 ms. If what
// came after the gap is known, it is repeated backwards into it as well. The
// joins are smooth.
//
// All of a stream's audio goes through Good, in order; Fill makes what is
// missing between.
type Concealer struct {
	size lengths

	heard   []int16 // what was heard, up to where past ends
	past    []int16 // the end of that; not while filling
	made    []int16 // the end of what was filled since
	loop    []int16 // the periods that are being repeated, so joined that they can be
	joining []int16
	period  int     // 0 unless filling
	periods int     // in loop
	at      int     // in loop
	before  int     // the same in the shorter loop before the last switch ...
	beforeN int     // ... which fades out over so many samples more
	filled  int     // samples since the loss began
	step    float32 // of the curve at the loss
}

// lengths in samples.
type lengths struct {
	periodMin, periodMax int // 200 to 66 Hz; higher voices match at a multiple
	compared             int // how much two periods are compared over
	past                 int // what is kept
	unit                 int // 10 ms: another period is taken in
	fadeUntil            int // silence from here on
	joinMin, joinMax     int
	seam                 int // over which a step is taken back
	bridge               int // how far what came after reaches back
}

func lengthsAt(rate int) lengths {
	n := func(ms int) int { return max(4, ms*rate/1000) }
	s := lengths{
		periodMin: n(5), periodMax: n(15), compared: n(10), unit: n(10),
		fadeUntil: n(60), joinMin: n(4), joinMax: n(10), seam: n(2), bridge: n(20),
	}
	s.past = 3*s.periodMax + s.periodMax/4 + 1
	return s
}

// NewConcealer returns a Concealer for a stream of so many samples a second.
func NewConcealer(rate int) *Concealer {
	c := &Concealer{}
	c.init(rate)
	return c
}

func (c *Concealer) init(rate int) {
	s := lengthsAt(rate)
	c.size = s
	c.heard = make([]int16, s.past, 2*s.past)
	c.past = c.heard
}

// prepare makes room for what is needed only if something is lost.
func (c *Concealer) prepare() {
	if c.made == nil {
		s := &c.size
		c.made, c.loop, c.joining = make([]int16, s.past), make([]int16, 3*s.periodMax), make([]int16, s.joinMax)
	}
}

// remember puts x behind what was heard, the oldest of which is given up when
// there is no room: not each time, for of a thousand streams moving all of it
// would be most of the work.
func (c *Concealer) remember(x []int16) {
	n := c.size.past
	x = x[max(0, len(x)-n):]
	if len(c.heard)+len(x) > cap(c.heard) {
		keep := c.heard[len(c.heard)-n+len(x):]
		c.heard = c.heard[:copy(c.heard, keep)]
	}
	c.heard = append(c.heard, x...)
	c.past = c.heard[len(c.heard)-n:]
}

// Good takes audio that came. Directly after Fill its beginning is blended, in
// place, with what would have been made up.
func (c *Concealer) Good(x []int16) {
	if len(x) == 0 {
		return
	}
	if c.period > 0 {
		filled := c.filled
		n := min(len(x), c.size.joinMin*(1+max(0, filled-1)/c.size.unit), c.size.joinMax)
		made := c.joining[:n]
		c.make(made)
		blend(x[:n], made, x[:n])
		c.end(filled)
	}
	c.remember(x)
}

// Fill makes up audio in the place of what was lost.
func (c *Concealer) Fill(dst []int16) {
	if c.period == 0 {
		c.begin()
	}
	c.make(dst)
	slide(c.made, dst)
}

// Bridge is Fill up to what came after the gap; Good must be called next, with
// that.
func (c *Concealer) Bridge(dst, next []int16) {
	if c.period == 0 {
		c.begin()
	}
	c.make(dst)
	joined := c.bridge(dst, next)
	slide(c.made, dst)
	if joined {
		c.end(c.filled)
	}
}

// end takes what was filled for past.
func (c *Concealer) end(filled int) {
	c.remember(c.made[c.size.past-min(filled, c.size.past):])
	c.period = 0
}

// slide appends x to the end of p, whose beginning goes.
func slide(p, x []int16) {
	n := min(len(x), len(p))
	copy(p, p[n:])
	copy(p[len(p)-n:], x[len(x)-n:])
}

// Spent reports whether Fill has come down to silence.
func (c *Concealer) Spent() bool { return c.period > 0 && c.filled >= c.size.fadeUntil }

func (c *Concealer) begin() {
	c.prepare()
	c.filled, c.beforeN = 0, 0
	past, s := c.past, &c.size
	c.period = findPeriod(past[s.past-s.compared:], func(lag int) []int16 { return past[s.past-s.compared-lag:] }, s)
	c.repeat(1)
	// The repetition begins one period back; the step to it is taken back
	// little by little.
	c.step = float32(past[s.past-1]) - float32(past[s.past-1-c.period])
}

// repeat makes the loop of the last n periods. Its end is blended with what
// led to its beginning, so that it can go round.
func (c *Concealer) repeat(n int) {
	c.periods, c.at = n, 0
	c.loop = c.loop[:n*c.period]
	from := c.size.past - len(c.loop)
	copy(c.loop, c.past[from:])
	q := c.period / 4
	tail := c.loop[len(c.loop)-q:]
	blend(tail, tail, c.past[from-q:from])
}

// make continues the repetition.
func (c *Concealer) make(dst []int16) {
	for len(dst) > 0 {
		if c.filled >= c.size.fadeUntil {
			clear(dst)
			c.filled += len(dst)
			return
		}
		if n := c.filled/c.size.unit + 1; n <= 3 && n > c.periods {
			c.lengthen(n)
		}
		n := min(len(dst), c.size.unit-c.filled%c.size.unit)
		c.run(dst[:n])
		dst = dst[n:]
	}
}

// lengthen goes over to a loop of n periods, at the place where the shorter
// one is.
func (c *Concealer) lengthen(n int) {
	at := c.at
	c.before, c.beforeN = at, c.size.joinMin
	c.repeat(n)
	c.at = at % c.period
}

// run makes up to 10 ms from one loop.
func (c *Concealer) run(dst []int16) {
	s := &c.size
	gain, slope := c.gain()
	short := c.past[s.past-(c.periods-1)*c.period:] // the loop before
	for i := range dst {
		x := float32(c.loop[c.at])
		if c.beforeN > 0 {
			x += float32(c.beforeN) / float32(s.joinMin) * (float32(short[c.before]) - x)
			c.beforeN--
			if c.before++; c.before == len(short) {
				c.before = 0
			}
		}
		if t := c.filled + i; t < s.seam {
			x += c.step * float32(s.seam-t) / float32(s.seam)
		}
		dst[i] = saturate(x * gain)
		gain += slope
		if c.at++; c.at == len(c.loop) {
			c.at = 0
		}
	}
	c.filled += len(dst)
}

// gain returns the gain of the next sample, and by how much it changes from
// sample to sample until the next 10 ms begin. How like the repetition still is
// to what was said was measured on speech: a gain of more than twice that
// likeness would be further from it than silence.
func (c *Concealer) gain() (gain, slope float32) {
	unit := float32(c.size.unit)
	i, t := c.filled/c.size.unit, float32(c.filled%c.size.unit)/unit
	from, to := fades[i], fades[i+1]
	return from + (to-from)*t, (to - from) / unit
}

var fades = [7]float32{1, 0.8, 0.55, 0.35, 0.2, 0.1, 0}

// bridge blends what led to next over the end of dst, where the concealer has
// put what followed from the past. It returns false if next is too short.
func (c *Concealer) bridge(dst, next []int16) bool {
	s := &c.size
	if len(next) < s.periodMax+s.compared/2 {
		return false
	}
	n := min(s.compared, len(next)-s.periodMax)
	period := findPeriod(next[:n], func(lag int) []int16 { return next[lag:] }, s)
	loop := c.loop[:period]
	copy(loop, next)
	q := min(period/4, len(next)-period)
	blend(loop[:q], next[period:period+q], next[:q])
	step := float32(next[0]) - float32(next[min(period, len(next)-1)])
	n = min(len(dst), s.bridge)
	dst = dst[len(dst)-n:]
	at := period
	for j := 1; j <= n; j++ {
		if at--; at < 0 {
			at = period - 1
		}
		x := float32(loop[at])
		if j < s.seam {
			x += step * float32(s.seam-j) / float32(s.seam)
		}
		w := float32(n+1-j) / float32(n+1)
		d := &dst[n-j]
		*d = saturate(w*x + (1-w)*float32(*d))
	}
	return true
}

// blend writes a fading into b to dst, which may be either.
func blend(dst, a, b []int16) {
	n := len(dst)
	a, b = a[:n], b[:n]
	k := 1 / float32(n+1)
	for i := range dst {
		w := float32(i+1) * k
		dst[i] = saturate(float32(a[i]) + w*(float32(b[i])-float32(a[i])))
	}
}

func saturate(x float32) int16 {
	if x >= 0 {
		return int16(min(x+0.5, 32767))
	}
	return int16(max(x-0.5, -32768))
}

// findPeriod returns the lag at which x and what lies that far from it are most
// alike: first among the even lags with every other sample, then
// around the best.
func findPeriod(x []int16, lagged func(lag int) []int16, s *lengths) int {
	best, at := -1.0, s.periodMin
	for lag := s.periodMin; lag <= s.periodMax; lag += 2 {
		if l := likeness(x, lagged(lag), 2); l > best {
			best, at = l, lag
		}
	}
	best = -1
	coarse := at
	for lag := max(s.periodMin, coarse-1); lag <= min(s.periodMax, coarse+1); lag++ {
		if l := likeness(x, lagged(lag), 1); l > best {
			best, at = l, lag
		}
	}
	return at
}

// likeness is the normalised correlation of a with the beginning of b, over
// every stride-th sample.
func likeness(a, b []int16, stride int) float64 {
	var ab, aa, bb int64
	b = b[:len(a)]
	for i := 0; i < len(a); i += stride {
		x, y := int64(a[i]), int64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float64(ab) / math.Sqrt(float64(aa)*float64(bb))
}
