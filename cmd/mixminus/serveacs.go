package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/mixminus/mixminus/session/acs"
	"github.com/spf13/pflag"
)

// envKey holds the access key of the resource.
const envKey = "MIXMINUS_ACS_KEY"

// acsFlags are serve's of Communication Services.
type acsFlags struct {
	endpoint, version, keyFile, oidcURL string
	audience                            []string
	entra                               bool
}

func (f *acsFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.endpoint, "acs-endpoint", defaultEndpoint, "ACS resource")
	fl.StringVar(&f.keyFile, "access-key-file", "", "file with the resource's access key")
	fl.BoolVar(&f.entra, "acs-entra", false, "instead of an access key sign in at Entra ID: as the application of AZURE_CLIENT_ID, as this machine's managed identity, …")
	fl.StringVar(&f.version, "api-version", acs.Version2026, "api-version of ACS: "+acs.Version2022+" or "+acs.Version2026)
	fl.StringVar(&f.oidcURL, "oidc-url", acs.OpenIDURL, "OpenID configuration that tokens of callbacks and media are checked against")
	fl.StringSliceVar(&f.audience, "audience", nil, "immutable id of the resource, which those tokens must be for")
}

// config turns the flags into what Communication Services is wired from. Beside
// another cloud it may be left out, by giving no key.
func (f *acsFlags) config(insecure, optional bool, log *slog.Logger) (*acsConfig, error) {
	key, err := secret(f.keyFile, envKey)
	switch {
	case err != nil:
		return nil, fmt.Errorf("--access-key-file: %w", err)
	case f.entra && f.keyFile != "":
		return nil, errors.New("--acs-entra and --access-key-file: want one of them")
	case f.entra: // whatever the environment holds
		key = ""
	case key == "" && optional:
		return nil, nil
	case key == "":
		return nil, fmt.Errorf("no access key: set %s or --access-key-file, or give --acs-entra, --graph-endpoint, --rtp or --webrtc", envKey)
	}
	if !insecure && len(f.audience) == 0 {
		return nil, errors.New("no --audience: give the resource's immutable id, which tokens must be for; or --insecure for local work")
	}
	c := &acsConfig{
		client: acs.ClientConfig{Endpoint: f.endpoint, AccessKey: key, APIVersion: f.version, Insecure: insecure, Logger: log},
		tokens: acs.VerifierConfig{OpenIDURL: f.oidcURL, Audience: f.audience, Logger: log},
	}
	if f.entra {
		if c.client.Credential, err = defaultCredential(f.endpoint); err != nil {
			return nil, fmt.Errorf("--acs-entra: %w", err)
		}
	}
	return c, nil
}
