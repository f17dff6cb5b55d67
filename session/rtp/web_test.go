package rtp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/transport"
)

// fakeWeb is an offer.Media in memory: it has no senders, and answers offers
// itself.
type fakeWeb struct {
	*fakeMedia
	check  error
	silent bool // who offers does not speak
	status int  // of ServeOffer, if it is not 201
	before func(url string)
	after  func(url string)
}

func (f *fakeWeb) Open(leg *engine.Leg, s transport.Stream) (transport.Endpoint, error) {
	return f.fakeMedia.Open(leg, s)
}

func (f *fakeWeb) Press(url string, key byte, d time.Duration) error {
	return f.fakeMedia.Press(url, key, d)
}

func (f *fakeWeb) CheckOffer([]byte) (hears, speaks bool, err error) {
	return true, !f.silent, f.check
}

func (f *fakeWeb) ServeOffer(w http.ResponseWriter, r *http.Request, url string) {
	if f.before != nil {
		f.before(url)
	}
	body, _ := io.ReadAll(r.Body)
	err := f.up(url, f.note("offer %s %d", url, len(body)))
	if f.status != 0 || err != nil {
		http.Error(w, "no session", max(f.status, 404))
		return
	}
	w.Header().Set("Location", "/whip/token/session")
	w.WriteHeader(201)
	_, _ = io.WriteString(w, "v=0\r\n")
	if f.after != nil {
		f.after(url)
	}
}

// onlyWeb hides what fakeMedia can do beside, so that it is no Streams.
type onlyWeb interface {
	offer.Media
	Press(url string, key byte, d time.Duration) error
}

// inWebWorld is inWorld with the media of WebRTC.
func inWebWorld(t *testing.T, web *fakeWeb, sessions session.Config, f func(w *world)) {
	t.Helper()
	inWorld(t, Config{Name: WebRTC}, sessions, func(w *world) {
		web.fakeMedia = w.media
		w.cloud.Connect(struct{ onlyWeb }{web}, w.Manager)
		f(w)
	})
}

func (w *world) postWeb() *httptest.ResponseRecorder {
	return w.do("POST", "/webrtc", offer.Type, sdpOffer)
}

func TestWebOffer(t *testing.T) {
	inWebWorld(t, &fakeWeb{}, session.Config{OnIncoming: answering}, func(w *world) {
		rec := w.postWeb()
		require.Equal(w, 201, rec.Code, rec.Body)
		require.Equal(w, "/whip/token/session", rec.Header().Get("Location"), "the media's own")
		c := <-w.calls
		synctest.Wait()
		require.Equal(w, session.StateConnected, c.State())
		s := c.Snapshot()
		require.Equal(w, "webrtc", s.Cloud)
		require.Equal(w, session.DirectionIncoming, s.Direction)
		require.Equal(w, "webrtc:127.0.0.1:5000", s.From.RawID)
		require.Contains(w, string(c.Incoming().Raw), "v=0")

		_, err := c.Act(w.Context(), "dtmf", []byte(`{"tones":"1"}`))
		require.NoError(w, err)
		require.Equal(w, []string{"offer rtp:1 31", "press rtp:1 1 100ms"}, w.media.lines())

		before := time.Now()
		w.cloud.Ended("rtp:1", nil) // DELETE at the session
		require.NoError(w, over(c))
		require.Zero(w, time.Since(before))
		w.forgotten()
	})
}

func TestWebHangUp(t *testing.T) {
	inWebWorld(t, &fakeWeb{}, session.Config{OnIncoming: answering}, func(w *world) {
		w.postWeb()
		c := <-w.calls
		synctest.Wait()
		require.NoError(w, c.HangUp(w.Context(), false))
		require.NoError(w, over(c))
		require.Equal(w, "bye rtp:1", w.media.lines()[1])
		w.forgotten()

		w.postWeb()
		c = <-w.calls
		synctest.Wait()
		require.Equal(w, 204, w.do("DELETE", "/webrtc/"+c.CallID(), "", "").Code)
		require.NoError(w, over(c))

		w.postWeb()
		c = <-w.calls
		w.cloud.Ended("rtp:3", errors.New("connection lost"))
		require.ErrorContains(w, over(c), "connection lost")
	})
}

// TestWebIsRefusedBeforeItRings holds back what no bot need be asked about.
func TestWebIsRefusedBeforeItRings(t *testing.T) {
	for _, r := range []struct {
		name   string
		web    fakeWeb
		body   string
		status int
		code   string
	}{
		{"malformed", fakeWeb{check: verdict(false)}, sdpOffer, 400, "bad_offer"},
		{"nothing that can be carried", fakeWeb{check: verdict(true)}, sdpOffer, 406, "not_acceptable"},
		{"who only listens", fakeWeb{silent: true}, sdpOffer, 406, "not_acceptable"},
		{"some other failure", fakeWeb{check: errors.New("closed")}, sdpOffer, 500, "internal"},
		{"no SDP", fakeWeb{}, "hello", 400, "bad_offer"},
	} {
		t.Run(r.name, func(t *testing.T) {
			inWebWorld(t, &r.web, session.Config{OnIncoming: answering}, func(w *world) {
				rec := w.do("POST", "/webrtc", offer.Type, r.body)
				require.Equal(w, r.status, rec.Code)
				require.Equal(w, r.code, word(w, rec))
				require.Zero(w, w.Stats().Rings)
			})
		})
	}
}

func TestWebIsNotAnswered(t *testing.T) {
	for _, r := range []struct {
		name   string
		decide func(*session.IncomingCall)
		open   error
		status int
		code   string
	}{
		{"declined", func(ic *session.IncomingCall) { _ = ic.Reject(context.Background(), "") }, nil, 403, "declined"},
		{"busy", func(ic *session.IncomingCall) { _ = ic.Reject(context.Background(), "busy") }, nil, 503, "busy"},
		{"left", nil, nil, 504, "no_answer"},
		{"no room", answering, session.ErrTooManyCalls, 503, "too_many_calls"},
		{"hosted by nobody", func(ic *session.IncomingCall) {
			_, _ = ic.Answer(context.Background(), session.Options{ServiceHosted: true})
		}, nil, 500, "internal"},
	} {
		t.Run(r.name, func(t *testing.T) {
			inWebWorld(t, &fakeWeb{}, session.Config{OnIncoming: r.decide}, func(w *world) {
				w.media.refuse = r.open
				rec := w.postWeb()
				require.Equal(w, r.status, rec.Code, rec.Body)
				require.Equal(w, r.code, word(w, rec))
				require.Equal(w, r.status == 503, rec.Header().Get("Retry-After") != "")
				require.Empty(w, w.media.lines(), "nothing is offered to the media")
				synctest.Wait()
				w.forgotten()
			})
		})
	}
}

// TestWebMediaRefuses: the peer has got the media's own words, and the bot gets
// them too.
func TestWebMediaRefuses(t *testing.T) {
	answered := make(chan error, 1)
	decide := func(ic *session.IncomingCall) {
		_, err := ic.Answer(context.Background(), session.Options{})
		answered <- err
	}
	inWebWorld(t, &fakeWeb{status: 503}, session.Config{OnIncoming: decide}, func(w *world) {
		rec := w.postWeb()
		require.Equal(w, 503, rec.Code)
		require.Equal(w, "no session\n", rec.Body.String())
		var e *session.Error
		require.ErrorAs(w, <-answered, &e)
		require.Equal(w, 503, e.Status)
		require.Contains(w, e.Message, "no session")
		require.Error(w, over(<-w.calls))
		synctest.Wait()
		w.forgotten()
	})
}

// TestWebEndsAtOnce lets the end, and a hang-up, overtake the answer.
func TestWebEndsAtOnce(t *testing.T) {
	web := &fakeWeb{}
	inWebWorld(t, web, session.Config{OnIncoming: answering}, func(w *world) {
		web.after = func(url string) { w.cloud.Ended(url, nil) }
		require.Equal(w, 201, w.postWeb().Code)
		require.NoError(w, over(<-w.calls))
		w.forgotten()

		web.after = nil
		web.before = func(string) {
			require.NoError(w, w.Calls()[0].HangUp(w.Context(), false))
			synctest.Wait()
		}
		require.Equal(w, 404, w.postWeb().Code)
		<-(<-w.calls).Done()
		synctest.Wait()
		w.forgotten()
	})
}

// TestWebCallerGivesUp ends the request while the call rings, and while it is
// answered.
func TestWebCallerGivesUp(t *testing.T) {
	web := &fakeWeb{}
	var answer atomic.Bool
	decide := func(ic *session.IncomingCall) {
		if answer.Load() {
			answering(ic)
		}
	}
	inWebWorld(t, web, session.Config{OnIncoming: decide}, func(w *world) {
		for range 2 {
			ctx, cancel := context.WithCancel(w.Context())
			web.before = func(string) { cancel() }
			go func() {
				<-w.rings
				if !answer.Load() {
					cancel()
				}
			}()
			rec := httptest.NewRecorder()
			w.cloud.ServeHTTP(rec, request(ctx, "POST", "/webrtc", offer.Type, sdpOffer))
			cancel()
			synctest.Wait()
			if answer.Swap(true) {
				require.Equal(w, 201, rec.Code)
				require.NoError(w, (<-w.calls).HangUp(w.Context(), false))
			} else {
				require.Equal(w, "canceled", word(w, rec))
			}
		}
		synctest.Wait()
		w.forgotten()
	})
}

func TestWebPeersAreNotCalled(t *testing.T) {
	inWebWorld(t, &fakeWeb{}, session.Config{}, func(w *world) {
		_, err := w.Create(w.Context(), WebRTC, []byte(`{"target":"127.0.0.1:6000"}`), session.Options{})
		var e *session.Error
		require.ErrorAs(w, err, &e)
		require.Equal(w, 501, e.Status)
		require.ErrorContains(w, err, "they offer at /webrtc")
	})
}

// TestWebOptions is what a page and a WHIP client ask before they offer.
func TestWebOptions(t *testing.T) {
	c, err := New(Config{Name: WebRTC, Token: "t", Origins: []string{"https://app.example"}})
	require.NoError(t, err)
	r := request(t.Context(), "OPTIONS", "/webrtc", "", "")
	r.Header.Set("Authorization", "Bearer t")
	rec := httptest.NewRecorder()
	c.ServeHTTP(rec, r)
	require.Equal(t, 204, rec.Code)
	require.Equal(t, offer.Type, rec.Header().Get("Accept-Post"))
	require.True(t, strings.Contains(rec.Header().Get("Allow"), "POST"))

	r.Header.Del("Authorization")
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	rec = httptest.NewRecorder()
	c.ServeHTTP(rec, r)
	require.Equal(t, 204, rec.Code, "a preflight bears no token")
	require.Contains(t, rec.Header().Get("Access-Control-Allow-Methods"), "POST")
}
