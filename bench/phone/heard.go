package phone

import (
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
)

// slack is by how much more than the time in which they came the packets of a
// stream may span by their timestamps, in seconds: what lies beyond was not
// meant, and must not fill the memory.
const slack = 10

// decode turns audio into samples in the order of its sequence numbers. The
// decoder is told nothing of losses: what was lost is silence here, and not an
// invention. Timestamps count from the first packet, whatever it carries.
func (s *Stream) decode(audio []item, row codec.Codec) error {
	if len(audio) == 0 {
		return nil
	}
	first, last := audio[0].at, audio[0].at
	for _, it := range audio {
		first, last = min(first, it.at), max(last, it.at)
	}
	most := ((last-first)/1e9 + slack) * int64(row.SampleRate)
	var out []int16
	decoder := row.NewDecoder()
	buf := make([]int16, row.SampleRate/5) // no payload is longer than 120 ms
	for _, it := range audio {
		n := decoder.Decode(buf, it.payload)
		at := it.timestamp * int64(row.SampleRate) / int64(row.ClockRate)
		if at < 0 || at+int64(n) > most {
			s.Pacing.Misplaced++
			continue
		}
		if short := int(at) + n - len(out); short > 0 {
			out = append(out, make([]int16, short)...)
		}
		copy(out[at:], buf[:n])
	}
	if row.SampleRate != pcm.SampleRate {
		var err error
		if out, err = convert(row.SampleRate, pcm.SampleRate, out); err != nil {
			return err
		}
	}
	s.pcm = out
	return nil
}
