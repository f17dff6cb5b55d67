package acs

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// Values of the seed and of the captures of the official JavaScript client
// (1.6.0), from which testdata was taken as it is.
const (
	testKey      = "bG9jYWwtZW11bGF0b3Itc2VjcmV0" // "local-emulator-secret"
	callbackURL  = "https://app.contoso.com/callback"
	transportURL = "wss://contoso.websocket.server/"
	seedCaller   = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_da7be3a9-8788-42a6-85c6-56b2cf784fce"
	seedCallee   = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_0f50d091-5bd3-448b-884d-44be7037d9b9"
	seedCallID   = "18dea47f-b081-4107-9a5c-4300819d2c6c"
	okCall       = `{"callConnectionId":"` + seedCallID + `","callConnectionState":"connecting"}`
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return b
}

// received is one request as a fake service saw it.
type received struct {
	method, target, host string
	header               http.Header
	body                 []byte
}

// fakeService answers with its replies in turn, the last one for ever.
type fakeService struct {
	*httptest.Server
	mu      sync.Mutex
	got     []received
	replies []http.HandlerFunc
}

func newFakeService(t testing.TB, replies ...http.HandlerFunc) *fakeService {
	f := &fakeService{replies: replies}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	n := len(f.got)
	f.got = append(f.got, received{r.Method, r.RequestURI, r.Host, r.Header.Clone(), body})
	f.mu.Unlock()
	f.replies[min(n, len(f.replies)-1)](w, r)
}

func (f *fakeService) requests() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]received(nil), f.got...)
}

// reply answers with a status, a body and pairs of header name and value.
func reply(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// hangUpOn breaks the connection without an answer.
func hangUpOn(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		c.Close()
	}
}

// testClient is a client of f whose pauses take no time and are recorded.
type testClient struct {
	*Client
	pauses []time.Duration
	now    time.Time
}

func newTestClient(t testing.TB, f *fakeService, config ClientConfig) *testClient {
	t.Helper()
	tc := &testClient{now: time.Date(2026, 11, 22, 3, 47, 1, 0, time.UTC)}
	config.Endpoint, config.AccessKey = f.URL, testKey
	config.Now = func() time.Time { return tc.now }
	c, err := NewClient(config)
	require.NoError(t, err)
	c.caller.Jitter = func() float64 { return 0 }
	c.caller.Sleep = func(ctx context.Context, d time.Duration) error {
		tc.pauses = append(tc.pauses, d)
		tc.now = tc.now.Add(d)
		return ctx.Err()
	}
	tc.Client = c
	return tc
}

// sinkLog is a Sink that remembers.
type sinkLog struct {
	mu      sync.Mutex
	notices []session.Notice
	rung    []session.Incoming
}

func (s *sinkLog) Deliver(n session.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, n)
}

func (s *sinkLog) Ring(in session.Incoming) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rung = append(s.rung, in)
}
