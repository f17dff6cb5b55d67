package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/mixminus/mixminus/session/metrics"
	"github.com/mixminus/mixminus/session/oidc"
	"github.com/mixminus/mixminus/session/rtp"
)

// Paths of the webhooks.
const (
	acsPath    = "/callbacks"
	eventsPath = "/events/"
	graphPath  = "/graph/callbacks"
)

// rtpPath is where offers of RTP come.
const rtpPath = "/" + rtp.Name

// acsConfig wires Communication Services.
type acsConfig struct {
	client acs.ClientConfig
	tokens acs.VerifierConfig
}

// graphConfig wires Microsoft Graph.
type graphConfig struct {
	client graph.ClientConfig
	tokens graph.VerifierConfig
	webrtc bool // the cloud brings the media over WebRTC, not over WebSockets
}

// wiredCloud is one cloud, as far as it does not need the calls.
type wiredCloud struct {
	client    session.Cloud
	verifier  *oidc.Verifier // nil: tokens are not checked
	callbacks string         // path where it posts
	paths     []string       // of its webhook
	webhook   func(*session.Manager) (http.Handler, error)
	address   func() string               // where it listens besides; nil: nowhere
	carried   func() metrics.Transport    // its own media, once there is a webhook; nil: none
	shut      func(context.Context) error // nil: nothing to end
}

func wireClouds(cfg serviceConfig, e *engine.Engine, web *webrtcHost) (all []wiredCloud, err error) {
	if cfg.acs == nil && cfg.graph == nil && cfg.rtp == nil && web == nil {
		return nil, errors.New("no cloud is configured")
	}
	if cfg.acs != nil {
		w, err := wireACS(*cfg.acs, cfg.eventSecret, cfg.insecure, cfg.log)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	if cfg.graph != nil {
		w, err := wireGraph(*cfg.graph, cfg.insecure, cfg.log)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	if cfg.rtp != nil {
		w, err := wireRTP(*cfg.rtp, e, cfg.token)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	if web != nil {
		w, err := web.wire(cfg)
		if err != nil {
			return all, err
		}
		all = append(all, w)
	}
	return all, nil
}

func wireACS(cfg acsConfig, eventSecret string, insecure bool, log *slog.Logger) (w wiredCloud, err error) {
	w = wiredCloud{callbacks: acsPath, paths: []string{acsPath, acsPath + "/", eventsPath}}
	client, err := acs.NewClient(cfg.client)
	if err != nil {
		return w, err
	}
	w.client = client
	config := acs.WebhookConfig{EventSecret: eventSecret, Insecure: insecure, Logger: log, Operations: client.Operations()}
	if !insecure {
		if w.verifier, err = acs.NewVerifier(cfg.tokens); err != nil {
			return w, err
		}
		config.Verify = w.verifier.Verify
	}
	w.webhook = func(calls *session.Manager) (http.Handler, error) {
		config.Sink = calls
		return acs.NewWebhook(config)
	}
	return w, nil
}

func wireGraph(cfg graphConfig, insecure bool, log *slog.Logger) (w wiredCloud, err error) {
	w = wiredCloud{callbacks: graphPath, paths: []string{graphPath, graphPath + "/"}}
	client, err := graph.NewClient(cfg.client)
	if err != nil {
		return w, err
	}
	config := graph.WebhookConfig{Insecure: insecure, Logger: log, CallbackPath: graphPath}
	if !insecure {
		if w.verifier, err = graph.NewVerifier(cfg.tokens); err != nil {
			return w, err
		}
		config.Verify = w.verifier.Verify
	}
	w.client, config.Operations = client, client.Operations()
	var webhook *graph.Webhook
	w.webhook = func(calls *session.Manager) (http.Handler, error) {
		config.Sink = calls
		webhook, err = graph.NewWebhook(config)
		return webhook, err
	}
	w.shut = func(ctx context.Context) error {
		if webhook == nil {
			return nil
		}
		return webhook.Close(ctx)
	}
	return w, nil
}

func (w *wiredCloud) close(ctx context.Context) (err error) {
	if w.shut != nil {
		err = w.shut(ctx)
	}
	if w.verifier != nil {
		err = errors.Join(err, w.verifier.Close())
	}
	return err
}

// verify takes the token of a media upgrade that any of the clouds has signed:
// which of them dials is told by the secret in the address, not by the token.
// Where no cloud signs any, nobody may dial.
func (s *service) verify(r *http.Request) error {
	errs := []error{errors.New("no cloud has signed it")}
	for i := range s.clouds {
		if s.clouds[i].verifier == nil {
			continue
		}
		err := s.clouds[i].verifier.Verify(r)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// cloudIDs are the cloud's ids of a call, by its own names for them.
func cloudIDs(c *session.Call) map[string]string {
	conn := c.Connection()
	ids := map[string]string{"callConnectionId": conn.CallID, "serverCallId": conn.GroupID, "correlationId": conn.CorrelationID}
	switch c.Cloud() {
	case "graph":
		ids = map[string]string{"id": conn.CallID, "callChainId": conn.GroupID, "myParticipantId": conn.SelfID}
	case rtp.Name, rtp.WebRTC:
		ids = map[string]string{"id": conn.CallID}
	}
	for name, id := range ids {
		if id == "" {
			delete(ids, name)
		}
	}
	return ids
}
