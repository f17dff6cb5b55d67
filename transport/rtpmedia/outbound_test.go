package rtpmedia

import (
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// sent is what left, and when.
type sent struct {
	at int64
	Packet
}

// clocked calls Next as a driver does, at each of the times.
func clocked(t *testing.T, o *fed, times []int64, before func(i int)) (all []sent) {
	for i, now := range times {
		if before != nil {
			before(i)
		}
		for o.Due() <= now {
			b, ok := o.Next(now, nil)
			if !ok {
				continue
			}
			var p Packet
			require.NoError(t, p.Parse(b))
			all = append(all, sent{now, p})
		}
	}
	return all
}

func every20ms(from int64, n int) (times []int64) {
	for i := range n {
		times = append(times, from+int64(i)*frameNanos)
	}
	return times
}

func l16Out(t testing.TB) *fed {
	o, err := newFed(OutboundConfig{Codec: l16(t), PayloadType: 97, SSRC: 5, Seq: 65534, Timestamp: 1<<32 - 640})
	require.NoError(t, err)
	return o
}

// A burst of the app is no burst on the wire.
func TestOutboundPacesBursts(t *testing.T) {
	o := l16Out(t)
	x := speech(1)
	all := clocked(t, o, every20ms(1e9, 30), func(i int) {
		if i == 0 {
			for k := range 20 {
				o.Queue((*[320]int16)(x[320*k:]))
			}
		}
	})
	require.Len(t, all, 20)
	for i, p := range all {
		require.Equal(t, int64(1e9)+int64(i)*frameNanos, p.at)
		require.Equal(t, uint16(65534+i), p.Seq)
		require.Equal(t, 1<<32-640+uint32(320*i), p.Timestamp)
		require.Equal(t, i == 0, p.Marker)
		require.Equal(t, uint8(97), p.PayloadType)
		var got [320]int16
		require.Equal(t, 320, l16(t).NewDecoder().Decode(got[:], p.Payload))
		require.Equal(t, x[320*i:320*i+320], got[:])
	}
	s := o.Stats()
	require.Equal(t, OutboundStats{Packets: 20, Octets: 20 * 640, Silent: 10}, s)
}

// Over silence the timestamp goes on with the time, the sequence number does
// not; the first packet after it is marked.
func TestOutboundSilence(t *testing.T) {
	o := l16Out(t)
	var f [320]int16
	for _, called := range []bool{true, false} { // whether Next is called meanwhile
		times := every20ms(o.Due()+1e9, 10)
		silence := every20ms(times[9]+frameNanos, 500)
		if called {
			times = append(times, silence...)
		}
		times = append(times, every20ms(silence[499]+frameNanos, 10)...)
		all := clocked(t, o, times, func(i int) {
			if i < 10 || i >= len(times)-10 {
				o.Queue(&f)
			}
		})
		require.Len(t, all, 20)
		for i, p := range all {
			require.Equal(t, i == 0 || i == 10, p.Marker, "packet %d", i)
			require.Equal(t, all[0].Seq+uint16(i), p.Seq)
			require.EqualValues(t, (p.at-all[0].at)/frameNanos*320, p.Timestamp-all[0].Timestamp)
		}
	}
}

// A caller that is a little late sends what was due in a row, each on its own
// time; one that is very late skips what nobody needs any more.
func TestOutboundLateCaller(t *testing.T) {
	o := l16Out(t)
	var f [320]int16
	fill := func(int) {
		for len(o.queue) < 10 {
			o.Queue(&f)
		}
	}
	at := func(msecs ...int64) (times []int64) {
		for _, m := range msecs {
			times = append(times, 1000*ms+m*ms)
		}
		return times
	}
	all := clocked(t, o, at(0, 20, 41, 59, 60, 139, 140, 500, 520), fill)
	var when, ts []int64
	for _, p := range all {
		when = append(when, p.at/ms-1000)
		ts = append(ts, int64(p.Timestamp-all[0].Timestamp)/16)
	}
	require.Equal(t, []int64{0, 20, 41, 60, 139, 139, 139, 140, 500, 520}, when)
	require.Equal(t, []int64{0, 20, 40, 60, 80, 100, 120, 140, 500, 520}, ts)
	require.EqualValues(t, 17, o.Stats().Skipped)
	require.True(t, all[8].Marker)
}

// A sender report's timestamp lies where a sample of now would.
func TestOutboundSender(t *testing.T) {
	o := l16Out(t)
	var f [320]int16
	all := clocked(t, o, every20ms(1e9, 10), func(int) { o.Queue(&f) })
	s := o.Sender(1e9+9*frameNanos+5*ms, 1e18)
	require.Equal(t, all[9].Timestamp+80, s.RTP)
	require.Equal(t, NTP(1e18), s.NTP)
	require.EqualValues(t, 10, s.Packets)
	require.EqualValues(t, 6400, s.Octets)
	s = o.Sender(1e9+time.Hour.Nanoseconds(), 1e18)
	require.Equal(t, all[0].Timestamp+3600*16000, s.RTP, "over silence too")
}

// Encoders may send nothing: that is silence.
type muteEncoder struct{ calls int }

func (m *muteEncoder) Encode(dst []byte, _ []int16) int {
	m.calls++
	if m.calls%10 >= 5 {
		return 0
	}
	return 10
}

func TestOutboundEncoderDTX(t *testing.T) {
	c := quick
	c.NewEncoder = func() codec.Encoder { return &muteEncoder{} }
	o, err := newFed(OutboundConfig{Codec: c, PayloadType: 96})
	require.NoError(t, err)
	var f [320]int16
	all := clocked(t, o, every20ms(1e9, 20), func(int) { o.Queue(&f) })
	require.Len(t, all, 10)
	require.Equal(t, []bool{true, true}, []bool{all[4].Marker, all[9].Marker}, "after the pause")
	require.EqualValues(t, 320*6, all[4].Timestamp-all[3].Timestamp)
}

func TestOutboundRefusals(t *testing.T) {
	_, err := newFed(OutboundConfig{})
	require.ErrorContains(t, err, "cannot be sent")
	_, err = newFed(OutboundConfig{Codec: l16(t), PayloadType: 128})
	require.ErrorContains(t, err, "payload type 128")
	c := l16(t)
	c.SampleRate = 44099
	_, err = newFed(OutboundConfig{Codec: c})
	require.ErrorContains(t, err, "codec L16: resample")
	require.Equal(t, "PCM16K -> L16/16000 -> RTP(97)", l16Out(t).String())
}

func TestStreamsNoAllocs(t *testing.T) {
	for _, c := range codec.All() {
		o, err := NewOutbound(OutboundConfig{Codec: c, PayloadType: 96, EventType: 101})
		require.NoError(t, err)
		in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96, EventType: 101})
		require.NoError(t, err)
		x := (*[320]int16)(speech(1))
		var f [pcm.FrameSamples]int16
		buf := make([]byte, 0, 1500)
		now, n := int64(1e9), 0
		step := func() {
			n++
			if n%100 == 0 {
				_ = o.Press('5', 100*ms)
			}
			if b, ok := o.Next(now, buf, x); ok && n%7 != 0 { // every seventh is lost
				var p Packet
				if p.Parse(b) != nil {
					panic("parse")
				}
				in.Push(now, &p)
				if n%5 == 0 {
					in.Push(now, &p)
				}
			}
			in.Pull(now, &f)
			now += frameNanos
		}
		for range 400 {
			step()
		}
		require.Zero(t, testing.AllocsPerRun(1000, step), c.Name)
		require.Positive(t, in.Stats().Jitter.Missing)
		require.Positive(t, in.Stats().Tones.Presses)
	}
}

// With slack a turn sends one packet, though it comes before the time at which
// the first one, late, began.
func TestOutboundSlack(t *testing.T) {
	var f [pcm.FrameSamples]int16
	o, err := newFed(OutboundConfig{Codec: l16(t), PayloadType: 97, Slack: frameNanos / 2})
	require.NoError(t, err)
	times := every20ms(1e9, 100)
	times[0] += 7 * ms
	for i := 1; i < len(times); i++ {
		times[i] += int64(i*7%10) * ms
	}
	all := clocked(t, o, times, func(int) { o.Queue(&f) })
	require.Len(t, all, 100)
	for i, p := range all {
		require.Equal(t, times[i], p.at)
		require.Equal(t, uint32(i)*320, p.Timestamp)
	}
	require.Equal(t, all[99].Timestamp+320, o.Sender(times[0]+100*frameNanos, 0).RTP, "the schedule stays that of the first")
}

// Who waits is known, and why one may not.
func TestOutboundPressing(t *testing.T) {
	o, err := newFed(OutboundConfig{Codec: l16(t), PayloadType: 97, EventType: 101})
	require.NoError(t, err)
	require.NoError(t, o.CheckPress('#', 1e9))
	require.ErrorContains(t, o.CheckPress('E', 1e9), "is no key")
	require.ErrorContains(t, o.CheckPress('1', 3601e9), "at most an hour")
	for range MaxPresses {
		require.NoError(t, o.Press('1', 40*ms))
	}
	require.Equal(t, MaxPresses, o.Pressing())
	require.ErrorContains(t, o.Press('1', 40*ms), "32 are waiting")
	require.NoError(t, o.CheckPress('1', 40*ms))
	clocked(t, o, every20ms(1e9, 20), nil)
	require.Less(t, o.Pressing(), MaxPresses)
}
