package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/cloud/page"
	"github.com/spf13/cobra"
)

func emulateCommand(logger func() *slog.Logger) *cobra.Command {
	var e cloud.Server
	var app cloud.GraphApp
	var asJSON bool
	var profile, caFile string
	cmd := &cobra.Command{
		Use:   "emulate",
		Short: "Play the clouds: emulated ACS and Microsoft Graph, which ring and answer bots",
		Long: `Emulates an Azure Communication Services resource (Call Automation, Event Grid,
callbacks) and Microsoft Graph's cloud communications (calls, notifications,
change notifications of meetings), with media in real time. Any bot can be
pointed at it, not only those of mixminus. Clients that refuse http find the
same at the https addresses, certified by the authority in the CA file. The admin
address is a web page too, by which a person with microphone and headphones
joins a call, calls the bot, or is called by it.`,
		Example: `  mixminus emulate --insecure --access-key bG9jYWwtZW11bGF0b3Itc2VjcmV0 --events http://127.0.0.1:7070/events/SECRET
  mixminus emulate --insecure --graph-events http://127.0.0.1:7070/graph/callbacks
  mixminus emulate --insecure --recordings . --dominant -1
  mixminus emulate ring --script three-speakers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e.Logger, e.Profile, e.Apps = logger(), cloud.Profile(profile), []cloud.GraphApp{app}
			return runEmulate(cmd.Context(), &e, caFile, asJSON, cmd.OutOrStdout())
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&e.Addr, "listen", defaultEmulate, "address of the emulated resource")
	fl.StringVar(&e.AdminAddr, "admin", defaultAdmin, "loopback address of the admin API, and of the page for people")
	fl.StringVar(&e.EventsURL, "events", "", "the bot's webhook for incoming calls (serve prints it)")
	fl.StringVar(&e.Key, "access-key", "", "access key in base64 (default: $"+envKey+", else a new one)")
	fl.StringVar(&e.ResourceID, "resource-id", "", "immutable id of the resource, the audience of its tokens (default: a new one)")
	fl.StringVar(&e.TLSAddr, "listen-tls", "", "address for https (default: a free port of 127.0.0.1)")
	fl.StringVar(&caFile, "ca-file", "", "where to write the certificate of the https addresses' authority (default: a new file, removed at the end)")
	fl.StringVar(&e.GraphEventsURL, "graph-events", "", "the bot's calling webhook at Graph (serve prints it)")
	fl.StringVar(&profile, "graph-profile", string(cloud.ProfileDocs), "how Graph writes: "+string(cloud.ProfileDocs)+" or "+string(cloud.ProfileReal)+", which is PascalCase")
	fl.StringVar(&app.ID, "graph-app", "", "id of the application at Graph (default: a new one)")
	fl.StringVar(&app.TenantID, "graph-tenant", "", "tenant of the application (default: a new one)")
	fl.StringVar(&app.InstanceID, "graph-instance", "", "id of its application instance (default: none)")
	fl.StringVar(&app.Phone, "graph-phone", "", "telephone number of the instance, +14255550100 (default: none)")
	fl.StringSliceVar(&app.Roles, "graph-roles", nil, "permissions of the application (default: all)")
	fl.Float64Var(&e.Speed, "speed", 1, "how many times faster protocol timers run (ringing, keep-alive, subscriptions); never audio or tokens")
	fl.StringVar(&e.RecordingDir, "recordings", "", "folder, which must be there, for what bots have the cloud record (default: in memory)")
	fl.IntVar(&e.Dominant, "dominant", 0, "how many speakers an unmixed stream of ACS carries at most, the loudest ones; 0 means 4, as the cloud, negative all")
	fl.StringVar(&e.MediaCodec, "media-codec", "", "what is spoken with bots over WebRTC: opus, G722, PCMU or PCMA (default: G722)")
	fl.StringVar(&e.UDPAddr, "udp", "", "the one UDP address of people who take part by WebRTC (default: a free port of 127.0.0.1)")
	fl.BoolVar(&e.Insecure, "insecure", false, "accept http callbacks and ws media, which the cloud does not")
	fl.BoolVar(&asJSON, "json", false, `print the addresses and ids below as one line of JSON when ready`)
	cmd.AddCommand(ringCommand())
	return cmd
}

func runEmulate(ctx context.Context, e *cloud.Server, caFile string, asJSON bool, out io.Writer) (err error) {
	if e.Key == "" {
		e.Key = os.Getenv(envKey)
	}
	e.Apps[0].Secret, e.Page = os.Getenv(envGraphSecret), page.New()
	if err := e.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	caFile, remove, err := writeCA(caFile, e.CA())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	ready, err := readiness(e, caFile)
	if err != nil {
		return err
	}
	if asJSON {
		values := map[string]string{}
		for _, v := range ready {
			values[v.name] = v.value
		}
		err = json.NewEncoder(out).Encode(values)
	} else {
		_, err = fmt.Fprintln(out, "the emulated clouds are ready")
		for _, v := range ready {
			if v.name == "graph_token" {
				continue // for programs: it fills a screen
			}
			_, werr := fmt.Fprintf(out, "  %-12s  %s\n", strings.ReplaceAll(v.name, "_", " "), v.value)
			err = errors.Join(err, werr)
		}
		_, werr := fmt.Fprintln(out, "Place a call:  mixminus emulate ring --script three-speakers\nTalk yourself: the page, in a browser\nEnd with Ctrl-C.")
		err = errors.Join(err, werr)
	}
	if err == nil {
		<-ctx.Done()
	}
	return err
}

// writeCA writes the authority's certificate, by default to a file of its own
// that remove takes away again.
func writeCA(name string, pem []byte) (path string, remove func() error, err error) {
	if name != "" {
		return name, func() error { return nil }, os.WriteFile(name, pem, 0o644)
	}
	f, err := os.CreateTemp("", "mixminus-emulator-ca-*.pem")
	if err != nil {
		return "", nil, err
	}
	_, err = f.Write(pem)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nil, errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), func() error { return os.Remove(f.Name()) }, nil
}

type named struct{ name, value string }

// readiness is what a bot must know of the emulator.
func readiness(e *cloud.Server, caFile string) ([]named, error) {
	token, err := e.AccessToken("")
	if err != nil {
		return nil, err
	}
	app := e.GraphApps()[0]
	return []named{
		{"acs", e.URL()}, {"acs_tls", e.TLSURL()}, {"access_key", e.AccessKey()}, {"audience", e.Audience()}, {"oidc", e.OIDCURL()},
		{"graph", e.URL()}, {"graph_tls", e.TLSURL()}, {"graph_app", app.ID}, {"graph_tenant", app.TenantID},
		{"graph_secret", app.Secret}, {"graph_token", token}, {"graph_oidc", e.GraphOIDCURL()}, {"changes_oidc", e.ChangesOIDCURL()},
		{"ca_file", caFile}, {"admin", e.AdminURL()}, {"page", e.AdminURL() + "/"},
	}, nil
}

func ringCommand() *cobra.Command {
	var r ringFlags
	cmd := &cobra.Command{
		Use:   "ring",
		Short: "Place a call at a running emulator",
		Example: `  mixminus emulate ring --script three-speakers --duration 30s
  mixminus emulate ring --file myscript.json
  mixminus emulate ring --cloud graph --policy "Recording Policy"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, req, err := r.request()
			if err != nil {
				return err
			}
			return ring(cmd.Context(), strings.TrimSuffix(r.admin, "/")+path, req, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&r.admin, "admin", "http://"+defaultAdmin, "admin API of the emulator")
	cmd.Flags().StringVar(&r.cloud, "cloud", "acs", "which cloud rings: acs or graph")
	cmd.Flags().StringVar(&r.script, "script", cloud.ThreeSpeakers, "who talks: "+cloud.ThreeSpeakers+" or "+cloud.OneCallee)
	cmd.Flags().DurationVar(&r.length, "duration", 15*time.Second, "length of a named script")
	cmd.Flags().StringVar(&r.file, "file", "", "script in JSON, instead of a named one")
	cmd.Flags().StringVar(&r.to, "to", "", "raw id that is called, at ACS (default: a new one)")
	cmd.Flags().StringVar(&r.policy, "policy", "", "recording policy that brings the call, at Graph (default: none does)")
	cmd.Flags().BoolVar(&r.meeting, "meeting", false, "the bot is invited into a meeting, at Graph")
	cmd.MarkFlagsMutuallyExclusive("script", "file")
	cmd.MarkFlagsMutuallyExclusive("policy", "meeting")
	return cmd
}

type ringFlags struct {
	admin, cloud, script, file, to, policy string
	length                                 time.Duration
	meeting                                bool
}

// request is what the admin API is asked, and where.
func (r *ringFlags) request() (path string, body map[string]any, err error) {
	body = map[string]any{"script": r.script, "duration": r.length.String()}
	if r.file != "" {
		data, err := os.ReadFile(r.file)
		if err != nil {
			return "", nil, fmt.Errorf("--file: %w", err)
		}
		body = map[string]any{"script": json.RawMessage(data)}
	}
	graph := r.policy != "" || r.meeting
	switch {
	case r.cloud == "graph":
		if r.to != "" {
			return "", nil, errors.New("--to: is for ACS; at Graph the application rings")
		}
		body["policy"], body["meeting"] = r.policy, r.meeting
		return "/v1/graph/incoming", body, nil
	case r.cloud != "acs":
		return "", nil, fmt.Errorf("--cloud %q: want acs or graph", r.cloud)
	case graph:
		return "", nil, errors.New("--policy and --meeting: need --cloud graph")
	case r.to != "":
		body["to"] = r.to
	}
	return "/v1/incoming", body, nil
}

// ring posts to the admin API and prints what it answers.
func ring(ctx context.Context, address string, body any, out io.Writer) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w; is mixminus emulate running?", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	_, err = fmt.Fprintf(out, "%s\n", bytes.TrimSpace(answer))
	return err
}
