package rtc

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// TestStorm: offers, fragments, ends and drains at once, and the server closed
// in the middle of it.
func TestStorm(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	s, err := New(Config{Engine: e, BaseURL: "http://x/whip", MaxPeers: 20, MaxPending: 5, OnEnd: func(string, error) {}})
	require.NoError(t, err)
	leg, err := e.NewLeg(engine.LegConfig{})
	require.NoError(t, err)
	var mu sync.Mutex
	var eps []*endpoint
	open := func() {
		ep, err := s.Open(leg, both)
		if err != nil {
			require.ErrorIs(t, err, engine.ErrClosed)
			return
		}
		mu.Lock()
		eps = append(eps, ep.(*endpoint))
		mu.Unlock()
	}
	ask := func(method, at, kind, body string) *httptest.ResponseRecorder {
		q := httptest.NewRequest(method, at, strings.NewReader(body))
		q.Header.Set("Content-Type", kind)
		q.Header.Set("If-Match", "*")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s: %s", method, w.Body)
		}
		return w
	}
	for range 5 {
		open()
	}
	password := strings.Repeat("p", 22)
	stop := time.Now().Add(2 * time.Second)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for time.Now().Before(stop) {
				mu.Lock()
				ep := eps[len(eps)-1-rand.IntN(min(5, len(eps)))]
				mu.Unlock()
				w := ask("POST", ep.path, sdpType, browser)
				at := w.Header().Get("Location")
				switch n := rand.IntN(6); {
				case w.Code != http.StatusCreated:
					open()
				case n == 0:
					ep.Drain()
					open()
				case n == 1:
					ep.Bind("call")
					_ = ep.Stats()
				case n < 4:
					ask("PATCH", at, fragmentType, "a=ice-ufrag:abcd\r\na=ice-pwd:"+password+"\r\n"+candidates(2))
					ask("DELETE", at, "", "")
				}
			}
		})
	}
	time.Sleep(time.Second)
	require.NoError(t, s.Close())
	all.Wait()
	require.NoError(t, s.Close())
	require.Empty(t, s.peers)
	require.Empty(t, s.pending)
	for _, ep := range eps {
		require.Nil(t, ep.newest)
		require.Nil(t, ep.carrying)
		require.Nil(t, ep.heir)
	}
}
