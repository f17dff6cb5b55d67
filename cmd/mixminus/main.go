// Command mixminus hosts the media of calls: it serves a bot (serve), plays
// the cloud that calls it (emulate), places many calls at once and measures
// them (load), shows clouds and bots at work (demo), and drives a running serve
// (call). It reads Graph's blobs (blob) and change notifications
// (notification). It only wires the packages of this module together.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:])) }

// errFailed ends the program with status 1 and no further words.
var errFailed = errors.New("failed")

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "mixminus",
		Short:         "App-hosted real-time media for calls of Azure Communication Services and Microsoft Graph",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	verbose := root.PersistentFlags().BoolP("verbose", "v", false, "log what happens to calls on stderr")
	logger := func() *slog.Logger {
		level := slog.LevelWarn
		if *verbose {
			level = slog.LevelDebug
		}
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	}
	root.AddCommand(demoCommand(logger), serveCommand(logger), emulateCommand(logger), loadCommand(), callCommand(), blobCommand(), notificationCommand())
	root.SetArgs(args)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return 1
	case errors.Is(err, errInconclusive):
		return 2
	default:
		fmt.Fprintln(os.Stderr, "mixminus:", err)
		return 1
	}
}
