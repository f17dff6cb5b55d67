package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session/blob"
	"github.com/spf13/cobra"
)

func blobCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "blob",
		Short: "Read, build and check media session configurations of Microsoft Graph",
		Long: `Works on the media session configuration, the text that app-hosted media hands to
Microsoft Graph as appHostedMediaConfig.blob. It is read as an object, as a JSON
string, or escaped as documents show it.`,
	}
	cmd.AddCommand(blobParseCommand(), blobBuildCommand(), blobCheckCommand())
	return cmd
}

// readBlob reads the file, or standard input for "-" and nothing.
func readBlob(args []string, stdin io.Reader) (*blob.Blob, error) {
	in := stdin
	if len(args) > 0 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, blob.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	return blob.Parse(text)
}

func blobParseCommand() *cobra.Command {
	var emit, asJSON bool
	cmd := &cobra.Command{
		Use:   "parse [FILE]",
		Short: "Explain a blob in words",
		Example: `  mixminus blob parse captured.json
  jq -r .mediaConfig.blob request.json | mixminus blob parse
  mixminus blob parse --emit captured.json   # as compact JSON, unchanged otherwise`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readBlob(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			switch {
			case emit:
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b.AppendJSON(nil))
			case asJSON:
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(b.Summary())
			default:
				_, err = io.WriteString(cmd.OutOrStdout(), b.Summary().Words())
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&emit, "emit", false, "print the blob itself, as compact JSON")
	cmd.Flags().BoolVar(&asJSON, "json", false, "explain in JSON")
	cmd.MarkFlagsMutuallyExclusive("emit", "json")
	return cmd
}

func blobBuildCommand() *cobra.Command {
	c := blob.Config{Versions: blob.Version119}
	var direction string
	var asString bool
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Print a new blob",
		Example: `  mixminus blob build --mp-uri wss://bot.example.com/media/TOKEN
  mixminus blob build --mp-uri net.tcp://bot.contoso.com:18732/MediaProcessor --audio recvonly --string`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			receive, send, err := directions(direction)
			if err != nil {
				return err
			}
			for id, want := range map[*string]bool{&c.CallID: true, &c.SessionID: true, &c.Render: receive, &c.Source: send} {
				if want && *id == "" {
					*id = uuid.NewString()
				}
			}
			b, err := blob.New(c)
			if err != nil {
				return err
			}
			text := b.AppendJSON(nil)
			if asString {
				if text, err = json.Marshal(string(text)); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&c.MPURI, "mp-uri", "", "where the cloud brings the media")
	fl.StringVar(&direction, "audio", "sendrecv", "sendrecv, recvonly or sendonly, as the bot sees it")
	fl.StringVar(&c.AudioFormat, "format", blob.Pcm16K, blob.Pcm16K+" or "+blob.Pcm44KStereo)
	fl.StringVar(&c.CallID, "call-id", "", "GUID (default: a new one)")
	fl.StringVar(&c.SessionID, "session-id", "", "GUID (default: a new one)")
	fl.StringVar(&c.Render, "render", "", "GUID of the audio from the call (default: a new one)")
	fl.StringVar(&c.Source, "source", "", "GUID of the audio into the call (default: a new one)")
	fl.StringVar(&c.Versions.Bots, "library-version", c.Versions.Bots, "version of the media library")
	fl.StringVar(&c.Versions.Stack, "stack-version", c.Versions.Stack, "version of its media stack")
	fl.StringVar(&c.Versions.Processor, "processor-version", c.Versions.Processor, "version of the media processor")
	fl.BoolVar(&asString, "string", false, "print it as the JSON string that stands in a request")
	_ = cmd.MarkFlagRequired("mp-uri") // the flag exists
	return cmd
}

func directions(s string) (receive, send bool, err error) {
	switch s {
	case "sendrecv":
		return true, true, nil
	case "recvonly":
		return true, false, nil
	case "sendonly":
		return false, true, nil
	}
	return false, false, fmt.Errorf("--audio %q: want sendrecv, recvonly or sendonly", s)
}

func blobCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what in a blob no known media library writes; exit status 1 if anything",
		Example: `  mixminus blob check captured.json
  mixminus blob check --json captured.json | jq '.problems[].key'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readBlob(args, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return report(b.Check(), asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the problems in JSON")
	return cmd
}

func report(problems []*blob.Problem, asJSON bool, out io.Writer) (err error) {
	type row struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Want  string `json:"want"`
	}
	rows := []row{}
	for _, p := range problems {
		rows = append(rows, row{p.Key, p.Value, p.Want})
	}
	switch {
	case asJSON:
		err = json.NewEncoder(out).Encode(map[string]any{"ok": len(rows) == 0, "problems": rows})
	case len(rows) == 0:
		_, err = fmt.Fprintln(out, "ok")
	default:
		for _, p := range problems {
			if _, err = fmt.Fprintln(out, p); err != nil {
				return err
			}
		}
	}
	if err == nil && len(rows) > 0 {
		err = errFailed
	}
	return err
}
