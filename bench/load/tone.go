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
	// what was a frame when it was sent, in the first toneTries frames, and
	// later where a tone is less pure than toneClear: jitter buffers put in
	// audio and take it out, so that the place moves.
	toneSteps = 8
	toneTries = 25
	toneClear = 0.75
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
	last   [3 * toneFrame]int16 // what came in this packet and the two before
	tries  int
	purity [toneSteps]float64 // while it tries
	at     int                // where in the packet before this one a sent frame begins

	known bool
	seq   uint32 // the last one
	stamp uint32 // and the timestamp of its packet
}

// read takes a frame that came at now, in a packet of that timestamp; first is
// when frame 0 was due. It tells found of each frame that was sent and ends in
// it: nearly always one, two or none where audio was taken out or put in. It
// reports false if there is no tone in it.
//
// The first frame is taken to be less than 320 ms old. From then on the
// server's own timestamps say how many frames there are from one packet to the
// next, and the tone whether it left some out: so neither a pause of the
// network nor one of a machine is taken for loss.
func (r *toneReader) read(s []int16, stamp uint32, now, first int64, found func(seq uint32)) bool {
	copy(r.last[:], r.last[toneFrame:])
	copy(r.last[2*toneFrame:], s)
	if r.tries < toneTries {
		r.align()
	}
	tone, purity := r.hear(r.at)
	if r.tries == toneTries && purity < toneClear && r.realign() {
		return r.moved(stamp, now, first, found)
	}
	if purity < tonePurity {
		return false
	}
	seq, ok := r.number(tone, stamp, now, first)
	if ok {
		found(seq)
	}
	return ok
}

// moved is read where the place has just moved: forwards perhaps into the frame
// that was read last, or backwards past one that was not read yet.
func (r *toneReader) moved(stamp uint32, now, first int64, found func(seq uint32)) (ok bool) {
	last, known := r.seq, r.known
	for _, at := range []int{r.at - toneFrame, r.at} {
		tone, purity := r.hear(at)
		if purity < tonePurity {
			continue
		}
		if seq, numbered := r.number(tone, stamp, now, first); numbered {
			if ok = true; !known || seq > last {
				found(seq)
			}
		}
	}
	return ok
}

// hear returns the tone of what begins at at.
func (r *toneReader) hear(at int) (tone uint32, purity float64) {
	return hearTone(r.last[toneFrame+at:][:toneFrame], r.seq+1)
}

// number is that of a frame with a tone.
func (r *toneReader) number(tone, stamp uint32, now, first int64) (seq uint32, ok bool) {
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
		_, purity := r.hear(at)
		if r.purity[i] += purity; r.purity[i] > best {
			best, r.at = r.purity[i], at
		}
	}
	r.tries++
}

// realign looks for the place where this frame's tone is pure, and reports
// whether it is another than it was.
func (r *toneReader) realign() bool {
	was, best := r.at, toneClear
	for i := range toneSteps {
		at := (i + 1) * toneFrame / toneSteps
		if _, purity := r.hear(at); purity > best {
			best, r.at = purity, at
		}
	}
	return r.at != was
}
