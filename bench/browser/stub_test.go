package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud/page"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// object is JSON.
type object map[string]any

// stub stands in for the emulator where it is to fail, or to show what a real
// call shows only by luck. It takes offers, and sends back what it hears.
type stub struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	all     object // of /v1/live/events
	live    object // of the call's events
	bell    chan struct{}
	refusal object // of who comes in, with the status
	status  int
	asked   []string // requests that change something, with their bodies
	peers   []*webrtc.PeerConnection
}

func newStub(t *testing.T, calls, ringing []object) *stub {
	s := &stub{t: t, all: object{"calls": calls, "ringing": ringing}, bell: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/live/events", func(w http.ResponseWriter, r *http.Request) {
		s.stream(w, r, func() (string, object) { return "state", s.all })
	})
	mux.HandleFunc("GET /v1/calls/{id}/live/events", func(w http.ResponseWriter, r *http.Request) {
		s.stream(w, r, func() (string, object) {
			if s.live["ended"] == true {
				return "end", s.live
			}
			return "state", s.live
		})
	})
	mux.HandleFunc("/v1/", s.change)
	mux.Handle("/", page.New())
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		for _, p := range s.peers {
			p.Close()
		}
	})
	return s
}

// stream sends the state at once and whenever it is shown anew.
func (s *stub) stream(w http.ResponseWriter, r *http.Request, state func() (string, object)) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		s.mu.Lock()
		bell := s.bell
		event, data := state()
		text, _ := json.Marshal(data)
		s.mu.Unlock()
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text)
		w.(http.Flusher).Flush()
		select {
		case <-bell:
		case <-r.Context().Done():
			return
		}
	}
}

// refuse has everything refused from now on.
func (s *stub) refuse(status int, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.refusal = status, object{"error": why}
}

// show tells whoever watches how the call is now.
func (s *stub) show(live object) {
	s.tell(func() { s.live = live })
}

// ring tells whoever watches what rings.
func (s *stub) ring(rings ...object) {
	s.tell(func() { s.all = object{"calls": s.all["calls"], "ringing": rings} })
}

func (s *stub) tell(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.bell)
	s.bell = make(chan struct{})
}

// change takes offers, and notes whatever else is asked.
func (s *stub) change(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	offer := r.Header.Get("Content-Type") == "application/sdp"
	if line := r.Method + " " + r.URL.String(); offer {
		s.asked = append(s.asked, line)
	} else {
		s.asked = append(s.asked, strings.TrimSpace(line+" "+string(body)))
	}
	switch {
	case s.refusal != nil:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(s.status)
		json.NewEncoder(w).Encode(s.refusal)
	case offer:
		w.Header().Set("Content-Type", "application/sdp")
		w.Header().Set("X-Mixminus-Call", "call-1")
		w.Header().Set("X-Mixminus-Person", "me-1")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, s.answer(string(body)))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *stub) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// answer is one end of the media: an echo.
func (s *stub) answer(offer string) string {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	peer, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	require.NoError(s.t, err)
	s.peers = append(s.peers, peer)
	back, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "call")
	require.NoError(s.t, err)
	_, err = peer.AddTrack(back)
	require.NoError(s.t, err)
	peer.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			packet, _, err := track.ReadRTP()
			if err != nil || back.WriteRTP(packet) != nil {
				return
			}
		}
	})
	require.NoError(s.t, peer.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}))
	answer, err := peer.CreateAnswer(nil)
	require.NoError(s.t, err)
	done := webrtc.GatheringCompletePromise(peer)
	require.NoError(s.t, peer.SetLocalDescription(answer))
	<-done
	return peer.LocalDescription().SDP
}

var aMeeting = object{"id": "4f1a2b3c-1111-2222-3333-444455556666", "cloud": "graph", "kind": "meeting", "state": "connected", "speakers": []string{"a", "b"}}

var aRing = object{
	"id": "ring-1", "call": "c", "cloud": "acs", "operation": "createCall",
	"to": "4:+14255550100", "from": "", "until": "2030-01-02T15:04:05.000Z",
}

// aCall is a call with everything in it that the page can show.
func aCall() object {
	return object{
		"id": "call-1", "cloud": "graph", "kind": "meeting", "state": "connected", "ended": false, "bot_in_lobby": false,
		"participants": []object{
			{"id": "1", "raw_id": "8:orgid:1", "name": "Jane Doe", "pid": "me-1", "level": -30},
			{"id": "2", "raw_id": "28:bot", "name": "", "bot": true, "level": -22},
			{"id": "3", "raw_id": "8:orgid:3", "name": "Allison Example-Featherstonehaugh", "muted": true, "level": -100},
			{"id": "4", "raw_id": "4:+14255550100", "name": "", "on_hold": true, "level": -100},
		},
		"people": []object{
			{"pid": "me-1", "id": "1", "name": "Jane Doe", "state": "in"},
			{"pid": "guest", "id": "", "name": "Bob Miller", "state": "lobby"},
		},
		"transcripts": []object{
			{"slot": 1, "raw_id": "8:orgid:1", "text": "Hello, can you hear me?", "final": true},
			{"slot": 100, "raw_id": "28:bot", "text": "Yes. Please say or type your account number, followed by the hash key.", "final": true},
			{"slot": 200, "raw_id": "8:orgid:1", "text": "It is one two", "final": false, "key": "k"},
		},
	}
}
