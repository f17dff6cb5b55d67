package rtpio

import (
	"net/netip"
	"testing"

	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// Payload type 0 is PCMU, and event type 0 is none: they are not the same
// number twice.
func TestTargetWithoutEvents(t *testing.T) {
	r := newRig(t, Config{})
	to := transport.Target{Addr: netip.MustParseAddrPort("127.0.0.1:9"), Codec: "PCMU/8000"}
	_, ep := r.open()
	require.NoError(t, r.server.Dial(ep.URL(), to))
	_, ep = r.open()
	to.PayloadType, to.EventType = 101, 101
	require.ErrorContains(t, r.server.Dial(ep.URL(), to), "two numbers")
}

// A report that lay in the kernel for 160 ms came 160 ms ago.
func TestReportsCameBeforeTheyWereRead(t *testing.T) {
	d := datagram{arrival: 5_840e6}
	require.EqualValues(t, 1_700_000_000e9-160e6, d.unix(6_000e6, 1_700_000_000e9))
}
