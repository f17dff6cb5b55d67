package rtpmedia

import "github.com/mixminus/mixminus/engine/pcm"

// A stretcher takes a pitch period out of audio, or puts one in, by blending
// one period into the next: nobody hears it where the two are alike, or where
// it is quiet. So the delay follows jitter and drift without a click.
type stretcher struct {
	floor int64 // mean square of the quietest of late
	rest  int   // frames until the next change, unless it is urgent
	still bool  // change nothing; for tests
}

const (
	periodMin = 5 * pcm.SampleRate / 1000
	periodMax = 15 * pcm.SampleRate / 1000

	restFrames = 5
	// alike is the likeness of two periods that may be blended anywhere,
	// somewhatAlike what does when the delay is far off.
	alike         = 0.9
	somewhatAlike = 0.6
	quietest      = 900     // mean square of -60 dBFS
	loudest       = 270_000 // of -36 dBFS: what is louder is no background
)

// hear follows the level of the background. It rises by 0.05 dB a frame.
func (s *stretcher) hear(frame []int16) {
	e := meanSquare(frame)
	s.floor = min(e, s.floor+s.floor/80+1, loudest)
	if s.rest > 0 {
		s.rest--
	}
}

func (s *stretcher) quiet(x []int16) bool { return meanSquare(x) <= 4*s.floor+quietest }

// urgency says how much a change is needed.
type urgency int

const (
	wanted  urgency = iota // where nobody hears it
	needed                 // where few do
	pressed                // anywhere
)

// period returns at which lag, of most samples, the beginning of x may be
// blended, 0 if it should not be now.
func (s *stretcher) period(x []int16, most int, u urgency) int {
	longest := min(most, periodMax, len(x)/2)
	if longest < periodMin {
		return 0
	}
	quiet := s.quiet(x[:2*longest])
	if s.rest > 0 && u == wanted && !quiet {
		return 0
	}
	best, at := -1.0, 0
	for lag := periodMin; lag <= longest; lag += 2 {
		if l := likeness(x[:lag], x[lag:], 2); l > best {
			best, at = l, lag
		}
	}
	best = -1
	for lag, last := max(periodMin, at-1), min(longest, at+1); lag <= last; lag++ {
		if l := likeness(x[:lag], x[lag:], 1); l > best {
			best, at = l, lag
		}
	}
	if quiet || best >= alike || u == needed && best >= somewhatAlike || u == pressed {
		s.rest = restFrames
		return at
	}
	return 0
}

// shrink takes a period out of the beginning of x and returns what is left.
func shrink(x []int16, period int) []int16 {
	blend(x[:period], x[:period], x[period:2*period])
	return x[:period+copy(x[period:], x[2*period:])]
}

// grow puts a period in behind the first of x, which must have room for it.
func grow(x []int16, period int) []int16 {
	n := len(x)
	x = x[:n+period]
	copy(x[2*period:], x[period:n])
	blend(x[period:2*period], x[2*period:3*period], x[:period])
	return x
}

// meanSquare looks at every fourth sample, which is enough to tell a level.
func meanSquare(x []int16) int64 {
	const stride = 4
	n, sum := int64(len(x)/stride), squares(x)
	for x = x[len(x)&^15:]; len(x) >= stride; x = x[stride:] {
		sum += int64(x[0]) * int64(x[0])
	}
	return sum / max(1, n)
}

// hiss makes comfort noise (RFC 3389): white, at a level in dB below full
// scale.
type hiss struct {
	on    bool
	peak  int32
	state uint32
}

// set takes the payload of a comfort noise packet. Its first byte is the
// level; the spectrum that may follow is not looked at.
func (h *hiss) set(payload []byte) {
	level := 127
	if len(payload) > 0 {
		level = int(payload[0] & 0x7f)
	}
	// An even distribution has its rms at peak/√3; 0 dBov is that of a square
	// wave. 5/254 of a bit a dB is near enough: 6.02/6.
	peak := int32(56755)
	for ; level >= 6; level -= 6 {
		peak /= 2
	}
	h.peak = peak - peak*int32(level)/11
	h.peak = min(h.peak, 32767)
	h.on = true
	if h.state == 0 {
		h.state = 0x9e3779b9
	}
}

func (h *hiss) fill(dst []int16) {
	for i := range dst {
		h.state ^= h.state << 13
		h.state ^= h.state >> 17
		h.state ^= h.state << 5
		dst[i] = int16((int64(h.state>>16) - 1<<15) * int64(h.peak) >> 15)
	}
}

// ticksOf returns how many ticks of a clock last as long as samples of 16 kHz.
func ticksOf(samples, clockRate int) int {
	return (samples*clockRate + pcm.SampleRate - 1) / pcm.SampleRate
}
