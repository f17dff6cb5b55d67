package graph_test

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/mixminus/mixminus/session/graph"
)

// A program that tells who comes to a meeting and who leaves it.
func ExampleKeeper() {
	pem, _ := os.ReadFile("notifications.pem") // private key and certificate
	key, err := graph.ParseContentKey("2026-11", pem)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, _ := graph.NewKeyring(key)
	client, _ := graph.NewClient(graph.ClientConfig{Token: os.Getenv("GRAPH_TOKEN")})
	tokens, _ := graph.NewChangeVerifier(graph.ChangeVerifierConfig{AppIDs: []string{os.Getenv("APP_ID")}})
	defer tokens.Close()

	keeper, _ := graph.NewKeeper(graph.KeeperConfig{
		Client: client, Keys: keys, NotificationURL: "https://bot.example.com/graph/changes",
		OnEvent: func(e graph.WatchEvent) { fmt.Println(e.Name, e.Kind, e.Err) },
	})
	changes, _ := graph.NewChangeWebhook(graph.ChangeWebhookConfig{
		Watcher: keeper, Keys: keys, Verify: tokens.Verify,
		OnChange: func(c graph.Change) {
			if c.Event == nil {
				return
			}
			for _, p := range c.Event.Roster() {
				fmt.Println(p.Row().Name, p.IsInLobby, p.Removal())
			}
		},
	})
	// Before Run: the service calls while it is asked for a subscription.
	go http.ListenAndServe(":8080", changes)

	meeting, _ := graph.MeetingCallEvents("https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%7d")
	_ = keeper.Add(graph.Watch{Name: "standup", Resource: meeting})
	_ = keeper.Run(context.Background())
}
