package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/demo"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/spf13/cobra"
)

type demoFlags struct {
	out        string
	duration   time.Duration
	json       bool
	browser    bool
	bot, admin string // with browser
}

func demoCommand(logger func() *slog.Logger) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play calls against the emulated clouds, and prove the recordings",
		Long: `Starts the emulated clouds and a host of bots in this process, on free ports of
127.0.0.1. At Communication Services three people call the bot, which records
each of them, and the bot calls a fourth, greets, is interrupted, and echoes. At
Microsoft Graph it joins a meeting, waits in the lobby, hears three people by
name, speaks, and leaves; and it records a call that a policy brings. At the end
every recorded and every heard sample is compared with the script. The exit
status is 1 if one is missing, duplicated, or out of its place.

With --browser nothing is played: the bot waits in a meeting and for calls, until
Ctrl-C, for whoever opens the page that is printed, with microphone and
headphones.`,
		Example: `  mixminus demo
  mixminus demo --browser
  mixminus demo --duration 30s --out recordings
  mixminus demo --json | jq .ok`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.browser {
				return runTalk(cmd.Context(), f, cmd.OutOrStdout(), logger())
			}
			for _, name := range []string{"bot", "admin"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("--%s: needs --browser", name)
				}
			}
			return runDemo(cmd.Context(), f, cmd.OutOrStdout(), logger())
		},
	}
	cmd.Flags().StringVar(&f.out, "out", "", "folder for the recordings (default: a new one in the working directory)")
	cmd.Flags().DurationVar(&f.duration, "duration", 15*time.Second, "length of each scene; all run side by side")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON document at the end and nothing else; with --browser one line when ready")
	cmd.Flags().BoolVar(&f.browser, "browser", false, "let people in by a web page instead")
	cmd.Flags().StringVar(&f.bot, "bot", "greet", "with --browser, which bot: "+strings.Join(botNames(), ", "))
	cmd.Flags().StringVar(&f.admin, "admin", defaultAdmin, "with --browser, loopback address of the page and the admin API")
	cmd.MarkFlagsMutuallyExclusive("browser", "duration")
	return cmd
}

func runDemo(ctx context.Context, f demoFlags, out io.Writer, log *slog.Logger) (err error) {
	if f.duration < 3*time.Second || f.duration > 10*time.Minute {
		return fmt.Errorf("--duration %v: want 3s to 10m", f.duration)
	}
	incoming, err := cloud.Named(cloud.ThreeSpeakers, f.duration)
	if err != nil {
		return err
	}
	outgoing, err := cloud.Named(cloud.OneCallee, f.duration)
	if err != nil {
		return err
	}
	if f.out, err = recordingsFolder(f.out); err != nil {
		return err
	}
	cfg := demo.Config{Duration: f.duration, Incoming: incoming, Title: "mixminus demo, recordings in " + f.out}
	if !f.json {
		cfg.Screen = out
		cfg.Width, cfg.Height, cfg.Rewrite = terminalSize(out)
	}
	meeting := incoming
	meeting.HangUp = cloud.Never // the bot leaves
	s, err := openStage(ctx, cfg, outgoing, meeting, f.out, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	report, err := s.show.Run(ctx, s.address())
	if ctx.Err() != nil {
		return errors.New("interrupted: calls were hung up, recordings are in " + f.out)
	}
	if err != nil {
		return err
	}
	return present(report, f.json, out)
}

// stage is the emulator and a host, wired as two machines would be: by their
// addresses, the access key and the tokens.
type stage struct {
	emulator *cloud.Server
	host     *service
	show     *demo.Demo
}

// openStage starts both on free ports. callee takes the call that the bot
// creates, and meeting is what it joins.
func openStage(ctx context.Context, cfg demo.Config, callee, meeting cloud.Script, recordings string, log *slog.Logger) (*stage, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secret := newSecret()
	urls, err := urlsOf("http://"+listener.Addr().String(), secret)
	if err != nil {
		return nil, err
	}
	s := &stage{emulator: &cloud.Server{
		EventsURL: urls.Events, GraphEventsURL: urls.Graph, Insecure: true, Logger: log,
		OnCreate: func(d cloud.Dialled) cloud.Callee {
			if d.Cloud == "graph" {
				return cloud.Callee{Script: meeting, Lobby: true}
			}
			return cloud.Callee{Script: callee}
		},
	}}
	if err := s.emulator.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	cfg.Emulator, cfg.Greeting = s.emulator, signal.Speech(signal.Allison)
	cfg.Outgoing, cfg.Meeting = bots["greet"].options, bots["speak"].options
	s.show = demo.New(cfg)
	hosted, err := stageConfig(s.emulator, log)
	if err == nil {
		hosted.listener, hosted.eventSecret, hosted.recordings = listener, secret, recordings
		hosted.onCall, hosted.onRecording = s.show.OnCall, s.show.OnRecording
		s.host, err = startService(hosted)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close(), s.emulator.Close())
	}
	return s, nil
}

// stageConfig is what a host must know of the emulated clouds.
func stageConfig(e *cloud.Server, log *slog.Logger) (serviceConfig, error) {
	token, err := e.AccessToken("")
	if err != nil {
		return serviceConfig{}, err
	}
	app := e.GraphApps()[0]
	return serviceConfig{
		log: log,
		acs: &acsConfig{
			client: acs.ClientConfig{Endpoint: e.URL(), AccessKey: e.AccessKey(), APIVersion: acs.Version2022, Logger: log},
			tokens: acs.VerifierConfig{OpenIDURL: e.OIDCURL(), Audience: []string{e.Audience()}, Logger: log},
		},
		graph: &graphConfig{
			client: graph.ClientConfig{Endpoint: e.URL(), Version: graph.Beta, Token: token, Logger: log},
			tokens: graph.VerifierConfig{OpenIDURL: e.GraphOIDCURL(), AppID: app.ID, Tenants: []string{app.TenantID}, Logger: log},
		},
		rtp: &rtpConfig{listen: "127.0.0.1:0", codecs: codecNames(), idle: 30 * time.Second, log: log, open: newRTPMedia},
		bot: func(cloud string, d session.Direction) bot {
			switch {
			case cloud == "rtp":
				return bots["echo"]
			case d == session.DirectionIncoming:
				return bots["record"]
			case cloud == "graph":
				return bots["speak"]
			}
			return bots["greet"]
		},
	}, nil
}

// address is where the host is called.
func (s *stage) address() demo.Host {
	return demo.Host{Manager: s.host.manager, RTP: netip.MustParseAddrPort(s.host.urls.RTP)}
}

// Close ends the host first, as it hangs up.
func (s *stage) Close() error { return errors.Join(s.host.Close(), s.emulator.Close()) }

func present(report *demo.Report, asJSON bool, out io.Writer) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(report); err != nil {
			return err
		}
	} else {
		report.Print(out)
	}
	if !report.OK {
		return errFailed
	}
	return nil
}

// recordingsFolder returns the folder, which is made if it is not named.
func recordingsFolder(name string) (string, error) {
	if name == "" {
		return os.MkdirTemp(".", "mixminus-demo-")
	}
	return filepath.Clean(name), os.MkdirAll(name, 0o755)
}
