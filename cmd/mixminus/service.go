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
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/session/api"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/acsws"
)

// serviceConfig says what a service is wired from. serve and demo fill it.
type serviceConfig struct {
	listener    net.Listener
	publicURL   string // how clouds reach the listener; "" is its own address
	eventSecret string
	acs         acs.ClientConfig
	tokens      acs.VerifierConfig
	insecure    bool
	token       string // of the control API
	recordings  string // folder; "" records nothing
	incoming    bot
	outgoing    bot
	manual      bool                                   // leave what rings to the control API
	onCall      func(*session.Call, *record.Recording) // nil: nothing
	log         *slog.Logger
}

// service is one host of calls: engine, media, ACS, control API, recorder.
type service struct {
	urls     serviceURLs
	engine   *engine.Engine
	media    *acsws.Server
	verifier *acs.Verifier
	manager  *session.Manager
	recorder *record.Recorder
	http     *http.Server
	served   chan error
	close    sync.Once
}

// serviceURLs is what serve prints when it is ready.
type serviceURLs struct {
	HTTP   string `json:"http"`
	Events string `json:"events"`
	Media  string `json:"media"`
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
	media := acsws.Config{BaseURL: s.urls.Media, Insecure: cfg.insecure, Logger: cfg.log}
	hook := acs.WebhookConfig{EventSecret: cfg.eventSecret, Insecure: cfg.insecure, Logger: cfg.log}
	if cfg.insecure {
		media.AdHoc = func() (*engine.Leg, transport.Stream, error) { return s.adHoc(cfg.incoming) }
	} else {
		if s.verifier, err = acs.NewVerifier(cfg.tokens); err != nil {
			return err
		}
		media.Verify, hook.Verify = s.verifier.Verify, s.verifier.Verify
	}
	if s.media, err = acsws.New(media); err != nil {
		return err
	}
	client, err := acs.NewClient(cfg.acs)
	if err != nil {
		return err
	}
	if s.manager, err = session.New(session.Config{
		Engine: s.engine, Media: s.media, Clouds: []session.Cloud{client},
		CallbackURL: s.urls.HTTP + "/callbacks",
		OnIncoming: func(ic *session.IncomingCall) {
			if cfg.manual {
				return
			}
			if _, err := ic.Answer(context.Background(), cfg.incoming.options); err != nil {
				cfg.log.Warn("call not answered", "ring", ic.ID, "err", err)
			}
		},
		OnCall: func(c *session.Call) { s.arm(cfg, c) },
		Logger: cfg.log,
	}); err != nil {
		return err
	}
	hook.Sink = s.manager
	webhook, err := acs.NewWebhook(hook)
	if err != nil {
		return err
	}
	control, err := api.New(api.Config{Manager: s.manager, Token: cfg.token, Logger: cfg.log})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/media", s.media)
	mux.Handle("/media/", s.media)
	mux.Handle("/callbacks", webhook)
	mux.Handle("/callbacks/", webhook)
	mux.Handle("/events/", webhook)
	mux.Handle("/v1/", control)
	s.http = &http.Server{Handler: withBodyDeadline(mux), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	return nil
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
	b := cfg.incoming
	if c.Direction() == session.DirectionOutgoing {
		b = cfg.outgoing
	}
	var rec *record.Recording
	if s.recorder != nil {
		rec = s.record(cfg, c)
	}
	if cfg.onCall != nil {
		cfg.onCall(c, rec)
	}
	b.attach(c.Leg())
}

func (s *service) record(cfg serviceConfig, c *session.Call) *record.Recording {
	rec, err := s.recorder.Attach(c.Leg(), record.Meta{CallID: c.ID(), Cloud: c.Cloud(), Direction: c.Direction().String()})
	if err != nil {
		cfg.log.Error("call is not recorded", "call", c.ID(), "err", err)
		return nil
	}
	c.OnState(func(session.CallState) {
		conn := c.Connection()
		for name, id := range map[string]string{"callConnectionId": conn.CallID, "serverCallId": conn.GroupID, "correlationId": conn.CorrelationID} {
			if id == "" {
				continue
			}
			if err := rec.SetCloudID(name, id); err != nil {
				cfg.log.Warn("manifest", "call", c.ID(), "err", err)
			}
		}
	})
	c.OnRoster(func(ps []session.Participant) {
		for _, p := range ps {
			if p.Name != "" {
				rec.SetName(p.RawID, p.Name)
			}
		}
	})
	return rec
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
		if s.verifier != nil {
			err = errors.Join(err, s.verifier.Close())
		}
	})
	return err
}
