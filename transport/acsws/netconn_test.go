package acsws

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// socketPair is a netConn over TCP and its peer.
func socketPair(t *testing.T) (*netConn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	a, err := l.Accept()
	require.NoError(t, err)
	c := newNetConn(a)
	t.Cleanup(func() {
		c.Close()
		c.wait()
		peer.Close()
	})
	return c, peer
}

// fillUp writes until the peer, which does not read, has had enough.
func fillUp(t *testing.T, c *netConn) (sent []byte) {
	t.Helper()
	for i := 0; !c.busy(); i++ {
		b := []byte(strings.Repeat(string(rune('a'+i%26)), 1000))
		n, err := c.Write(b)
		require.NoError(t, err)
		require.Equal(t, 1000, n)
		sent = append(sent, b...)
		require.Less(t, i, 100_000, "the socket never filled up")
	}
	return sent
}

func readAll(t *testing.T, peer net.Conn, n int) string {
	t.Helper()
	got := make([]byte, 0, n)
	buf := make([]byte, 4096)
	for len(got) < n {
		peer.SetReadDeadline(time.Now().Add(wait))
		k, err := peer.Read(buf)
		require.NoError(t, err)
		got = append(got, buf[:k]...)
	}
	return string(got)
}

func TestNetConnSpills(t *testing.T) {
	c, peer := socketPair(t)
	sent := fillUp(t, c)
	require.Equal(t, string(sent), readAll(t, peer, len(sent)), "nothing lost, nothing twice")
	require.Eventually(t, func() bool { return !c.busy() }, wait, time.Millisecond)
}

// TestNetConnRecovers: the deadline of a drain must not outlive it, or the
// connection would be mute for good a minute after its first slow moment.
func TestNetConnRecovers(t *testing.T) {
	c, peer := socketPair(t)
	c.patience = 200 * time.Millisecond
	sent := fillUp(t, c)
	readAll(t, peer, len(sent))
	require.Eventually(t, func() bool { return !c.busy() }, wait, time.Millisecond)
	time.Sleep(2 * c.patience) // the deadline passes
	_, err := c.Write([]byte("still here"))
	require.NoError(t, err)
	require.Equal(t, "still here", readAll(t, peer, 10))
}

func TestNetConnLosesPatience(t *testing.T) {
	c, _ := socketPair(t)
	c.patience = 50 * time.Millisecond
	var err error
	for i := 0; err == nil; i++ { // the kernel's buffers grow for a while
		require.Less(t, i, 100_000)
		if c.busy() {
			c.wait()
		}
		_, err = c.Write(make([]byte, 1000))
	}
}

func TestNetConnSpillIsBounded(t *testing.T) {
	a, b := net.Pipe() // cannot be tried: everything goes by the drain
	defer b.Close()
	c := newNetConn(a)
	defer c.wait()
	var err error
	for i := 0; err == nil; i++ {
		require.Less(t, i, 1000)
		_, err = c.Write(make([]byte, 1000))
	}
	require.ErrorIs(t, err, errSpillFull)
}

func TestNetConnWriteAfterClose(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := newNetConn(a)
	require.NoError(t, c.Close())
	c.wait()
	_, err := c.Write([]byte("x"))
	require.ErrorIs(t, err, net.ErrClosed)
}

// TestNetConnSaysGoodBye: what is on its way when it closes still leaves.
func TestNetConnSaysGoodBye(t *testing.T) {
	a, b := net.Pipe()
	c := newNetConn(a)
	_, err := c.Write([]byte("good-bye"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Equal(t, "good-bye", readAll(t, b, 8))
	c.wait()
	_, err = b.Read(make([]byte, 1))
	require.Error(t, err)
}
