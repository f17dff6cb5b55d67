package cloud

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// guest is a person at a page: Pion, and the admin API.
type guest struct {
	t     *testing.T
	admin string
	at    string // path of the person
	call  string
	udp   *net.UDPConn
	whipSession
}

// come makes an offer to a path of the admin API.
func come(t *testing.T, srv *Server, path string) *guest {
	t.Helper()
	g, status, text := offers(t, srv, path)
	require.Equal(t, http.StatusCreated, status, text)
	answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: text}
	require.NoError(t, g.pc.SetRemoteDescription(answer))
	receive(t, g.up)
	return g
}

// offers is come, up to the answer.
func offers(t *testing.T, srv *Server, path string) (g *guest, status int, text string) {
	t.Helper()
	g = &guest{t: t, admin: srv.AdminURL(), whipSession: whipSession{up: make(chan struct{})}}
	var err error
	g.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	mux := webrtc.NewICEUDPMux(rtcSilent{}, g.udp)
	g.pc, err = loopbackAPI(func(e *webrtc.SettingEngine) { e.SetICEUDPMux(mux) }).NewPeerConnection(webrtc.Configuration{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = g.pc.GracefulClose()
		_ = mux.Close()
	})
	g.codec, _ = codecNamed("G722", 8000)
	g.track, err = webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: "audio/G722", ClockRate: 8000}, "audio", "person")
	require.NoError(t, err)
	tr, err := g.pc.AddTransceiverFromTrack(g.track)
	require.NoError(t, err)
	require.NoError(t, tr.SetCodecPreferences(rtcCodecs("G722")))
	g.pc.OnTrack(g.hear)
	var once sync.Once
	g.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(g.up) })
		}
	})
	d, err := g.pc.CreateOffer(nil)
	require.NoError(t, err)
	gathered := webrtc.GatheringCompletePromise(g.pc)
	require.NoError(t, g.pc.SetLocalDescription(d))
	<-gathered
	resp, err := plainClient.Post(srv.AdminURL()+path, "application/sdp", strings.NewReader(g.pc.LocalDescription().SDP))
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	g.at, g.call = resp.Header.Get("Location"), resp.Header.Get("X-Mixminus-Call")
	return g, resp.StatusCode, string(answer)
}

// ask sends a request to a path of the person, and returns the status.
func (g *guest) ask(method, below, body string) int {
	g.t.Helper()
	return g.get(method, g.at+below, body, nil)
}

func (g *guest) get(method, path, body string, into any) int {
	g.t.Helper()
	return adminDo(g.t, g.admin+path, method, body, into)
}

func adminDo(t *testing.T, uri, method, body string, into any) int {
	t.Helper()
	r, err := http.NewRequest(method, uri, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := plainClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(text, into), "%s", text)
	}
	return resp.StatusCode
}

func (g *guest) view() (v personView) {
	g.t.Helper()
	g.get("GET", g.at, "", &v)
	return v
}

func (g *guest) live() (l liveCall) {
	g.t.Helper()
	g.get("GET", "/v1/calls/"+g.call+"/live", "", &l)
	return l
}

// eventually waits until the person's view is so.
func (g *guest) eventually(state string) {
	g.t.Helper()
	require.Eventually(g.t, func() bool { return g.view().State == state }, deadline, 5*time.Millisecond, "%v", g.view)
}

func (g *guest) speak(samples []int16) { speak(g.track, encoded(g.codec, samples)) }

// echo has a bot of Communication Services say back what it hears of somebody,
// or of all.
func (b *bot) echo(rawID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onMessage = func(s *socket, m wireMessage) {
		if m.Audio != nil && (rawID == "" || m.Audio.ParticipantID != nil && *m.Audio.ParticipantID == rawID) {
			s.say(m.samples())
		}
	}
}

func quietCall() Script { return Script{HangUp: Never, Speakers: []Speaker{{}}} }

// Tests that judge what is heard do not run beside others: a busy machine is
// heard too.

// TestPersonInACS: who comes into a call is heard by the bot, under their own
// id, and hears what it says.
func TestPersonInACS(t *testing.T) {
	b := newBot(t, &Server{Speed: 1})
	b.echo("8:acs:ann")
	call := b.take(quietCall(), "unmixed", `,"enableBidirectional":true,"enableDtmfTones":true`)
	s := b.socket()
	g := come(t, b.srv, "/v1/calls/"+call.ID()+"/people?name=Ann&id=8:acs:ann")
	g.eventually("in")
	said := signal.Speech(signal.June)[:100*320]
	g.speak(said)
	require.Equal(t, 204, g.ask("POST", "/keys", `{"keys":"1#"}`))
	passes(t, call, 25)

	requireSame(t, said, g.ear())
	v := g.view()
	require.Equal(t, []string{"in", "8:acs:ann", "8:acs:ann", "Ann", "G722", call.ID()}, []string{v.State, v.ID, v.RawID, v.Name, v.Codec, v.Call})
	require.Equal(t, int64(100), v.Received)
	require.Zero(t, v.Lost+v.Late)
	l := g.live()
	require.Equal(t, "connected", l.State)
	require.Len(t, l.Participants, 3)
	require.Equal(t, v.PID, l.Participants[2].PID)
	require.True(t, l.Participants[0].Bot)
	require.Equal(t, "1#", l.Keys[0].Tone+l.Keys[1].Tone)
	require.Equal(t, "8:acs:ann", l.Keys[0].RawID)

	require.Equal(t, 204, g.ask("DELETE", "", ""))
	require.Equal(t, 404, g.ask("DELETE", "", ""))
	require.Equal(t, "left", g.view().State)
	require.Len(t, g.live().Participants, 2)
	call.HangUp()
	log := wait(t, call)
	s.wait(t)
	// The log tells what was said and what was heard, to the sample and but
	// for the codec, however busy the machine was.
	ann := &log.Speakers[1]
	requireSame(t, said, ann.Clip)
	require.Equal(t, ann.Expected(log.Slots), timeline(t, s.frames("8:acs:ann"), log.Start, log.Slots))
	requireAlike(t, log.Playout.Heard(), g.ear())
	require.Len(t, log.Keys, 2)
}

// TestPeopleHearEachOther: each hears the others, not themselves; whoever is
// muted is heard by nobody.
func TestPeopleHearEachOther(t *testing.T) {
	b := newBot(t, &Server{Speed: 1})
	call := b.take(quietCall(), "mixed", `,"enableBidirectional":true`)
	b.socket()
	path := "/v1/calls/" + call.ID() + "/people"
	ann, bob := come(t, b.srv, path+"?name=Ann"), come(t, b.srv, path+"?name=Bob")
	bob.eventually("in")
	said := signal.Speech(signal.Carlo)[:100*320]
	ann.speak(said)
	passes(t, call, 15)
	requireAlike(t, call.Log().Speakers[1].Clip, bob.ear())
	requireSame(t, said, bob.ear())
	require.Less(t, signal.Level(ann.ear()), -80.0)
	require.Less(t, ann.live().Participants[2].Level, -20.0)

	require.Equal(t, 204, ann.ask("POST", "/mute", `{"on":true}`))
	require.True(t, ann.view().Muted)
	heard := len(bob.ear())
	ann.speak(said[:50*320])
	passes(t, call, 15)
	require.Less(t, signal.Level(bob.ear()[heard+3200:]), -80.0)
	require.Equal(t, 204, ann.ask("POST", "/mute", `{"on":false}`))
	require.False(t, ann.view().Muted)
}

// TestPersonLost: who is not heard of any more is out of the roster, as is who
// closes the connection.
func TestPersonLost(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{personLost: 3 * time.Second})
	call := b.take(quietCall(), "mixed", "")
	b.socket()
	lost := come(t, b.srv, "/v1/calls/"+call.ID()+"/people")
	closed := come(t, b.srv, "/v1/calls/"+call.ID()+"/people")
	require.Len(t, lost.live().Participants, 4)
	require.NoError(t, closed.pc.Close())
	closed.eventually("left")
	require.NoError(t, lost.udp.Close())
	lost.eventually("left")
	require.Len(t, lost.live().Participants, 2)
	require.Equal(t, "connected", call.Log().State, call.Log().Result)

	third := come(t, b.srv, "/v1/calls/"+call.ID()+"/people")
	require.True(t, call.Leave(third.view().ID))
	third.eventually("left")
	fourth := come(t, b.srv, "/v1/calls/"+call.ID()+"/people")
	call.HangUp()
	fourth.eventually("left")
	require.Contains(t, fourth.view().Reason, "ended")
}

// TestPeopleBounded: so many, and half-open offers expire.
func TestPeopleBounded(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{MaxPeople: 1})
	call := b.take(quietCall(), "mixed", "")
	b.socket()
	path := "/v1/calls/" + call.ID() + "/people"
	g, status, _ := offers(t, b.srv, path)
	require.Equal(t, 201, status)
	require.Equal(t, "connecting", g.view().State)
	_, status, text := offers(t, b.srv, path)
	require.Equal(t, 503, status, text)
	require.Equal(t, 204, g.ask("DELETE", "", ""))
	come(t, b.srv, path)

	b = newBot(t, &Server{halfOpen: 100 * time.Millisecond})
	call = b.take(quietCall(), "mixed", "")
	b.socket()
	g, status, _ = offers(t, b.srv, "/v1/calls/"+call.ID()+"/people")
	require.Equal(t, 201, status)
	g.eventually("left")
	require.Equal(t, "did not connect", g.view().Reason)
	require.Len(t, g.live().Participants, 2)
}

// TestBadOffers are refused with what is wrong.
func TestBadOffers(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Page: http.NotFoundHandler()})
	call := b.take(quietCall(), "mixed", "")
	b.socket()
	at := b.srv.AdminURL() + "/v1/calls/" + call.ID() + "/people"
	post := func(kind, uri, body string) (int, string) {
		resp, err := plainClient.Post(uri, kind, strings.NewReader(body))
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text)
	}
	const sdp = "application/sdp"
	for _, tt := range []struct {
		kind, uri, body, says string
		status                int
	}{
		{"text/plain", at, "v=0", "Content-Type", 415},
		{sdp, at, "v=0", "offer", 422},
		{sdp, at, strings.Repeat("x", maxSDP+1), "offer", 422},
		{sdp, at + "?name=" + strings.Repeat("n", 300), "v=0", "name", 400},
		{sdp, at + "?lobby=perhaps", "v=0", "lobby", 400},
		{sdp, at + "?id=" + strings.Repeat("n", 500), "v=0", "id", 400},
		{sdp, b.srv.AdminURL() + "/v1/calls/none/people", "v=0", "no such call", 404},
		{sdp, b.srv.AdminURL() + "/v1/people?cloud=gcp", "v=0", "cloud", 400},
		{sdp, b.srv.AdminURL() + "/v1/ringing/none", "v=0", "offer", 422},
	} {
		status, text := post(tt.kind, tt.uri, tt.body)
		require.Equal(t, tt.status, status, "%.200s: %s", tt.uri, text)
		require.Contains(t, text, tt.says)
	}
	_, status, text := offers(t, b.srv, "/v1/ringing/none")
	require.Equal(t, 410, status, text)
	_, status, text = offers(t, b.srv, "/v1/calls/"+call.ID()+"/people?lobby=true")
	require.Equal(t, 409, status, text)
	require.Equal(t, 410, adminDo(t, b.srv.AdminURL()+"/v1/ringing/none", "DELETE", "", nil))
	require.Equal(t, 404, adminDo(t, at+"/none", "GET", "", nil))
	require.Equal(t, 405, adminDo(t, at+"/none", "PATCH", "", nil))
	require.Equal(t, 404, adminDo(t, b.srv.AdminURL()+"/page", "GET", "", nil))
	var none map[string]string
	require.Equal(t, 404, adminDo(t, b.srv.AdminURL()+"/v1/none", "GET", "", &none))
	require.Contains(t, none["error"], "/v1/none")
	g := come(t, b.srv, "/v1/calls/"+call.ID()+"/people")
	for path, body := range map[string]string{
		"/keys": `{"keys":"x"}`, "/mute": `{"off":true}`, "/says": `{"text":" "}`,
	} {
		require.Equal(t, 400, g.ask("POST", path, body), path)
	}
	require.Equal(t, 400, g.ask("POST", "/keys", `{"keys":""}`))
	require.Equal(t, 409, g.ask("POST", "/admit", ""))
	_, status, text = offers(t, b.srv, "/v1/calls/"+call.ID()+"/people?id="+url.QueryEscape(g.view().RawID))
	require.Equal(t, 409, status, text)
}
