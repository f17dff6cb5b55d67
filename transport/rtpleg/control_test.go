package rtpleg

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// More than a thousand packets a second are not looked at, nor more than twenty
// reports.
func TestFlood(t *testing.T) {
	r := newRig(t, Config{})
	r.now = (r.now/int64(time.Second) + 1) * int64(time.Second)
	b, ok := r.out.Next(r.now, nil, new(samples))
	require.True(t, ok)
	report := r.control.Append(nil, r.now, unix, false)
	for second := range int64(3) {
		for i := range int64(1500) {
			r.now = r.inSecond(second, i, 1500)
			r.deliver(b)
			if i%30 == 0 {
				require.False(t, r.m.TakeControl(r.now, unix+r.now, report))
			}
		}
	}
	r.m.Close()
	s := r.m.Stats()
	require.EqualValues(t, 3*500, s.Flooded)
	require.EqualValues(t, 3*1000, s.In.Jitter.Received)
	require.EqualValues(t, 3*30, s.ReportsFlooded)
	require.EqualValues(t, 3*20, s.Control.Reports)
}

// inSecond is the i-th of n times in a second.
func (r *rig) inSecond(second, i, n int64) int64 {
	whole := (r.begun/int64(time.Second) + 1 + second) * int64(time.Second)
	return whole + i*int64(time.Second)/n
}

// What is no report is counted, and changes nothing.
func TestMalformedReports(t *testing.T) {
	r := newRig(t, Config{})
	r.steps(numbered(10))
	for _, b := range [][]byte{nil, {0}, {0x80, 200, 0, 9}, {0x80, 199, 0, 1, 0, 0, 0, 7}, make([]byte, 100)} {
		require.False(t, r.m.TakeControl(r.now, unix, b))
	}
	r.m.Close()
	require.Equal(t, rtpmedia.ControlStats{Malformed: 5}, r.m.Stats().Control)
}

// due calls Report every 20 ms for so long, and returns when there was one.
func (r *rig) due(d time.Duration, each func(b []byte)) (times []int64) {
	for range int64(d) / slotNanos {
		if b, ok := r.m.Report(r.now, unix+r.now, nil); ok {
			times = append(times, r.now)
			each(b)
		}
		r.step(nil)
	}
	return times
}

// The first report comes 2.5 s after the beginning, the others 5 s after the one
// before, each by chance up to half as much earlier or later.
func TestReportsAreSpread(t *testing.T) {
	first, gaps := map[int64]bool{}, map[int64]bool{}
	for range 40 {
		r := newRig(t, Config{})
		times := r.due(60*time.Second, func([]byte) {})
		at := time.Duration(times[0] - r.begun)
		require.GreaterOrEqual(t, at, 1250*time.Millisecond)
		require.LessOrEqual(t, at, 3770*time.Millisecond)
		first[times[0]-r.begun] = true
		for i := 1; i < len(times); i++ {
			gap := time.Duration(times[i] - times[i-1])
			require.GreaterOrEqual(t, gap, 2500*time.Millisecond)
			require.LessOrEqual(t, gap, 7520*time.Millisecond)
			gaps[times[i]-times[i-1]] = true
		}
		require.InDelta(t, 12, len(times), 4)
	}
	require.Greater(t, len(first), 10)
	require.Greater(t, len(gaps), 50)
}

// Who sent something since the last report tells so, and who heard something
// how it came. The peer's Control understands it.
func TestReports(t *testing.T) {
	r := newRig(t, Config{CNAME: "us@example.com"})
	next := func() (k rtpmedia.Report) {
		b := r.report()
		require.NoError(t, r.control.Take(r.now, unix+r.now, b))
		require.NoError(t, k.Parse(b))
		require.Equal(t, "us@example.com", string(k.CNAME))
		require.Equal(t, r.m.out.SSRC(), k.SSRC)
		return k
	}
	k := next()
	require.False(t, k.HasSender)
	require.Empty(t, k.Blocks, "nobody was heard")

	r.lose = func(n int) bool { return n%4 == 3 }
	for i := range 100 { // it comes 5 ms late, then in time
		r.now += int64(i%2) * 5 * ms
		require.True(t, (*outlet)(r.m).SendFrame(new(samples)))
		r.step(new(samples))
		r.now -= int64(i%2) * 5 * ms
	}
	sender := r.control.Append(nil, r.now, unix+r.now, false)
	r.now += 30 * ms
	require.False(t, r.m.TakeControl(r.now, unix+r.now, sender))
	taken := r.now
	k = next()
	require.True(t, k.HasSender)
	require.EqualValues(t, 100, k.Sender.Packets)
	require.EqualValues(t, 64000, k.Sender.Octets)
	require.Equal(t, rtpmedia.NTP(unix+r.now), k.Sender.NTP)
	at := r.sent[99].Timestamp + uint32((r.now-r.sent[99].at)/62500)
	require.InDelta(t, at, k.Sender.RTP, 5*16+1, "a sample of now")
	require.Len(t, k.Blocks, 1)
	b := k.Blocks[0]
	require.EqualValues(t, 7, b.SSRC)
	require.EqualValues(t, 24, b.Lost, "the last of the hundred is not known to be lost")
	require.EqualValues(t, 24*256/99, b.Fraction)
	require.EqualValues(t, 65500+98, b.Highest)
	require.InDelta(t, 3.3*16, b.Jitter, 16, "in ticks: 5 ms, 5 ms, none")
	require.InDelta(t, float64(r.now-taken)*65536/1e9, b.Delay, 2)
	require.False(t, next().HasSender, "nothing was sent since")

	c := r.control.Stats()
	require.EqualValues(t, 24, c.PeerLost)
	require.InDelta(t, 30*ms, c.RoundTrip, float64(ms), "the sender's report was under way for 30 ms")
	require.InDelta(t, 3.3, float64(c.PeerJitter)/1e6, 1)
	require.False(t, c.Bye)
	require.NoError(t, r.control.Take(r.now, unix, r.m.Bye(r.now, unix, nil)))
	require.True(t, r.control.Stats().Bye)
	r.m.Close()
	require.EqualValues(t, 4, r.m.Stats().Control.Sent)
}

// report waits for one.
func (r *rig) report() []byte {
	_, ok := r.m.Report(r.now, unix+r.now, nil)
	require.False(r.t, ok)
	r.now = r.m.due
	b, ok := r.m.Report(r.now, unix+r.now, nil)
	require.True(r.t, ok)
	return b
}

// Only the stream's own source can end it.
func TestBye(t *testing.T) {
	r := newRig(t, Config{})
	bye := r.control.Append(nil, r.now, unix, true)
	require.False(t, r.m.TakeControl(r.now, unix, bye), "nobody was heard that could leave")
	r.steps(numbered(10))
	other := append([]byte(nil), bye...)
	binary.BigEndian.PutUint32(other[len(other)-4:], 8)
	require.False(t, r.m.TakeControl(r.now, unix, other))
	require.False(t, r.m.TakeControl(r.now, unix, r.control.Append(nil, r.now, unix, false)))
	require.True(t, r.m.TakeControl(r.now, unix, bye))
	r.m.Close()
	require.True(t, r.m.Stats().Control.Bye)
	require.True(t, r.m.TakeControl(r.now, unix, bye), "harmless, after it")
}

// End plays out what is buffered, takes no more, and is over at the latest after
// 400 ms.
func TestEnd(t *testing.T) {
	for _, buffered := range []time.Duration{60 * time.Millisecond, 200 * time.Millisecond, 800 * time.Millisecond} {
		r := newRig(t, Config{Jitter: rtpmedia.JitterConfig{Min: buffered, Max: buffered}})
		x := numbered(200)
		r.steps(x[:100*320])
		ended := r.now
		for !r.m.End(r.now) {
			r.step((*samples)(x[100*320:])) // not taken
		}
		require.Equal(t, min(buffered, 400*time.Millisecond), time.Duration(r.now-ended).Round(pcm.FrameDuration))
		frames := r.taken()
		heard := min(100, 100-int((buffered-400*time.Millisecond)/pcm.FrameDuration))
		require.Equal(t, x[:heard*320], audioOf(frames))
		require.True(t, r.m.End(r.now))
		r.m.Close()
	}
}

// Nothing is read from counters but at most 200 ms late.
func TestStatsArePublished(t *testing.T) {
	r := newRig(t, Config{Jitter: fixed})
	require.Equal(t, Stats{}, r.m.Stats())
	r.steps(numbered(30))
	require.EqualValues(t, 30, r.m.Stats().In.Jitter.Received)
	r.steps(numbered(5))
	require.EqualValues(t, 30, r.m.Stats().In.Jitter.Received)
	r.m.Close()
	require.EqualValues(t, 35, r.m.Stats().In.Jitter.Received)
}
