package opus

import "math"

// Decoder holds the state of one stream. It is not safe for concurrent use.
//
// Every packet of the stream is given to one of its methods in order: to
// Decode if it has come, else to DecodeFEC, if the one after it has come, or
// to Conceal.
type Decoder struct {
	lib    libDecoder
	float  [MaxSamples]float32
	faults int
}

// NewDecoder returns the decoder of a new stream.
func NewDecoder() *Decoder { return &Decoder{lib: newLibDecoder()} }

// Decode decodes a packet and returns the number of samples written to dst,
// Samples(src). It returns 0 if the packet is malformed or longer than
// MaxPacket, and if it does not fit dst: what stands in dst is then undefined,
// and the packet may count as lost.
func (d *Decoder) Decode(dst []int16, src []byte) (n int) {
	want := Samples(src)
	if want == 0 || len(dst) < want {
		return 0
	}
	defer d.rescue(&n)
	n, err := d.lib.DecodeInt16(src, dst[:want])
	if err != nil {
		return 0
	}
	return n
}

// Conceal writes to dst what may have been said while nothing came, and
// returns the number of samples written: len(dst), rounded down to a multiple
// of 40, 2.5 ms. It carries the voice on and lets it fade; before the first
// packet, and after a good while, it is silence. Where the sender has stopped
// sending at silence (DTX), it is background noise.
func (d *Decoder) Conceal(dst []int16) (n int) {
	defer d.rescue(&n)
	// The library takes the longest packet for a question of its own.
	const most = MaxSamples / 2
	for n+quantum <= len(dst) {
		end := n + min(most, (len(dst)-n)/quantum*quantum)
		m, err := d.lib.DecodeInt16(nil, dst[n:end])
		if err != nil || m == 0 {
			return n
		}
		n += m
	}
	return n
}

// DecodeFEC writes to dst what next, the packet after a lost one, carries of
// the lost one, and returns the number of samples written: the length of one
// frame of next, which is the end of what was lost. It returns 0, with nothing
// done, if next carries no such copy or the copy does not fit dst: then
// Conceal. Decode(next) comes after that, as always.
func (d *Decoder) DecodeFEC(dst []int16, next []byte) (n int) {
	if Samples(next) == 0 || !hasFEC(next) {
		return 0
	}
	want := frameSamples(next[0])
	if len(dst) < want {
		return 0
	}
	defer d.rescue(&n)
	m, err := d.lib.DecodeWithFEC(next, d.float[:want], true)
	if err != nil {
		return 0
	}
	for i, x := range d.float[:m] {
		dst[i] = toInt16(x)
	}
	return m
}

// Faults returns how many packets broke the library: it panicked, and was
// begun anew. None is known that does.
func (d *Decoder) Faults() int { return d.faults }

// rescue keeps one sender's packet from ending everybody's calls.
func (d *Decoder) rescue(n *int) {
	if recover() != nil {
		d.faults++
		d.lib = newLibDecoder()
		*n = 0
	}
}

func toInt16(x float32) int16 {
	return int16(max(math.MinInt16, min(math.MaxInt16, math.RoundToEven(float64(x)*(1<<15)))))
}
