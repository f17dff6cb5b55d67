package load

import (
	"encoding/base64"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/codec/resample"
)

// A clip is speech cut into frames, ready to be marked and sent. All streams
// of a run share it, each beginning elsewhere.
type clip struct {
	frames  int
	bytes   int    // of a frame
	pcm     []byte // little-endian
	chars   int    // of a frame in base64
	encoded []byte
}

// newClip is people talking at the same time, at a rate of 16 or 24 kHz. Their
// sum is halved as often as it takes to stay within 16 bits.
func newClip(people, rate int) (*clip, error) {
	sum := make([]int32, len(signal.Speech(signal.Allison)))
	voices := signal.Voices()
	for p := range people {
		voice := signal.Speech(voices[p%len(voices)])
		for i := range sum { // who has the same voice is elsewhere in the text
			sum[i] += int32(voice[(i+p/len(voices)*7919)%len(voice)])
		}
	}
	loudest := int32(0)
	for _, v := range sum {
		loudest = max(loudest, v, -v)
	}
	shift := 0
	for loudest>>shift > 32767 {
		shift++
	}
	samples := make([]int16, len(sum))
	for i, v := range sum {
		samples[i] = int16(v >> shift)
	}
	if rate != signal.SampleRate {
		r, err := resample.New(signal.SampleRate, rate)
		if err != nil {
			return nil, err
		}
		out := make([]int16, r.Size(len(samples)))
		samples = out[:r.Process(out, samples)]
	}
	c := &clip{bytes: rate / 50 * 2}
	c.frames = len(samples) * 2 / c.bytes
	c.pcm = l16.AppendLE(nil, samples[:c.frames*c.bytes/2])
	c.chars = base64.StdEncoding.EncodedLen(c.bytes)
	c.encoded = make([]byte, c.frames*c.chars)
	for i := range c.frames {
		base64.StdEncoding.Encode(c.encoded[i*c.chars:(i+1)*c.chars], c.pcm[i*c.bytes:(i+1)*c.bytes])
	}
	return c, nil
}

// markChars is the part of a frame's base64 that holds its mark.
var markChars = base64.StdEncoding.EncodedLen(markBytes)

// encode writes frame i, marked, in base64 to dst of c.chars.
func (c *clip) encode(dst []byte, i int, m mark) {
	i %= c.frames
	copy(dst, c.encoded[i*c.chars:(i+1)*c.chars])
	var head [markBytes]byte
	copy(head[:], c.pcm[i*c.bytes:])
	m.put(head[:])
	base64.StdEncoding.Encode(dst[:markChars], head[:])
}
