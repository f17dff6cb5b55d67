package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/guard"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Environment variables, for what must not stand in a command line.
const (
	envSecret = "MIXMINUS_EVENT_SECRET"
	envToken  = "MIXMINUS_TOKEN"
)

const (
	defaultServe    = "127.0.0.1:7070"
	defaultEmulate  = "127.0.0.1:7080"
	defaultAdmin    = "127.0.0.1:7081"
	defaultEndpoint = "http://" + defaultEmulate
)

type serveFlags struct {
	bot, listen, publicURL        string
	recordings, tokenFile, config string
	insecure, json, autoAnswer    bool
	acs                           acsFlags
	graph                         graphFlags
	rtp                           rtpFlags
	webrtc                        webrtcFlags
}

func serveCommand(logger func() *slog.Logger) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Host a sample bot: answer calls, take their media, record them",
		Long: `Hosts a sample bot. Event Grid posts incoming calls to the events URL that is
printed when it is ready, which holds a secret; ACS posts callbacks to /callbacks
and dials /media. With --graph-endpoint it is a Teams bot too: Microsoft Graph
posts notifications to /graph/callbacks, the calling webhook to register. With
--rtp it takes plain RTP: of whoever sends to that address, and of whoever posts
an SDP offer to /rtp. With --webrtc browsers and other WHIP clients call it by
posting an offer to /webrtc, and listen in on any call at /whep/CALL and, where
speakers come apart, /whep/CALL/SPEAKER; with --graph-media webrtc Graph's media
comes that way too. Calls are driven by the control API under /v1 (mixminus call);
/metrics is for Prometheus.

Secrets come from the environment or from files:
  ` + envKey + `       access key of the ACS resource, base64 (or --access-key-file,
                         or --acs-entra, which needs none)
  ` + envSecret + `  secret in the events URL (default: a new one at each start)
  ` + envToken + `         bearer token of the control API (or --token-file);
                         without one it answers this machine only
  ` + envGraphSecret + `  client secret at Graph (or --graph-secret-file)
  ` + envGraphToken + `   access token for Graph, ready made, for local work`,
		Example: `  # beside "mixminus emulate", which signs nothing that --insecure would check
  ` + envKey + `=bG9jYWwtZW11bGF0b3Itc2VjcmV0 mixminus serve --bot greet --insecure

  # against a real resource, behind a reverse proxy with TLS
  mixminus serve --bot record --public-url https://bot.example.com \
    --acs-endpoint https://contoso.communication.azure.com --access-key-file key.txt \
    --audience 1f2e3d4c-0000-0000-0000-000000000000

  # a Teams bot of the emulated Graph, which rings it by
  # "mixminus emulate --insecure --graph-events http://127.0.0.1:7070/graph/callbacks"
  mixminus serve --bot record --insecure --graph-endpoint http://127.0.0.1:7080

  # RTP alone, from this machine
  mixminus serve --bot record --rtp 127.0.0.1:4000

  # WebRTC of a page on this machine, and of one that is developed there
  mixminus serve --bot echo --webrtc 127.0.0.1:5008 --webrtc-origin http://localhost:5173

  # WebRTC of the world, behind a reverse proxy with TLS; UDP and TCP 5008 go past it
  mixminus serve --bot greet --public-url https://bot.example.com --token-file token.txt \
    --webrtc :5008 --webrtc-tcp :5008 --webrtc-public 203.0.113.7 \
    --webrtc-ice stun:stun.example.com:3478 --webrtc-origin https://app.example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readConfig(f.config, cmd.Flags()); err != nil {
				return err
			}
			return runServe(cmd.Context(), f, cmd.OutOrStdout(), logger())
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.bot, "bot", "record", "which bot: "+strings.Join(botNames(), ", "))
	fl.StringVar(&f.listen, "listen", defaultServe, "address to listen on")
	fl.StringVar(&f.publicURL, "public-url", "", "how the cloud reaches this host (default: the listen address)")
	fl.StringVar(&f.recordings, "recordings", "recordings", "folder for recordings; empty records nothing")
	fl.StringVar(&f.tokenFile, "token-file", "", "file with the control API's bearer token")
	fl.BoolVar(&f.insecure, "insecure", false, "for local work: check no tokens, and make a leg of whoever dials the media URL")
	fl.BoolVar(&f.autoAnswer, "auto-answer", true, "answer what rings; else mixminus call answer does, within 15 s")
	fl.BoolVar(&f.json, "json", false, `print {"http","events","media","graph","rtp","rtp_offers","webrtc","whep","webrtc_udp"} as one line of JSON when ready`)
	f.acs.add(fl)
	f.graph.add(fl)
	f.rtp.add(fl)
	f.webrtc.add(fl)
	fl.StringVar(&f.config, "config", "", "JSON file with any of these flags by name; flags win")
	return cmd
}

// readConfig sets the flags that the file names and the command line does not.
func readConfig(path string, flags *pflag.FlagSet) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	var values map[string]any
	if err := json.Unmarshal(data, &values); err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	for name, v := range values {
		flag := flags.Lookup(name)
		if flag == nil || name == "config" {
			return fmt.Errorf("--config %s: unknown name %q", path, name)
		}
		if flag.Changed {
			continue
		}
		text, err := flagText(v)
		if err != nil {
			return fmt.Errorf("--config %s: %s: %w", path, name, err)
		}
		if err := flags.Set(name, text); err != nil {
			return fmt.Errorf("--config %s: %s: %w", path, name, err)
		}
	}
	return nil
}

// flagText is a JSON value as it would stand in a command line.
func flagText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, float64:
		return fmt.Sprint(v), nil
	case []any:
		items := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok || strings.ContainsAny(s, ",\"") {
				return "", fmt.Errorf("%v: want a list of plain strings", v)
			}
			items = append(items, s)
		}
		return strings.Join(items, ","), nil
	}
	return "", fmt.Errorf("%v: want a string, a number, true, false or a list", v)
}

// secret reads what the file or the environment holds; the file wins.
func secret(file, env string) (string, error) {
	if file == "" {
		return os.Getenv(env), nil
	}
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}

func runServe(ctx context.Context, f serveFlags, out io.Writer, log *slog.Logger) error {
	cfg, err := f.service(log)
	if err != nil {
		return err
	}
	if f.recordings != "" {
		if err := recoverRecordings(f.recordings, log); err != nil {
			return err
		}
	}
	if cfg.listener, err = net.Listen("tcp", f.listen); err != nil {
		return fmt.Errorf("--listen %s: %w; is another serve running?", f.listen, err)
	}
	cfg.keepProcessor = cfg.acs != nil || cfg.graph != nil
	s, err := startService(cfg)
	if err != nil {
		return err
	}
	if cfg.keepProcessor && runtime.GOOS == "linux" {
		// The one that is kept, beside those that others reckon with. From now
		// on a CPU limit that changes changes nothing here.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if f.json {
		err = json.NewEncoder(out).Encode(s.urls)
	} else {
		_, err = fmt.Fprint(out, s.urls.announce(f.bot))
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-s.served:
		}
	}
	return errors.Join(err, s.Close())
}

// service turns flags into what the service is wired from.
func (f serveFlags) service(log *slog.Logger) (cfg serviceConfig, err error) {
	b, err := botNamed(f.bot)
	if err != nil {
		return cfg, err
	}
	token, err := secret(f.tokenFile, envToken)
	if err != nil {
		return cfg, fmt.Errorf("--token-file: %w", err)
	}
	if err := guard.CheckListen(f.listen, token); err != nil {
		return cfg, fmt.Errorf("--listen: %w: set %s or --token-file", err, envToken)
	}
	cfg = serviceConfig{
		publicURL: f.publicURL, insecure: f.insecure, token: token, recordings: f.recordings,
		bot: func(string, session.Direction) bot { return b }, manual: !f.autoAnswer, log: log,
	}
	if cfg.eventSecret = os.Getenv(envSecret); cfg.eventSecret == "" {
		cfg.eventSecret = newSecret()
	}
	if cfg.webrtc, err = f.webrtc.config(token, log); err != nil {
		return cfg, err
	}
	if cfg.graph, err = f.graph.config(f.insecure, cfg.webrtc != nil, log); err != nil {
		return cfg, err
	}
	if cfg.rtp, err = f.rtp.config(log); err != nil {
		return cfg, err
	}
	cfg.acs, err = f.acs.config(f.insecure, cfg.graph != nil || cfg.rtp != nil || cfg.webrtc != nil, log)
	return cfg, err
}

// recoverRecordings completes what an earlier run was interrupted in.
func recoverRecordings(dir string, log *slog.Logger) error {
	done, err := record.Recover(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, r := range done {
		if r.Err != nil {
			log.Error("interrupted recording not completed", "recording", r, "err", r.Err)
			continue
		}
		log.Warn("interrupted recording completed", "recording", r)
	}
	return err
}
