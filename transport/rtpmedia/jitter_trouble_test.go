package rtpmedia

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJitterRestart(t *testing.T) {
	for name, restart := range map[string]func(*feed){
		"another source":    func(f *feed) { f.p.SSRC = 2 },
		"the sequence":      func(f *feed) { f.p.Seq += 20_000 },
		"all of it":         func(f *feed) { f.p = Packet{SSRC: 9, Seq: 65535, Timestamp: 1 << 31} },
		"sequence and time": func(f *feed) { f.p.Seq, f.p.Timestamp = 7, 7 },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFeed(t, fixed)
			f.p.Seq = 30_000
			f.talk(0, 20)
			restart(f)
			got := f.talk(0, 20)
			require.Equal(t, seqOf(0, 17), got[3:], "%v", got)
			s := f.balanced()
			require.EqualValues(t, 1, s.Restarts)
			require.LessOrEqual(t, s.Restarted, int64(3))
			require.Zero(t, s.Stray)
		})
	}
}

// A single packet that does not belong changes nothing.
func TestJitterStray(t *testing.T) {
	f := newFeed(t, fixed)
	f.talk(0, 10)
	right := f.p
	f.p.SSRC = 77
	f.send(10)
	f.p = right
	f.p.Seq += 10_000
	f.send(10)
	require.Equal(t, int64(4), f.Stats().Buffered)
	f.p = right
	require.Equal(t, seqOf(7, 17), f.talk(10, 20))
	s := f.balanced()
	require.EqualValues(t, 2, s.Stray)
	require.Zero(t, s.Restarts)
}

// A sender may begin its timestamps anew without a word.
func TestJitterTimestampJump(t *testing.T) {
	for _, jump := range []uint32{1 << 31, 1 << 30, 1_000_000, 1<<32 - 1_000_000, 1<<32 - 160} {
		f := newFeed(t, fixed)
		f.talk(0, 20)
		f.p.Timestamp += jump
		require.Equal(t, seqOf(17, 37), f.talk(20, 40), "%d", jump)
		s := f.balanced()
		require.EqualValues(t, 1, s.TimestampJumps)
		require.Zero(t, s.Unsent+s.Concealed+s.Missing)
	}
}

// Timestamps that stand still, or follow no clock, are still played.
func TestJitterUselessTimestamps(t *testing.T) {
	for _, step := range []uint32{0, 1 << 31, 1<<32 - 160} {
		f := newFeed(t, fixed)
		var got []int
		for n := range 50 {
			f.sendAs(n, f.p.Seq+uint16(n), step*uint32(n), Audio)
			got = append(got, f.pop())
		}
		require.Equal(t, seqOf(0, 47), got[3:], "step %d", step)
	}
}

// Some senders' timestamps stand still while nothing is sent.
func TestJitterTimestampIgnoresSilence(t *testing.T) {
	for _, pause := range []int{30, 1000} {
		f := newFeed(t, JitterConfig{Max: 200 * time.Millisecond})
		f.talk(0, 20)
		f.drain(pause)
		got := f.talk(20, 60)
		require.Equal(t, seqOf(20, 57), got[len(got)-37:], "%v", got)
		s := f.balanced()
		require.EqualValues(t, 1, s.Resyncs)
		require.Zero(t, s.Missing)
	}
}

// After a stall what was held up comes at once: it is heard as far as the
// bound of the delay allows, in order.
func TestJitterStall(t *testing.T) {
	f := newFeed(t, JitterConfig{Max: 200 * time.Millisecond})
	f.talk(0, 100)
	before := f.Stats()
	stall := f.drain(8)
	require.Equal(t, []int{dried, dried}, stall[6:], "%v", stall)
	for n := 100; n < 108; n++ {
		f.send(n)
	}
	got := f.talk(108, 150)
	require.IsIncreasing(t, got)
	s := f.balanced()
	require.Positive(t, s.Stretched)
	require.Greater(t, s.Delay, before.Delay)
	require.LessOrEqual(t, s.Delay, int64(220*time.Millisecond))
	require.Zero(t, s.Late)
}

func TestJitterStallBeyondTheBound(t *testing.T) {
	for _, ticks := range []int{14, 20, 60, 300} {
		f := newFeed(t, JitterConfig{Max: 100 * time.Millisecond})
		f.talk(0, 100)
		f.drain(ticks)
		for n := 100; n < 100+ticks; n++ {
			f.send(n)
		}
		got := f.talk(100+ticks, 200+ticks)
		last := got[0]
		for _, n := range got[1:] {
			if n >= 0 {
				require.Greater(t, n, last, "%v", got)
				last = n
			}
		}
		require.Greater(t, last, 190+ticks)
		s := f.balanced()
		require.Positive(t, s.Late+s.Backlog+s.Overflow, "stall of %d: %+v", ticks, s)
		require.LessOrEqual(t, s.Delay, int64(140*time.Millisecond))
	}
}

func TestJitterOverflow(t *testing.T) {
	f := newFeed(t, fixed)
	for n := range 1000 {
		f.send(n)
	}
	f.now += 60 * ms
	got := f.pop()
	require.GreaterOrEqual(t, got, 990)
	s := f.balanced()
	require.Positive(t, s.Overflow)
	require.LessOrEqual(t, len(f.free), slots+1)
}

func TestJitterOversize(t *testing.T) {
	f := newFeed(t, fixed)
	f.Push(f.now, &Packet{Payload: make([]byte, maxPayload+1)}, Audio)
	require.EqualValues(t, 1, f.balanced().Oversize)
	require.Equal(t, waited, f.pop())
}

// The target follows the jitter both ways.
func TestJitterTargetAdapts(t *testing.T) {
	f := newFeed(t, JitterConfig{})
	target := func(jitter int64, packets int) int64 {
		for range packets {
			n := int(f.n.received)
			now := f.now
			f.now += int64(n*7919%100) * jitter / 100
			f.send(n)
			f.now = now
			f.pop()
		}
		return f.Stats().Target / ms
	}
	require.EqualValues(t, 60, target(0, 30), "at first it is the configured one")
	require.EqualValues(t, 20, target(0, 100), "the lower bound")
	require.InDelta(t, 45, target(40*ms, 600), 3)
	require.InDelta(t, 105, target(100*ms, 60), 8, "up within a second")
	require.InDelta(t, 300, target(600*ms, 600), 1, "the upper bound")
	require.InDelta(t, 20, target(0, 600), 1, "down within the window")
}

// TestRest: what was not pulled over a long silence is no delay behind it,
// whether the sender's timestamps followed the time or stood still.
func TestRest(t *testing.T) {
	for name, follows := range map[string]bool{"follows time": true, "stands still": false} {
		t.Run(name, func(t *testing.T) {
			c := l16(t)
			out, err := NewOutbound(OutboundConfig{Codec: c, PayloadType: 96})
			require.NoError(t, err)
			in, err := NewInbound(InboundConfig{Codec: c, PayloadType: 96})
			require.NoError(t, err)
			var said, heard [320]int16
			for i := range said {
				said[i] = 1000
			}
			now, back := int64(1e9), uint32(0)
			talk := func(frames int) (voiced int) {
				for range frames {
					b, ok := out.Next(now, nil, &said)
					require.True(t, ok)
					var p Packet
					require.NoError(t, p.Parse(b))
					p.Timestamp -= back
					in.Push(now, &p)
					if in.Pull(now, &heard).Voice {
						voiced++
					}
					now += frameNanos
				}
				return voiced
			}
			talk(100)
			const pulled, rested = 500, 700
			for range pulled {
				in.Pull(now, &heard)
				now += frameNanos
			}
			in.Rest(rested)
			now += rested * frameNanos
			if !follows {
				back = (pulled + rested) * 320
			}
			require.GreaterOrEqual(t, talk(50), 44, "%+v", in.Stats())
			s := in.Stats()
			require.LessOrEqual(t, s.Delay, int64(100*time.Millisecond))
			require.Zero(t, s.Jitter.Missing+s.Jitter.Late)
			require.EqualValues(t, 100+pulled+rested+50, s.Frames)
		})
	}
}
