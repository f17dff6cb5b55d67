package rtc

import (
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// told writes down what OnUp and OnDown tell.
type told struct {
	mu   sync.Mutex
	list []string
}

func (l *told) stream() transport.Stream {
	return transport.Stream{
		Bidirectional: true,
		OnUp:          func() { l.add("up") },
		OnDown:        func(err error) { l.add(fmt.Sprint("down ", err)) },
	}
}

func (l *told) add(s string) {
	l.mu.Lock()
	l.list = append(l.list, s)
	l.mu.Unlock()
}

func (l *told) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.list...)
}

// TestResume: a connection that is lost for a while keeps the leg, and what was
// lost is counted.
func TestResume(t *testing.T) {
	r := newRig(t, nil)
	r.silentFor = 2 * time.Second
	var l told
	leg, ep := r.open(echo, l.stream())
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	speech := at(8000, signal.Speech(signal.Allison))
	c.say(speech[:8000])
	c.gate.shut.Store(true)
	c.sayFrom(50, speech[8000:2*8000])
	soon(t, "down", func() bool { return len(l.all()) == 2 })
	require.False(t, ep.Stats().Connected)
	c.gate.shut.Store(false)
	soon(t, "up again", func() bool { return len(l.all()) == 3 })
	c.sayFrom(100, speech[2*8000:3*8000])
	c.sayFrom(150, make([]int16, 8000))
	require.Equal(t, []string{"up", "down " + ErrLost.Error(), "up"}, l.all())
	soon(t, "losses are counted", func() bool { return ep.Stats().RTP.Lost == 50 })
	require.NoError(t, leg.Err())
	require.EqualValues(t, 1, ep.Stats().Connections)
	require.Empty(t, r.ends)
	require.True(t, ep.Stats().Connected)
}

// TestLost: a peer that goes without a word is given up after the time of grace.
func TestLost(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Grace = time.Second })
	r.silentFor = time.Second
	var l told
	_, ep := r.open(echo, l.stream())
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	c.hears()
	c.gate.shut.Store(true)
	require.Equal(t, ended{ep.url, ErrLost}, r.end())
	require.Equal(t, []string{"up", "down " + ErrLost.Error()}, l.all())
	// The address takes the next one, and the leg goes on.
	d := newClient(t, clientConfig{})
	d.connect(ep.url)
	d.hears()
	require.EqualValues(t, 2, ep.Stats().Connections)
	// A close in good order is told as such.
	d.close()
	require.Equal(t, ended{ep.url, nil}, r.end())
	require.Equal(t, []string{"up", "down " + ErrLost.Error(), "up", "down <nil>"}, l.all())
}

// TestTakeOver: a newer session takes the leg once it is connected, and not
// before; its failure leaves the older one be.
func TestTakeOver(t *testing.T) {
	r := newRig(t, nil)
	var l told
	_, ep := r.open(echo, l.stream())
	one := newClient(t, clientConfig{})
	one.connect(ep.url)
	one.hears()
	for _, offer := range []string{browser, "v=0\r\n", browser} { // the first never connects, the second is none
		_, _ = do(t, http.DefaultClient, "POST", ep.url, sdpType, offer, nil)
	}
	one.hears()
	require.Equal(t, []string{"up"}, l.all())
	before := ep.Stats()
	require.Positive(t, before.MessagesIn)
	two := newClient(t, clientConfig{})
	two.connect(ep.url)
	two.hears()
	after := ep.Stats()
	require.Greater(t, after.MessagesIn, before.MessagesIn, "of both sessions")
	require.Greater(t, after.RTP.Sent, before.RTP.Sent)
	require.Equal(t, []string{"up", "down " + errSuperseded.Error(), "up"}, l.all())
	res, _ := one.do("DELETE", one.location, "", "")
	require.Equal(t, 404, res.StatusCode)
	require.Empty(t, r.ends)

	// One that never connects is told of only if nothing else stands.
	r.connectsFor = 50 * time.Millisecond
	res, _ = do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
	require.Equal(t, 201, res.StatusCode)
	soon(t, "late", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.peers) == 1 })
	two.hears()
	require.Empty(t, r.ends)
	two.close()
	require.Equal(t, ended{ep.url, nil}, r.end())
	res, _ = do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
	require.Equal(t, 201, res.StatusCode)
	require.Equal(t, ended{ep.url, ErrNotConnected}, r.end())
}

// TestBounds: of peers, and of those that are not connected.
func TestBounds(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxPeers, c.MaxPending = 3, 2 })
	var eps []*endpoint
	for range 5 {
		_, ep := r.open(echo, both)
		eps = append(eps, ep)
	}
	c := newClient(t, clientConfig{})
	c.connect(eps[0].url)
	offer := func(ep *endpoint) int {
		res, _ := do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
		if res.StatusCode == 503 {
			require.NotEmpty(t, res.Header.Get("Retry-After"))
		}
		return res.StatusCode
	}
	require.Equal(t, 201, offer(eps[1]))
	require.Equal(t, 201, offer(eps[2]))
	require.Equal(t, 503, offer(eps[3])) // three are here
	require.Zero(t, r.Crowded())
	c.close()
	require.Equal(t, ended{eps[0].url, nil}, r.end())
	require.Equal(t, 201, offer(eps[3])) // for the oldest, who is not connected
	require.EqualValues(t, 1, r.Crowded())
	soon(t, "two are left", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.peers) == 2 && len(r.pending) == 2 })
	require.Nil(t, eps[1].newest)
	require.Empty(t, r.ends)
}

// TestSources: a peer with ever more sources is cut off.
func TestSources(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	r.mu.Lock()
	for _, p := range r.peers {
		for range maxSources {
			_ = p.buffer(0, 0).Close()
		}
	}
	r.mu.Unlock()
	soon(t, "flows or ends", func() bool {
		c.sayFrom(0, make([]int16, 800))
		return len(r.ends) > 0
	})
	require.Equal(t, ended{ep.url, errSources}, r.end())
}

// TestPanic: a handler that panics ends its own leg.
func TestPanic(t *testing.T) {
	r := newRig(t, nil)
	var frames atomic.Int64
	bad, ep := r.open(engine.LegConfig{OnRender: func(r *engine.Render) {
		r.Handle(func(*pcm.Frame) {
			if frames.Add(1) == 3 {
				panic("third")
			}
		})
	}}, both)
	_, good := r.open(echo, both)
	c, d := newClient(t, clientConfig{}), newClient(t, clientConfig{})
	c.connect(ep.url)
	d.connect(good.url)
	c.say(make([]int16, 8000))
	e := r.end()
	require.Equal(t, ep.url, e.url)
	require.ErrorIs(t, e.err, engine.ErrPanic)
	require.ErrorIs(t, bad.Err(), engine.ErrPanic)
	d.hears()
	res, _ := do(t, http.DefaultClient, "POST", ep.url, sdpType, browser, nil)
	require.Equal(t, 410, res.StatusCode)
}

// TestClose: in any order, with peers in any state.
func TestClose(t *testing.T) {
	for _, first := range []string{"engine", "server", "leg", "drain"} {
		t.Run(first, func(t *testing.T) {
			r := newRig(t, nil)
			var l told
			leg, ep := r.open(echo, l.stream())
			_, two := r.open(echo, l.stream())
			c := newClient(t, clientConfig{})
			c.connect(ep.url)
			c.hears()
			res, _ := do(t, http.DefaultClient, "POST", two.url, sdpType, browser, nil)
			require.Equal(t, 201, res.StatusCode)
			switch first {
			case "engine":
				require.NoError(t, r.engine.Close())
			case "leg":
				leg.Close()
			case "drain":
				ep.Drain()
				ep.Drain()
			}
			if first != "server" {
				soon(t, "down", func() bool { return len(l.all()) == 2 })
			}
			require.NoError(t, r.Server.Close())
			require.NoError(t, r.Server.Close())
			require.Len(t, l.all(), 2)
			require.Empty(t, r.ends)
			_, err := r.Open(leg, both)
			require.ErrorIs(t, err, engine.ErrClosed)
			require.ErrorIs(t, r.Press(ep.url, '1', 0), engine.ErrClosed)
			soon(t, "the client is told", func() bool { return c.pc.ConnectionState() > 3 })
		})
	}
}

// TestEndedWhileAnswered: whatever a session got as far as when it is ended,
// nothing of it is left.
func TestEndedWhileAnswered(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	before := runtime.NumGoroutine()
	for i := range 300 {
		o, err := readOffer(browser, defaultCodecs())
		require.NoError(t, err)
		p, err := r.newPeer(ep, o)
		require.NoError(t, err)
		require.NoError(t, r.enter(p))
		var all sync.WaitGroup
		all.Go(func() { _, _ = p.answer(t.Context()) })
		time.Sleep(time.Duration(i%30) * 20 * time.Microsecond)
		p.end(errCrowded)
		all.Wait()
	}
	soon(t, "nothing is left", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// TestFingerprint: whoever has another certificate than the offer says is not
// heard.
func TestFingerprint(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{edit: func(offer string) string {
		other := "a=fingerprint:sha-256 " + strings.TrimSuffix(strings.Repeat("AB:", 32), ":")
		return regexp.MustCompile("a=fingerprint:[^\r]*").ReplaceAllString(offer, other)
	}})
	c.post(ep.url)
	require.Equal(t, ended{ep.url, ErrNotConnected}, r.end())
	require.Zero(t, ep.media.Load())
}

// TestBind: a session of another call ends when that is known.
func TestBind(t *testing.T) {
	r := newRig(t, nil)
	var l told
	_, ep := r.open(echo, l.stream())
	c := newClient(t, clientConfig{header: http.Header{"X-Ms-Call-Connection-Id": {"call-2"}}})
	c.connect(ep.url)
	c.hears()
	ep.Bind("call-1")
	soon(t, "down", func() bool { return len(l.all()) == 2 })
	require.Empty(t, r.ends)
	d := newClient(t, clientConfig{header: http.Header{"X-Ms-Call-Connection-Id": {"call-1"}}})
	d.connect(ep.url)
	d.hears()
}

// TestDrain: what came before is heard, and the address is no more.
func TestDrain(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Jitter.Min, c.Jitter.Max = 200*time.Millisecond, 200*time.Millisecond })
	exactly(t, func() string {
		var frames atomic.Int64
		_, ep := r.open(engine.LegConfig{OnRender: func(r *engine.Render) { r.Handle(func(*pcm.Frame) { frames.Add(1) }) }}, both)
		c := newClient(t, clientConfig{})
		c.connect(ep.url)
		c.say(make([]int16, 8000))
		soon(t, "all came", func() bool { return ep.Stats().RTP.Received == 50 })
		ep.Drain()
		require.Empty(t, r.ends)
		if n := frames.Load(); n < 50 {
			return fmt.Sprintf("%d frames heard of 50", n)
		}
		return ""
	})
}

// TestCertificate: another is made before it expires, and peers that stand keep
// theirs.
func TestCertificate(t *testing.T) {
	r := newRig(t, nil)
	_, ep := r.open(echo, both)
	c := newClient(t, clientConfig{})
	c.connect(ep.url)
	first, err := r.current()
	require.NoError(t, err)
	same, err := r.current()
	require.NoError(t, err)
	require.True(t, first.Equals(same))
	old, err := webrtc.NewCertificate(r.key, x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-30 * 24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	})
	require.NoError(t, err)
	r.mu.Lock()
	r.certificates = []webrtc.Certificate{*old}
	r.mu.Unlock()
	second, err := r.current()
	require.NoError(t, err)
	require.Greater(t, time.Until(second.Expires()), 20*24*time.Hour)
	d := newClient(t, clientConfig{})
	_, two := r.open(echo, both)
	d.connect(two.url)
	c.restart()
	c.stands()
	c.hears()
	d.hears()
}

// TestListener: connections are bounded, and errors are outlived.
func TestListener(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	faulty := &failing{Listener: raw}
	faulty.left.Store(2)
	l := &listener{Listener: faulty, most: 2, closed: make(chan struct{})}
	accepted := make(chan net.Conn, 10)
	done := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				done <- err
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", raw.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(wait)))
		return c
	}
	dial()
	dial()
	one, two := <-accepted, <-accepted
	_, err = dial().Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF) // it was one too many
	require.NoError(t, one.Close())
	_ = one.Close()
	dial()
	three := <-accepted
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-done, net.ErrClosed)
	_, _ = two.Close(), three.Close()
}

type failing struct {
	net.Listener
	left atomic.Int64
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, syscall.EMFILE
	}
	return f.Listener.Accept()
}
