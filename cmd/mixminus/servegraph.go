package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/spf13/pflag"
)

// Environment variables of the sign-in at Graph.
const (
	envGraphSecret = "MIXMINUS_GRAPH_SECRET"
	envGraphToken  = "MIXMINUS_GRAPH_TOKEN"
)

// Values of --graph-media.
const (
	graphWebSocket = "websocket"
	graphWebRTC    = "webrtc"
)

// graphFlags are serve's of Microsoft Graph.
type graphFlags struct {
	endpoint, version, app, tenant, oidcURL, secretFile, media string
	managedIdentity                                            bool
}

func (f *graphFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.endpoint, "graph-endpoint", "", "Microsoft Graph: "+graph.Global+", a national cloud's, or an emulator's; empty leaves Graph out")
	fl.StringVar(&f.version, "graph-version", graph.V1, "version of the API: "+graph.V1+" or "+graph.Beta)
	fl.StringVar(&f.app, "graph-app", "", "id of the application, which tokens of notifications must be for")
	fl.StringVar(&f.tenant, "graph-tenant", "", "tenant of the application")
	fl.StringVar(&f.oidcURL, "graph-oidc-url", graph.OpenIDURL, "OpenID configuration that tokens of notifications are checked against")
	fl.StringVar(&f.secretFile, "graph-secret-file", "", "file with the application's client secret")
	fl.StringVar(&f.media, "graph-media", graphWebSocket, "how the cloud brings app-hosted media: "+graphWebSocket+", or "+graphWebRTC+" (with --webrtc)")
	fl.BoolVar(&f.managedIdentity, "graph-managed-identity", false, "sign in as this machine's managed identity")
}

// config turns the flags into what Graph is wired from, nil if it is left out.
func (f *graphFlags) config(insecure, webrtc bool, log *slog.Logger) (*graphConfig, error) {
	switch {
	case f.media != graphWebSocket && f.media != graphWebRTC:
		return nil, fmt.Errorf("--graph-media %q: want %s or %s", f.media, graphWebSocket, graphWebRTC)
	case f.media == graphWebRTC && f.endpoint == "":
		return nil, errors.New("--graph-media: is for --graph-endpoint, which is not given")
	case f.media == graphWebRTC && !webrtc:
		return nil, errors.New("--graph-media webrtc: needs --webrtc")
	case f.endpoint == "":
		return nil, nil
	}
	if !insecure && f.app == "" {
		return nil, errors.New("no --graph-app: give the id of the application, which tokens must be for; or --insecure for local work")
	}
	c := &graphConfig{
		webrtc: f.media == graphWebRTC,
		client: graph.ClientConfig{Endpoint: f.endpoint, Version: f.version, Insecure: insecure, Logger: log},
		tokens: graph.VerifierConfig{AppID: f.app, OpenIDURL: f.oidcURL, Logger: log},
	}
	if f.tenant != "" {
		c.tokens.Tenants = []string{f.tenant}
	}
	return c, f.signIn(&c.client, insecure)
}

// signIn chooses how the application proves who it is.
func (f *graphFlags) signIn(c *graph.ClientConfig, insecure bool) error {
	token, err := secret("", envGraphToken)
	if err != nil {
		return err
	}
	clientSecret, err := secret(f.secretFile, envGraphSecret)
	if err != nil {
		return fmt.Errorf("--graph-secret-file: %w", err)
	}
	switch {
	case f.managedIdentity:
		c.Credential, err = azidentity.NewManagedIdentityCredential(nil)
	case clientSecret != "":
		if f.app == "" || f.tenant == "" {
			return errors.New("a client secret needs --graph-app and --graph-tenant")
		}
		c.Credential, err = secretCredential(f.endpoint, f.tenant, f.app, clientSecret)
	case token != "":
		c.Token = token
	case !insecure:
		err = fmt.Errorf("no sign-in at Graph: set %s or --graph-secret-file, %s, or --graph-managed-identity", envGraphSecret, envGraphToken)
	}
	return err
}
