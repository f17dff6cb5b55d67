package session_test

import (
	"context"
	"fmt"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/transport"
)

var (
	acs   session.Cloud       // see package session/acs
	media transport.Transport // see package transport/acsws
)

// A bot that answers every call and echoes what it hears.
func Example() {
	m, err := session.New(session.Config{
		Engine:      engine.New(engine.Config{}),
		Media:       media,
		Clouds:      []session.Cloud{acs},
		CallbackURL: "https://bot.example.com/events",
		OnIncoming: func(in *session.IncomingCall) {
			if _, err := in.Answer(context.Background(), session.Options{Bidirectional: true}); err != nil {
				fmt.Println("answer:", err)
			}
		},
		OnCall: func(c *session.Call) {
			source := c.Leg().Source()
			c.Leg().OnRender(func(r *engine.Render) {
				r.Handle(func(f *pcm.Frame) { source.TryWrite(f.Samples[:]) })
			})
			c.OnState(func(s session.CallState) { fmt.Println(c.ID(), s) })
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The webhook of the cloud calls m.Ring and m.Deliver from here on.
	defer m.Close(context.Background())
}
