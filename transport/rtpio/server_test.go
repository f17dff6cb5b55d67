package rtpio

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain has more tests run at once than there are processors: they sleep most
// of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("8")
	}
	goleak.VerifyTestMain(m)
}

// TestEchoToWhoeverSends: what a phone says, whom nobody announced, comes back
// sample for sample, one packet each 20 ms.
func TestEchoToWhoeverSends(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Jitter: steady})
	p := newL16(t, r.server.Addr()).record()
	said := noise(2, 1) // which no stretching would pass over unnoticed, and none is tried with
	p.talk(said)
	soon(t, func() bool { return len(p.all()) > len(said) })
	got := p.packets(97)
	require.True(t, got[0].Marker)
	for i, pkt := range got {
		require.Equal(t, got[0].Seq+uint16(i), pkt.Seq)
		require.Zero(t, (pkt.Timestamp-got[0].Timestamp)%320)
	}
	r.echoed(said, p.all())
	require.Zero(t, find(p.all(), said[:64]))
	ep, leg := r.endpoint()
	t.Logf("%+v\n%+v", ep.Stats().RTP, leg.Stats())
}
