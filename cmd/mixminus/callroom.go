package main

import (
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/api"
	"github.com/spf13/cobra"
)

func joinCommand(client *api.Client) *cobra.Command {
	return &cobra.Command{
		Use:   "join ROOM ID...",
		Short: "Let calls hear each other in a room, whatever clouds they are of",
		Long: `Puts calls into a room, which is opened by the first and closes behind the last.
Each hears all others. The room speaks for its calls: their bots are not heard
while they are in it. serve records the room beside its calls.`,
		Example: `  mixminus call join hall 18dea47f-b081-4107-9a5c-4300819d2c6c dae3fadb-3480-49e2-a84c-aa5db80bebcf
  mixminus call rooms`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args[1:] {
				if err := client.Join(cmd.Context(), args[0], id); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func leaveCommand(client *api.Client) *cobra.Command {
	return &cobra.Command{
		Use:     "leave ROOM ID",
		Short:   "Take a call out of a room",
		Example: "  mixminus call leave hall 18dea47f-b081-4107-9a5c-4300819d2c6c",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return client.Leave(cmd.Context(), args[0], args[1])
		},
	}
}

func memberCommand(client *api.Client) *cobra.Command {
	var gain float32
	var muted bool
	var whisper string
	cmd := &cobra.Command{
		Use:   "member ROOM ID",
		Short: "Change how a call is heard in a room",
		Example: `  mixminus call member hall ID --gain 0.5
  mixminus call member hall ID --muted=false
  mixminus call member hall ID --whisper-to OTHER`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var change session.MemberChange
			if cmd.Flags().Changed("gain") {
				change.Gain = &gain
			}
			if cmd.Flags().Changed("muted") {
				change.Muted = &muted
			}
			if cmd.Flags().Changed("whisper-to") {
				change.WhisperTo = &whisper
			}
			return client.SetMember(cmd.Context(), args[0], args[1], change)
		},
	}
	cmd.Flags().Float32Var(&gain, "gain", 1, "factor on what it says, 0 to 16")
	cmd.Flags().BoolVar(&muted, "muted", true, "keep it from being heard")
	cmd.Flags().StringVar(&whisper, "whisper-to", "", "let it be heard by that call only; empty: by all")
	return cmd
}

func roomsCommand(client *api.Client) *cobra.Command {
	return &cobra.Command{
		Use:     "rooms",
		Short:   "List the rooms and who is in them",
		Example: "  mixminus call rooms",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rooms, err := client.Rooms(cmd.Context())
			return printJSON(cmd.OutOrStdout(), map[string]any{"rooms": rooms}, err)
		},
	}
}
