package cloud

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// The tests wait for calls in real time, not for the processor, so more of them
// may run at once than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
		if err := n.Value.Set("8"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// deadline is how long a test waits for what should come at once.
const deadline = 10 * time.Second

// Making a key takes a while, so all servers under test share one.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// bot is the other side of the emulator: a webhook, a callback endpoint and a
// media endpoint, in plain net/http and gorilla.
type bot struct {
	t    *testing.T
	srv  *Server
	http *httptest.Server

	incoming  chan map[string]any // data of IncomingCall events
	callbacks chan callback
	sockets   chan *socket

	mu          sync.Mutex
	validations int
	refuse      func(r *http.Request) int // status instead of serving
	onSocket    func(s *socket)           // called before the first message is read
	onMessage   func(s *socket, m wireMessage)
}

// callback is a CloudEvent as the bot got it.
type callback struct {
	arrival     time.Time
	auth        string
	contentType string
	Type        string         `json:"type"`
	ID          string         `json:"id"`
	Source      string         `json:"source"`
	Subject     string         `json:"subject"`
	Time        string         `json:"time"`
	Data        map[string]any `json:"data"`
}

func (c callback) name() string { return strings.TrimPrefix(c.Type, "Microsoft.Communication.") }

// socket is one media connection, as far as it has been read.
type socket struct {
	header   http.Header
	ws       *websocket.Conn
	opened   time.Time
	messages []wireMessage // complete once done is closed
	err      error
	done     chan struct{}
}

// wireMessage is one text message of the emulator.
type wireMessage struct {
	text    string
	arrival time.Time
	Kind    string
	Audio   *struct {
		Timestamp     time.Time
		ParticipantID *string `json:"participantRawID"`
		Data          []byte
		Silent        *bool
	} `json:"audioData"`
	Metadata map[string]any `json:"audioMetadata"`
	Dtmf     map[string]any `json:"dtmfData"`
}

func (m wireMessage) samples() []int16 { return samplesOf(m.Audio.Data) }

func newBot(t *testing.T, srv *Server) *bot {
	t.Helper()
	b := &bot{
		t: t, srv: srv,
		incoming: make(chan map[string]any, 16), callbacks: make(chan callback, 256), sockets: make(chan *socket, 16),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", b.serveEvents)
	mux.HandleFunc("POST /callbacks", b.serveCallbacks)
	mux.HandleFunc("GET /media", b.serveMedia)
	b.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		refuse := b.refuse
		b.mu.Unlock()
		if refuse != nil {
			if status := refuse(r); status != 0 {
				w.WriteHeader(status)
				return
			}
		}
		mux.ServeHTTP(w, r)
	}))
	srv.Insecure = true
	srv.signer = testKey()
	if srv.EventsURL == "" {
		srv.EventsURL = b.http.URL + "/events"
	}
	if srv.Speed == 0 {
		srv.Speed = 10
	}
	require.NoError(t, srv.Start(context.Background()))
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		b.http.Close()
	})
	return b
}

func (b *bot) serveEvents(w http.ResponseWriter, r *http.Request) {
	var events []struct {
		EventType string
		Data      map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil || len(events) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get("aeg-event-type") == "SubscriptionValidation" {
		b.mu.Lock()
		b.validations++
		b.mu.Unlock()
		fmt.Fprintf(w, `{"validationResponse":%q}`, events[0].Data["validationCode"])
		return
	}
	b.incoming <- events[0].Data
}

func (b *bot) serveCallbacks(w http.ResponseWriter, r *http.Request) {
	var events []callback
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, e := range events {
		e.arrival = time.Now()
		e.auth, e.contentType = r.Header.Get("Authorization"), r.Header.Get("Content-Type")
		b.callbacks <- e
	}
}

func (b *bot) serveMedia(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s := &socket{header: r.Header, ws: ws, opened: time.Now(), done: make(chan struct{})}
	b.mu.Lock()
	onSocket, onMessage := b.onSocket, b.onMessage
	b.mu.Unlock()
	if onSocket != nil {
		onSocket(s)
	}
	b.sockets <- s
	defer close(s.done)
	defer ws.Close()
	for {
		kind, text, err := ws.ReadMessage()
		if err != nil {
			s.err = err
			return
		}
		m := wireMessage{text: string(text), arrival: time.Now()}
		if kind != websocket.TextMessage || json.Unmarshal(text, &m) != nil {
			m.Kind = "broken"
		}
		s.messages = append(s.messages, m)
		if onMessage != nil {
			onMessage(s, m)
		}
	}
}

func (b *bot) media() string { return "ws" + strings.TrimPrefix(b.http.URL, "http") + "/media" }

// say sends the bot's audio on a socket.
func (s *socket) say(samples []int16) {
	data := base64.StdEncoding.EncodeToString(PCM(samples).bytes())
	// A socket that has ended is the test's to notice.
	_ = s.ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"AudioData","audioData":{"data":"`+data+`"}}`))
}

func (s *socket) stop() {
	_ = s.ws.WriteMessage(websocket.TextMessage, []byte(`{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}`))
}

// frames returns the audio messages that bear a name, all if it is "*", those
// without a name if it is "".
func (s *socket) frames(id string) (out []wireMessage) {
	for _, m := range s.messages {
		if m.Audio == nil {
			continue
		}
		if id == "*" || id == "" && m.Audio.ParticipantID == nil || id != "" && m.Audio.ParticipantID != nil && *m.Audio.ParticipantID == id {
			out = append(out, m)
		}
	}
	return out
}

// timeline lays frames out by their timestamps, from start on.
func timeline(t *testing.T, frames []wireMessage, start time.Time, slots int) []int16 {
	t.Helper()
	out := make([]int16, slots*320)
	for _, f := range frames {
		offset := f.Audio.Timestamp.Sub(start)
		require.Zero(t, offset%(20*time.Millisecond), "timestamp off the grid: %v", offset)
		slot := int(offset / (20 * time.Millisecond))
		require.Less(t, slot, slots)
		require.Len(t, f.samples(), 320)
		copy(out[slot*320:], f.samples())
	}
	return out
}

// do sends a signed request.
func (b *bot) do(method, target, body string, header ...string) (int, map[string]any, http.Header) {
	b.t.Helper()
	status, text, h := request0(b.t, b.srv, method, target, body, header...)
	var v map[string]any
	if len(text) > 0 {
		require.NoError(b.t, json.Unmarshal(text, &v), "%s", text)
	}
	return status, v, h
}

// request0 signs by the documents, apart from the code under test.
func request0(t *testing.T, srv *Server, method, target, body string, header ...string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, srv.URL()+target, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	signRequest(t, req, srv.AccessKey(), target, body, req.URL.Host, time.Now())
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, text, resp.Header
}

func signRequest(t *testing.T, req *http.Request, accessKey, target, body, host string, at time.Time) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(accessKey)
	require.NoError(t, err)
	hash := sha256.Sum256([]byte(body))
	content := base64.StdEncoding.EncodeToString(hash[:])
	date := at.UTC().Format(http.TimeFormat)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s\n%s\n%s;%s;%s", req.Method, target, date, host, content)
	req.Header.Set("x-ms-date", date)
	req.Header.Set("x-ms-content-sha256", content)
	req.Header.Set("Authorization", "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="+
		base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// ring lets the emulator ring, and returns the call and its context.
func (b *bot) ring(script Script) (*Call, string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	call, err := b.srv.Ring(ctx, Ring{Script: script})
	require.NoError(b.t, err)
	data := receive(b.t, b.incoming)
	return call, data["incomingCallContext"].(string)
}

// mediaJSON is mediaStreamingOptions of 2026.
func (b *bot) mediaJSON(channels, more string) string {
	return `"mediaStreamingOptions":{"transportUrl":"` + b.media() + `","transportType":"websocket","contentType":"audio","audioChannelType":"` +
		channels + `","startMediaStreaming":true` + more + `}`
}

// take rings and answers with 2026 media.
func (b *bot) take(script Script, channels, more string) *Call {
	b.t.Helper()
	call, context := b.ring(script)
	status, body, _ := b.do("POST", "/calling/callConnections:answer?api-version=2026-03-12",
		`{"incomingCallContext":"`+context+`","callbackUri":"`+b.http.URL+`/callbacks",`+b.mediaJSON(channels, more)+`}`)
	require.Equal(b.t, 200, status, body)
	require.Equal(b.t, call.ID(), body["callConnectionId"])
	return call
}

// place creates a call with 2022 media.
func (b *bot) place(channels string) (*Call, map[string]any) {
	b.t.Helper()
	status, body, _ := b.do("POST", "/calling/callConnections?api-version=2022-04-07-preview",
		`{"source":{"identifier":{"kind":"communicationUser","communicationUser":{"id":"8:acs:bot"}}},
		"targets":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:callee"}}],"operationContext":"Reminder call",
		"callbackUri":"`+b.http.URL+`/callbacks","mediaStreamingConfiguration":{"transportUrl":"`+b.media()+
			`","transportType":"websocket","contentType":"audio","audioChannelType":"`+channels+`"}}`)
	require.Equal(b.t, 201, status, body)
	return b.srv.Call(body["callConnectionId"].(string)), body
}

func (b *bot) socket() *socket { b.t.Helper(); return receive(b.t, b.sockets) }

func (s *socket) wait(t *testing.T) *socket {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(deadline):
		require.Fail(t, "socket did not end")
	}
	return s
}

// expect waits for callbacks of exactly these names, in order.
func (b *bot) expect(names ...string) (got []callback) {
	b.t.Helper()
	for _, name := range names {
		e := receive(b.t, b.callbacks)
		require.Equal(b.t, name, e.name())
		got = append(got, e)
	}
	return got
}

func receive[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(deadline):
		require.Fail(t, "nothing came", "%T", v)
	}
	return v
}

func wait(t *testing.T, c *Call) *Log {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	require.NoError(t, c.Wait(ctx))
	return c.Log()
}
