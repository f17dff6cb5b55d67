package rtp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
)

func TestOffer(t *testing.T) {
	inWorld(t, Config{Path: "/in/rtp"}, session.Config{OnIncoming: answering}, func(w *world) {
		rec := w.do("POST", "/in/rtp", "application/sdp; charset=utf-8", sdpOffer)
		require.Equal(w, 201, rec.Code, rec.Body)
		require.Equal(w, "application/sdp", rec.Header().Get("Content-Type"))
		require.True(w, strings.HasPrefix(rec.Body.String(), "v=0\r\ns=answer to"))
		c := <-w.calls
		synctest.Wait()
		at := rec.Header().Get("Location")
		require.Equal(w, "/in/rtp/"+c.CallID(), at)
		in := c.Incoming()
		require.Equal(w, "rtp:127.0.0.1:5000", in.From.RawID)
		raw, err := json.Marshal(map[string]string{"offer": sdpOffer})
		require.NoError(w, err)
		require.JSONEq(w, string(raw), string(in.Raw))

		rec = w.do("GET", at, "", "")
		require.Equal(w, 200, rec.Code)
		var conn session.Connection
		require.NoError(w, json.Unmarshal(rec.Body.Bytes(), &conn))
		require.Equal(w, session.StateConnected, conn.State)
		require.Equal(w, c.CallID(), conn.CallID)

		for _, method := range []string{"PUT", "POST", "PATCH"} {
			rec = w.do(method, at, offer.Type, sdpOffer)
			require.Equal(w, 405, rec.Code, "no re-offers")
			require.Equal(w, "DELETE, GET, HEAD", rec.Header().Get("Allow"))
		}
		require.Equal(w, 204, w.do("DELETE", at, "", "").Code)
		require.NoError(w, over(c))
		require.Equal(w, []string{"answer rtp:1", "bye rtp:1"}, w.media.lines())
		require.Equal(w, 404, w.do("DELETE", at, "", "").Code)
		require.Equal(w, 404, w.do("GET", at, "", "").Code)
		w.forgotten()
	})
}

func TestBotHangsUpAnOffer(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: answering}, func(w *world) {
		at := w.post().Header().Get("Location")
		c := <-w.calls
		require.NoError(w, c.HangUp(w.Context(), false))
		require.NoError(w, over(c))
		require.Equal(w, 404, w.do("GET", at, "", "").Code)
	})
}

// word is the code of an error response.
func word(t testing.TB, rec *httptest.ResponseRecorder) string {
	var body struct {
		Error struct{ Code, Message string }
	}
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &body), rec.Body)
	require.NotEmpty(t, body.Error.Message)
	return body.Error.Code
}

func TestBadRequests(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: answering}, func(w *world) {
		for _, r := range []struct {
			method, path, contentType, body string
			status                          int
			code, message                   string
		}{
			{"GET", "/rtp", "", "", 405, "method_not_allowed", "GET"},
			{"POST", "/rtp", "application/json", sdpOffer, 415, "content_type", `Content-Type = \"application/json\"`},
			{"POST", "/rtp", "", sdpOffer, 415, "content_type", ""},
			{"POST", "/rtp", offer.Type, "", 400, "bad_offer", `first line = \"\"`},
			{"POST", "/rtp", offer.Type, "v=1\r\n", 400, "bad_offer", `first line = \"v=1\\r\"`},
			{"POST", "/rtp", offer.Type, sdpOffer + strings.Repeat("x", offer.Max), 413, "too_large", "65536"},
			{"GET", "/rtp/", "", "", 404, "not_found", ""},
			{"GET", "/rtp/a/b", "", "", 404, "not_found", ""},
			{"GET", "/rtpx", "", "", 404, "not_found", ""},
			{"GET", "/rtp/nobody", "", "", 404, "unknown_call", "nobody"},
			{"DELETE", "/rtp/nobody", "", "", 404, "unknown_call", "nobody"},
		} {
			rec := w.do(r.method, r.path, r.contentType, r.body)
			require.Equal(w, r.status, rec.Code, rec.Body)
			require.Contains(w, rec.Body.String(), r.message)
			require.Equal(w, r.code, word(w, rec))
			require.Equal(w, r.status == 405, rec.Header().Get("Allow") == "OPTIONS, POST")
		}
		packed := request(w.Context(), "POST", "/rtp", offer.Type, sdpOffer)
		packed.Header.Set("Content-Encoding", "gzip")
		rec := httptest.NewRecorder()
		w.cloud.ServeHTTP(rec, packed)
		require.Equal(w, 415, rec.Code)
		require.Zero(w, w.Stats().Rings, "nothing rang")
	})
}

func TestGuard(t *testing.T) {
	for _, r := range []struct {
		token, bearer, peer string
		status              int
	}{
		{"", "", "127.0.0.1:5000", 404},
		{"", "", "192.0.2.7:5000", 403},
		{"t", "", "127.0.0.1:5000", 401},
		{"t", "t", "192.0.2.7:5000", 404},
	} {
		c, err := New(Config{Token: r.token})
		require.NoError(t, err)
		req := request(t.Context(), "GET", "/rtp/nobody", "", "")
		req.RemoteAddr = r.peer
		if r.bearer != "" {
			req.Header.Set("Authorization", "Bearer "+r.bearer)
		}
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, req)
		require.Equal(t, r.status, rec.Code)
		require.Equal(t, r.status == 401, rec.Header().Get("WWW-Authenticate") == "Bearer")
	}
	c, err := New(Config{})
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	c.ServeHTTP(rec, request(t.Context(), "POST", "/rtp", offer.Type, sdpOffer))
	require.Equal(t, 503, rec.Code, "not connected yet")
	require.NotEmpty(t, rec.Header().Get("Retry-After"))
}

func TestOfferIsNotAnswered(t *testing.T) {
	reject := func(reason string) func(*session.IncomingCall) {
		return func(ic *session.IncomingCall) { _ = ic.Reject(context.Background(), reason) }
	}
	for _, r := range []struct {
		name   string
		decide func(*session.IncomingCall)
		fail   error // of Answer
		open   error // of Open
		status int
		code   string
	}{
		{"declined", reject(""), nil, nil, 403, "declined"},
		{"declined for a reason", reject("forbidden"), nil, nil, 403, "declined"},
		{"busy", reject("busy"), nil, nil, 503, "busy"},
		{"redirected", func(ic *session.IncomingCall) { _ = ic.Redirect(context.Background(), session.Identity{RawID: "4:+1"}) }, nil, nil, 403, "declined"},
		{"left", nil, nil, nil, 504, "no_answer"},
		{"malformed", answering, verdict(false), nil, 400, "bad_offer"},
		{"not acceptable", answering, verdict(true), nil, 406, "not_acceptable"},
		{"no socket", answering, errors.New("no socket"), nil, 500, "internal"},
		{"no port", answering, nil, errors.New("no port"), 500, "internal"},
		{"no room", answering, nil, session.ErrTooManyCalls, 503, "too_many_calls"},
		{"a bot that panics", func(*session.IncomingCall) { panic("bot") }, nil, nil, 500, "internal"},
	} {
		t.Run(r.name, func(t *testing.T) {
			inWorld(t, Config{}, session.Config{OnIncoming: r.decide}, func(w *world) {
				w.media.fail, w.media.refuse = r.fail, r.open
				start := time.Now()
				rec := w.post()
				require.Equal(w, r.status, rec.Code, rec.Body)
				require.Equal(w, r.code, word(w, rec))
				require.Equal(w, r.status == 503, rec.Header().Get("Retry-After") != "")
				if r.decide != nil {
					require.Zero(w, time.Since(start), "no timer is waited for")
				}
				if r.fail != nil {
					require.Contains(w, rec.Body.String(), r.fail.Error())
				}
				synctest.Wait()
				w.forgotten()
			})
		})
	}
}

func TestTooManyOffers(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: answering, MaxCalls: 1}, func(w *world) {
		require.Equal(w, 201, w.post().Code)
		rec := w.post()
		require.Equal(w, 503, rec.Code)
		require.Equal(w, "too_many_calls", word(w, rec))
		require.NotEmpty(w, rec.Header().Get("Retry-After"))
		require.NoError(w, w.Close(w.Context()))
		require.Equal(w, "closed", word(w, w.post()))
	})
}

// TestCallerGivesUp ends the request before and after the bot has decided.
func TestCallerGivesUp(t *testing.T) {
	inWorld(t, Config{}, session.Config{}, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		done := make(chan *httptest.ResponseRecorder)
		go func() {
			rec := httptest.NewRecorder()
			w.cloud.ServeHTTP(rec, request(ctx, "POST", "/rtp", offer.Type, sdpOffer))
			done <- rec
		}()
		ic := <-w.rings
		cancel()
		require.Equal(w, "canceled", word(w, <-done))
		<-ic.Done()
		require.NoError(w, ic.Err())
		_, err := ic.Answer(w.Context(), session.Options{})
		require.Error(w, err)
		require.Empty(w, w.media.lines())
		w.forgotten()
	})
}

// TestHungUpWhileItRings ends a call by its id, which the control API tells.
func TestHungUpWhileItRings(t *testing.T) {
	inWorld(t, Config{}, session.Config{}, func(w *world) {
		done := make(chan *httptest.ResponseRecorder)
		go func() { done <- w.post() }()
		ic := <-w.rings
		rec := w.do("GET", "/rtp/"+ic.CallID, "", "")
		require.Contains(w, rec.Body.String(), `"state":"new"`)
		require.Equal(w, 204, w.do("DELETE", "/rtp/"+ic.CallID, "", "").Code)
		rec = <-done
		require.Equal(w, 410, rec.Code)
		require.Equal(w, "ended", word(w, rec))
	})
}

// TestGivesUpWhileAnswered lets the request end while the bot arms the call.
func TestGivesUpWhileAnswered(t *testing.T) {
	inWorld(t, Config{}, session.Config{OnIncoming: func(ic *session.IncomingCall) {
		_, _ = ic.Answer(context.Background(), session.Options{Leg: engine.LegConfig{}})
	}}, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		cancel()
		rec := httptest.NewRecorder()
		w.cloud.ServeHTTP(rec, request(ctx, "POST", "/rtp", offer.Type, sdpOffer))
		require.Contains(w, []int{201, 503}, rec.Code)
		if rec.Code == 201 {
			require.Equal(w, 204, w.do("DELETE", rec.Header().Get("Location"), "", "").Code)
		}
		synctest.Wait()
		w.forgotten()
	})
}
