package rtpio

import (
	"net/netip"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// TestEngineClosesBeforeAServerAtRest: a loop that stands still has no turn in
// which it would learn of the engine's end.
func TestEngineClosesBeforeAServerAtRest(t *testing.T) {
	e := engine.New(engine.Config{})
	s, err := New(Config{Engine: e, Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	l := s.loops[0]
	for _, each := range s.loops {
		if each.port != nil {
			l = each
		}
	}
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.running
	}, wait, 10*time.Millisecond)
	require.NoError(t, e.Close())
	require.NoError(t, s.Close())
	select {
	case <-l.gone:
	default:
		t.Fatal("the loop goes on")
	}
	require.Nil(t, l.port, "the socket is closed, and nobody watches it")
}
