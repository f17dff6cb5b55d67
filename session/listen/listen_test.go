package listen

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
)

// verdict is what a medium says of an offer.
type verdict bool

func (v verdict) Error() string       { return fmt.Sprintf("verdict %v", bool(v)) }
func (v verdict) NotAcceptable() bool { return bool(v) }

func TestNewBadConfig(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	good := Config{Manager: &session.Manager{}, Engine: e, Media: &fakeMedia{}}
	for want, change := range map[string]func(*Config){
		"are needed":           func(c *Config) { c.Media = nil },
		`Config.Path = "whep"`: func(c *Config) { c.Path = "whep" },
		`Config.Path = "/a/"`:  func(c *Config) { c.Path = "/a/" },
		"MaxPerCall = -1":      func(c *Config) { c.MaxPerCall = -1 },
		"token contains":       func(c *Config) { c.Token = "a b" },
		`Config: origin "x"`:   func(c *Config) { c.Origins = []string{"x"} },
	} {
		c := good
		change(&c)
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
}

// TestHearsACall listens to the call, and to one in it, while two speak and the
// bot does.
func TestHearsACall(t *testing.T) {
	w := newWorld(t, Config{})
	c := w.call(engine.Unmixed)
	c.says("8:acs:ann", make([]int16, pcm.FrameSamples))
	c.says("8:acs:bob/2", make([]int16, pcm.FrameSamples))
	all, bob := w.listen(c.ID()), w.listen(c.CallID()+"/"+url.PathEscape("8:acs:bob/2"))

	const second = 16000
	ann, two, bot := signal.Noise(second, 1, -20), signal.Noise(second, 2, -20), signal.Noise(second, 3, -20)
	var speaking sync.WaitGroup
	speaking.Go(func() { _, _ = c.Leg().Source().Write(t.Context(), bot) })
	// One goroutine produces: the connection's.
	for i := range second / pcm.FrameSamples {
		at := time.Now()
		from, to := i*pcm.FrameSamples, (i+1)*pcm.FrameSamples
		c.says("8:acs:ann", ann[from:to])
		c.says("8:acs:bob/2", two[from:to])
		time.Sleep(time.Until(at.Add(pcm.FrameDuration)))
	}
	speaking.Wait()
	// The best 50 ms of the middle: on a busy machine others are cut.
	within := func(voice []int16, e *fakeEndpoint) (best float64) {
		const word = second / 20
		heard := e.ear.samples()
		heard = heard[:min(len(heard), 3*second)]
		for at := second / 4; at < second*3/4 && best < 0.9; at += 2 * word {
			_, score := signal.Align(voice[at:at+word], heard)
			best = max(best, score)
		}
		return best
	}
	for end := time.Now().Add(3 * patience); ; time.Sleep(200 * time.Millisecond) {
		scores := []float64{within(bot, all), within(ann, all), within(two, all)}
		if slices.Min(scores) > 0.4 { // of three, who speak at once
			break
		}
		require.True(t, time.Now().Before(end), "%.2f", scores)
	}
	require.Greater(t, within(two, bob), 0.9)
	require.Less(t, within(ann, bob), 0.3)
	require.Less(t, within(bot, bob), 0.3)

	var list struct{ Listeners []Snapshot }
	require.NoError(t, json.Unmarshal(w.do("GET", "/whep", "", "").Body.Bytes(), &list))
	require.Len(t, list.Listeners, 2)
	require.Equal(t, c.ID(), list.Listeners[0].Call)
	require.Equal(t, "8:acs:bob/2", list.Listeners[1].Speaker)
	require.Positive(t, list.Listeners[0].Frames)
	require.Len(t, w.Calls(), 1, "a listener is no call")
}

// TestLeaves ends the listening from each side.
func TestLeaves(t *testing.T) {
	w := newWorld(t, Config{})
	c := w.call(engine.Mixed)
	gone := func(e *fakeEndpoint) {
		t.Helper()
		require.Eventually(t, func() bool { return w.media.at(e.url) == nil }, patience, time.Millisecond)
		<-e.leg.Done()
	}
	first := w.listen(c.ID())
	w.server.Ended("x:nobody", nil)
	w.server.Ended(first.url, nil)
	w.server.Ended(first.url, errors.New("again"))
	gone(first)
	second := w.listen(c.ID())
	require.NoError(t, c.HangUp(t.Context(), false))
	<-c.Done()
	gone(second)
	third := w.listen(w.call(engine.Mixed).ID())
	require.NoError(t, w.server.Close())
	gone(third)
}

func TestRefuses(t *testing.T) {
	w := newWorld(t, Config{MaxListeners: 3, MaxPerCall: 2})
	mixed, unmixed := w.call(engine.Mixed), w.call(engine.Unmixed)
	w.media.late = true
	silent := w.call(engine.Mixed)
	w.media.late = false
	for _, id := range []string{"1", "2", "3"} {
		unmixed.says(id, make([]int16, pcm.FrameSamples))
	}
	w.Deliver(session.Notice{Kind: session.EventParticipants, CallID: unmixed.CallID(), Participants: []session.Participant{
		{Identity: session.Identity{RawID: "user-1", Name: "Ann"}, SpeakerID: "1"},
		{Identity: session.Identity{RawID: "user-2", Name: "Bob"}, SpeakerID: "2"},
		{Identity: session.Identity{RawID: "user-3", Name: "bob"}, SpeakerID: "3"},
		{Identity: session.Identity{RawID: "user-4", Name: "Eve"}, SpeakerID: "4"},
	}})
	require.Eventually(t, func() bool { return len(unmixed.Participants()) == 4 }, patience, time.Millisecond)
	const sdp = "application/sdp"
	type request struct {
		method, path, contentType, body string
		status                          int
		code                            string
	}
	ask := func(r request) *httptest.ResponseRecorder {
		t.Helper()
		rec := w.do(r.method, r.path, r.contentType, r.body)
		require.Equal(t, r.status, rec.Code, "%s %s: %s", r.method, r.path, rec.Body)
		require.Contains(t, rec.Body.String(), `"code":"`+r.code+`"`)
		return rec
	}
	for _, r := range []request{
		{"POST", "/whep/nobody", sdp, "v=0\r\n", 404, "unknown_call"},
		{"POST", "/whep/" + mixed.ID() + "/a/b", sdp, "v=0\r\n", 404, "not_found"},
		{"POST", "/whep/", sdp, "v=0\r\n", 404, "not_found"},
		{"POST", "/whepx", sdp, "v=0\r\n", 404, "not_found"},
		{"POST", "/whep/" + mixed.ID() + "/", sdp, "v=0\r\n", 404, "not_found"},
		{"POST", "/whep", sdp, "v=0\r\n", 405, "method_not_allowed"},
		{"GET", "/whep/" + mixed.ID(), "", "", 405, "method_not_allowed"},
		{"POST", "/whep/" + mixed.ID(), "text/plain", "v=0\r\n", 415, "content_type"},
		{"POST", "/whep/" + mixed.ID(), sdp, "hello", 400, "bad_offer"},
		{"POST", "/whep/" + mixed.ID() + "/1", sdp, "v=0\r\n", 404, "unknown_speaker"},
		{"POST", "/whep/" + unmixed.ID() + "/Zoe", sdp, "v=0\r\n", 404, "unknown_speaker"},
		{"POST", "/whep/" + unmixed.ID() + "/Eve", sdp, "v=0\r\n", 404, "unknown_speaker"}, // has not spoken
		{"POST", "/whep/" + unmixed.ID() + "/BOB", sdp, "v=0\r\n", 409, "ambiguous_speaker"},
		{"POST", "/whep/" + silent.ID(), sdp, "v=0\r\n", 409, "no_media"},
	} {
		rec := ask(r)
		require.Equal(t, r.code == "no_media", rec.Header().Get("Retry-After") != "")
	}
	offered := request{"POST", "/whep/" + mixed.ID(), sdp, "v=0\r\n", 400, "bad_offer"}
	w.media.check = verdict(false)
	ask(offered)
	offered.status, offered.code = 406, "not_acceptable"
	w.media.check = verdict(true)
	ask(offered)
	w.media.check, w.media.deaf = nil, true
	ask(offered)
	w.media.deaf, w.media.full = false, errors.New("no sockets")
	offered.status, offered.code = 500, "internal"
	ask(offered)
	w.media.full, w.media.no = nil, 503
	require.Equal(t, 503, w.do("POST", offered.path, sdp, offered.body).Code, "the media's own word")
	w.media.no = 0
	require.Eventually(t, func() bool { return len(w.server.Listeners()) == 0 }, patience, time.Millisecond, "nobody is left behind")

	for _, who := range []string{"1", "user-1"} { // the speaker's raw id, the party's
		require.NotNil(t, w.listen(unmixed.ID()+"/"+who))
	}
	offered.status, offered.code = 503, "too_many_listeners"
	offered.path = "/whep/" + unmixed.ID() + "/ann"
	require.NotEmpty(t, ask(offered).Header().Get("Retry-After"))
	w.listen(mixed.ID())
	offered.path = "/whep/" + mixed.ID()
	ask(offered)
	require.NoError(t, w.server.Close())
	offered.code = "closed"
	ask(offered)
}

func TestGuard(t *testing.T) {
	w := newWorld(t, Config{Token: "t", Origins: []string{"https://app.example"}})
	require.Equal(t, 401, w.do("POST", "/whep/x", "application/sdp", "v=0\r\n").Code)
	r := httptest.NewRequestWithContext(t.Context(), "OPTIONS", "http://127.0.0.1:7070/whep/x", nil)
	r.Header.Set("Origin", "https://app.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	require.Equal(t, 204, rec.Code)
	require.Equal(t, "https://app.example", rec.Header().Get("Access-Control-Allow-Origin"))
}

// TestComeAndGo lets many listen while calls end under them.
func TestComeAndGo(t *testing.T) {
	w := newWorld(t, Config{MaxPerCall: 64})
	var crowd sync.WaitGroup
	for range 4 {
		c := w.call(engine.Unmixed)
		for i := range 8 {
			crowd.Go(func() {
				rec := w.do("POST", "/whep/"+c.ID(), "application/sdp", "v=0\r\n")
				if i%2 == 0 {
					w.server.Ended(rec.Header().Get("Location"), nil)
				}
			})
		}
		crowd.Go(func() { _ = c.HangUp(t.Context(), false) })
	}
	crowd.Wait()
	require.Eventually(t, func() bool { return len(w.server.Listeners()) == 0 }, patience, time.Millisecond)
}
