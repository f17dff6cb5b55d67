package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/api"
	"github.com/spf13/cobra"
)

// exampleRequest is Microsoft's example of the 2022 preview, without what the
// service adds.
const exampleRequest = `{"targets":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:callee"}}]}`

func callCommand() *cobra.Command {
	var client api.Client
	var tokenFile string
	cmd := &cobra.Command{
		Use:   "call",
		Short: "Drive the calls of a running serve",
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			client.Token, err = secret(tokenFile, envToken)
			return err
		},
	}
	cmd.PersistentFlags().StringVar(&client.URL, "api", "http://"+defaultServe, "control API of serve")
	cmd.PersistentFlags().StringVar(&tokenFile, "token-file", "", "file with the API's bearer token (default: $"+envToken+")")
	cmd.AddCommand(createCommand(&client), answerCommand(&client), listCommand(&client), hangUpCommand(&client))
	cmd.AddCommand(actionCommands(&client)...)
	cmd.AddCommand(joinCommand(&client), leaveCommand(&client), memberCommand(&client), roomsCommand(&client))
	return cmd
}

func mediaFlags(cmd *cobra.Command, m *api.Media) {
	cmd.Flags().StringVar(&m.Channels, "channels", "mixed", "mixed or unmixed")
	cmd.Flags().IntVar(&m.SampleRate, "sample-rate", 16000, "on the wire in Hz: 16000 or 24000")
	cmd.Flags().BoolVar(&m.Bidirectional, "bidirectional", true, "let the bot speak")
	cmd.Flags().BoolVar(&m.DTMF, "dtmf", false, "ask for key presses")
}

func createCommand(client *api.Client) *cobra.Command {
	var req api.CallRequest
	var file, body string
	var join joinFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a call with the cloud's own request, which is passed on as it is",
		Long: `Creates a call with the cloud's own request, which is passed on as it is. What it
lacks of callbackUri and media configuration is added. What it has of them stays:
events and media then go where it says, and not to this bot.`,
		Example: `  mixminus call create --request '` + exampleRequest + `'
  mixminus call create --file request.json --channels unmixed
  mixminus call create --cloud rtp --request '{"target":"127.0.0.1:6000","codec":"PCMU/8000","event_type":101}'
  mixminus call create --cloud graph --meeting 'https://teams.microsoft.com/l/meetup-join/…' --channels unmixed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req.Request = json.RawMessage(body)
			if join.link != "" {
				data, err := join.request(req.Cloud)
				if err != nil {
					return err
				}
				req.Request = data
			}
			if file != "" {
				data, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("--file: %w", err)
				}
				req.Request = data
			}
			if !json.Valid(req.Request) {
				return fmt.Errorf("the request is not JSON: give --request or --file, for example --request '%s'", exampleRequest)
			}
			s, err := client.Create(cmd.Context(), req)
			return printJSON(cmd.OutOrStdout(), s, err)
		},
	}
	cmd.Flags().StringVar(&req.Cloud, "cloud", "acs", "which cloud")
	cmd.Flags().StringVar(&body, "request", "", "the cloud's create request, JSON")
	cmd.Flags().StringVar(&file, "file", "", "file with the request")
	cmd.Flags().StringVar(&join.link, "meeting", "", "Teams join link of a meeting to join, instead of a request (--cloud graph)")
	cmd.Flags().StringVar(&join.guest, "guest", "", "name under which the bot joins that meeting as a guest")
	cmd.MarkFlagsMutuallyExclusive("request", "file", "meeting")
	mediaFlags(cmd, &req.Media)
	return cmd
}

func answerCommand(client *api.Client) *cobra.Command {
	var req api.AnswerRequest
	cmd := &cobra.Command{
		Use:   "answer [ID]",
		Short: "Answer a call that rings at serve --auto-answer=false; without ID the one that rings longest",
		Example: `  mixminus call answer --channels unmixed
  mixminus call answer d732db64-4803-462d-be9c-518943ea2b7a`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				rings, err := client.Incoming(cmd.Context())
				if err != nil {
					return err
				}
				if len(rings) == 0 {
					return fmt.Errorf("no call rings")
				}
				args = []string{rings[0].ID}
			}
			s, err := client.Answer(cmd.Context(), args[0], req)
			return printJSON(cmd.OutOrStdout(), s, err)
		},
	}
	mediaFlags(cmd, &req.Media)
	return cmd
}

func listCommand(client *api.Client) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List what rings and what lives",
		Example: "  mixminus call list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rings, err := client.Incoming(cmd.Context())
			if err != nil {
				return err
			}
			calls, err := client.Calls(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"incoming": rings, "calls": calls}, nil)
			}
			return printCalls(cmd.OutOrStdout(), rings, calls)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func printCalls(out io.Writer, rings []api.Ring, calls []session.Snapshot) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCLOUD\tDIRECTION\tSTATE\tMEDIA\tSPEAKERS\tIN\tOUT\tLOST\tFROM\tTO")
	for _, r := range rings {
		fmt.Fprintf(w, "%s\t%s\tincoming\tringing\t\t\t\t\t\t%s\t%s\n", r.ID, r.Cloud, r.From.RawID, r.To.RawID)
	}
	for _, c := range calls {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\n", c.ID, c.Cloud, c.Direction, c.State, c.Media.Channels,
			len(c.Media.Speakers), c.Media.FramesIn, c.Media.FramesOut, c.Media.FramesLost, c.From.RawID, c.To.RawID)
	}
	return w.Flush()
}

func hangUpCommand(client *api.Client) *cobra.Command {
	var everyone bool
	cmd := &cobra.Command{
		Use:     "hangup ID",
		Short:   "Leave a call, or end it for everyone",
		Example: "  mixminus call hangup 18dea47f-b081-4107-9a5c-4300819d2c6c --everyone",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return client.HangUp(cmd.Context(), args[0], everyone)
		},
	}
	cmd.Flags().BoolVar(&everyone, "everyone", false, "end the call for everyone")
	return cmd
}

// printJSON prints v, indented for people; programs do not mind.
func printJSON(out io.Writer, v any, err error) error {
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
