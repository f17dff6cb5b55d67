package netem

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const spacing = int64(20 * time.Millisecond)

// run sends n numbered packets and returns what came, and when.
func run(cfg Config, n int) (got []uint32, at []int64, s Stats) {
	l := New(cfg)
	var b [172]byte
	take := func(now int64) {
		for {
			p, when, ok := l.Receive(now)
			if !ok {
				return
			}
			got, at = append(got, binary.BigEndian.Uint32(p)), append(at, when)
		}
	}
	for i := range n {
		now := int64(i) * spacing
		take(now)
		binary.BigEndian.PutUint32(b[:], uint32(i))
		l.Send(now, b[:])
	}
	take(1 << 62)
	return got, at, l.Stats()
}

func TestNothing(t *testing.T) {
	got, at, s := run(Config{}, 100)
	require.Len(t, got, 100)
	for i := range got {
		require.EqualValues(t, i, got[i])
		require.Equal(t, int64(i)*spacing, at[i])
	}
	require.Equal(t, Stats{Sent: 100, Delivered: 100}, s)
}

func TestSameSeedSameNetwork(t *testing.T) {
	cfg := Config{Seed: 7, Loss: 0.1, Jitter: 100 * time.Millisecond, Duplicate: 0.1, Burst: Burst{Enter: 0.01, Leave: 0.3}}
	a, aAt, _ := run(cfg, 1000)
	b, bAt, _ := run(cfg, 1000)
	require.Equal(t, a, b)
	require.Equal(t, aAt, bAt)
	cfg.Seed = 8
	c, _, _ := run(cfg, 1000)
	require.NotEqual(t, a, c)
}

// What one knob does does not depend on another.
func TestKnobsAreIndependent(t *testing.T) {
	lost := func(cfg Config) (missing []uint32) {
		cfg.Seed, cfg.Loss = 3, 0.05
		got, _, _ := run(cfg, 2000)
		came := map[uint32]bool{}
		for _, n := range got {
			came[n] = true
		}
		for i := range uint32(2000) {
			if !came[i] {
				missing = append(missing, i)
			}
		}
		return missing
	}
	want := lost(Config{})
	require.NotEmpty(t, want)
	require.Equal(t, want, lost(Config{Jitter: time.Second, Shape: Pareto}))
	require.Equal(t, want, lost(Config{Duplicate: 0.5, Reorder: 0.5, ReorderBy: time.Second}))
}

func TestRates(t *testing.T) {
	const n = 100_000
	for _, loss := range []float64{0, 0.01, 0.05, 0.1} {
		_, _, s := run(Config{Seed: 1, Loss: loss}, n)
		require.InDelta(t, loss, float64(s.Lost)/n, 0.003)
		require.Equal(t, s.Sent, s.Lost+s.Delivered)
	}
	_, _, s := run(Config{Seed: 1, Duplicate: 0.02}, n)
	require.InDelta(t, 0.02, float64(s.Duplicated)/n, 0.003)
	require.Equal(t, s.Sent+s.Duplicated, s.Delivered)
	_, _, s = run(Config{Seed: 1, Reorder: 0.02, ReorderBy: time.Second}, n)
	require.InDelta(t, 0.02, float64(s.Reordered)/n, 0.003)
}

// Bursts are as long, and as many, as the two probabilities say.
func TestBursts(t *testing.T) {
	const n = 100_000
	got, _, s := run(Config{Seed: 2, Burst: Burst{Enter: 0.01, Leave: 0.25}}, n)
	require.InDelta(t, 0.01/(0.01+0.25), float64(s.Lost)/n, 0.004)
	bursts, last := 0, int64(-1)
	for _, g := range got {
		if int64(g) != last+1 {
			bursts++
		}
		last = int64(g)
	}
	require.InDelta(t, 4, float64(s.Lost)/float64(bursts), 0.3)
	_, _, s = run(Config{Seed: 2, Burst: Burst{Enter: 0.01, Leave: 0.25, Loss: 0.5}}, n)
	require.InDelta(t, 0.5*0.01/(0.01+0.25), float64(s.Lost)/n, 0.003)
}

func TestJitterShapes(t *testing.T) {
	for _, shape := range []Shape{Uniform, Normal, Pareto} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			const delay, jitter = 30 * time.Millisecond, 100 * time.Millisecond
			got, at, _ := run(Config{Seed: 4, Delay: delay, Jitter: jitter, Shape: shape}, 50_000)
			var sum, most int64
			for i, n := range got {
				d := at[i] - int64(n)*spacing
				require.GreaterOrEqual(t, d, int64(delay))
				require.LessOrEqual(t, d, int64(delay+jitter))
				sum, most = sum+d-int64(delay), max(most, d-int64(delay))
			}
			mean := float64(sum) / float64(len(got)) / float64(jitter)
			require.InDelta(t, []float64{0.5, 0.5, 0.05}[shape], mean, 0.02)
			require.Greater(t, float64(most)/float64(jitter), 0.9)
		})
	}
}

func TestInOrder(t *testing.T) {
	got, at, _ := run(Config{Seed: 5, Jitter: 200 * time.Millisecond, InOrder: true}, 5000)
	require.IsIncreasing(t, got)
	require.IsNonDecreasing(t, at)
	got, _, _ = run(Config{Seed: 5, Jitter: 200 * time.Millisecond}, 5000)
	disorder := 0
	for i := 1; i < len(got); i++ {
		if got[i] < got[i-1] {
			disorder++
		}
	}
	require.Greater(t, disorder, 1000)
}

// 172 bytes each 20 ms are 68.8 kbit/s: a link of half of that fills its queue
// and drops every other packet.
func TestRateAndQueue(t *testing.T) {
	const n = 2000
	_, at, s := run(Config{Rate: 34_400, Queue: 1720}, n)
	require.InDelta(t, n/2, s.Dropped, 15)
	require.Equal(t, s.Sent, s.Dropped+s.Delivered)
	for i := 1; i < len(at); i++ {
		require.GreaterOrEqual(t, at[i]-at[i-1], 2*spacing)
	}
	_, at, s = run(Config{Rate: 1_000_000}, n)
	require.Zero(t, s.Dropped)
	require.Equal(t, int64(172*8*1000), at[0])
}

func TestLinkReusesItsBuffers(t *testing.T) {
	l := New(Config{Seed: 1, Jitter: time.Second})
	var b [172]byte
	now := int64(0)
	step := func() {
		now += spacing
		l.Send(now, b[:])
		for {
			if _, _, ok := l.Receive(now); !ok {
				return
			}
		}
	}
	for range 500 {
		step()
	}
	// The heap's interface costs a parcel each way, the payload nothing.
	require.LessOrEqual(t, testing.AllocsPerRun(200, step), 2.0)
	at, ok := l.Next()
	require.True(t, ok)
	require.Greater(t, at, now)
	require.Positive(t, l.Pending())
}
