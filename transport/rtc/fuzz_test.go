package rtc

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// FuzzOffer: whatever is offered, what is made of it is sound.
func FuzzOffer(f *testing.F) {
	for _, seed := range []string{browser, part(0), part(2, 1, 0), part(0, 0), part(), "v=0\r\n", without(browser, "rtpmap"), tooMany(3)} {
		f.Add(seed)
	}
	codecs := defaultCodecs()
	f.Fuzz(func(t *testing.T, text string) {
		o, err := readOffer(text, codecs)
		if err != nil {
			require.IsType(t, &OfferError{}, err)
			require.Less(t, len(err.Error()), 400)
			return
		}
		require.True(t, o.send || o.recv)
		require.LessOrEqual(t, o.types.Audio, uint8(127))
		theirs, err := o.remote(o.ufrag, o.password)
		require.NoError(t, err)
		// What Pion is told is an offer of one line, whatever came.
		d := webrtc.SessionDescription{SDP: theirs}
		is, err := d.Unmarshal()
		require.NoError(t, err, "%q", theirs)
		require.Len(t, is.MediaDescriptions, 1)
		require.Equal(t, 1, strings.Count(theirs, "\r\na=ice-ufrag:"), "%q", theirs)
		for _, c := range o.candidates {
			_ = usable(withoutUfrag(c))
		}
	})
}

// FuzzFragment: a fragment is read as it is written.
func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n" + candidates(3) + "a=end-of-candidates\r\n")
	f.Add(fragmentOf(browser))
	f.Add("a=candidate:1 1 udp 1 ::1 1 typ host ufrag x\n")
	f.Fuzz(func(t *testing.T, text string) {
		x, err := readFragment(text)
		if err != nil {
			require.IsType(t, &OfferError{}, err)
			return
		}
		o, err := readOffer(browser, defaultCodecs())
		require.NoError(t, err)
		_, _ = x.of(o)
		again := write(x.all)
		for _, line := range x.lines {
			again += "m=\n" + write(line)
		}
		y, err := readFragment(again)
		require.NoError(t, err)
		require.Equal(t, x, y)
	})
}

func write(s side) (text string) {
	if s.mid != "" {
		text += "a=mid:" + s.mid + "\n"
	}
	if s.ufrag != "" {
		text += "a=ice-ufrag:" + s.ufrag + "\na=ice-pwd:" + s.password + "\n"
	}
	for _, c := range s.candidates {
		_ = usable(withoutUfrag(c))
		text += "a=candidate:" + c + "\n"
	}
	if s.last {
		text += "a=end-of-candidates\n"
	}
	return text
}

// FuzzHTTP: whatever is asked for gets an answer that HTTP knows, and an offer
// that is answered begins a session.
func FuzzHTTP(f *testing.F) {
	e := engine.New(engine.Config{})
	s, err := New(Config{Engine: e, BaseURL: "http://x/whip", MaxPending: 4})
	require.NoError(f, err)
	f.Cleanup(func() { _ = s.Close(); _ = e.Close() })
	leg, err := e.NewLeg(engine.LegConfig{})
	require.NoError(f, err)
	ep, err := s.Open(leg, both)
	require.NoError(f, err)
	for _, method := range []string{"POST", "PATCH", "DELETE", "GET", "OPTIONS", "PUT", "x"} {
		f.Add(method, "", sdpType, "", browser)
		f.Add(method, "/session", fragmentType, "*", fragmentOf(browser))
	}
	f.Add("POST", "", sdpType, "", part(0))
	f.Fuzz(func(t *testing.T, method, below, kind, tag, body string) {
		q := httptest.NewRequest("POST", "http://x/", strings.NewReader(body))
		q.Method, q.URL.Path = method, ep.(*endpoint).path+below
		q.Header.Set("Content-Type", kind)
		q.Header.Set("If-Match", tag)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		require.NotEqual(t, http.StatusInternalServerError, w.Code, w.Body)
		if w.Code != http.StatusCreated {
			return
		}
		q = httptest.NewRequest("PATCH", w.Header().Get("Location"), strings.NewReader(body))
		q.Header.Set("Content-Type", fragmentType)
		q.Header.Set("If-Match", "*")
		w2 := httptest.NewRecorder()
		s.ServeHTTP(w2, q)
		require.NotEqual(t, http.StatusInternalServerError, w2.Code, w2.Body)
		q = httptest.NewRequest("DELETE", w.Header().Get("Location"), nil)
		w3 := httptest.NewRecorder()
		s.ServeHTTP(w3, q)
		require.Contains(t, []int{200, 404}, w3.Code) // crowded out by another
	})
}
