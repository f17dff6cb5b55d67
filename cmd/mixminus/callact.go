package main

import (
	"encoding/json"
	"fmt"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/session/api"
	"github.com/spf13/cobra"
)

// exampleCall is a call's id in examples.
const exampleCall = "18dea47f-b081-4107-9a5c-4300819d2c6c"

// actionCommands do something in a standing call.
func actionCommands(client *api.Client) []*cobra.Command {
	return []*cobra.Command{
		playCommand(client), dtmfCommand(client), addCommand(client), removeCommand(client),
		muteCommand(client), transferCommand(client), streamCommand(client), actCommand(client),
	}
}

// act is the end of each of them.
func act(cmd *cobra.Command, client *api.Client, id, action string, body any) error {
	result, err := client.Act(cmd.Context(), id, action, body)
	return printJSON(cmd.OutOrStdout(), result, err)
}

// waitFlags are those of actions that go on.
func waitFlags(cmd *cobra.Command, a *session.Await) {
	cmd.Flags().BoolVar(&a.Wait, "wait", false, "return when it is over, and fail if it fails")
	cmd.Flags().StringVar(&a.OperationContext, "context", "", "comes back in the events that tell of it (default: minted)")
}

func playCommand(client *api.Client) *cobra.Command {
	var a session.PlayAction
	var stop bool
	cmd := &cobra.Command{
		Use:   "play ID",
		Short: "Play files or speech into a call, or stop what plays",
		Long: `Plays what the cloud fetches from --file, or speaks (ACS, with an Azure AI services
resource: --text, --ssml). Graph plays files, in service-hosted calls.`,
		Example: `  mixminus call play ` + exampleCall + ` --file https://bot.example.com/greeting.wav --wait
  mixminus call play ` + exampleCall + ` --text "Please hold." --voice en-US-JennyNeural --to 4:+14255550100
  mixminus call play ` + exampleCall + ` --stop`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if stop {
				return act(cmd, client, args[0], session.ActionCancel, session.EmptyAction{OperationContext: a.OperationContext})
			}
			return act(cmd, client, args[0], session.ActionPlay, a)
		},
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&a.Files, "file", nil, "address of a WAV or MP3 file; several play one after the other")
	fl.StringVar(&a.Text, "text", "", "text to speak")
	fl.StringVar(&a.SSML, "ssml", "", "SSML to speak")
	fl.StringVar(&a.Voice, "voice", "", "who speaks --text: en-US-JennyNeural")
	fl.StringVar(&a.Language, "language", "", "of --text: en-US")
	fl.StringSliceVar(&a.To, "to", nil, "raw ids of those who hear it (default: all)")
	fl.BoolVar(&a.Loop, "loop", false, "play it over and over")
	fl.BoolVar(&a.Interrupt, "interrupt", false, "stop what plays first")
	fl.BoolVar(&stop, "stop", false, "stop what plays and what waits to")
	waitFlags(cmd, &a.Await)
	cmd.MarkFlagsOneRequired("file", "text", "ssml", "stop")
	cmd.MarkFlagsMutuallyExclusive("text", "ssml")
	return cmd
}

func dtmfCommand(client *api.Client) *cobra.Command {
	var a session.DTMFAction
	cmd := &cobra.Command{
		Use:     "dtmf ID KEYS",
		Short:   "Press keys: 0 to 9, *, #, A to D",
		Example: "  mixminus call dtmf " + exampleCall + " 1234# --to 4:+14255550100",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Tones = args[1]
			return act(cmd, client, args[0], session.ActionDTMF, a)
		},
	}
	cmd.Flags().StringVar(&a.To, "to", "", "raw id of who gets them; ACS needs it")
	waitFlags(cmd, &a.Await)
	return cmd
}

func addCommand(client *api.Client) *cobra.Command {
	var a session.AddAction
	cmd := &cobra.Command{
		Use:   "add ID PARTY",
		Short: "Ask somebody into a call, by raw id",
		Example: `  mixminus call add ` + exampleCall + ` 4:+14255550100 --caller-id +14255550199 --wait
  mixminus call add ` + exampleCall + ` 8:orgid:e6a80ec8-0dd5-4fd5-93d2-6b2d0c2b1d5d`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Party = args[1]
			return act(cmd, client, args[0], session.ActionAdd, a)
		},
	}
	cmd.Flags().StringVar(&a.CallerID, "caller-id", "", "phone number that a telephone is shown")
	cmd.Flags().IntVar(&a.Timeout, "timeout", 0, "of the ringing in seconds (default: the cloud's)")
	waitFlags(cmd, &a.Await)
	return cmd
}

// partyCommand does action to one of the call.
func partyCommand(client *api.Client, use, short, action string) *cobra.Command {
	var a session.PartyAction
	cmd := &cobra.Command{
		Use:     use + " ID PARTY",
		Short:   short,
		Example: "  mixminus call " + use + " " + exampleCall + " 4:+14255550100",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Party = args[1]
			return act(cmd, client, args[0], action, a)
		},
	}
	waitFlags(cmd, &a.Await)
	return cmd
}

func removeCommand(client *api.Client) *cobra.Command {
	return partyCommand(client, "remove", "Take somebody out of a call", session.ActionRemove)
}

func muteCommand(client *api.Client) *cobra.Command {
	return partyCommand(client, "mute", "Mute somebody in a call", session.ActionMute)
}

func transferCommand(client *api.Client) *cobra.Command {
	var a session.TransferAction
	cmd := &cobra.Command{
		Use:   "transfer ID TO",
		Short: "Hand a call over, or with --party one who is in it",
		Example: `  mixminus call transfer ` + exampleCall + ` 4:+14255550100
  mixminus call transfer ` + exampleCall + ` 8:acs:agent --party 4:+14255550100 --wait`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.To = args[1]
			return act(cmd, client, args[0], session.ActionTransfer, a)
		},
	}
	cmd.Flags().StringVar(&a.Party, "party", "", "who is handed over (default: the only other one)")
	cmd.Flags().StringVar(&a.CallerID, "caller-id", "", "phone number that a telephone is shown")
	waitFlags(cmd, &a.Await)
	return cmd
}

func streamCommand(client *api.Client) *cobra.Command {
	var a acs.StreamAction
	cmd := &cobra.Command{
		Use:   "stream start|stop ID",
		Short: "Start or stop the media of a call (ACS)",
		Example: `  mixminus call stream stop ` + exampleCall + `
  mixminus call stream start ` + exampleCall + ` --wait`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "start":
				return act(cmd, client, args[1], acs.ActionStreamStart, a)
			case "stop":
				return act(cmd, client, args[1], acs.ActionStreamStop, a)
			}
			return fmt.Errorf("stream %q: want start or stop", args[0])
		},
	}
	waitFlags(cmd, &a.Await)
	return cmd
}

func actCommand(client *api.Client) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "act ID ACTION [JSON]",
		Short: "Do in a call what its cloud alone can, such as recognize or hold",
		Long: `Does in a call what its cloud alone can. An ACTION that it does not know is refused
with a list of those that it does.`,
		Example: `  mixminus call act ` + exampleCall + ` hold '{"party":"4:+14255550100"}'
  mixminus call act ` + exampleCall + ` recognize '{"input":"dtmf","party":"4:+14255550100","max_tones":4,"stop_tones":"#","wait":true}'`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := json.RawMessage("{}")
			if len(args) == 3 {
				body = json.RawMessage(args[2])
			}
			if !json.Valid(body) {
				return fmt.Errorf("the body is not JSON: %q", args[2])
			}
			return act(cmd, client, args[0], args[1], body)
		},
	}
	return cmd
}
