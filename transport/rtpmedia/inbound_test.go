package rtpmedia

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/stretchr/testify/require"
)

// What nothing happens to comes out as it went in.
func TestInboundIsExact(t *testing.T) {
	x := speech(20)
	r := (&rig{t: t, codec: l16(t), still: true}).run(x)
	r.balanced()
	require.True(t, signal.Compare(r.out, x, 960).Exact())
	require.Equal(t, Frame{}, r.frames[0])
	require.Equal(t, Frame{Voice: true, Begun: true}, r.frames[10])
	require.True(t, r.frames[len(r.frames)-1].Silent())
	require.Equal(t, "RTP(96) -> Jitter(20..300 ms) -> L16/16000 -> PCM16K", r.in.String())
}

// Through resampler and codec the audio is there, after its delay.
func TestInboundCodecs(t *testing.T) {
	worst := map[string]float64{"L16": 1, "G722": 0.99, "PCMU": 0.97, "PCMA": 0.97, "opus": 0.9}
	for _, c := range codec.All() {
		out, err := newFed(OutboundConfig{Codec: c, PayloadType: 96})
		require.NoError(t, err)
		in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96})
		require.NoError(t, err)
		in.stretch.still = true
		x := speech(5)
		var got []int16
		now := int64(1e9)
		for i := 0; i < len(x); i += 320 {
			out.Queue((*[320]int16)(x[i:]))
			b, ok := out.Next(now, nil)
			require.True(t, ok)
			var p Packet
			require.NoError(t, p.Parse(b))
			in.Push(now, &p)
			var f [320]int16
			in.Pull(now, &f)
			got = append(got, f[:]...)
			now += frameNanos
		}
		at, _ := signal.Align(x[:16000], got)
		require.InDelta(t, 960, at, 240, c.Name)
		require.Greater(t, signal.Correlate(x, got[at:]), worst[c.Name]-1e-9, c.Name)
	}
}

// Where no events were agreed on, PCMU, whose number is 0, is none.
func TestInboundWithoutEvents(t *testing.T) {
	in, err := NewInbound(InboundConfig{Codec: l16(t), PayloadType: 96})
	require.NoError(t, err)
	_, pressed := in.Push(0, &Packet{PayloadType: 0, SSRC: 1, Payload: []byte{5, 10, 1, 1}})
	require.False(t, pressed)
	require.EqualValues(t, 1, in.Stats().WrongType)
}

// dataset is a decoder that conceals and corrects by itself.
type dataset struct {
	conceals, corrects, resets int
}

func (d *dataset) Decode(dst []int16, src []byte) int { return fillWith(dst[:320], int16(src[0])) }
func (d *dataset) Conceal(dst []int16) int            { d.conceals++; return fillWith(dst, 1000) }
func (d *dataset) Reset()                             { d.resets++ }
func (d *dataset) DecodeFEC(dst []int16, next []byte) int {
	if next[0]%2 == 1 {
		return 0
	}
	d.corrects++
	return fillWith(dst, 2000)
}

func fillWith(dst []int16, v int16) int {
	for i := range dst {
		dst[i] = v
	}
	return len(dst)
}

// A decoder that can conceal, or find a copy in the next packet, is asked to.
func TestInboundDecoderHelps(t *testing.T) {
	d := &dataset{}
	c := quick
	c.NewDecoder = func() codec.Decoder { return d }
	in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96})
	require.NoError(t, err)
	in.stretch.still = true
	now := int64(1e9)
	var heard []int16
	for i := range 30 {
		if i != 9 && i != 14 && i != 15 { // 10 is even and holds a copy of 9; 16 of 15
			in.Push(now, &Packet{PayloadType: 96, Seq: uint16(i), Timestamp: uint32(320 * i), Payload: []byte{byte(i)}})
		}
		var f [320]int16
		in.Pull(now, &f)
		heard = append(heard, f[100])
		now += frameNanos
	}
	require.Equal(t, []int16{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 2000, 10, 11, 12, 13, 1000, 2000, 16, 17}, heard[:21])
	s := in.Stats()
	require.EqualValues(t, 2, s.Recovered)
	require.EqualValues(t, 3, s.Jitter.Missing)
	for i := range uint16(2) {
		in.Push(now, &Packet{PayloadType: 96, SSRC: 7, Seq: i, Payload: []byte{1}})
	}
	require.Equal(t, 1, d.resets)
	for range 100 { // nothing comes any more: it does not hum on for ever
		var f [320]int16
		in.Pull(now, &f)
		now += frameNanos
		heard = append(heard, f[319])
	}
	require.Zero(t, heard[len(heard)-1])
}

func TestInboundWrongInput(t *testing.T) {
	in, err := NewInbound(InboundConfig{Codec: l16(t), PayloadType: 96, EventType: 101})
	require.NoError(t, err)
	now := int64(1e9)
	var f [320]int16
	for i := range 20 {
		p := &Packet{PayloadType: 96, Seq: uint16(i), Timestamp: uint32(320 * i), Payload: make([]byte, 640)}
		switch {
		case i == 5:
			p.PayloadType = 0
		case i == 10:
			p.Payload = nil
		case i == 12:
			p.Payload = make([]byte, 1)
		}
		in.Push(now, p)
		in.Pull(now, &f)
		now += frameNanos
	}
	s := in.Stats()
	require.EqualValues(t, 1, s.WrongType)
	require.EqualValues(t, 2, s.Undecodable)
	require.EqualValues(t, 1, s.Jitter.Missing)
	for _, cfg := range []InboundConfig{{}, {Codec: l16(t), PayloadType: 128}, {Codec: codec.Codec{Name: "x", NewDecoder: l16(t).NewDecoder, ClockRate: 8000}}} {
		_, err := NewInbound(cfg)
		require.ErrorContains(t, err, "cannot be received")
	}
}

// Comfort noise is heard at its level, until audio comes again.
func TestInboundComfortNoise(t *testing.T) {
	in, err := NewInbound(InboundConfig{Codec: l16(t), PayloadType: 96})
	require.NoError(t, err)
	x := speech(2)
	now := int64(1e9)
	var out []int16
	var frames []Frame
	for i := range 100 {
		p := &Packet{PayloadType: 96, Seq: uint16(min(i, 21)), Timestamp: uint32(320 * i), Payload: make([]byte, 640)}
		l16(t).NewEncoder().Encode(p.Payload, x[320*i:])
		switch {
		case i == 20:
			p.PayloadType, p.Payload = 13, []byte{50}
			in.Push(now, p)
		case i < 20:
			in.Push(now, p)
		}
		var f [320]int16
		frames = append(frames, in.Pull(now, &f))
		out = append(out, f[:]...)
		now += frameNanos
	}
	require.InDelta(t, -50+3, signal.Level(out[30*320:]), 1) // a sine of full scale is -3 dBov
	require.True(t, frames[60].Silent())
	require.EqualValues(t, 1, in.Stats().Jitter.Control)
}

// A press comes through the stream once, and costs it no loss.
func TestInboundTones(t *testing.T) {
	c := l16(t)
	out, err := newFed(OutboundConfig{Codec: c, PayloadType: 96, EventType: 101})
	require.NoError(t, err)
	in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96, EventType: 101})
	require.NoError(t, err)
	link := netem.New(netem.Config{Seed: 3, Jitter: 20 * time.Millisecond, Duplicate: 0.1})
	var keysHeard []byte
	now := int64(1e9)
	x := speech(10)
	for i := range 500 {
		out.Queue((*[320]int16)(x[320*i:]))
		if i == 100 {
			for _, k := range "4711#" {
				require.NoError(t, out.Press(byte(k), 100*ms))
			}
		}
		if b, ok := out.Next(now, nil); ok {
			link.Send(now, b)
		}
		for {
			b, at, ok := link.Receive(now)
			if !ok {
				break
			}
			var p Packet
			require.NoError(t, p.Parse(b))
			if k, ok := in.Push(at, &p); ok {
				keysHeard = append(keysHeard, k)
			}
		}
		var f [320]int16
		in.Pull(now, &f)
		now += frameNanos
	}
	require.Equal(t, "4711#", string(keysHeard))
	s := in.Stats()
	require.Zero(t, s.Jitter.Missing+s.Jitter.Late, "%+v", s)
	require.InDelta(t, 5*7*20, s.Jitter.Unsent/ms, 20)
	require.EqualValues(t, 5*7, s.Jitter.Control)
}

// snr in dB of got against ref.
func snr(ref, got []int16) float64 {
	var s, n float64
	for i := range min(len(ref), len(got)) {
		a, d := float64(ref[i]), float64(ref[i])-float64(got[i])
		s, n = s+a*a, n+d*d
	}
	return 10 * math.Log10(s/n)
}

// lossy runs speech through loss and returns what came out, and its SNR.
func lossy(t testing.TB, loss float64, bare bool) (out []int16, db float64) {
	x := speech(120)
	net := netem.Config{Seed: 1, Loss: loss}
	r := (&rig{t: t, codec: l16(t), net: net, still: true, bare: bare}).run(x)
	r.balanced()
	return r.out, snr(slices.Concat(signal.Silence(960), x), r.out)
}

// Concealment is nearer to what was said than silence, at every loss, and
// clicks where that would.
func TestConcealmentIsBetterThanSilence(t *testing.T) {
	for _, loss := range []float64{0.01, 0.05, 0.1, 0.2} {
		made, db := lossy(t, loss, false)
		silent, bare := lossy(t, loss, true)
		require.Greater(t, db, bare+2, "loss %v", loss)
		clicks, clicksBare := len(signal.Clicks(made)), len(signal.Clicks(silent))
		require.LessOrEqual(t, clicks*20, clicksBare, "loss %v: %d of %d", loss, clicks, clicksBare)
	}
}

// A tone that is lost goes on, fades, and comes back, without a click.
func TestConcealerIsSmooth(t *testing.T) {
	for _, rate := range []int{8000, 16000, 48000} {
		for _, lost := range []int{5, 10, 20, 40, 60, 100, 500} {
			x := signal.Sine(4*rate, 440*16000/float64(rate), -6)
			c := NewConcealer(rate)
			n := rate / 50
			out := slices.Clone(x)
			from, to := 20*n, 20*n+lost*rate/1000
			c.Good(out[:from])
			for i := from; i < to; i += n {
				c.Fill(out[i:min(i+n, to)])
			}
			require.Equal(t, lost >= 60, c.Spent(), "%d ms", lost)
			for i := to; i+n <= len(out); i += n {
				c.Good(out[i : i+n])
			}
			require.LessOrEqual(t, sharpest(out), sharpest(x)*3/2+32, "%d Hz, %d ms", rate, lost)
			if end := from + n/4; lost >= 10 {
				require.Greater(t, snr(x[from:end], out[from:end]), 10.0, "%d Hz", rate)
			}
			if lost > 60 {
				require.Equal(t, signal.Silence(100), out[to-100:to])
			}
			require.Equal(t, x[to+2*n:], out[to+2*n:], "what came is not touched")
		}
	}
}

// Nothing to go by is no reason to fail.
func TestConcealerOfNothing(t *testing.T) {
	c := NewConcealer(8000)
	x := fillSlice(160, 7)
	c.Fill(x)
	require.Equal(t, fillSlice(160, 0), x)
	c.Bridge(x, nil)
	c.Bridge(x[:0], x)
	c.Good(nil)
	loud := fillSlice(400, -32768)
	c.Good(loud)
	c.Bridge(x, fillSlice(300, 32767))
	for range 10 {
		c.Fill(x)
	}
}

func fillSlice(n int, v int16) []int16 {
	x := make([]int16, n)
	fillWith(x, v)
	return x
}
