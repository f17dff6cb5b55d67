package acsws

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

func TestBadMessagesAreCounted(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{Channels: engine.Unmixed, MaxSpeakers: 1}, transport.Stream{})
	tap := r.leg.Tap(64)
	c := r.dial(nil)
	send(t, c, audioOf("a", 0, ramp(320, 0)))
	send(t, c, strings.Replace(formatOf(16000), `"channels":1`, `"channels":2`, 1))
	send(t, c, audioOf("a", 0, ramp(320, 0)))
	send(t, c, formatOf(8000))
	send(t, c, formatOf(16000))
	send(t, c, `{"kind":"AudioData"`)
	send(t, c, `{"kind":"Video","video":{}}`)
	send(t, c, `{"kind":"AudioData","audioData":{"data":"AAA","silent":false}}`)
	send(t, c, `{"kind":"AudioData","audioData":{"data":"AAAA","silent":false}}`)
	send(t, c, `{"kind":"DtmfData","dtmfData":{"data":"x"}}`)
	require.NoError(t, c.WriteMessage(websocket.BinaryMessage, []byte("hi")))
	require.Empty(t, r.leg.Renders(), "nothing was announced by what could not be used")
	send(t, c, audioOf("a", 0, ramp(320, 0)))
	send(t, c, strings.Replace(audioOf("a", 20, ramp(320, 0)), `"data":"`, `"data":"!`, 1))
	send(t, c, audioOf("b", 0, ramp(320, 0)))
	send(t, c, audioOf("a", 20, ramp(320, 320)))
	f := read(t, tap)
	require.Zero(t, f.Position())
	f = read(t, tap)
	require.EqualValues(t, 320, f.Position(), "what follows is in its place")
	require.Equal(t, map[string]int64{
		"audio_before_metadata": 1, "unsupported_format": 3, "bad_json": 1, "unknown_kind": 1,
		"bad_base64": 2, "odd_bytes": 1, "bad_tone": 1, "not_text": 1, "too_many_speakers": 1,
	}, r.ep.Stats().BadMessages)
}

func TestHugeMessageEndsTheConnectionOnly(t *testing.T) {
	r := newRig(t, Config{MaxMessage: 4096}, engine.LegConfig{}, transport.Stream{})
	tap := r.leg.Tap(4)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(1000, 0)))
	// The server may reset the connection before all of this is written.
	_ = c.WriteMessage(websocket.TextMessage, []byte(`{"kind":"AudioData","audioData":{"data":"`+strings.Repeat("A", 8192)+`"}}`))
	require.ErrorIs(t, r.awaitDown(), websocket.ErrReadLimit)
	c = r.dial(nil)
	send(t, c, audioOf("", 100, ramp(320, 0)))
	for range 4 {
		read(t, tap)
	}
}

func TestRateLimit(t *testing.T) {
	r := newRig(t, Config{MaxRate: 100}, engine.LegConfig{}, transport.Stream{})
	c := r.dial(nil)
	for range 500 {
		if c.WriteMessage(websocket.TextMessage, []byte(formatOf(16000))) != nil {
			break
		}
	}
	require.ErrorIs(t, r.awaitDown(), errRate)
}

func TestIdlePeerIsClosed(t *testing.T) {
	r := newRig(t, Config{Ping: 150 * time.Millisecond}, engine.LegConfig{}, transport.Stream{})
	lively := r.dial(nil)
	go func() { // answers pings
		for {
			if _, _, err := lively.ReadMessage(); err != nil {
				return
			}
		}
	}()
	select {
	case err := <-r.down:
		t.Fatalf("closed although it answered pings: %v", err)
	case <-time.After(time.Second):
	}
	r.dial(nil) // takes over, and never reads
	require.ErrorIs(t, r.awaitDown(), errSuperseded)
	require.ErrorIs(t, r.awaitDown(), errIdle)
}

// TestPeerThatStopsReading floods a handler echo whose peer reads nothing: the
// handler is never held up, others are pinged as ever, and hanging up works at
// once.
func TestPeerThatStopsReading(t *testing.T) {
	r, flood := newStalled(t)
	flood(6000)
	leg, err := r.engine.NewLeg(engine.LegConfig{})
	require.NoError(t, err)
	ep, err := r.server.Open(leg, transport.Stream{})
	require.NoError(t, err)
	other, _, err := websocket.DefaultDialer.Dial(ep.URL(), nil)
	require.NoError(t, err)
	defer other.Close()
	pinged := errors.New("pinged")
	other.SetPingHandler(func(string) error { return pinged })
	require.NoError(t, other.SetReadDeadline(time.Now().Add(wait)))
	_, _, err = other.ReadMessage()
	require.ErrorIs(t, err, pinged)
	start := time.Now()
	r.ep.Drain()
	require.Less(t, time.Since(start), 5*time.Second)
	r.awaitDown()
}

// TestPeerThatReadsAgain: it is heard all the while, and answered once it
// reads: its pings, and its audio.
func TestPeerThatReadsAgain(t *testing.T) {
	r, flood := newStalled(t)
	c := flood(6000)
	require.NoError(t, c.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(wait)))
	ponged := false
	c.SetPongHandler(func(s string) error {
		ponged = ponged || s == "there?"
		return nil
	})
	r.leg.Source().Flush()
	send(t, c, audioOf("", 20*6000, ramp(320, 29000)))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(wait)))
	for last := []int16(nil); !ponged || len(last) == 0 || last[0] != 29000; {
		var kind string
		if kind, last = receive(t, c); kind != "AudioData" {
			last = nil
		}
	}
	require.Empty(t, r.down, "the connection stands")
}

// newStalled returns a rig whose handler echoes, and a flood of frames to it
// from a peer that does not read, in any order but that of real time.
func newStalled(t *testing.T) (r *rig, flood func(frames int) *websocket.Conn) {
	var taken, handled atomic.Int64
	r = newRig(t, Config{Ping: 500 * time.Millisecond}, engine.LegConfig{}, transport.Stream{Bidirectional: true})
	r.leg.OnRender(func(rd *engine.Render) {
		rd.Handle(func(f *pcm.Frame) {
			n, _ := rd.Leg().Source().TryWrite(f.Samples[:])
			taken.Add(int64(n))
			handled.Add(1)
		})
	})
	return r, func(frames int) *websocket.Conn {
		c := r.dial(nil)
		send(t, c, formatOf(16000))
		for i := range frames {
			// As if the playout model had room: the socket itself must fill up.
			r.leg.Source().Flush()
			send(t, c, audioOf("", 20*i, ramp(320, i)))
		}
		require.Eventually(t, func() bool { return handled.Load() == int64(frames) }, wait, time.Millisecond, "the handler took every frame")
		require.Less(t, taken.Load(), int64(frames*320), "and was told that not all could be sent")
		require.Less(t, r.ep.Stats().MessagesOut, int64(frames), "the socket filled up")
		return c
	}
}

func TestPanickingHandlerEndsItsLegOnly(t *testing.T) {
	r := newRig(t, Config{}, engine.LegConfig{OnRender: func(rd *engine.Render) {
		rd.Handle(func(*pcm.Frame) { panic("app") })
	}}, transport.Stream{})
	other, err := r.engine.NewLeg(engine.LegConfig{})
	require.NoError(t, err)
	ep, err := r.server.Open(other, transport.Stream{})
	require.NoError(t, err)
	tap := other.Tap(4)
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	require.ErrorIs(t, r.awaitDown(), engine.ErrPanic)
	<-r.leg.Done()
	require.ErrorIs(t, r.leg.Err(), engine.ErrPanic)
	c, _, err = websocket.DefaultDialer.Dial(ep.URL(), nil)
	require.NoError(t, err)
	defer c.Close()
	send(t, c, formatOf(16000))
	send(t, c, audioOf("", 0, ramp(320, 0)))
	read(t, tap)
}
