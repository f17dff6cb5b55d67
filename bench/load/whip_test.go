package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// whipEcho is an endpoint of WHIP made of Pion alone, which sends back what pick
// makes of the n'th packet of a session.
type whipEcho struct {
	t     *testing.T
	codec webrtc.RTPCodecCapability
	pick  func(n int, p *rtp.Packet) []*rtp.Packet

	// Guarded by mu.
	mu       sync.Mutex
	sessions map[string]*whipSession
	requests []*http.Request
	made     int
	deleted  int
}

// whipSession is a session, on a port of its own.
type whipSession struct {
	pc  *webrtc.PeerConnection
	udp *net.UDPConn
}

func (s *whipSession) close() {
	_ = s.pc.GracefulClose()
	_ = s.udp.Close()
}

func sameRTP(_ int, p *rtp.Packet) []*rtp.Packet { return []*rtp.Packet{p} }

func serveWHIP(t *testing.T, pick func(n int, p *rtp.Packet) []*rtp.Packet) (*whipEcho, string) {
	e := &whipEcho{
		t: t, pick: pick, sessions: map[string]*whipSession{},
		codec: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMU, ClockRate: 8000},
	}
	hs := httptest.NewServer(e)
	t.Cleanup(func() {
		hs.Close()
		e.vanish()
	})
	return e, "whip+" + hs.URL + "/whip"
}

// vanish ends all connections.
func (e *whipEcho) vanish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, s := range e.sessions {
		s.close()
		delete(e.sessions, id)
	}
}

func (e *whipEcho) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.requests = append(e.requests, r)
	if s := e.sessions[r.URL.Path]; r.Method == http.MethodDelete && s != nil {
		delete(e.sessions, r.URL.Path)
		e.deleted++
		e.mu.Unlock()
		s.close()
		return
	}
	e.mu.Unlock()
	offer, _ := io.ReadAll(r.Body)
	answer, s, err := e.answer(string(offer))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotAcceptable)
		return
	}
	e.mu.Lock()
	e.made++
	id := fmt.Sprint(e.made)
	e.sessions["/whip/"+id] = s
	e.mu.Unlock()
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", "whip/"+id) // against the URL of the request
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func (e *whipEcho) answer(offer string) (string, *whipSession, error) {
	var media webrtc.MediaEngine
	pt := map[string]webrtc.PayloadType{webrtc.MimeTypePCMU: 0, webrtc.MimeTypePCMA: 8}[e.codec.MimeType]
	require.NoError(e.t, media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: e.codec, PayloadType: pt}, webrtc.RTPCodecTypeAudio))
	var set webrtc.SettingEngine
	set.LoggerFactory = silence{}
	set.SetIncludeLoopbackCandidate(true)
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(e.t, err)
	set.SetICEUDPMux(webrtc.NewICEUDPMux(silence{}, udp))
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	set.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(set),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})).NewPeerConnection(webrtc.Configuration{})
	require.NoError(e.t, err)
	track, err := webrtc.NewTrackLocalStaticRTP(e.codec, "audio", "echo")
	require.NoError(e.t, err)
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for n := 0; ; n++ {
			p, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			for _, out := range e.pick(n, p) {
				_ = track.WriteRTP(out)
			}
		}
	})
	answer, err := describe(pc, offer, track)
	if err != nil {
		(&whipSession{pc, udp}).close()
		return "", nil, err
	}
	return answer, &whipSession{pc, udp}, nil
}

func describe(pc *webrtc.PeerConnection, offer string, track webrtc.TrackLocal) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	if _, err := pc.AddTrack(track); err != nil {
		return "", err
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	<-gathered
	return pc.LocalDescription().SDP, nil
}

func TestRunWHIP(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, mime := range []string{webrtc.MimeTypePCMU, webrtc.MimeTypePCMA} {
		t.Run(mime, func(t *testing.T) {
			e, url := serveWHIP(t, sameRTP)
			e.codec.MimeType = mime
			cfg := brief(url + "?stream=a%20b&codec=" + strings.ToLower(strings.TrimPrefix(mime, "audio/")))
			cfg.Warmup, cfg.Header = time.Second, http.Header{"Authorization": {"Bearer secret"}}
			rep := steadily(t, cfg)
			require.Equal(t, CallCounts{Asked: 3, Connected: 3, Errors: map[string]int{}}, rep.Calls)
			f := rep.Frames
			require.InDelta(t, 150, f.Due, 9)
			require.Equal(t, Frames{Due: f.Due, Sent: f.Due, Back: f.Due}, f)
			require.Equal(t, f.Due, rep.Latency.Count)
			require.EqualValues(t, 3, rep.Setup.Count)
			require.NotZero(t, rep.Generator.ReadLate.Count)
			require.Equal(t, "webrtc", rep.Load.Kind)
			require.NotContains(t, rep.Load.URL, "stream", "it may be a secret")
			require.Equal(t, e.made, e.deleted)
			for _, r := range e.requests {
				require.Equal(t, "Bearer secret", r.Header.Get("Authorization"), r.Method)
				if r.Method == http.MethodPost {
					require.Equal(t, "stream=a+b", r.URL.RawQuery)
					require.Equal(t, "application/sdp", r.Header.Get("Content-Type"))
				}
			}
		})
	}
}

// What the echo does to certain packets of each call, which all are measured,
// is counted to the frame.
func TestRunWHIPCounts(t *testing.T) {
	const held = 80 * time.Millisecond
	for _, c := range []struct {
		name string
		pick func() func(n int, p *rtp.Packet) []*rtp.Packet
		want Frames
	}{
		{"lost", func() func(int, *rtp.Packet) []*rtp.Packet {
			return func(n int, p *rtp.Packet) []*rtp.Packet {
				if n == 110 || n >= 120 && n < 123 {
					return nil
				}
				return []*rtp.Packet{p}
			}
		}, Frames{Lost: 12, Gaps: 6, LongestGap: 3}},
		{"doubled", func() func(int, *rtp.Packet) []*rtp.Packet {
			return func(n int, p *rtp.Packet) []*rtp.Packet {
				if n == 110 || n == 115 {
					return []*rtp.Packet{p, p}
				}
				return []*rtp.Packet{p}
			}
		}, Frames{Duplicated: 6}},
		{"delayed", func() func(int, *rtp.Packet) []*rtp.Packet {
			var mu sync.Mutex
			late := map[uint32]*rtp.Packet{}
			return func(n int, p *rtp.Packet) []*rtp.Packet {
				mu.Lock()
				defer mu.Unlock()
				switch n {
				case 110:
					late[p.SSRC] = p
					return nil
				case 110 + int(held/frameTime):
					return []*rtp.Packet{p, late[p.SSRC]}
				}
				return []*rtp.Packet{p}
			}
		}, Frames{Reordered: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, url := serveWHIP(t, c.pick())
			cfg := brief(url)
			cfg.Warmup, cfg.Duration, cfg.Grace = time.Second, 3*time.Second, 2*time.Second
			rep := steadily(t, cfg)
			require.Equal(t, 3, rep.Calls.Connected, rep.Calls.Errors)
			f, want := rep.Frames, c.want
			want.Due, want.Sent, want.Back = f.Due, f.Due, f.Due-want.Lost
			want.Altered = f.Altered // parts of frames beside those that are lost
			require.Equal(t, want, f)
			if want.Reordered > 0 {
				require.GreaterOrEqual(t, rep.Service.Max, float64(held.Milliseconds())-1)
			}
		})
	}
}

const (
	sdpType = "application/sdp"
	sdpHead = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
)

// endpoint answers every request alike.
func endpoint(status int, media, location, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", media)
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestRunWHIPRefused(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for want, handler := range map[string]http.HandlerFunc{
		`offer: HTTP 401 Unauthorized: "no token": want 201`:                                endpoint(401, "text/plain", "", "no token\n"),
		`offer: HTTP 503 Service Unavailable: "` + strings.Repeat("x", 200) + `": want 201`: endpoint(503, "text/plain", "", strings.Repeat("x", 5000)),
		`offer: HTTP 200 OK: want 201`:                                                      endpoint(200, sdpType, "", ""),
		`answer: Location "ftp://h/x": want an http address`:                                endpoint(201, sdpType, "ftp://h/x", ""),
		`answer: Content-Type "text/html": want application/sdp`:                            endpoint(201, "text/html", "/s", ""),
		`answer: more than 65536 bytes`:                                                     endpoint(201, sdpType, "/s", strings.Repeat("x", maxAnswer+1)),
		"answer: 0 m= lines: want the 1 of the offer":                                       endpoint(201, sdpType, "/s", sdpHead),
		"answer: m=audio 0 UDP/TLS/RTP/SAVPF 0: the audio is refused":                       endpoint(201, sdpType, "/s", sdpHead+"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"),
		"answer: a=recvonly: want sendrecv":                                                 endpoint(201, sdpType, "/s", sdpHead+"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=recvonly\r\n"),
	} {
		t.Run(want, func(t *testing.T) {
			ended := 0
			hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					ended++
					return
				}
				handler(w, r)
			}))
			defer hs.Close()
			cfg := brief("whip+" + hs.URL)
			cfg.Calls, cfg.Warmup = 1, time.Millisecond
			rep := run(t, cfg)
			require.Equal(t, CallCounts{Asked: 1, Failed: 1, Errors: map[string]int{want: 1}}, rep.Calls)
			require.Equal(t, Fail, rep.Verdict.Result)
			if strings.HasPrefix(want, "answer: ") && !strings.Contains(want, "Location") {
				require.Equal(t, 1, ended, "what was made is ended")
			}
		})
	}
}

func TestRunWHIPBadAnswers(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for want, body := range map[string]string{
		"answer: ": "no SDP at all",
		"answer: unable to start track, codec is not supported by remote": sdpHead + "m=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=rtpmap:8 PCMA/8000\r\na=mid:0\r\na=sendrecv\r\n" +
			"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:active\r\na=fingerprint:sha-256 " + strings.Repeat("AB:", 31) + "AB\r\n",
		"connect: connection refused": "",
	} {
		hs := httptest.NewServer(endpoint(201, sdpType, "", body))
		cfg := brief("whip+" + hs.URL)
		if body == "" {
			hs.Close()
		}
		cfg.Calls, cfg.Warmup = 1, time.Millisecond
		rep := run(t, cfg)
		hs.Close()
		require.Equal(t, 1, rep.Calls.Failed)
		require.Len(t, rep.Calls.Errors, 1)
		for text := range rep.Calls.Errors {
			require.Contains(t, text, want)
		}
	}
}

// A server that ends is told from one that is not there any more.
func TestRunWHIPServerDies(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for why, die := range map[error]func(*whipEcho){
		errPeerClosed: func(e *whipEcho) { e.vanish() },
		errPeerLost: func(e *whipEcho) {
			e.mu.Lock()
			defer e.mu.Unlock()
			for _, s := range e.sessions {
				_ = s.udp.Close()
			}
		},
	} {
		t.Run(why.Error(), func(t *testing.T) {
			e, url := serveWHIP(t, sameRTP)
			cfg := brief(url)
			cfg.Duration, cfg.Grace = 3*time.Second, 2*time.Second
			var once sync.Once
			cfg.Progress = func(s Second) {
				if s.Calls == 3 && s.Back > 0 {
					once.Do(func() { die(e) })
				}
			}
			rep := run(t, cfg)
			require.Equal(t, CallCounts{Asked: 3, Connected: 3, Dropped: 3, Errors: map[string]int{why.Error(): 3}}, rep.Calls)
			require.NotZero(t, rep.Frames.Lost)
			require.Equal(t, Fail, rep.Verdict.Result)
		})
	}
}

// What is told to the endpoint is not told to whoever Location names, nor what
// a request of it fails by to whoever reads the report.
func TestWHIPSecrets(t *testing.T) {
	var there http.Header
	hs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { there = r.Header }))
	defer hs.Close()
	cfg, err := Config{URL: "whip+http://127.0.0.1:1/key?codec=PCMA", Header: http.Header{"Authorization": {"Bearer secret"}}}.withDefaults()
	require.NoError(t, err)
	w := newWHIP(&cfg)
	require.Equal(t, "http://127.0.0.1:1/key", w.url)
	w.end(hs.URL + "/session")
	require.NotNil(t, there)
	require.Empty(t, there.Get("Authorization"))
	away := httptest.NewServer(http.RedirectHandler(hs.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	there, cfg.Header = nil, http.Header{"X-Api-Key": {"secret"}}
	redirected := newWHIP(&cfg)
	redirected.url = away.URL
	_, _, err = redirected.post(t.Context(), "v=0")
	require.ErrorContains(t, err, "HTTP 200 OK: want 201")
	require.NotNil(t, there)
	require.Empty(t, there.Get("X-Api-Key"))
	redirected.client.CloseIdleConnections()
	_, _, err = w.post(t.Context(), "v=0")
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "key")
	w.client.CloseIdleConnections()
}

// A run that is broken off while calls are being made leaves nothing behind.
func TestRunWHIPInterrupted(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	hs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	cfg := brief("whip+" + hs.URL)
	cfg.Ramp = time.Millisecond
	rep, err := Run(ctx, cfg)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"offer: context deadline exceeded": 3}, rep.Calls.Errors)
}
