package load

import "math"

// Tones are marks for codecs that do not keep samples: a frame is one tone of
// sixteen, which is the last four bits of its number. The rest of the number
// is what timestamps suggest. A tone survives G.711, G.722, resampling, and a
// delay of any part of a frame.
const (
	tones      = 16
	toneFirst  = 500 // Hz
	toneStep   = 150 // Hz, three times what a frame of 20 ms tells apart
	toneLevel  = 8000
	toneRate   = 8000
	toneFrame  = toneRate / 50
	tonePurity = 0.4 // of a frame's energy that its tone must have
	// toneSteps is how many places in a frame are tried for the beginning of
	// what was a frame when it was sent, in the first toneTries frames.
	toneSteps = 8
	toneTries = 25
)

// toneOf is the frame of a number.
func toneOf(seq uint32) (s [toneFrame]int16) {
	w := 2 * math.Pi * float64(toneFirst+toneStep*int(seq%tones)) / toneRate
	for i := range s {
		s[i] = int16(toneLevel * math.Sin(w*float64(i)))
	}
	return s
}

var toneTurns = func() (t [tones]float64) { // 2 cos ω
	for k := range t {
		t[k] = 2 * math.Cos(2*math.Pi*float64(toneFirst+toneStep*k)/toneRate)
	}
	return t
}()

// hearTone returns the strongest tone in a frame (Goertzel's algorithm), and
// its part of the energy. It tries expected and those after it: one that has
// half of the energy is the strongest.
func hearTone(s []int16, expected uint32) (tone uint32, purity float64) {
	energy := 0.0
	for _, v := range s {
		energy += float64(v) * float64(v)
	}
	if energy < 1e4*float64(len(s)) { // 35 dB below the tone
		return 0, 0
	}
	for i := range uint32(tones) {
		k := (expected + i) % tones
		turn, a, b := toneTurns[k], 0.0, 0.0
		for _, v := range s {
			a, b = float64(v)+turn*a-b, a
		}
		if p := 2 * (a*a + b*b - turn*a*b) / (energy * float64(len(s))); p > purity {
			purity, tone = p, k
			if p > 0.5 {
				break
			}
		}
	}
	return tone, purity
}

// A toneReader finds the numbers of frames in a stream of tones.
type toneReader struct {
	both   [2 * toneFrame]int16 // the last frame, and this one
	tries  int
	purity [toneSteps]float64 // while it tries
	at     int                // where in both a sent frame begins

	known bool
	seq   uint32 // the last one
	stamp uint32 // and the timestamp of its packet
}

// read takes a frame that came at now, in a packet of that timestamp; first is
// when frame 0 was due. It reports false if there is no tone in it.
//
// The first frame is taken to be less than 320 ms old. From then on the
// server's own timestamps say how many frames there are from one packet to the
// next, and the tone whether it left some out: so neither a pause of the
// network nor one of a machine is taken for loss.
func (r *toneReader) read(s []int16, stamp uint32, now, first int64) (seq uint32, ok bool) {
	copy(r.both[:], r.both[toneFrame:])
	copy(r.both[toneFrame:], s)
	if r.tries < toneTries {
		r.align()
	}
	tone, purity := hearTone(r.both[r.at:][:toneFrame], r.seq+1)
	if purity < tonePurity {
		return 0, false
	}
	latest := (now - first) / int64(frameTime)
	guess := latest
	if r.known {
		guess = int64(r.seq) + int64(int32(stamp-r.stamp))/toneFrame
	}
	d := (int64(tone) - guess%tones + 2*tones) % tones
	if !r.known && d > 0 || d > tones/2 {
		d -= tones // the first is not from the future
	}
	guess += d
	for guess > latest { // the first was older than we thought
		guess -= tones
	}
	if guess < 0 {
		return 0, false
	}
	r.known, r.seq, r.stamp = true, uint32(guess), stamp
	return r.seq, true
}

// align looks for the place where tones are purest.
func (r *toneReader) align() {
	best := -1.0
	for i := range r.purity {
		at := (i + 1) * toneFrame / toneSteps
		_, purity := hearTone(r.both[at:][:toneFrame], r.seq+1)
		if r.purity[i] += purity; r.purity[i] > best {
			best, r.at = r.purity[i], at
		}
	}
	r.tries++
}
