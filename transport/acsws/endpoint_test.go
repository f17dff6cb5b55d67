package acsws

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

func (r *rig) awaitUp() {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.ep.Stats().Connections > 0 }, wait, time.Millisecond)
}

// TestEveryTapGetsEveryFrame: a message that looks like a frame and is none
// must not cost the first tap what follows.
func TestEveryTapGetsEveryFrame(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	first, second := r.leg.Tap(256), r.leg.Tap(256)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	good := audioOf("", 20, ramp(320, 0))
	i := strings.Index(good, `"data":"`) + 8
	send(t, c, good[:i]+"!"+good[i+1:])
	const n = 50
	for i := range n { // 321 samples are as long in base64 as 320
		b := make([]byte, 642)
		l16.EncodeLE(b, ramp(321, 320+321*i))
		send(t, c, fmt.Sprintf(`{"kind":"AudioData","audioData":{"data":"%s","silent":false}}`, base64.StdEncoding.EncodeToString(b)))
	}
	for i := range 1 + n*321/320 {
		for _, tap := range []*engine.Tap{first, second} {
			f := read(t, tap)
			require.Equal(t, ramp(320, 320*i), f.Samples[:])
		}
	}
}

func TestLegCloseEndsTheConnection(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	tap := r.leg.Tap(64)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	read(t, tap)
	r.leg.Close()
	_ = c.WriteMessage(websocket.TextMessage, []byte(audioOf("", 20, ramp(320, 0))))
	require.ErrorIs(t, r.awaitDown(), errLegClosed)
	require.Eventually(t, tap.Closed, wait, time.Millisecond)
}

func TestBadHandshakeCostsNothing(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	tap := r.leg.Tap(4)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	for _, h := range []http.Header{
		{}, {"Sec-Websocket-Version": {"12"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}},
		{"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"short"}},
	} {
		req, err := http.NewRequest(http.MethodGet, "http"+strings.TrimPrefix(r.ep.URL(), "ws"), nil)
		require.NoError(t, err)
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		req.Header = h
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.GreaterOrEqual(t, resp.StatusCode, 400)
	}
	send(t, c, audioOf("", 0, ramp(320, 0)))
	read(t, tap)
	require.EqualValues(t, 1, r.ep.Stats().Connections, "the good connection stands")
}

func TestPagesMayNotDial(t *testing.T) {
	r := newRig(t, Config{Verify: func(*http.Request) error { return nil }}, engine.LegConfig{}, transport.Stream{})
	require.Equal(t, http.StatusForbidden, r.refused(r.ep.URL(), http.Header{"Origin": {"https://evil.example"}}))
}

func TestBindLooksAtTheConnectionThatStands(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	r.dial(http.Header{"x-ms-call-connection-id": {"call-2"}})
	r.awaitUp()
	r.ep.Bind("call-1")
	require.ErrorIs(t, r.awaitDown(), errOtherCall)
}

// TestCallbacksThatMisbehave: neither a panic in OnUp nor a second one while
// the leg is given back may keep it attached.
func TestCallbacksThatMisbehave(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{Channels: engine.Unmixed, OnRender: func(rd *engine.Render) {
		rd.Handle(func(*pcm.Frame) { panic("app") })
	}}, transport.Stream{})
	tap := r.leg.Tap(8)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("a", 0, ramp(160, 0))) // completed on Detach
	send(t, c, audioOf("b", 0, ramp(320, 0)))
	require.ErrorIs(t, r.awaitDown(), engine.ErrPanic)
	require.Eventually(t, func() bool {
		var f pcm.Frame
		for tap.TryRead(&f) {
		}
		return tap.Closed()
	}, wait, time.Millisecond)

	leg, err := r.engine.NewLeg(engine.LegConfig{})
	require.NoError(t, err)
	ep, err := r.server.Open(leg, transport.Stream{OnUp: func() { panic("up") }, OnDown: func(err error) { r.down <- err }})
	require.NoError(t, err)
	c, _, err = websocket.DefaultDialer.Dial(ep.URL(), nil)
	require.NoError(t, err)
	defer c.Close()
	require.ErrorIs(t, r.awaitDown(), engine.ErrPanic)
}

func TestLogIsNotFlooded(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	c := r.dial(nil)
	for range 10 {
		send(t, c, formatOf(44100))
	}
	send(t, c, formatOf(16000))
	require.Eventually(t, func() bool { return r.ep.Stats().MessagesIn == 11 }, wait, time.Millisecond)
	require.EqualValues(t, 10, r.ep.Stats().BadMessages["unsupported_format"])
}

func TestPingsCountToo(t *testing.T) {
	r := newRig(t, Config{MaxRate: 50}, engine.LegConfig{}, transport.Stream{})
	c := r.dial(nil)
	for range 200 {
		if c.WriteControl(websocket.PingMessage, nil, time.Now().Add(wait)) != nil {
			break
		}
	}
	require.ErrorIs(t, r.awaitDown(), errRate)
}

// TestFlushAt24k: what was flushed must not ring on in the resampler.
func TestFlushAt24k(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{Bidirectional: true, SampleRate: 24000})
	c := r.dial(nil)
	r.awaitUp()
	loud := make([]int16, 320)
	for i := range loud {
		loud[i] = 20000
	}
	_, err := r.leg.Source().TryWrite(loud)
	require.NoError(t, err)
	_, got := receive(t, c)
	require.Len(t, got, 480)
	r.leg.Source().Flush()
	kind, _ := receive(t, c)
	require.Equal(t, "StopAudio", kind)
	_, err = r.leg.Source().TryWrite(make([]int16, 320))
	require.NoError(t, err)
	_, got = receive(t, c)
	require.Equal(t, make([]int16, 480), got)
}

// TestTLS: echo, and a close frame that arrives, where the socket cannot be
// tried.
func TestTLS(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	s, err := New(Config{BaseURL: "wss://x/media", Insecure: true})
	require.NoError(t, err)
	hs := httptest.NewTLSServer(s)
	defer hs.Close()
	leg, err := e.NewLeg(engine.LegConfig{OnRender: func(rd *engine.Render) {
		rd.Handle(func(f *pcm.Frame) { rd.Leg().Source().TryWrite(f.Samples[:]) })
	}})
	require.NoError(t, err)
	ep, err := s.Open(leg, transport.Stream{Bidirectional: true})
	require.NoError(t, err)
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c, _, err := dialer.Dial("wss"+strings.TrimPrefix(hs.URL, "https")+strings.TrimPrefix(ep.URL(), "wss://x"), nil)
	require.NoError(t, err)
	defer c.Close()
	send(t, c, formatOf(16000))
	for i := range 15 {
		send(t, c, audioOf("", 20*i, ramp(320, 320*i)))
		_, got := receive(t, c)
		require.Equal(t, ramp(320, 320*i), got)
	}
	require.NoError(t, s.Close())
	_, _, err = c.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseGoingAway), "%v", err)
}
