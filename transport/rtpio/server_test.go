package rtpio

import (
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEchoToWhoeverSends: what a phone says, whom nobody announced, comes back
// sample for sample, one packet each 20 ms.
func TestEchoToWhoeverSends(t *testing.T) {
	r := newRig(t, Config{Jitter: rtpmedia.JitterConfig{Min: 300 * time.Millisecond, Max: 300 * time.Millisecond}})
	p := newPhone(t, r.server.Addr(), "L16", 16000, 97)
	said := signal.Speech(signal.Allison)[:2*16000]
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		at := time.Now()
		for i := 0; i+320 <= len(said); i += 320 {
			p.say(said[i : i+320])
			at = at.Add(20 * time.Millisecond)
			time.Sleep(time.Until(at))
		}
	}()
	var heard []int16
	var first, last uint32
	packets := 0
	for len(heard) < len(said) {
		pkt, ok := p.hear(time.Second)
		require.True(t, ok)
		x := make([]int16, 320)
		require.Equal(t, 320, p.c.NewDecoder().Decode(x, pkt.Payload))
		if packets == 0 {
			first = pkt.Timestamp
			require.True(t, pkt.Marker)
		} else if pkt.Timestamp != last+320 {
			t.Logf("timestamp %d after %d", pkt.Timestamp-first, last-first)
		}
		last = pkt.Timestamp
		packets++
		heard = append(heard, x...)
	}
	<-stop
	at, score := signal.Align(said, heard)
	t.Logf("%d packets, at %d, score %v", packets, at, score)
	require.Greater(t, score, 0.999)
	ep, leg := r.endpoint()
	t.Logf("%+v\n%+v", ep.Stats().RTP, leg.Stats())
}
