package rtpio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

type listenUDPFunc func(addr netip.AddrPort, recvBuffer, sendBuffer int) (*socket, error)

// overUDPPaths runs test over both ways to the kernel, where there are two.
func overUDPPaths(t *testing.T, test func(t *testing.T, listen listenUDPFunc)) {
	if runtime.GOOS == "linux" {
		t.Run("batched", func(t *testing.T) { test(t, listenBatched) })
	}
	t.Run("queued", func(t *testing.T) { test(t, listenQueued) })
}

func (listen listenUDPFunc) open(t *testing.T, addr string) *socket {
	return listen.openSized(t, addr, 1<<20)
}

func (listen listenUDPFunc) openSized(t *testing.T, addr string, recvBuffer int) *socket {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	s, err := listen(netip.MustParseAddrPort(addr), recvBuffer, 1<<20)
	if addr[0] == '[' && err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.close())
		goleak.VerifyNone(t, leaks)
	})
	return s
}

// at returns the address by which ip reaches s.
func (s *socket) at(ip string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), s.local().Port())
}

// pollUDP polls s until n datagrams came, in batches as b has room, and returns
// them with their data copied.
func pollUDP(t *testing.T, s *socket, b *inBatch, n int) (got []datagram) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.recv(b, engine.Now(), time.Now().UnixNano())
		for _, d := range b.packets {
			d.data = bytes.Clone(d.data)
			got = append(got, d)
		}
		return len(got) >= n
	}, 10*time.Second, time.Millisecond, "%d datagrams", n)
	require.Len(t, got, n)
	return got
}

func TestUDPOrderContentAddresses(t *testing.T) {
	for _, tt := range []struct{ name, listen, from, to, sender string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"IPv4 mapped", "127.0.0.1:0", "127.0.0.1:0", "::ffff:127.0.0.1", "127.0.0.1"},
		{"IPv6", "[::1]:0", "[::1]:0", "::1", "::1"},
		{"IPv4 to both", "[::]:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"IPv6 to both", "[::]:0", "[::1]:0", "::1", "::1"},
		{"both to IPv4", "127.0.0.1:0", "[::]:0", "127.0.0.1", "127.0.0.1"},
		{"any IPv4", "0.0.0.0:0", "0.0.0.0:0", "127.0.0.1", "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
				const n = 150
				s, from := listen.open(t, tt.listen), listen.open(t, tt.from)
				require.Equal(t, netip.MustParseAddrPort(tt.listen).Addr(), s.local().Addr())
				require.NotZero(t, s.local().Port())
				out := newOutBatch(64, 200)
				for i := range n {
					out.add(append(out.buffer(), numberedDatagram(i)...), s.at(tt.to))
					if out.full() {
						from.flush(out)
						require.False(t, out.full())
					}
				}
				from.flush(out)
				from.flush(out) // of nothing
				bytes := int64(0)
				for i, d := range pollUDP(t, s, newInBatch(64, 200), n) {
					require.Equal(t, numberedDatagram(i), d.data)
					require.Equal(t, from.at(tt.sender), d.from)
					bytes += int64(len(d.data))
				}
				require.Equal(t, socketStats{Received: n, ReceivedBytes: bytes}, s.stats())
				require.Equal(t, socketStats{Sent: n, SentBytes: bytes}, from.stats())
			})
		})
	}
}

// numberedDatagram is a datagram that tells its place.
func numberedDatagram(i int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(i))
	return append(b, make([]byte, i%100)...)
}

func TestUDPSmallBatches(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		b := newInBatch(2, 100)
		require.Zero(t, s.recv(b, 0, 0), "nothing waits")
		require.False(t, b.more())
		for i := range 3 {
			require.True(t, s.send([]byte{byte(i)}, s.local()))
		}
		require.NoError(t, s.wait())
		got := pollUDP(t, s, b, 3)
		for i, d := range got {
			require.Equal(t, []byte{byte(i)}, d.data)
		}
		require.Zero(t, s.recv(b, 0, 0))
		require.Empty(t, b.packets)
		require.False(t, b.more())
		require.Zero(t, s.recv(newInBatch(0, 100), 0, 0))
	})
}

func TestUDPTruncatedAndEmpty(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		for _, size := range []int{100, 101, 0, 99, 3000, 1} {
			require.True(t, s.send(make([]byte, size), s.local()))
		}
		require.True(t, s.send(nil, s.local()))
		var sizes []int
		for _, d := range pollUDP(t, s, newInBatch(8, 100), 5) {
			sizes = append(sizes, len(d.data))
		}
		require.Equal(t, []int{100, 0, 99, 1, 0}, sizes)
		require.EqualValues(t, 2, s.stats().Truncated)
		require.EqualValues(t, 5, s.stats().Received)
	})
}

func TestUDPMoreBehindTruncated(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		for _, size := range []int{200, 201, 50} {
			require.True(t, s.send(make([]byte, size), s.local()))
		}
		b := newInBatch(2, 100)
		require.NoError(t, s.wait())
		if s.recv(b, 0, 0) == 0 && s.stats().Truncated == 2 {
			require.True(t, b.more())
		}
		if len(b.packets) == 0 { // a queue may have had them one by one
			pollUDP(t, s, b, 1)
		}
		require.EqualValues(t, 2, s.stats().Truncated)
	})
}

func TestUDPKernelDrops(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		const n = 400
		s, from := listen.openSized(t, "127.0.0.1:0", 1<<14), listen.open(t, "127.0.0.1:0")
		q, _ := s.packet.(*udpQueue)
		for i := range n {
			require.True(t, from.send(make([]byte, 100), s.local()))
			if q != nil { // the queue is to overflow, not the kernel's buffer
				q.await(t, int64(i+1))
			}
		}
		b := newInBatch(64, 200)
		polled := len(drainUDP(s, b, 0, 0))
		require.Positive(t, polled)
		require.Less(t, polled, n)
		require.True(t, from.send([]byte("last"), s.local())) // brings the count
		pollUDP(t, s, b, 1)
		require.EqualValues(t, n-polled, s.stats().KernelDropped)
		require.EqualValues(t, polled+1, s.stats().Received)
		require.True(t, from.send([]byte("again"), s.local())) // counts nothing twice
		pollUDP(t, s, b, 1)
		require.EqualValues(t, n-polled, s.stats().KernelDropped)
	})
}

// await waits until n datagrams were queued or dropped.
func (q *udpQueue) await(t *testing.T, n int64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		q.mu.Lock()
		queued := q.n
		q.mu.Unlock()
		if int64(queued)+q.counts.kernelDropped.Load() == n {
			return
		}
		require.True(t, time.Now().Before(deadline), "%d queued", queued)
	}
}

func TestUDPArrival(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		b := newInBatch(8, 100)
		// The kernel begins to stamp a moment after it was first asked to.
		require.Eventually(t, func() bool {
			before := engine.Now()
			s.send([]byte("old"), s.local())
			sent := engine.Now()
			time.Sleep(50 * time.Millisecond)
			now, unix := engine.Now(), time.Now().UnixNano()
			s.send([]byte("new"), s.local())
			got := drainUDP(s, b, now, unix)
			const slack = int64(2 * time.Millisecond) // between two clocks that were read one after the other
			return len(got) >= 1 && got[0].arrival >= before-slack && got[0].arrival <= sent+slack &&
				(len(got) < 2 || got[1].arrival >= now-slack && got[1].arrival <= now)
		}, 10*time.Second, time.Millisecond)
	})
}

// drainUDP polls with one time until nothing more comes.
func drainUDP(s *socket, b *inBatch, now, unix int64) (got []datagram) {
	for s.recv(b, now, unix) > 0 {
		got = append(got, b.packets...)
	}
	return got
}

func TestUDPArrivalSteppedClock(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		b := newInBatch(1, 100)
		const hour = int64(time.Hour)
		for _, step := range []int64{-hour, hour, math.MinInt64 / 2} {
			require.True(t, s.send([]byte("tick"), s.local()))
			require.NoError(t, s.wait())
			now, unix := engine.Now(), time.Now().UnixNano()
			require.Equal(t, 1, s.recv(b, now, unix+step))
			require.LessOrEqual(t, b.packets[0].arrival, now)
			require.GreaterOrEqual(t, b.packets[0].arrival, now-maxArrivalAge)
		}
	})
	require.EqualValues(t, 5e9, arrivalOf(5e9, -1))
	require.EqualValues(t, 4e9, arrivalOf(5e9, math.MaxInt64))
}

func TestUDPSendFailures(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s, from := listen.open(t, "127.0.0.1:0"), listen.open(t, "127.0.0.1:0")
		closed := listen.open(t, "127.0.0.1:0")
		require.NoError(t, closed.close())
		good := []byte("good")
		for range 3 {
			out := newOutBatch(16, 100)
			out.add(good, s.local())
			out.add(good, closed.local())                                  // sent, to nobody
			out.add(good, netip.AddrPort{})                                // nowhere
			out.add(good, netip.MustParseAddrPort("[2001:db8::1]:9"))      // of another family
			out.add(make([]byte, 70_000), s.local())                       // EMSGSIZE
			out.add(good, s.local())                                       // in the middle
			out.add(good, netip.MustParseAddrPort("255.255.255.255:9"))    // EACCES, or a broadcast
			out.add(append(out.buffer(), make([]byte, 101)...), s.local()) // grown out of its buffer
			out.add(good, s.local())
			from.flush(out)
		}
		pollUDP(t, s, newInBatch(16, 100), 9)
		require.True(t, from.send(good, s.local()))
		require.False(t, from.send(good, netip.AddrPort{}))
		got := from.stats()
		require.EqualValues(t, 27+2, got.Sent+got.SendFailed)
		require.GreaterOrEqual(t, got.SendFailed, int64(10))
		pollUDP(t, s, newInBatch(16, 100), 1)
		require.EqualValues(t, 3, s.stats().Truncated)
	})
}

func TestUDPWait(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		b := newInBatch(8, 100)
		result := make(chan error)
		for range 3 {
			go func() { result <- s.wait() }()
			require.Zero(t, s.recv(b, 0, 0), "polling beside wait does not block")
			require.True(t, s.send([]byte("wake"), s.local()))
			require.NoError(t, <-result)
			require.NoError(t, s.wait(), "it still waits to be read")
			pollUDP(t, s, b, 1)
		}
		go func() { result <- s.wait() }()
		require.NoError(t, s.close())
		require.ErrorIs(t, <-result, net.ErrClosed)
	})
}

func TestUDPClosed(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		addr := s.local()
		require.NoError(t, s.close())
		require.NoError(t, s.close())
		require.ErrorIs(t, s.wait(), net.ErrClosed)
		require.Zero(t, s.recv(newInBatch(8, 100), 0, 0))
		require.False(t, s.send([]byte("late"), addr))
		require.EqualValues(t, 1, s.stats().SendFailed)
		again := listen.open(t, addr.String()) // its port is free
		require.Equal(t, addr, again.local())
	})
}

// TestUDPCloseBeside closes while others poll, send, wait and look.
func TestUDPCloseBeside(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		for range 20 {
			s := listen.open(t, "127.0.0.1:0")
			done := make(chan struct{})
			ended := make(chan struct{}, 3)
			loop := func(work func()) {
				defer func() { ended <- struct{}{} }()
				for {
					select {
					case <-done:
						return
					default:
						work()
					}
				}
			}
			b := newInBatch(8, 100)
			go loop(func() { s.send([]byte("x"), s.local()); s.recv(b, 0, 0) })
			go loop(func() { _ = s.wait() })
			go loop(func() { s.stats() })
			require.Eventually(t, func() bool { return s.stats().Received > 10 }, 10*time.Second, time.Millisecond)
			require.NoError(t, s.close())
			close(done)
			for range cap(ended) {
				<-ended
			}
		}
	})
}

func TestUDPListenErrors(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		for _, addr := range []netip.AddrPort{
			s.local(),
			{},
			netip.MustParseAddrPort("192.0.2.1:9"),
			netip.MustParseAddrPort("[fe80::1%lo]:0"),
		} {
			_, err := listen(addr, 0, 0)
			require.Error(t, err)
			require.False(t, errors.Is(err, errors.ErrUnsupported))
		}
	})
}

func TestUDPAllocates(t *testing.T) {
	overUDPPaths(t, func(t *testing.T, listen listenUDPFunc) {
		s := listen.open(t, "127.0.0.1:0")
		in, out := newInBatch(8, 1500), newOutBatch(8, 1500)
		packet := make([]byte, 172)
		_, queued := s.packet.(*udpQueue)
		turn := func() {
			s.send(packet, s.local())
			for !out.full() {
				out.add(append(out.buffer(), packet...), s.local())
			}
			s.flush(out)
			for got := 0; got < 9; got += s.recv(in, engine.Now(), time.Now().UnixNano()) {
				if queued {
					_ = s.wait() // for the reader: AllocsPerRun leaves one processor
				}
			}
		}
		for range 50 {
			turn() // the queue makes its buffers
		}
		require.Zero(t, testing.AllocsPerRun(100, turn))
	})
}
