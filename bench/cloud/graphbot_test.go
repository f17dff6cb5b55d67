package cloud

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// graphBot is the other side of the emulated Graph: a webhook, a media endpoint
// and a web server with prompts, in plain net/http and gorilla.
type graphBot struct {
	t     *testing.T
	srv   *Server
	http  *httptest.Server
	token string // of its requests; empty: none

	notes   chan note    // as they come, but for those that ring
	rings   chan note    // of incoming calls
	sockets chan *socket // media

	mu       sync.Mutex
	respond  func(n note, w http.ResponseWriter) bool // true: it has answered
	channels string                                   // x-mixminus-channels of the upgrade
	refuse   int                                      // status of the upgrade
	onSocket func(*socket)
	files    map[string][]byte // by path
	whip     http.HandlerFunc
	sessions map[string]func(*http.Request) // of WHIP: what a DELETE does
}

// note is one item of commsNotifications as the bot got it.
type note struct {
	arrival  time.Time
	path     string
	header   http.Header
	envelope map[string]any
	item     map[string]any
}

func (n note) str(key string) string { s, _ := n.item[key].(string); return s }

// data is the item's resourceData, nil if it is no object.
func (n note) data() map[string]any { m, _ := n.item["resourceData"].(map[string]any); return m }

// rows are the item's resourceData if that is an array.
func (n note) rows() []any { rows, _ := n.item["resourceData"].([]any); return rows }

// kind tells what the item is about: the state of a call, or the last part of
// its path that is no id.
func (n note) kind() string {
	parts := strings.Split(strings.Trim(n.str("resourceUrl"), "/"), "/")
	if len(parts) > 3 {
		return parts[3]
	}
	if n.data()["toneInfo"] != nil {
		return "tone"
	}
	if state, ok := n.data()["state"].(string); ok {
		return strings.ToLower(state[:1]) + state[1:]
	}
	return "deleted"
}

func newGraphBot(t *testing.T, srv *Server) *graphBot {
	t.Helper()
	return startGraphBot(t, srv, false)
}

// startGraphBot starts both sides; secure ones speak https and wss alone, and
// check all tokens.
func startGraphBot(t *testing.T, srv *Server, secure bool) *graphBot {
	t.Helper()
	b := &graphBot{
		t: t, srv: srv, notes: make(chan note, 1024), rings: make(chan note, 64), sockets: make(chan *socket, 16), files: map[string][]byte{},
		sessions: map[string]func(*http.Request){},
	}
	b.http = httptest.NewUnstartedServer(http.HandlerFunc(b.serve))
	if secure {
		b.http.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(b.http.Certificate())
		srv.TLS = &tls.Config{RootCAs: roots}
	} else {
		b.http.Start()
	}
	srv.Insecure, srv.signer = !secure, testKey()
	if srv.Speed == 0 {
		srv.Speed = 4 // quick enough, and a busy machine answers in time
	}
	srv.GraphEventsURL = b.http.URL + "/calls"
	if srv.OnCreate == nil {
		srv.OnCreate = func(Dialled) Callee { return Callee{Script: quietScript(1)} }
	}
	require.NoError(t, srv.Start(context.Background()))
	var err error
	b.token, err = srv.AccessToken("")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, srv.Close())
		b.http.Close()
	})
	return b
}

// quietScript is n people who listen for as long as the bot likes.
func quietScript(n int) Script { return Script{HangUp: Never, Speakers: make([]Speaker, n)} }

func (b *graphBot) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	respond, file, whip, session := b.respond, b.files[r.URL.Path], b.whip, b.sessions[r.URL.Path]
	b.mu.Unlock()
	switch {
	case r.URL.Path == "/media":
		b.serveMedia(w, r)
		return
	case r.URL.Path == "/whip":
		whip(w, r)
		return
	case session != nil:
		session(r)
		return
	case file != nil:
		_, _ = w.Write(file)
		return
	}
	n := note{arrival: time.Now(), path: r.URL.Path, header: r.Header}
	if err := json.NewDecoder(r.Body).Decode(&n.envelope); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n.item = n.envelope["value"].([]any)[0].(map[string]any)
	if respond == nil || !respond(n, w) {
		w.WriteHeader(http.StatusAccepted)
	}
	if n.kind() == "incoming" {
		b.rings <- n
	} else {
		b.notes <- n
	}
}

func (b *graphBot) serveMedia(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	channels, refuse, onSocket := b.channels, b.refuse, b.onSocket
	b.mu.Unlock()
	if refuse != 0 {
		w.WriteHeader(refuse)
		return
	}
	header := http.Header{}
	if channels != "" {
		header.Set("x-mixminus-channels", channels)
	}
	up := websocket.Upgrader{}
	ws, err := up.Upgrade(w, r, header)
	if err != nil {
		return
	}
	s := &socket{header: r.Header, ws: ws, opened: time.Now(), done: make(chan struct{})}
	if onSocket != nil {
		onSocket(s)
	}
	b.sockets <- s
	defer close(s.done)
	defer ws.Close()
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			s.err = err
			return
		}
		m := wireMessage{text: string(text), arrival: time.Now()}
		if json.Unmarshal(text, &m) != nil {
			m.Kind = "broken"
		}
		s.messages = append(s.messages, m)
	}
}

func (b *graphBot) callback() string { return b.http.URL + "/callback" }

func (b *graphBot) media() string { return "ws" + strings.TrimPrefix(b.http.URL, "http") + "/media" }

// answerNotes sets how notifications are responded to.
func (b *graphBot) answerNotes(fn func(n note, w http.ResponseWriter) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.respond = fn
}

var plainClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}

// do sends a request to a path below the version.
func (b *graphBot) do(method, path, body string, header ...string) reply {
	b.t.Helper()
	req, err := http.NewRequest(method, b.srv.URL()+path, strings.NewReader(body))
	require.NoError(b.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := plainClient.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	r.text, err = io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	if len(bytes.TrimSpace(r.text)) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		require.NoError(b.t, json.Unmarshal(r.text, &r.body), "%s", r.text)
	}
	return r
}

const v1Calls = "/v1.0/communications/calls"

// act posts an action of a call.
func (b *graphBot) act(call *Call, action, body string) reply {
	b.t.Helper()
	return b.do("POST", v1Calls+"/"+call.ID()+"/"+action, body)
}

const (
	serviceHosted = `{"@odata.type":"#microsoft.graph.serviceHostedMediaConfig"}`
	oneUser       = `{"identity":{"user":{"id":"112f7296-5fa4-42ca-bae8-6a692b15d4b8","displayName":"John"}}}`
	theMeeting    = `"chatInfo":{"threadId":"19:meeting_x@thread.v2","messageId":"0"},
		"meetingInfo":{"@odata.type":"#microsoft.graph.organizerMeetingInfo","organizer":{"user":{"id":"5810cede-f3cc-42eb-b2c1-e9bd5d53ec96"}}}`
)

// blob is a media session configuration for the bot's own media endpoint.
func (b *graphBot) blob() string {
	return `{"@odata.type":"#microsoft.graph.appHostedMediaConfig","blob":` + string(marshal(strings.NewReplacer(
		"net.tcp://bot.contoso.com:18732/MediaProcessor", b.media()).Replace(sampleBlob))) + `}`
}

// order is the body of a call that is created.
func (b *graphBot) order(mediaConfig, more string) string {
	return `{"callbackUri":"` + b.callback() + `","requestedModalities":["audio"],"mediaConfig":` + mediaConfig + `,` + more + `}`
}

// create makes a call and waits until it is established.
func (b *graphBot) create(mediaConfig, more string) *Call {
	b.t.Helper()
	r := b.do("POST", v1Calls, b.order(mediaConfig, more))
	require.Equal(b.t, 201, r.status, r.str())
	b.expect("establishing", "established")
	return b.srv.Call(r.id())
}

// meet joins a meeting and returns its first roster.
func (b *graphBot) meet(mediaConfig, more string) (*Call, note) {
	b.t.Helper()
	call := b.create(mediaConfig, theMeeting+more)
	return call, b.expect("participants")[0]
}

// ring lets the emulator ring.
func (b *graphBot) ring(r GraphRing) (*Call, note) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	call, err := b.srv.RingGraph(ctx, r)
	require.NoError(b.t, err)
	return call, receive(b.t, b.rings)
}

// take rings and answers, and waits until the call is established.
func (b *graphBot) take(r GraphRing, mediaConfig, more string) *Call {
	b.t.Helper()
	call, _ := b.ring(r)
	got := b.act(call, "answer", b.acceptance(mediaConfig, more))
	require.Equal(b.t, 202, got.status, got.str())
	b.expect("establishing", "established")
	return call
}

func (b *graphBot) acceptance(mediaConfig, more string) string {
	return `{"callbackUri":"` + b.callback() + `","acceptedModalities":["audio"],"mediaConfig":` + mediaConfig + more + `}`
}

// expect waits for notifications of exactly these kinds, in order.
func (b *graphBot) expect(kinds ...string) (got []note) {
	b.t.Helper()
	for _, kind := range kinds {
		n := receive(b.t, b.notes)
		require.Equal(b.t, kind, n.kind(), "%v", n.item)
		got = append(got, n)
	}
	return got
}

// finish ends a call and takes its last two notifications.
func (b *graphBot) finish(call *Call) *Log {
	b.t.Helper()
	r := b.do("DELETE", v1Calls+"/"+call.ID(), "")
	require.Equal(b.t, 204, r.status, r.str())
	b.expect("terminating", "terminated")
	return wait(b.t, call)
}

// seed is a sample of the documents.
func seed(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "session", "graph", "testdata", "seeds", name+".json"))
	require.NoError(t, err)
	return text
}

// sampleBlob is that of the page "Create call".
const sampleBlob = `{"mpUri":"net.tcp://bot.contoso.com:18732/MediaProcessor","audioRenderContexts":["14778cc4-f54c-43c7-989f-9092e34ef784"],` +
	`"videoRenderContexts":[],"audioSourceContexts":["a5dcfc9b-5a54-48ef-86f5-1fdd8508741a"],"videoSourceContexts":[],"dataRenderContexts":null,` +
	`"dataSourceContexts":null,"supportedAudioFormat":"Pcm16K","videoSinkEncodingFormats":[],"mpMediaSessionId":"2379cf46-acf3-4fef-a914-be9627075320",` +
	`"regionAffinity":null,"skypeMediaBotsVersion":"1.11.1.0086","mediaStackVersion":"2018.53.1.1","mpVersion":"7.2.0.3881","callId":"1b69b141-7f1a-4033-9c34-202737190a20"}`

var variables = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}`), "{id}"},
	{regexp.MustCompile(`^W/"\d+"$`), "{etag}"},
	{regexp.MustCompile(`^\d+$`), "{number}"},
	{regexp.MustCompile(`^https?://(bot\.contoso\.com|127\.0\.0\.1:\d+)/`), "{bot}/"},
}

// constant is what of a sample's string is the same in all calls.
func constant(s string) string {
	for _, v := range variables {
		s = v.what.ReplaceAllString(s, v.as)
	}
	return s
}

// like compares what came with a sample: all its members, of the same types,
// and what is the same in all calls. Members besides are named by extra, with
// the path of where they stand; "*" allows all.
func like(t *testing.T, at string, want, got any, extra ...string) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		require.IsType(t, want, got, at)
		have := got.(map[string]any)
		for key, value := range want {
			require.Contains(t, have, key, at)
			like(t, at+"."+key, value, have[key], extra...)
		}
		for key := range have {
			if _, ok := want[key]; !ok && !slices.Contains(extra, "*") {
				require.Contains(t, extra, strings.TrimPrefix(at+"."+key, "."), "%s has more than the sample", at)
			}
		}
	case []any:
		require.IsType(t, want, got, at)
		require.Len(t, got, len(want), at)
		for i := range want {
			like(t, at, want[i], got.([]any)[i], extra...)
		}
	case string:
		require.IsType(t, want, got, at)
		require.Equal(t, constant(want), constant(got.(string)), at)
	default:
		require.Equal(t, want, got, at)
	}
}

// likeSeed compares a notification's envelope with a sample's.
func likeSeed(t *testing.T, name string, got map[string]any, extra ...string) {
	t.Helper()
	var want map[string]any
	require.NoError(t, json.Unmarshal(seed(t, name), &want), name)
	like(t, "", any(want), any(got), extra...)
}
