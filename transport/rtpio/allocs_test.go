package rtpio

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSteadyStateDoesNotAllocate: fifty legs that talk.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, Config{Jitter: steady})
	const n = 50
	var phones []*phone
	for range n {
		phones = append(phones, newL16(t, r.server.Addr()))
	}
	for _, p := range phones {
		p.payload = make([]byte, 0, 2048)
	}
	x := noise(1, 1)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		at := time.Now()
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
			}
			for _, p := range phones {
				p.repeat(x[i%40*320 : i%40*320+320])
			}
			at = at.Add(20 * time.Millisecond)
			time.Sleep(time.Until(at))
		}
	}()
	defer func() { close(quit); <-done }()
	r.legsUp(n)
	s := r.server.shared.rtp
	counted := func() int64 { return s.stats().Received + s.stats().Sent }
	each := 1.0
	for try := 0; try < 8 && each >= 0.05; try++ { // buffers grow with the longest delay so far
		time.Sleep(500 * time.Millisecond)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		packets := counted()
		time.Sleep(time.Second)
		runtime.ReadMemStats(&after)
		packets = counted() - packets
		each = float64(after.Mallocs-before.Mallocs) / float64(max(packets, 1))
		t.Logf("%d packets, %.4f allocations each", packets, each)
	}
	require.Less(t, each, 0.05)
}
