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
	"github.com/spf13/cobra"
)

func emulateCommand(logger func() *slog.Logger) *cobra.Command {
	var e cloud.Server
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "emulate",
		Short: "Play the cloud: an emulated ACS resource that rings and answers bots",
		Long: `Emulates an Azure Communication Services resource: Call Automation, Event Grid,
callbacks, and media streaming in real time. Any bot can be pointed at it, not
only those of mixminus.`,
		Example: `  mixminus emulate --insecure --access-key bG9jYWwtZW11bGF0b3Itc2VjcmV0 --events http://127.0.0.1:7070/events/SECRET
  mixminus emulate ring --script three-speakers`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e.Logger = logger()
			return runEmulate(cmd.Context(), &e, asJSON, cmd.OutOrStdout())
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&e.Addr, "listen", defaultEmulate, "address of the emulated resource")
	fl.StringVar(&e.AdminAddr, "admin", defaultAdmin, "loopback address of the admin API")
	fl.StringVar(&e.EventsURL, "events", "", "the bot's webhook for incoming calls (serve prints it)")
	fl.StringVar(&e.Key, "access-key", "", "access key in base64 (default: $"+envKey+", else a new one)")
	fl.StringVar(&e.ResourceID, "resource-id", "", "immutable id of the resource, the audience of its tokens (default: a new one)")
	fl.BoolVar(&e.Insecure, "insecure", false, "accept http callbacks and ws media, which the cloud does not")
	fl.BoolVar(&asJSON, "json", false, `print {"acs","access_key","admin","oidc","audience"} as one line of JSON when ready`)
	cmd.AddCommand(ringCommand())
	return cmd
}

func runEmulate(ctx context.Context, e *cloud.Server, asJSON bool, out io.Writer) (err error) {
	if e.Key == "" {
		e.Key = os.Getenv(envKey)
	}
	if err := e.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if asJSON {
		err = json.NewEncoder(out).Encode(map[string]string{
			"acs": e.URL(), "access_key": e.AccessKey(), "admin": e.AdminURL(), "oidc": e.OIDCURL(), "audience": e.Audience(),
		})
	} else {
		_, err = fmt.Fprintf(out, "emulated ACS resource is ready\n  acs         %s\n  access key  %s\n  admin       %s\n  oidc        %s\n  audience    %s\nPlace a call:  mixminus emulate ring --script three-speakers\nEnd with Ctrl-C.\n",
			e.URL(), e.AccessKey(), e.AdminURL(), e.OIDCURL(), e.Audience())
	}
	if err == nil {
		<-ctx.Done()
	}
	return err
}

func ringCommand() *cobra.Command {
	var admin, script, file, to string
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "ring",
		Short: "Place a call at a running emulator",
		Example: `  mixminus emulate ring --script three-speakers --duration 30s
  mixminus emulate ring --file myscript.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req := map[string]any{"script": script, "duration": length.String()}
			if file != "" {
				data, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("--file: %w", err)
				}
				req = map[string]any{"script": json.RawMessage(data)}
			}
			if to != "" {
				req["to"] = to
			}
			return ring(cmd.Context(), admin, req, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&admin, "admin", "http://"+defaultAdmin, "admin API of the emulator")
	cmd.Flags().StringVar(&script, "script", cloud.ThreeSpeakers, "who talks: "+cloud.ThreeSpeakers+" or "+cloud.OneCallee)
	cmd.Flags().DurationVar(&length, "duration", 15*time.Second, "length of a named script")
	cmd.Flags().StringVar(&file, "file", "", "script in JSON, instead of a named one")
	cmd.Flags().StringVar(&to, "to", "", "raw id that is called (default: a new one)")
	cmd.MarkFlagsMutuallyExclusive("script", "file")
	return cmd
}

// ring posts to the admin API and prints what it answers.
func ring(ctx context.Context, admin string, body any, out io.Writer) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(admin, "/")+"/v1/incoming", bytes.NewReader(data))
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
