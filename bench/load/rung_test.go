package load

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

const rungKey = "bG9jYWwtZW11bGF0b3Itc2VjcmV0"

// rungBot answers whoever rings it, with audio that goes both ways, and echoes
// by pick. It returns its webhook.
func rungBot(t *testing.T, cloudAddr string, pick func(n int, text []byte) [][]byte) string {
	mux := http.NewServeMux()
	hs := httptest.NewServer(mux)
	t.Cleanup(hs.Close)
	mux.HandleFunc("/callbacks", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/media", func(w http.ResponseWriter, r *http.Request) {
		var up websocket.Upgrader
		if ws, err := up.Upgrade(w, r, nil); err == nil {
			defer ws.Close()
			echo(pick)(ws)
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		var events []struct {
			EventType string
			Data      struct{ ValidationCode, IncomingCallContext string }
		}
		if json.NewDecoder(r.Body).Decode(&events) != nil {
			return
		}
		if code := events[0].Data.ValidationCode; code != "" {
			fmt.Fprintf(w, `{"validationResponse":%q}`, code)
			return
		}
		go answerCall(cloudAddr, hs.URL, events[0].Data.IncomingCallContext)
	})
	return hs.URL + "/events"
}

// answerCall is the request of an SDK, signed by the access key.
func answerCall(cloudAddr, bot, call string) {
	body := fmt.Appendf(nil, `{"incomingCallContext":%q,"callbackUri":"%s/callbacks","mediaStreamingOptions":{"transportUrl":"ws%s/media",`+
		`"transportType":"websocket","contentType":"audio","audioChannelType":"mixed","startMediaStreaming":true,"enableBidirectional":true}}`,
		call, bot, strings.TrimPrefix(bot, "http"))
	const path = "/calling/callConnections:answer?api-version=2026-03-12"
	req, _ := http.NewRequest(http.MethodPost, "http://"+cloudAddr+path, bytes.NewReader(body))
	sum := sha256.Sum256(body)
	hash, date := base64.StdEncoding.EncodeToString(sum[:]), time.Now().UTC().Format(http.TimeFormat)
	key, _ := base64.StdEncoding.DecodeString(rungKey)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "POST\n%s\n%s;%s;%s", path, date, cloudAddr, hash)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("x-ms-date", date)
	req.Header.Set("x-ms-content-sha256", hash)
	req.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func TestRunRung(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	cfg := brief(rungBot(t, addr, func(n int, text []byte) [][]byte {
		if n%10 == 3 {
			return nil
		}
		return [][]byte{text}
	}))
	cfg.Emulator, cfg.Speakers, cfg.Warmup, cfg.Grace = Emulator{addr, rungKey}, 3, time.Second, 2*time.Second
	rep := run(t, cfg)
	require.Equal(t, CallCounts{Asked: 3, Connected: 3, Errors: map[string]int{}}, rep.Calls)
	f := rep.Frames
	require.InDelta(t, 150, f.Due, 9)
	require.Equal(t, f.Due, f.Sent)
	require.InDelta(t, 0.1, float64(f.Lost)/float64(f.Due), 0.04)
	require.EqualValues(t, 1, f.LongestGap)
	require.Equal(t, f.Back, rep.Latency.Count)
	require.NotZero(t, rep.Setup.Count)
	require.NotZero(t, rep.Generator.WriteLate.Count)
	require.NotContains(t, rep.Load.URL, "events", "the path of a webhook is its secret")

	// Nobody answers.
	hs := httptest.NewServer(http.NotFoundHandler())
	defer hs.Close()
	cfg.URL = hs.URL
	rep = run(t, cfg)
	require.Equal(t, 3, rep.Calls.Failed)
	require.Equal(t, Fail, rep.Verdict.Result)

	cfg.Duration = maxRung
	_, err = Run(context.Background(), cfg)
	require.Error(t, err)
}
