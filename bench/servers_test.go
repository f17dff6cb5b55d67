package bench_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

// serveLegs serves a leg to whoever dials; hook sees each before its first
// frame.
func serveLegs(tb testing.TB, cfg engine.LegConfig, hook func(*engine.Leg)) (url string) {
	return serveLegsBy(tb, acsws.Config{}, cfg, hook)
}

// serveLegsBy is serveLegs with what transport says besides.
func serveLegsBy(tb testing.TB, transports acsws.Config, cfg engine.LegConfig, hook func(*engine.Leg)) (url string) {
	eng := engine.New(engine.Config{})
	hs := httptest.NewUnstartedServer(nil)
	url = "ws://" + hs.Listener.Addr().String() + "/media"
	transports.BaseURL, transports.Insecure, transports.MaxRate, transports.Ping = url, true, 1<<30, time.Hour
	transports.AdHoc = func() (*engine.Leg, transport.Stream, error) {
		leg, err := eng.NewLeg(cfg)
		if err == nil {
			hook(leg)
		}
		return leg, transport.Stream{Bidirectional: true}, err
	}
	server, err := acsws.New(transports)
	require.NoError(tb, err)
	hs.Config.Handler = server
	hs.Start()
	tb.Cleanup(func() {
		require.NoError(tb, server.Close())
		hs.Close()
		require.NoError(tb, eng.Close())
	})
	return url
}

// serveBare serves gorilla connections to fn.
func serveBare(tb testing.TB, fn func(*websocket.Conn)) (url string) {
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		fn(ws)
	}))
	tb.Cleanup(hs.Close)
	return "ws" + hs.URL[len("http"):]
}

// serveHandler serves legs whose handler writes what it hears.
func serveHandler(tb testing.TB) (url string) {
	return serveLegs(tb, engine.LegConfig{Channels: engine.Unmixed}, echoByHandler)
}

// servePortable is serveHandler as where sockets cannot be polled.
func servePortable(tb testing.TB) (url string) {
	return serveLegsBy(tb, acsws.Config{Portable: true}, engine.LegConfig{Channels: engine.Unmixed}, echoByHandler)
}

func echoByHandler(l *engine.Leg) {
	source, frames := l.Source(), 0
	l.OnRender(func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) {
			source.TryWrite(f.Samples[:])
			if frames++; frames%flushEvery == 0 {
				source.Flush()
			}
		})
	})
}

// serveTap serves legs of which each has a goroutine that writes what it reads.
func serveTap(tb testing.TB) (url string) {
	var apps sync.WaitGroup
	tb.Cleanup(apps.Wait) // after the legs were closed, which is cleaned up first
	return serveLegs(tb, engine.LegConfig{Channels: engine.Unmixed}, func(l *engine.Leg) {
		tap, source := l.Tap(8), l.Source()
		apps.Go(func() {
			var f pcm.Frame
			for frames := 1; tap.Read(context.Background(), &f) == nil; frames++ {
				if _, err := source.Write(context.Background(), f.Samples[:]); err != nil {
					return
				}
				if frames%flushEvery == 0 {
					source.Flush()
				}
			}
		})
	})
}

// serveJSON is what one writes first.
func serveJSON(tb testing.TB) (url string) {
	return serveBare(tb, func(ws *websocket.Conn) {
		for frames := 1; ; {
			_, text, err := ws.ReadMessage()
			if err != nil {
				return
			}
			var in jsonAudio
			if json.Unmarshal(text, &in) != nil || in.Kind != "AudioData" {
				continue
			}
			out := jsonReply{Kind: in.Kind}
			out.AudioData.Data = in.AudioData.Data
			if text, err = json.Marshal(&out); err != nil {
				return
			}
			if reply(ws, text, frames) != nil {
				return
			}
			frames++
		}
	})
}

// serveFloor echoes what it does not look at.
func serveFloor(tb testing.TB) (url string) {
	return serveBare(tb, func(ws *websocket.Conn) {
		buf := make([]byte, 2*wireBytes)
		for frames := 0; ; frames++ { // the first message is the metadata
			_, r, err := ws.NextReader()
			if err != nil {
				return
			}
			n, err := io.ReadFull(r, buf)
			if err != io.ErrUnexpectedEOF {
				return
			}
			if frames > 0 && reply(ws, buf[:n], frames) != nil {
				return
			}
		}
	})
}

var stopAudio = []byte(`{"kind":"StopAudio","stopAudio":{}}`)

// reply sends text as the frames'th answer, with a flush behind every 16th,
// as the handler's source does.
func reply(ws *websocket.Conn, text []byte, frames int) error {
	if err := ws.WriteMessage(websocket.TextMessage, text); err != nil {
		return err
	}
	if frames%flushEvery == 0 {
		return ws.WriteMessage(websocket.TextMessage, stopAudio)
	}
	return nil
}
