package bench_test

import (
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

const (
	idleLegs    = 400
	idleLegMost = 50_000 // bytes, the goal; what is measured is well below
)

// BenchmarkIdleLeg reports the memory, heap and stacks, of a leg with one
// connection on which nothing happens now. connected has heard the format;
// talked has heard a frame and said one besides, so that all its buffers are
// there. The floor is a bare gorilla connection that has done as much. The far
// ends are in the process and in the figures, with less than a kilobyte each.
func BenchmarkIdleLeg(b *testing.B) {
	b.Run("connected", func(b *testing.B) { reportIdle(b, connectedLegs) })
	b.Run("talked", func(b *testing.B) { reportIdle(b, talkedLegs) })
	b.Run("floor", func(b *testing.B) { reportIdle(b, bareConns) })
}

func TestIdleLegIsSmall(t *testing.T) {
	require.Less(t, perIdle(t, talkedLegs), idleLegMost)
}

func reportIdle(b *testing.B, open func(testing.TB) []net.Conn) {
	most := 0
	for b.Loop() {
		most = max(most, perIdle(b, open))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(most), "B/leg")
}

// perIdle returns the bytes in use for each of the connections that open
// opens.
func perIdle(tb testing.TB, open func(testing.TB) []net.Conn) int {
	before := inUse()
	conns := open(tb)
	after := inUse()
	for _, conn := range conns {
		conn.Close()
	}
	return (after - before) / len(conns)
}

func inUse() int {
	runtime.GC()
	runtime.GC() // what pools held
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return int(ms.HeapInuse + ms.StackInuse)
}

// connectedLegs returns when each connection has read what it was sent: the
// format, and a key pressed, to know of it.
func connectedLegs(tb testing.TB) []net.Conn {
	var pressed sync.WaitGroup
	pressed.Add(idleLegs)
	cfg := engine.LegConfig{OnDTMF: func(byte, string) { pressed.Done() }}
	conns := dial(tb, serveLegs(tb, cfg, func(*engine.Leg) {}), idleLegs)
	for _, conn := range conns {
		_, err := conn.Write(clientFrame(`{"kind":"DtmfData","dtmfData":{"data":"3"}}` + strings.Repeat(" ", 100)))
		require.NoError(tb, err)
	}
	pressed.Wait()
	return conns
}

func talkedLegs(tb testing.TB) []net.Conn {
	return talk(tb, dial(tb, serveHandler(tb), idleLegs))
}

func bareConns(tb testing.TB) []net.Conn {
	return talk(tb, dial(tb, serveFloor(tb), idleLegs))
}

// talk sends a frame on each connection and hears it back.
func talk(tb testing.TB, conns []net.Conn) []net.Conn {
	c := newClient(conns[0])
	for _, c.conn = range conns {
		c.buf.Reset(c.conn)
		require.NoError(tb, c.send())
		require.NoError(tb, c.await())
	}
	return conns
}
