package rtpleg

import (
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// A peer that never sends is not heard: nothing is committed, and no context
// announced.
func TestNothingIsHeard(t *testing.T) {
	r := newRig(t, Config{})
	r.idle(2000)
	require.Empty(t, r.taken())
	require.Empty(t, r.leg.Renders())
	require.Empty(t, r.sent)
	require.InDelta(t, 40, r.m.Silent(r.now).Seconds(), 0.1)
	require.True(t, r.m.End(r.now), "nothing to wait for")
}

// Over a long silence nothing is committed; what follows comes as soon as ever,
// where time is.
func TestLongSilence(t *testing.T) {
	for name, follow := range map[string]bool{"timestamps follow time": true, "timestamps stand still": false} {
		for _, seconds := range []int{1, 5, 9, 11, 30, 600} {
			t.Run(name+" "+(time.Duration(seconds)*time.Second).String(), func(t *testing.T) {
				r := newRig(t, Config{Jitter: fixed})
				x := numbered(400)
				r.steps(x[:100*320])
				r.idle(10)
				r.taken()
				for range seconds * 50 {
					if follow {
						r.say(nil)
					}
					r.turn()
					r.now += slotNanos
				}
				frames := r.taken()
				require.Len(t, frames, min(seconds*50, 500-10), "until the rest")
				last := frames[len(frames)-1].Position()
				if !follow { // the peer's clock goes on where it was
					out := r.out
					r.peer(rtpmedia.OutboundConfig{SSRC: 7, Seq: r.seq(out), Timestamp: r.timestamp(out)})
				}
				r.steps(x[100*320 : 400*320])
				frames = spoken(r.taken())
				require.NotEmpty(t, frames)
				at := int64(110+seconds*50) * 320 // the step in which it spoke again
				delay := frames[0].Position() - at
				if follow {
					require.EqualValues(t, 0, delay, "positions are those of the first stream, 60 ms behind")
				} else {
					require.InDelta(t, 0, delay, 2*320)
				}
				require.Greater(t, frames[0].Position(), last)
				s := r.stats()
				require.Equal(t, frames[len(frames)-1].Position()/320+1, s.Frames+s.DTX)
				require.Zero(t, s.Lost+s.Late+s.ClockFree)
				require.LessOrEqual(t, r.m.in.Delay(), 100*ms)
				for i := 1; i < len(frames); i++ {
					require.Equal(t, frames[i-1].Position()+320, frames[i].Position())
				}
			})
		}
	}
}

// spoken are the frames from the first that is voice on.
func spoken(frames []pcm.Frame) []pcm.Frame {
	for i := range frames {
		if !frames[i].Flags.Has(pcm.Silence) && !frames[i].Flags.Has(pcm.Concealed) {
			return frames[i:]
		}
	}
	return nil
}

func (r *rig) seq(o *rtpmedia.Outbound) uint16 { return uint16(65500 + o.Stats().Packets) }

func (r *rig) timestamp(o *rtpmedia.Outbound) uint32 {
	return uint32(1<<32-3200) + uint32(o.Stats().Packets)*320
}

// A machine that was late goes on where time is, and no delay is left behind it.
func TestLateTurns(t *testing.T) {
	for _, late := range []int{1, 2, 3, 4, 5, 10, 15, 250} {
		for name, again := range map[string]bool{"left out": false, "all made up for": true} {
			t.Run(name+" "+(time.Duration(late)*pcm.FrameDuration).String(), func(t *testing.T) {
				virtually(t, func(t *testing.T) {
					r := newRig(t, Config{Jitter: fixed})
					echo(r.leg)
					x := numbered(1500)
					r.hear(x[:200*320])
					for i := range late { // the packets come
						r.say((*samples)(x[(200+i)*320:]))
						r.now += slotNanos
						wait()
					}
					if again { // as a beat does
						for range late {
							r.turn()
						}
					}
					r.hear(x[(200+late)*320:])
					frames := r.taken()
					last := frames[len(frames)-1]
					require.EqualValues(t, 1500-1-3, last.Position()/320, "positions follow time")
					s := r.stats()
					require.Equal(t, last.Position()/320+1, s.Frames+s.DTX)
					require.Zero(t, s.Lost)
					require.Zero(t, r.m.queue.len(), "nothing waits to be sent")
					require.LessOrEqual(t, r.m.in.Delay(), 80*ms, "the most there is, and a packet")
					n := len(r.sent)
					require.Equal(t, r.now-slotNanos, r.sent[n-1].at)
					require.Equal(t, slotNanos, r.sent[n-1].at-r.sent[n-2].at)
				})
			})
		}
	}
}

// hear is steps in the engine's time too.
func (r *rig) hear(x []int16) {
	for ; len(x) > 0; x = x[320:] {
		r.step((*samples)(x))
		wait()
	}
}

// A machine that slept while the peer was silent makes no silence up for it.
func TestLateInSilence(t *testing.T) {
	for _, silent := range []int{50, 700} { // the second is a rest
		r := newRig(t, Config{Jitter: fixed})
		x := numbered(300)
		r.steps(x[:100*320])
		r.idle(silent)
		r.taken()
		for range 250 { // no turn
			r.say(nil)
			r.now += slotNanos
		}
		r.steps(x[100*320:])
		frames := spoken(r.taken())
		require.EqualValues(t, 100+silent+250, frames[0].Position()/320, "silent for %d", silent)
		require.LessOrEqual(t, r.m.in.Delay(), 60*ms)
	}
}

// Reconnect: the time between two Medias is lost, and the second goes on where
// time is. What was counted stays counted.
func TestReconnect(t *testing.T) {
	for _, channels := range []engine.Channels{engine.Mixed, engine.Unmixed} {
		l := newLeg(t, engine.LegConfig{Channels: channels})
		r := newRig(t, Config{Leg: l, Jitter: fixed, Speaker: "sip:a"})
		r.lose = func(n int) bool { return n == 50 || n == 51 || n == 240 }
		x := numbered(400)
		r.steps(x[:100*320])
		require.EqualValues(t, 2, r.stats().Lost)
		cfg := r.m.cfg
		_, err := New(cfg)
		require.ErrorIs(t, err, engine.ErrAttached)
		r.m.Close()
		r.m.Close()
		r.now += 40*slotNanos + 3*ms
		r.connect(cfg)
		r.peer(rtpmedia.OutboundConfig{SSRC: 8})
		r.taken()
		r.steps(x[100*320:])
		frames := r.taken()
		first := frames[0]
		require.Equal(t, pcm.AfterGap, first.Flags&^pcm.Concealed)
		require.EqualValues(t, 43, first.Lost, "40, and 60 ms until the second's first")
		require.EqualValues(t, 140, first.Position()/320)
		require.EqualValues(t, x[100*320], first.Samples[0])
		require.Equal(t, channels == engine.Unmixed, first.Speaker == 1)
		continuous(t, withoutFirst(frames))
		s := r.stats()
		require.EqualValues(t, 2+43+1, s.Lost)
		require.EqualValues(t, 3, s.Concealed)
		require.Zero(t, s.DTX)
		require.Len(t, l.Renders(), 1)
	}
}

func withoutFirst(frames []pcm.Frame) []pcm.Frame {
	frames = frames[1:]
	from := frames[0].Seq
	for i := range frames {
		frames[i].Seq -= from
	}
	return frames
}
