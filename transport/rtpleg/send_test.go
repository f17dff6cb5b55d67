package rtpleg

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// said are the numbers of the frames that were sent.
func (r *rig) said() (numbers []int16) {
	var x samples
	for _, p := range r.sent {
		if p.PayloadType == types.Audio {
			require.Equal(r.t, 320, l16(r.t).NewDecoder().Decode(x[:], p.Payload))
			require.Equal(r.t, x[0], x[319])
			numbers = append(numbers, x[0])
		}
	}
	return numbers
}

func count(from, to int16) (all []int16) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

// A burst of the app is no burst on the wire, and what finds no room stays with
// the source, in order.
func TestBurstsLeaveOneByOne(t *testing.T) {
	r := newRig(t, Config{})
	x, next := numbered(150), 0 // 3 s at once
	for i := range 160 {
		for next < 150 && (*outlet)(r.m).SendFrame((*samples)(x[next*320:])) {
			next++
		}
		require.LessOrEqual(t, next, 32+i)
		require.Equal(t, min(1, 150/(i+1)), r.step(nil), "step %d", i)
	}
	require.Equal(t, count(1, 150), r.said())
	s := r.m.Stats()
	require.EqualValues(t, 118, s.Refused, "as often as there was no room")
	require.Zero(t, s.Queued+s.Flushed)
	require.EqualValues(t, 150, s.Out.Packets)
}

// What was flushed is never sent, what is written behind it is.
func TestFlush(t *testing.T) {
	virtually(t, func(t *testing.T) {
		r := newRig(t, Config{})
		s, x := r.leg.Source(), numbered(100)
		write := func(from, to int) {
			n, err := s.TryWrite(x[from*320 : to*320])
			require.NoError(t, err)
			require.Equal(t, (to-from)*320, n)
		}
		write(0, 20)
		for range 5 {
			r.step(nil)
			wait()
		}
		s.Flush()
		for range 3 {
			require.Zero(t, r.step(nil), "nothing")
			wait()
		}
		write(20, 40)
		s.Flush()
		write(40, 50)
		for range 15 {
			r.step(nil)
			wait()
		}
		s.Flush() // of nothing
		write(50, 60)
		for range 15 {
			r.step(nil)
			wait()
		}
		require.Equal(t, append(count(1, 5), count(41, 60)...), r.said())
		r.m.Close()
		require.EqualValues(t, 35, r.m.Stats().Flushed)
		require.Zero(t, r.m.Stats().Queued)
		require.Zero(t, r.leg.Stats().Source.Flushed, "all had left the source")
		n := 0
		for _, p := range r.sent {
			if p.Marker {
				n++
			}
		}
		require.Equal(t, 3, n, "each begins a talk spurt")
	})
}

// Against the clock: a second that is written at once leaves as a second, by a
// beat, whose goroutine the source's pump shares.
func TestBeatCarriesBursts(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	l, err := e.NewLeg(engine.LegConfig{})
	require.NoError(t, err)
	m, err := New(Config{Leg: l, Codec: l16(t), Receive: types, Send: types})
	require.NoError(t, err)
	type packet struct {
		at int64
		b  []byte
	}
	var mu sync.Mutex
	var all []packet
	over := make(chan struct{})
	x := numbered(50)
	beat := e.NewBeat(nil, func(now int64) {
		mu.Lock()
		defer mu.Unlock()
		if m.Turn(now) != nil {
			panic("turn")
		}
		for {
			b, ok := m.Next(now, nil)
			if !ok {
				return
			}
			if all = append(all, packet{now, b}); len(all) == 50 {
				close(over)
			}
		}
	}, func() {})
	require.NoError(t, beat.Start())
	defer beat.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n, err := l.Source().Write(ctx, x)
	require.NoError(t, err)
	require.Equal(t, len(x), n)
	select {
	case <-over:
	case <-ctx.Done():
		t.Fatal("not all was sent")
	}
	mu.Lock()
	defer mu.Unlock()
	var f samples
	var p rtpmedia.Packet
	for i := range all {
		require.NoError(t, p.Parse(all[i].b))
		require.Equal(t, 320, l16(t).NewDecoder().Decode(f[:], p.Payload))
		require.EqualValues(t, i+1, f[0])
		require.GreaterOrEqual(t, all[i].at-all[0].at, int64(i)*slotNanos, "packet %d", i)
	}
	m.Close()
}

// A muted session sends nothing, and takes nothing from the source.
func TestMute(t *testing.T) {
	r := newRig(t, Config{Mute: true, Jitter: fixed})
	n, err := r.leg.Source().TryWrite(make([]int16, 640))
	require.NoError(t, err)
	require.Equal(t, 640, n)
	require.ErrorContains(t, r.m.Press('1', time.Second), "nothing is sent in this session")
	r.steps(numbered(50))
	require.Empty(t, r.sent)
	require.EqualValues(t, 47, r.stats().Frames, "it hears")
	b, ok := r.m.Next(r.now, []byte{1})
	require.False(t, ok)
	require.Equal(t, []byte{1}, b)
	require.Equal(t, 40*time.Millisecond, r.leg.Source().Depth())
}

// A deaf one hears nothing, and knows that the peer lives.
func TestDeaf(t *testing.T) {
	keys := 0
	r := newRig(t, Config{Deaf: true, Leg: newLeg(t, engine.LegConfig{OnDTMF: func(byte, string) { keys++ }})})
	require.NoError(t, r.out.Press('5', 100*ms))
	r.steps(numbered(50))
	require.Empty(t, r.leg.Renders())
	require.Zero(t, keys)
	require.Equal(t, pcm.FrameDuration, r.m.Silent(r.now))
	require.True(t, r.m.End(r.now))
	require.True(t, (*outlet)(r.m).SendFrame(new(samples)))
	require.Equal(t, 1, r.step(nil), "it speaks")
}
