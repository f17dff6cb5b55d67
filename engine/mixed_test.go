package engine

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// TestLiveMixIsNotHeldUp: a speaker whose clock runs far ahead is left out.
func TestLiveMixIsNotHeldUp(t *testing.T) {
	l := newTestLeg(t, LegConfig{Channels: Unmixed})
	m := l.Mix(512)
	defer m.Close()
	p, err := l.Attach(nil)
	require.NoError(t, err)
	ahead, err := p.Render([]byte("ahead"), 1)
	require.NoError(t, err)
	for i := range int64(100) {
		speak(t, p, "a", i)
		ahead.Append(make([]int16, 320), Chunk{Timestamp: i*20e6 + 50e9*min(i, 1), HasTimestamp: true, Arrival: i*20e6 + 1})
	}
	l.Close()
	p.Detach(0)
	var f pcm.Frame
	for i := range int64(100) {
		require.NoError(t, m.Read(context.Background(), &f))
		require.Equal(t, ramp(320, i*320), f.Samples[:])
	}
	require.EqualValues(t, 99, m.Late())
}

func TestLiveMix(t *testing.T) {
	l := newTestLeg(t, LegConfig{Channels: Unmixed})
	m := l.Mix(256)
	defer m.Close()
	p, err := l.Attach(nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var f pcm.Frame
	for i := range int64(10) { // a alone: no one to wait for but the first time
		speak(t, p, "a", i)
	}
	for i := range int64(10) {
		require.NoError(t, m.Read(ctx, &f))
		require.Equal(t, i*320, f.Position())
		require.Equal(t, ramp(320, i*320), f.Samples[:])
	}
	for i := int64(10); i < 20; i++ {
		speak(t, p, "b", i)
		speak(t, p, "a", i)
	}
	for i := int64(10); i < 20; i++ {
		require.NoError(t, m.Read(ctx, &f))
		require.Equal(t, i*320, f.Position())
		if i > 10 {
			require.EqualValues(t, min(2*int(ramp(1, i*320)[0]), 32767), f.Samples[0], "both are in")
		}
	}
	// b falls silent: the slot is out 60 ms later all the same.
	speak(t, p, "a", 20)
	start := Now()
	require.NoError(t, m.Read(ctx, &f))
	require.EqualValues(t, 20*320, f.Position())
	require.GreaterOrEqual(t, Now()-start, int64(50*time.Millisecond))
	speak(t, p, "b", 20)
	speak(t, p, "a", 21)
	l.Close()
	p.Detach(0)
	require.NoError(t, m.Read(ctx, &f), "the last slot does not wait for b")
	require.EqualValues(t, 21*320, f.Position())
	require.ErrorIs(t, m.Read(ctx, &f), io.EOF)
	require.EqualValues(t, 1, m.Late())
}
