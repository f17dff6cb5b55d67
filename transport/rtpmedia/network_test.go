package rtpmedia

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/opus"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// networks are the bad ones that a stream must come through. Their seeds stand
// in the name of the test that fails.
func networks() (all []netem.Config) {
	seed := uint64(1)
	add := func(c netem.Config) {
		c.Seed = seed
		seed++
		all = append(all, c)
	}
	for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
		for _, jitter := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond} {
			add(netem.Config{Loss: loss, Jitter: jitter})
			add(netem.Config{Loss: loss, Jitter: jitter, Shape: netem.Pareto, InOrder: true, Delay: 80 * time.Millisecond})
			add(netem.Config{Loss: loss, Jitter: jitter, Shape: netem.Normal, Reorder: 0.05, ReorderBy: 45 * time.Millisecond, Duplicate: 0.05})
		}
	}
	for _, leave := range []float64{0.5, 0.2, 0.05} {
		add(netem.Config{Burst: netem.Burst{Enter: 0.01, Leave: leave}})
		add(netem.Config{Burst: netem.Burst{Enter: 0.01, Leave: leave, Loss: 0.7}, Jitter: 50 * time.Millisecond, Duplicate: 0.3})
	}
	add(netem.Config{Duplicate: 1, Jitter: 30 * time.Millisecond})
	add(netem.Config{Rate: 270_000, Queue: 4000, Loss: 0.01})
	return all
}

// Through every network: what is heard is heard once and in order, each packet
// and each tick of time is accounted for, and what is concealed is what the
// network lost and what came late, no more.
func TestNetworks(t *testing.T) {
	const frames = 5000
	for _, net := range networks() {
		t.Run(net.String(), func(t *testing.T) {
			t.Parallel()
			r := (&rig{t: t, codec: l16(t), net: net, seq: 65000, ts: 1<<32 - 50_000, bare: true}).run(numbered(frames))
			r.balanced()
			s, n := r.in.Stats().Jitter, r.link.Stats()
			lost := n.Lost + n.Dropped
			ends := r.lostEnds()
			require.Equal(t, lost-ends, s.Missing-s.Late)
			require.Equal(t, s.Missing*frameNanos, s.Concealed)
			require.Equal(t, n.Sent-lost+n.Duplicated, s.Received)
			require.Equal(t, n.Duplicated, s.Duplicate+(s.Late-s.Missing+lost-ends))
			require.Equal(t, s.Received-s.Duplicate, s.Played+s.Late)
			require.Zero(t, s.Discarded+s.Unsent+s.Restarts+s.Resyncs+s.TimestampJumps)
			require.LessOrEqual(t, float64(s.Late)/frames, 0.02)
			heardOnce(t, r, s.Played)
		})
	}
}

// lostEnds counts the packets that were lost before the first that came, and
// after the last: nobody can know that they were sent.
func (r *rig) lostEnds() (n int64) {
	for i := 0; r.lost[i]; i++ {
		n++
	}
	for i := r.packets - 1; r.lost[i]; i-- {
		n++
	}
	return n
}

// heardOnce checks numbered frames: in order, whole, none twice, as many as
// were played; zeros between. A frame need not lie on a frame's border.
func heardOnce(t *testing.T, r *rig, played int64) {
	last, count := int16(0), int64(0)
	for i := 0; i < len(r.out); {
		v := r.out[i]
		n := i + 1
		for n < len(r.out) && r.out[n] == v {
			n++
		}
		if v != 0 {
			require.Equal(t, pcm.FrameSamples, n-i, "frame %d at %d", v, i)
			require.Greater(t, v, last)
			require.False(t, r.lost[int(v)-1], "frame %d was lost", v)
			last = v
			count++
		}
		i = n
	}
	require.Equal(t, played, count)
}

// With no bound reached the delay follows the jitter, and few packets are
// late.
func TestDelayFollowsJitter(t *testing.T) {
	for _, tt := range []struct {
		net      netem.Config
		min, max int64 // ms
	}{
		{netem.Config{}, 20, 45},
		{netem.Config{Delay: 200 * time.Millisecond}, 20, 45},
		{netem.Config{Jitter: 20 * time.Millisecond}, 20, 50},
		{netem.Config{Jitter: 60 * time.Millisecond}, 60, 95},
		{netem.Config{Jitter: 100 * time.Millisecond}, 95, 135},
		{netem.Config{Jitter: 100 * time.Millisecond, Shape: netem.Pareto}, 25, 85},
	} {
		tt.net.Seed = 42
		t.Run(tt.net.String(), func(t *testing.T) {
			r := (&rig{t: t, codec: l16(t), net: tt.net}).start()
			sum, n := int64(0), int64(0)
			r.each = func(r *rig, now int64) {
				if now > 10_000*ms && now < 60_000*ms {
					sum, n = sum+r.in.Delay(), n+1
				}
			}
			r.run(speech(60))
			r.balanced()
			mean := sum / n / ms
			require.GreaterOrEqual(t, mean, tt.min)
			require.LessOrEqual(t, mean, tt.max)
		})
	}
}

// speech returns at least so many seconds of talk of all voices.
func speech(seconds int) (x []int16) {
	for i := 0; len(x) < seconds*pcm.SampleRate; i++ {
		x = append(x, signal.Speech(signal.Voices()[i%len(signal.Voices())])...)
	}
	return x[:seconds*pcm.SampleRate]
}

var driftSeconds = 3600

// For an hour the sender's clock is off, by as much as crystals are; speech
// and a tone, in which nothing hides, come through without a click, and the
// delay stays what it was.
func TestDriftForAnHour(t *testing.T) {
	seconds := driftSeconds
	tone := signal.Sine(seconds*pcm.SampleRate, 440, -12)
	talk := speech(seconds)
	for _, ppm := range []float64{200, -200} {
		for name, x := range map[string][]int16{"tone": tone, "speech": talk} {
			t.Run(fmt.Sprintf("%s %+g ppm", name, ppm), func(t *testing.T) {
				net := netem.Config{Seed: 11, Jitter: 10 * time.Millisecond}
				r := (&rig{t: t, codec: l16(t), net: net, ppm: ppm, phase: 7 * ms}).start()
				low, high := int64(math.MaxInt64), int64(0)
				r.each = func(r *rig, now int64) {
					if now > 10_000*ms && now < int64(seconds)*990*ms {
						low, high = min(low, r.in.Delay()), max(high, r.in.Delay())
					}
				}
				r.run(x)
				r.balanced()
				s := r.in.Stats()
				require.Zero(t, s.Jitter.Missing+s.Jitter.Late+s.Jitter.Stretched+s.Jitter.Discarded)
				require.GreaterOrEqual(t, low, 10*ms)
				require.LessOrEqual(t, high, 75*ms)
				drift := int64(ppm * 1e-6 * float64(seconds) * pcm.SampleRate) // 720 ms
				require.InDelta(t, drift, s.Shrunk-s.Grown, 50*pcm.SampleRate/1000)
				require.LessOrEqual(t, s.Shrunk+s.Grown, abs(drift)*3/2+40*pcm.SampleRate/1000, "it does not go back and forth")
				// What the ends sound like is the signal's own.
				out := r.out[pcm.SampleRate : len(r.out)-pcm.SampleRate]
				require.Empty(t, signal.Clicks(out))
				require.Empty(t, signal.Gaps(out, 32))
				if name == "tone" {
					require.LessOrEqual(t, sharpest(out), sharpest(x)+8)
				}
			})
		}
	}
}

// The test above would hear a click: of a frame left out, or played twice.
func TestDriftTestHearsClicks(t *testing.T) {
	x := signal.Sine(pcm.SampleRate, 440, -12)
	require.NotEmpty(t, signal.Clicks(slices.Concat(x[:8000], x[8320:])))
	require.NotEmpty(t, signal.Clicks(slices.Concat(x[:8000], x[7680:])))
	require.Greater(t, sharpest(slices.Concat(x[:8000], x[8320:])), 2*sharpest(x))
}

func abs(x int64) int64 { return max(x, -x) }

// sharpest is the greatest second difference.
func sharpest(x []int16) (most int) {
	for i := 1; i+1 < len(x); i++ {
		d := int(x[i-1]) - 2*int(x[i]) + int(x[i+1])
		most = max(most, d, -d)
	}
	return most
}

// A backlog drains: what was sent faster than time, or held up, is heard a
// little faster until the delay is what the jitter asks for.
func TestBacklogDrains(t *testing.T) {
	r := (&rig{t: t, codec: l16(t)}).start()
	x := speech(20)
	burst := 12 // packets at once, 240 ms
	send := func(i int, at int64) {
		var b [640]byte
		n := r.enc.Encode(b[:], x[i*320:(i+1)*320])
		r.in.Push(at, &Packet{PayloadType: 96, Seq: uint16(i), Timestamp: uint32(320 * i), Payload: b[:n]})
	}
	now := 1000 * ms
	for i := range burst {
		send(i, now)
	}
	var before int64
	for i := burst; i < len(x)/320; i++ {
		send(i, now)
		r.pull(now)
		if i == burst+10 {
			before = r.in.Delay()
		}
		now += frameNanos
	}
	s := r.in.Stats()
	require.GreaterOrEqual(t, before, 200*ms)
	require.LessOrEqual(t, s.Delay, 50*ms, "%+v", s)
	require.Zero(t, s.Jitter.Discarded+s.Jitter.Missing)
	require.Greater(t, s.Shrunk, int64(150*pcm.SampleRate/1000))
	require.LessOrEqual(t, len(signal.Clicks(r.out)), 0)
}

// What the sender does not send is silence, and no loss; the delay survives
// it.
func TestDTX(t *testing.T) {
	x := speech(60)
	quiet := func(i int) bool { return i%150 >= 100 }
	net := netem.Config{Seed: 5, Loss: 0.02, Jitter: 30 * time.Millisecond}
	r := (&rig{t: t, codec: l16(t), net: net, skip: quiet}).run(x)
	r.balanced()
	s := r.in.Stats().Jitter
	require.Equal(t, r.link.Stats().Lost, s.Missing-s.Late)
	require.InDelta(t, 19*50*20, s.Unsent/ms, 400)
	require.LessOrEqual(t, s.Stretched/ms, int64(200))
	silent := 0
	for _, f := range r.frames {
		if f.Silent() {
			silent++
		}
	}
	require.Greater(t, silent, 19*40)
}

// Other lengths of packets than ours.
func TestPacketLengths(t *testing.T) {
	seconds := driftSeconds / 15
	for _, samples := range []int{160, 480, 640, 960, 1920} {
		for _, ppm := range []float64{0, 200, -200} {
			net := netem.Config{Seed: 9, Jitter: 20 * time.Millisecond, Loss: 0.02}
			t.Run(fmt.Sprintf("%d samples, %+g ppm", samples, ppm), func(t *testing.T) {
				x := speech(seconds)
				r := (&rig{t: t, codec: l16(t), net: net, ptime: samples, ppm: ppm}).start()
				high := int64(0)
				r.each = func(r *rig, now int64) {
					if now > 10_000*ms && now < int64(seconds-5)*1000*ms {
						high = max(high, r.in.Delay())
					}
				}
				if samples > 640 {
					r.codec = codecOf(t, "G722", 8000) // L16 would be too long for a packet
					r.in = nil
					r.start()
				}
				r.run(x)
				r.balanced()
				s := r.in.Stats()
				require.Equal(t, r.link.Stats().Lost-r.lostEnds(), s.Jitter.Missing-s.Jitter.Late)
				require.LessOrEqual(t, high/ms, int64(90+samples/16))
				require.LessOrEqual(t, float64(s.Jitter.Late), 0.02*float64(s.Jitter.Played)+2)
				drift := int64(ppm * 1e-6 * float64(seconds) * pcm.SampleRate)
				require.LessOrEqual(t, s.Shrunk+s.Grown, abs(drift)+150*pcm.SampleRate/1000)
			})
		}
	}
}

// Every codec of the table comes through loss, jitter and drift with every
// tick accounted for, and no more late than allowed.
func TestCodecsOverNetworks(t *testing.T) {
	for _, c := range codec.All() {
		t.Run(c.Name, func(t *testing.T) {
			net := netem.Config{Seed: 21, Loss: 0.05, Jitter: 60 * time.Millisecond, Duplicate: 0.02}
			r := (&rig{t: t, codec: c, net: net, ppm: -150}).run(speech(30))
			r.balanced()
			s := r.in.Stats()
			require.Equal(t, r.link.Stats().Lost-r.lostEnds(), s.Jitter.Missing-s.Jitter.Late)
			require.LessOrEqual(t, s.Jitter.Late, int64(30))
			require.Zero(t, s.Undecodable)
			require.LessOrEqual(t, len(signal.Clicks(r.out)), 3, "%s", r.in)
			t.Logf("%s: missing %d, recovered %d, clicks %d, delay %d ms", c.Name, s.Jitter.Missing, s.Recovered, len(signal.Clicks(r.out)), s.Delay/ms)
		})
	}
}

// Opus finds lost packets in those behind them, if the sender puts them there,
// and passes over silence that it did not send with noise of the background.
func TestOpusCopiesAndSilence(t *testing.T) {
	c := codecOf(t, "opus", 48000)
	c.NewEncoder = func() codec.Encoder {
		e, err := opus.NewEncoder(opus.EncoderConfig{FEC: true, Loss: 20, DTX: true})
		require.NoError(t, err)
		return e
	}
	net := netem.Config{Seed: 22, Loss: 0.1, Jitter: 30 * time.Millisecond}
	x := slices.Concat(speech(20), signal.Silence(10*pcm.SampleRate), speech(10))
	r := (&rig{t: t, codec: c, net: net}).run(x)
	r.balanced()
	s := r.in.Stats()
	require.Equal(t, r.link.Stats().Lost-r.lostEnds(), s.Jitter.Missing-s.Jitter.Late)
	require.Greater(t, s.Recovered*2, s.Jitter.Missing)
	require.Greater(t, s.Jitter.Unsent/ms, int64(8000))
}
