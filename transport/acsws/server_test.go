package acsws

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

func TestUnmixedIsExact(t *testing.T) {
	var announced []string
	r := newRig(t, Config{}, engine.LegConfig{Channels: engine.Unmixed, OnRender: func(r *engine.Render) { announced = append(announced, r.RawID()) }}, transport.Stream{})
	tap := r.leg.Tap(256)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	for i := range 50 {
		send(t, c, audioOf("8:acs:a", 20*i, ramp(320, 320*i)))
		if i%2 == 0 { // b sends 40 ms at a time
			send(t, c, audioOf("4:+1425", 20*i, ramp(640, 7+320*i)))
		}
	}
	next := map[uint32]int{}
	for range 100 {
		f := read(t, tap)
		i := next[f.Speaker]
		next[f.Speaker]++
		require.EqualValues(t, 320*i, f.Position())
		require.EqualValues(t, i, f.Seq)
		require.Equal(t, ramp(320, int(f.Speaker-1)*7+320*i), f.Samples[:])
		require.NotZero(t, f.Arrival)
	}
	require.Equal(t, map[uint32]int{1: 50, 2: 50}, next)
	require.Equal(t, []string{"8:acs:a", "4:+1425"}, announced)
	require.EqualValues(t, 76, r.ep.Stats().MessagesIn)
	require.Empty(t, r.ep.Stats().BadMessages)
	require.EqualValues(t, 100, r.leg.Stats().Latency.Count)
	require.NoError(t, c.Close())
	r.ep.Drain()
	sum, open, _ := r.server.Totals().Sum()
	require.Equal(t, r.ep.Stats(), sum)
	require.Zero(t, open)
}

func TestMixedIgnoresSpeakers(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	tap := r.leg.Tap(8)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	send(t, c, audioOf("someone", 20, ramp(320, 320)))
	require.Zero(t, read(t, tap).Speaker)
	require.EqualValues(t, 320, func() int64 { f := read(t, tap); return f.Position() }())
	require.Len(t, r.leg.Renders(), 1)
}

// TestDownsampled streams a tone at 24 kHz in messages of odd sizes, with a
// gap: it is heard at 16 kHz, in its place to the sample.
func TestDownsampled(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{SampleRate: 24000})
	tap := r.leg.Tap(256)
	c := r.dial(nil)
	send(t, c, formatOf(24000))
	tone := func(n, at, rate int) []int16 { // at is in samples of that rate
		s := make([]int16, n)
		for i := range s {
			s[i] = int16(10000 * math.Sin(2*math.Pi*440*float64(at+i)/float64(rate)))
		}
		return s
	}
	for _, ms := range []int{0, 20, 60, 70, 130, 150, 400, 420, 440} {
		n := map[int]int{20: 40, 60: 10, 70: 60}[ms]
		if n == 0 {
			n = 20
		}
		send(t, c, audioOf("", ms, tone(24*n, 24*ms, 24000)))
	}
	var got []int16
	for len(got) < 16*440 {
		f := read(t, tap)
		got = append(got, make([]int16, int(f.Position())-len(got))...)
		got = append(got, f.Samples[:]...)
	}
	for _, span := range [][2]int{{5, 165}, {405, 435}} { // ms, off the edges of the filter
		want := tone(16*(span[1]-span[0]), 16*span[0], 16000)
		for i, w := range want {
			require.InDelta(t, w, got[16*span[0]+i], 60, "sample %d after %d ms", i, span[0])
		}
	}
	require.Equal(t, make([]int16, 16*200), got[16*185:16*385], "and silence between")
}

func TestHandlerEchoAndFlush(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{Bidirectional: true})
	r.leg.OnRender(func(rd *engine.Render) {
		rd.Handle(func(f *pcm.Frame) { rd.Leg().Source().TryWrite(f.Samples[:]) })
	})
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	for i := range 30 {
		send(t, c, audioOf("", 20*i, ramp(320, 320*i)))
		kind, got := receive(t, c)
		require.Equal(t, "AudioData", kind)
		require.Equal(t, ramp(320, 320*i), got)
		if i == 15 { // the model holds 400 ms: make room
			r.leg.Source().Flush()
			kind, _ := receive(t, c)
			require.Equal(t, "StopAudio", kind)
		}
	}
	require.EqualValues(t, 31, r.ep.Stats().MessagesOut)
}

func TestNotBidirectionalSendsNothing(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	tap := r.leg.Tap(4)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	read(t, tap)
	_, err := r.leg.Source().TryWrite(ramp(320, 0))
	require.NoError(t, err)
	require.Zero(t, r.ep.Stats().MessagesOut)
	require.Equal(t, 20*time.Millisecond, r.leg.Source().Depth(), "it stays queued")
}

func TestRefusals(t *testing.T) {
	bad := errors.New("bad token")
	r := newRig(t, Config{Verify: func(q *http.Request) error {
		if q.Header.Get("Authorization") != "Bearer good" {
			return bad
		}
		return nil
	}}, engine.LegConfig{}, transport.Stream{})
	good := http.Header{"Authorization": {"Bearer good"}}
	base := strings.TrimSuffix(r.ep.URL(), r.ep.URL()[strings.LastIndex(r.ep.URL(), "/"):])
	require.Equal(t, 401, r.refused(base+"/AAAAAAAAAAAAAAAAAAAAAA", good), "unknown token in the path")
	require.Equal(t, 401, r.refused(base, good), "no token in the path")
	require.EqualValues(t, 2, r.server.Refused())
	require.Equal(t, 401, r.refused(r.ep.URL(), nil), "no bearer token")
	resp, err := http.Get("http" + strings.TrimPrefix(r.ep.URL(), "ws"))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 426, resp.StatusCode)
	r.ep.Bind("call-1")
	other := good.Clone()
	other.Set("x-ms-call-connection-id", "call-2")
	require.Equal(t, 403, r.refused(r.ep.URL(), other))
	require.EqualValues(t, 3, r.ep.Stats().Refused)
	other.Set("x-ms-call-connection-id", "call-1")
	r.dial(other)
	r.ep.Drain()
	require.Equal(t, 401, r.refused(r.ep.URL(), good), "the call has ended")

	for header, id := range map[string]string{"x-mixminus-render": "x", "x-mixminus-source": "x"} {
		none := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
		require.Equal(t, 403, none.refused(none.ep.URL(), http.Header{header: {id}}), "%s: none was issued", header)
		require.EqualValues(t, 1, none.ep.Stats().Refused)
	}

	closed := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	closed.server.cfg.Insecure = false
	require.Equal(t, 401, closed.refused(closed.ep.URL(), nil), "no verifier: fails closed")
}

func TestNewerConnectionWins(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{Channels: engine.Unmixed}, transport.Stream{})
	tap := r.leg.Tap(64)
	a := r.dial(nil)
	send(t, a, formatOf(16000))
	send(t, a, audioOf("x", 0, ramp(320, 0)))
	read(t, tap)
	b := r.dial(nil)
	require.ErrorIs(t, r.awaitDown(), errSuperseded)
	send(t, b, audioOf("x", 200, ramp(320, 5))) // metadata need not be repeated
	f := read(t, tap)
	require.EqualValues(t, 10*320, f.Position())
	require.EqualValues(t, 9, f.Lost)
	require.True(t, f.Flags.Has(pcm.AfterGap))
	_, _, err := a.ReadMessage()
	require.Error(t, err)
	require.EqualValues(t, 2, r.ep.Stats().Connections)
}

func TestDTMF(t *testing.T) {
	keys := make(chan string, 4)
	r := newRig(t, Config{}, engine.LegConfig{OnDTMF: func(k byte, who string) { keys <- string(k) + who }}, transport.Stream{})
	c := r.dial(nil)
	send(t, c, `{"kind":"DtmfData","dtmfData":{"data":"3"}}`)
	send(t, c, `{"kind":"DtmfData","dtmfData":{"data":"#","participantRawID":"4:+1"}}`)
	require.Equal(t, "3", <-keys)
	require.Equal(t, "#4:+1", <-keys)
}

func TestDrainWaitsForTheClose(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{})
	tap := r.leg.Tap(64)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	read(t, tap)
	drained := make(chan struct{})
	go func() { r.ep.Drain(); close(drained) }()
	send(t, c, audioOf("", 20, ramp(320, 0)))
	require.NoError(t, c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(wait)))
	<-drained
	require.NoError(t, r.awaitDown(), "closed in good order")
	read(t, tap)
}

func TestAdHoc(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	legs := make(chan *engine.Leg, 1)
	s, err := New(Config{BaseURL: "ws://x/media", Insecure: true, AdHoc: func() (*engine.Leg, transport.Stream, error) {
		l, err := e.NewLeg(engine.LegConfig{Channels: engine.Unmixed})
		legs <- l
		return l, transport.Stream{}, err
	}})
	require.NoError(t, err)
	defer s.Close()
	hs := httptest.NewServer(s)
	defer hs.Close()
	c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(hs.URL, "http")+"/media", nil)
	require.NoError(t, err)
	l := <-legs
	tap := l.Tap(4)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("a", 0, ramp(320, 0)))
	read(t, tap)
	c.Close()
	select {
	case <-l.Done():
	case <-time.After(wait):
		t.Fatal("leg outlives its connection")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{}, {BaseURL: "http://x/"}, {BaseURL: "ws:///x"}, {BaseURL: "ws://x/?a=b"}, {BaseURL: "ws://x", Ping: -1}} {
		_, err := New(cfg)
		require.ErrorContains(t, err, "Config")
	}
	s, err := New(Config{BaseURL: "ws://x/m"})
	require.NoError(t, err)
	_, err = s.Open(nil, transport.Stream{SampleRate: 8000})
	require.ErrorContains(t, err, "SampleRate = 8000")
}

// TestAllocations sends frames through a real socket: gorilla's reader costs
// one allocation a message, ours none, and the echo none.
func TestAllocations(t *testing.T) {
	done := make(chan struct{}, 1)
	r := newRig(t, Config{MaxRate: 1 << 30}, engine.LegConfig{Channels: engine.Unmixed}, transport.Stream{Bidirectional: true})
	r.leg.OnRender(func(rd *engine.Render) {
		rd.Handle(func(f *pcm.Frame) {
			rd.Leg().Source().TryWrite(f.Samples[:])
			done <- struct{}{}
		})
	})
	tap := r.leg.Tap(8)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	text := []byte(audioOf("8:acs:a", 0, ramp(320, 0)))
	frame := append([]byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text)), 0, 0, 0, 0}, text...) // mask 0
	raw := c.NetConn()
	go func() { // drain the echo
		b := make([]byte, 1<<16)
		for {
			if _, err := raw.Read(b); err != nil {
				return
			}
		}
	}()
	var f pcm.Frame
	n := testing.AllocsPerRun(2000, func() {
		raw.Write(frame)
		<-done
		tap.TryRead(&f)
	})
	require.LessOrEqual(t, n, 1.0)
}

// TestContexts: a connection may name the ids of the blob, and no others.
func TestContexts(t *testing.T) {
	issued := transport.Contexts{CallID: "1B69B141-7f1a-4033-9c34-202737190a20", Render: "14778cc4-f54c-43c7-989f-9092e34ef784", Source: "a5dcfc9b-5a54-48ef-86f5-1fdd8508741a"}
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{Bidirectional: true, Contexts: issued})
	header := func(call, render, source string) http.Header {
		h := http.Header{}
		for name, id := range map[string]string{"x-ms-call-connection-id": call, "x-mixminus-render": render, "x-mixminus-source": source} {
			if id != "" {
				h.Set(name, id)
			}
		}
		return h
	}
	require.Equal(t, 403, r.refused(r.ep.URL(), header(issued.CallID, issued.Source, "")))
	require.Equal(t, 403, r.refused(r.ep.URL(), header(issued.CallID, issued.Render, issued.Render)))
	r.ep.Bind("graph-call")
	require.Equal(t, 403, r.refused(r.ep.URL(), header("another", issued.Render, issued.Source)))
	require.EqualValues(t, 3, r.ep.Stats().Refused)
	for i, h := range []http.Header{
		header(strings.ToLower(issued.CallID), strings.ToUpper(issued.Render), issued.Source), header("graph-call", issued.Render, ""),
	} {
		r.dial(h) // which returns before the connection carries the leg
		require.Eventually(t, func() bool { return r.ep.Stats().Connections == int64(i+1) }, wait, time.Millisecond)
	}
}

// TestUpgradeTellsChannels: a peer that no cloud told learns from the upgrade what to
// send.
func TestChannelsAreTold(t *testing.T) {
	for _, channels := range []engine.Channels{engine.Mixed, engine.Unmixed} {
		r := newRig(t, Config{}, engine.LegConfig{Channels: channels}, transport.Stream{})
		ws, resp, err := websocket.DefaultDialer.Dial(r.ep.URL(), nil)
		require.NoError(t, err)
		require.Equal(t, channels.String(), resp.Header.Get("x-mixminus-channels"))
		require.NoError(t, ws.Close())
	}
}
