package rtpio

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnswerTellsTheAddressThatIsReached: a server that listens on all addresses
// tells a peer the one that lies on the way to it.
func TestAnswerTellsTheAddressThatIsReached(t *testing.T) {
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	r := newRig(t, Config{Listen: netip.MustParseAddrPort("0.0.0.0:0")})
	tried := 0
	for _, a := range all {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil {
			continue
		}
		_, ep := r.open()
		// It is this machine's own, so that it leads there from itself.
		answer, err := r.server.Answer(ep.URL(), []byte(offerTo(ip.IP.String(), 9)))
		require.NoError(t, err)
		require.Contains(t, string(answer), "c=IN IP4 "+ip.IP.String()+"\r\n")
		tried++
	}
	require.Positive(t, tried)
	fixed := newRig(t, Config{Listen: netip.MustParseAddrPort("0.0.0.0:0"), Public: netip.MustParseAddr("203.0.113.7")})
	_, ep := fixed.open()
	answer, err := fixed.server.Answer(ep.URL(), []byte(offerTo("127.0.0.1", 9)))
	require.NoError(t, err)
	require.Contains(t, string(answer), "c=IN IP4 203.0.113.7\r\n")
}
