package acsws

import (
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine"
)

const nanosPerSample24 = int64(1e9) / 24000

// downsampler brings one speaker's 24 kHz to the leg's 16 kHz. It is flushed
// and begun anew at a gap, and its group delay is taken off, so that samples
// keep their time.
type downsampler struct {
	render *engine.Render
	rs     *resample.Resampler
	out    []int16
	skip   int // samples of group delay still to be dropped
	run    bool
	last   engine.Chunk // what follows the last chunk
}

func (c *conn) resampler(r *engine.Render) *downsampler {
	d := c.in24[r]
	if d == nil {
		if c.in24 == nil {
			c.in24 = make(map[*engine.Render]*downsampler)
		}
		rs, _ := resample.New(24000, 16000) // these rates are known
		d = &downsampler{render: r, rs: rs, out: make([]int16, max(rs.Delay(), rs.Size(480)))}
		c.in24[r] = d
	}
	return d
}

func (d *downsampler) append(samples []int16, at engine.Chunk) {
	if len(samples) == 0 {
		return
	}
	if d.run && !d.render.Follows(d.shifted(at)) {
		d.flush(at.Arrival)
	}
	if !d.run {
		d.rs.Reset()
		d.run, d.skip = true, d.rs.Delay()
	} else {
		at = d.shifted(at)
	}
	if n := d.rs.Size(len(samples)) + 1; n > len(d.out) { // bounded by MaxMessage
		d.out = make([]int16, n)
	}
	out := d.out[:d.rs.Process(d.out, samples)]
	k := min(d.skip, len(out))
	d.skip -= k
	d.render.Append(out[k:], at)
	d.last = at
	d.last.Timestamp += int64(len(samples)) * nanosPerSample24
}

// shifted is at for samples that the filter holds back by its delay.
func (d *downsampler) shifted(at engine.Chunk) engine.Chunk {
	at.Timestamp -= int64(d.rs.Delay()-d.skip) * int64(1e9) / 16000
	return at
}

// flush delivers what the filter still holds.
func (d *downsampler) flush(arrival int64) {
	n := d.rs.Flush(d.out)
	d.last.Arrival = arrival
	d.render.Append(d.out[d.skip:n], d.last)
	d.run = false
}
