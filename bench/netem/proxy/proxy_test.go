package proxy

import (
	"encoding/binary"
	"net"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func socket(t *testing.T) *net.UDPConn {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c
}

// Numbered packets go up, an echo sends them down, and what is missing at the
// end is what the two links say they lost.
func TestThereAndBack(t *testing.T) {
	const n = 300
	echo, client := socket(t), socket(t)
	cfg := Config{
		Target: echo.LocalAddr().String(),
		Up:     netem.Config{Seed: 1, Loss: 0.1, Jitter: 10 * time.Millisecond},
		Down:   netem.Config{Seed: 2, Loss: 0.05, Duplicate: 0.1, Delay: time.Millisecond},
	}
	t.Logf("up %v, down %v", cfg.Up, cfg.Down)
	p, err := Start(cfg)
	require.NoError(t, err)
	defer p.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		echoLoop(echo)
	}()
	to := net.UDPAddrFromAddrPort(p.Addr())
	var b [100]byte
	for i := range n {
		binary.BigEndian.PutUint32(b[:], uint32(i))
		_, err := client.WriteToUDP(b[:], to)
		require.NoError(t, err)
		// The kernel's queue holds some 250: never more than 50 in it.
		inTime(t, func() bool {
			up, down, _ := p.Stats()
			return up.Sent > int64(i)-50 && down.Sent+up.Lost > int64(i)-50
		})
	}
	came := map[uint32]int{}
	total, waited := int64(0), 0
	for {
		up, down, overflow := p.Stats()
		require.Zero(t, overflow)
		sent := down.Sent + up.Lost
		if sent == n && total == down.Sent-down.Lost+down.Duplicated {
			require.Equal(t, up.Sent, int64(n))
			require.Positive(t, up.Lost)
			require.Positive(t, down.Lost)
			require.Len(t, came, n-int(up.Lost+down.Lost))
			break
		}
		require.NoError(t, client.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		size, err := client.Read(b[:])
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			waited++
			require.Less(t, waited, 100, "up %+v, down %+v, came %d", up, down, total)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 100, size)
		came[binary.BigEndian.Uint32(b[:])]++
		total++
	}
	require.NoError(t, echo.Close())
	<-ended
}

// echoLoop sends back what comes, until the socket is closed.
func echoLoop(c *net.UDPConn) {
	var b [100]byte
	for {
		n, from, err := c.ReadFromUDPAddrPort(b[:])
		if err != nil {
			return
		}
		if _, err = c.WriteToUDPAddrPort(b[:n], from); err != nil {
			return
		}
	}
}

// Packets of anybody but the target do not come back.
func TestStrangersAreIgnored(t *testing.T) {
	echo, client, stranger := socket(t), socket(t), socket(t)
	p, err := Start(Config{Target: echo.LocalAddr().String()})
	require.NoError(t, err)
	defer p.Close()
	_, err = client.WriteToUDPAddrPort([]byte("hello"), p.Addr())
	require.NoError(t, err)
	var b [10]byte
	_, from, err := echo.ReadFromUDPAddrPort(b[:])
	require.NoError(t, err)
	_, err = stranger.WriteToUDPAddrPort([]byte("boo"), from)
	require.NoError(t, err)
	_, err = echo.WriteToUDPAddrPort([]byte("answer"), from)
	require.NoError(t, err)
	n, err := client.Read(b[:])
	require.NoError(t, err)
	require.Equal(t, "answer", string(b[:n]))
}

func TestBadAddresses(t *testing.T) {
	for _, cfg := range []Config{
		{Target: "nowhere"},
		{Listen: "nowhere", Target: "127.0.0.1:1"},
		{Listen: "127.0.0.1:999999", Target: "127.0.0.1:1"},
	} {
		_, err := Start(cfg)
		require.ErrorContains(t, err, "proxy: ")
	}
}

// inTime waits for a condition that other goroutines bring about.
func inTime(t *testing.T, ok func() bool) {
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(100 * time.Microsecond) {
		require.True(t, time.Now().Before(end), "waited in vain")
	}
}
