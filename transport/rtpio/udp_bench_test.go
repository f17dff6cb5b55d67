//go:build linux

package rtpio

import (
	"net/netip"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// BenchmarkRecvNone polls a socket on which nothing waits.
func BenchmarkRecvNone(b *testing.B) {
	s, err := listenUDP(netip.MustParseAddrPort("127.0.0.1:0"), 0, 0)
	require.NoError(b, err)
	defer s.close()
	in := newInBatch(8, 1500)
	now, unix := engine.Now(), time.Now().UnixNano()
	b.ReportAllocs()
	for b.Loop() {
		s.recv(in, now, unix)
	}
}

// BenchmarkSendRecv sends n datagrams of G.711 to itself and polls them, in
// batches of n.
func BenchmarkSendRecv(b *testing.B) {
	for _, bb := range []struct {
		name string
		n    int
	}{{"1", 1}, {"8", 8}, {"64", 64}} {
		b.Run(bb.name, func(b *testing.B) {
			s, err := listenUDP(netip.MustParseAddrPort("127.0.0.1:0"), 1<<20, 1<<20)
			require.NoError(b, err)
			defer s.close()
			in, out := newInBatch(bb.n, 1500), newOutBatch(bb.n, 1500)
			b.ReportAllocs()
			var received int
			for b.Loop() {
				for !out.full() {
					out.add(out.buffer()[:172], s.local())
				}
				s.flush(out)
				received += s.recv(in, engine.Now(), time.Now().UnixNano())
			}
			require.Equal(b, b.N*bb.n, received)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(received), "ns/packet")
		})
	}
}
