package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/api"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/acsws"
)

// serviceConfig says what a service is wired from. serve and demo fill it.
type serviceConfig struct {
	listener    net.Listener
	publicURL   string // how clouds reach the listener; "" is its own address
	eventSecret string
	acs         *acsConfig    // nil: not this cloud
	graph       *graphConfig  // nil: not this cloud
	rtp         *rtpConfig    // nil: no RTP
	webrtc      *webrtcConfig // nil: no WebRTC
	insecure    bool
	// keepProcessor is acsws.Config.KeepProcessor.
	keepProcessor bool
	token         string // of the control API
	recordings    string // folder; "" records nothing
	bot           func(cloud string, d session.Direction) bot
	manual        bool // leave what rings to the control API
	// onCall and onRecording tell of each call before anything is asked of its
	// cloud, and of its recording when it begins; nil: nothing.
	onCall      func(*session.Call)
	onRecording func(*session.Call, *record.Recording)
	log         *slog.Logger
}

// service is one host of calls: engine, media, clouds, control API, recorder.
type service struct {
	urls     serviceURLs
	engine   *engine.Engine
	media    *acsws.Server
	webrtc   *webrtcHost // nil: none
	clouds   []wiredCloud
	manager  *session.Manager
	recorder *record.Recorder
	http     *http.Server
	served   chan error
	close    sync.Once
}

// serviceURLs is what serve prints when it is ready.
type serviceURLs struct {
	HTTP string `json:"http"`
	// Events is where Event Grid posts; empty without Communication Services.
	Events string `json:"events,omitempty"`
	Media  string `json:"media"`
	// Graph is where Microsoft Graph posts the notifications of calls.
	Graph string `json:"graph,omitempty"`
	// RTP is the UDP address that takes whoever sends there, and Offers where
	// SDP is posted.
	RTP    string `json:"rtp,omitempty"`
	Offers string `json:"rtp_offers,omitempty"`
	// WebRTC is where browsers and other WHIP clients offer calls, WHEP the
	// address below which calls are listened in on, by their ids, and WebRTCUDP
	// the port of their media.
	WebRTC    string `json:"webrtc,omitempty"`
	WHEP      string `json:"whep,omitempty"`
	WebRTCUDP string `json:"webrtc_udp,omitempty"`
}

// announce says what to do with them.
func (u serviceURLs) announce(bot string) string {
	text := fmt.Sprintf("bot %s is ready\n  http    %s\n", bot, u.HTTP)
	emulate := "mixminus emulate --insecure"
	if u.Events != "" {
		text += fmt.Sprintf("  events  %s\n", u.Events)
		emulate += " --events " + u.Events
	}
	if u.Graph != "" {
		text += fmt.Sprintf("  graph   %s\n", u.Graph)
		emulate += " --graph-events " + u.Graph
	}
	if u.RTP != "" {
		text += fmt.Sprintf("  rtp     %s\n  offers  %s\n", u.RTP, u.Offers)
	}
	if u.WebRTC != "" {
		text += fmt.Sprintf("  webrtc  %s\n  whep    %s\n", u.WebRTC, u.WHEP)
	}
	switch {
	case u.Events != "" || u.Graph != "":
		text += fmt.Sprintf("  media   %s\n", u.Media)
		return text + fmt.Sprintf("Ring it, in a terminal with the same %s:\n  %s\nEnd with Ctrl-C.\n", envKey, emulate)
	case u.RTP != "":
		text += fmt.Sprintf("Send it RTP, for example:\n  ffmpeg -i speech.wav -ac 1 -af aresample=8000,asetnsamples=160,arealtime -c:a pcm_mulaw -f rtp rtp://%s\n", u.RTP)
	default:
		text += fmt.Sprintf("Call it from a page or with any WHIP client (RFC 9725), at\n  %s\n", u.WebRTC)
	}
	return text + "End with Ctrl-C.\n"
}

// newSecret mints what stands in the path that Event Grid posts to.
func newSecret() string { return rand.Text() }

// urlsOf derives the addresses under which clouds reach a service.
func urlsOf(public, eventSecret string) (serviceURLs, error) {
	u, err := url.Parse(strings.TrimSuffix(public, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return serviceURLs{}, fmt.Errorf("--public-url %q: want http://host or https://host", public)
	}
	base := u.String()
	return serviceURLs{
		HTTP:   base,
		Events: base + "/events/" + eventSecret,
		Media:  "ws" + strings.TrimPrefix(base, "http") + "/media",
		Graph:  base + graphPath,
	}, nil
}

// startService wires a service and serves it until Close.
func startService(cfg serviceConfig) (*service, error) {
	if cfg.publicURL == "" {
		cfg.publicURL = "http://" + cfg.listener.Addr().String()
	}
	urls, err := urlsOf(cfg.publicURL, cfg.eventSecret)
	if err != nil {
		return nil, err
	}
	if cfg.acs == nil {
		urls.Events = ""
	}
	if cfg.graph == nil {
		urls.Graph = ""
	}
	s := &service{urls: urls, engine: engine.New(engine.Config{Logger: cfg.log}), served: make(chan error, 1)}
	if err := s.build(cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	go func() { s.served <- s.http.Serve(cfg.listener) }()
	return s, nil
}

func (s *service) build(cfg serviceConfig) (err error) {
	if cfg.recordings != "" {
		if s.recorder, err = record.New(record.Config{Dir: cfg.recordings, Logger: cfg.log}); err != nil {
			return err
		}
	}
	verify := s.verify
	if cfg.insecure {
		verify = nil
	}
	if cfg.webrtc != nil {
		if s.webrtc, err = openWebRTC(*cfg.webrtc, s.engine, s.urls.HTTP, verify); err != nil {
			return err
		}
	}
	if s.clouds, err = wireClouds(cfg, s.engine, s.webrtc); err != nil {
		return err
	}
	media := acsws.Config{BaseURL: s.urls.Media, Insecure: cfg.insecure, Verify: verify, KeepProcessor: cfg.keepProcessor, Logger: cfg.log}
	if cfg.insecure {
		media.AdHoc = func() (*engine.Leg, transport.Stream, error) {
			return s.adHoc(cfg.bot("", session.DirectionIncoming))
		}
	}
	if s.media, err = acsws.New(media); err != nil {
		return err
	}
	sessions := session.Config{
		Engine: s.engine, Media: s.media, CallbackURLs: map[string]string{}, Logger: cfg.log,
		OnIncoming: func(ic *session.IncomingCall) { answer(cfg, ic) },
		OnCall:     func(c *session.Call) { s.arm(cfg, c) },
		OnRoom:     func(r *engine.Room) { s.recordRoom(cfg, r) },
	}
	for i := range s.clouds {
		c := &s.clouds[i]
		sessions.Clouds = append(sessions.Clouds, c.client)
		sessions.CallbackURLs[c.client.Name()] = s.urls.HTTP + c.callbacks
	}
	if s.webrtc != nil && cfg.graph != nil && cfg.graph.webrtc {
		sessions.CloudMedia = map[string]transport.Transport{"graph": s.webrtc}
	}
	if s.manager, err = session.New(sessions); err != nil {
		return err
	}
	return s.route(cfg)
}

// route says which path is whose.
func (s *service) route(cfg serviceConfig) error {
	mux := http.NewServeMux()
	for i := range s.clouds {
		handler, err := s.clouds[i].webhook(s.manager)
		if err != nil {
			return err
		}
		for _, path := range s.clouds[i].paths {
			mux.Handle(path, handler)
		}
		if listens := s.clouds[i].address; listens != nil {
			s.urls.RTP, s.urls.Offers = listens(), s.urls.HTTP+rtpPath
		}
	}
	if s.webrtc != nil {
		if err := s.webrtc.route(mux, cfg, s.engine, s.manager); err != nil {
			return err
		}
		s.urls.WebRTC, s.urls.WHEP, s.urls.WebRTCUDP = s.urls.HTTP+webrtcPath, s.urls.HTTP+whepPath, s.webrtc.Addr().String()
	}
	counted, err := s.metrics(cfg)
	if err != nil {
		return err
	}
	control, err := api.New(api.Config{Manager: s.manager, Token: cfg.token, Metrics: counted, Logger: cfg.log})
	if err != nil {
		return err
	}
	mux.Handle("/media", s.media)
	mux.Handle("/media/", s.media)
	mux.Handle("/v1/", control)
	mux.Handle("/metrics", control)
	s.http = &http.Server{Handler: withBodyDeadline(mux), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	return nil
}

// answer takes what rings, unless that is left to the control API.
func answer(cfg serviceConfig, ic *session.IncomingCall) {
	if cfg.manual {
		return
	}
	b := cfg.bot(ic.Cloud, session.DirectionIncoming)
	if _, err := ic.Answer(context.Background(), b.options); err != nil {
		cfg.log.Warn("call not answered", "ring", ic.ID, "err", err)
	}
}

// bodyTime is how long a request's body may take to come.
const bodyTime = 15 * time.Second

// withBodyDeadline cuts off who sends a body by the byte. An upgrade has no
// body, and gorilla lifts the deadline.
func withBodyDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		}
		next.ServeHTTP(w, r)
	})
}

// arm gives a call its bot and its recorder, before anything is asked of the
// cloud.
func (s *service) arm(cfg serviceConfig, c *session.Call) {
	if cfg.onCall != nil {
		cfg.onCall(c)
	}
	switch {
	case s.recorder == nil:
	case c.MustAnnounce():
		s.recordAnnounced(cfg, c)
	default:
		s.record(cfg, c)
	}
	cfg.bot(c.Cloud(), c.Direction()).attach(c.Leg())
}

// announceTime is how long a cloud may take to hear that a call is recorded.
const announceTime = 10 * time.Second

// recordAnnounced records from when the call has been told of it: nothing may
// be stored before.
func (s *service) recordAnnounced(cfg serviceConfig, c *session.Call) {
	c.OnState(func(state session.CallState) {
		if state != session.StateConnected {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), announceTime)
		defer cancel()
		if err := c.AnnounceRecording(ctx, true); err != nil {
			cfg.log.Error("call is not recorded: it could not be told so", "call", c.ID(), "err", err)
			return
		}
		s.record(cfg, c)
	})
}

func (s *service) record(cfg serviceConfig, c *session.Call) {
	rec, err := s.recorder.Attach(c.Leg(), record.Meta{CallID: c.ID(), Cloud: c.Cloud(), Direction: c.Direction().String()})
	if err != nil {
		cfg.log.Error("call is not recorded", "call", c.ID(), "err", err)
		return
	}
	if cfg.onRecording != nil {
		cfg.onRecording(c, rec)
	}
	ids := func(session.CallState) {
		for name, id := range cloudIDs(c) {
			if err := rec.SetCloudID(name, id); err != nil {
				cfg.log.Warn("manifest", "call", c.ID(), "err", err)
			}
		}
	}
	names := func(ps []session.Participant) {
		for _, p := range ps {
			if p.Name == "" {
				continue
			}
			for _, id := range []string{p.RawID, p.SpeakerID} {
				if id != "" {
					rec.SetName(id, p.Name)
				}
			}
		}
	}
	c.OnState(ids)
	c.OnRoster(names)
	// What was told before: a recording that was announced begins late.
	ids(c.State())
	names(c.Participants())
}

// recordRoom records a room: a file for each call in it, and their mix.
func (s *service) recordRoom(cfg serviceConfig, r *engine.Room) {
	if s.recorder == nil {
		return
	}
	if _, err := s.recorder.Attach(r.Leg(), record.Meta{CallID: "room-" + r.ID(), Cloud: "room"}); err != nil {
		cfg.log.Error("room is not recorded", "room", r.ID(), "err", err)
	}
}

// adHoc makes a leg for who dials the media address itself.
func (s *service) adHoc(b bot) (*engine.Leg, transport.Stream, error) {
	leg, err := s.engine.NewLeg(engine.LegConfig{ID: "adhoc-" + rand.Text()[:8], Channels: b.options.Channels})
	if err != nil {
		return nil, transport.Stream{}, err
	}
	if s.recorder != nil {
		if _, err := s.recorder.Attach(leg, record.Meta{CallID: leg.ID(), Cloud: "adhoc", Direction: "incoming"}); err != nil {
			leg.Close()
			return nil, transport.Stream{}, err
		}
	}
	b.attach(leg)
	return leg, transport.Stream{Bidirectional: b.options.Bidirectional}, nil
}

// Close hangs up, lets recordings complete, and waits for all that runs.
func (s *service) Close() (err error) {
	s.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if s.manager != nil {
			err = errors.Join(err, s.manager.Close(ctx))
		}
		if s.media != nil {
			err = errors.Join(err, s.media.Close())
		}
		if s.webrtc != nil {
			err = errors.Join(err, s.webrtc.close())
		}
		if s.http != nil {
			// Shutdown waits seconds for connections that were dialled and
			// never used.
			brief, stop := context.WithTimeout(ctx, 500*time.Millisecond)
			defer stop()
			if s.http.Shutdown(brief) != nil {
				err = errors.Join(err, s.http.Close())
			}
		}
		err = errors.Join(err, s.engine.Close())
		if s.recorder != nil {
			err = errors.Join(err, s.recorder.Close())
		}
		for i := range s.clouds {
			err = errors.Join(err, s.clouds[i].close(ctx))
		}
	})
	return err
}
