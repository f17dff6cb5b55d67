package acs_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/transport/acsws"
)

// host serves a bot at url, where the cloud of client reaches it. It is all
// that a program needs but for the bot itself.
func host(url string, client acs.ClientConfig, tokens *acs.Verifier, o session.Options, bot func(*session.Call)) (http.Handler, *acs.Webhook, func()) {
	eng := engine.New(engine.Config{})
	media, _ := acsws.New(acsws.Config{BaseURL: "ws" + strings.TrimPrefix(url, "http") + "/media", Verify: tokens.Verify})
	service, _ := acs.NewClient(client)
	calls, _ := session.New(session.Config{
		Engine: eng, Media: media, Clouds: []session.Cloud{service},
		CallbackURL: url + "/callbacks",
		OnIncoming:  func(in *session.IncomingCall) { in.Answer(context.Background(), o) },
		OnCall:      bot,
	})
	hook, _ := acs.NewWebhook(acs.WebhookConfig{Sink: calls, Verify: tokens.Verify})
	mux := http.NewServeMux()
	mux.Handle("/media/", media)
	mux.Handle("/", hook)
	return mux, hook, func() {
		calls.Close(context.Background())
		media.Close()
		eng.Close()
		tokens.Close()
	}
}

// An echo bot: it says what it hears, on the goroutine that reads the network.
func Example_echo() {
	log := perform(session.Options{Bidirectional: true}, func(c *session.Call) {
		c.Leg().OnRender(func(r *engine.Render) { // before the first frame
			r.Handle(func(f *pcm.Frame) { c.Leg().Source().TryWrite(f.Samples[:]) })
		})
	})
	fmt.Println("echoed:", log.Playout.Total > 0)
	// Output: echoed: true
}

// A recorder of each speaker, with a blocking read beside it.
func Example_recorder() {
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	rec, _ := record.New(record.Config{Dir: dir})
	var recording *record.Recording
	perform(session.Options{Channels: engine.Unmixed}, func(c *session.Call) {
		recording, _ = rec.Attach(c.Leg(), record.Meta{CallID: c.ID(), Cloud: c.Cloud()})
		c.Leg().OnRender(func(r *engine.Render) {
			tap := r.Tap(50) // a ring of its own, a second long
			go func() {
				for f := new(pcm.Frame); tap.Read(context.Background(), f) == nil; {
					// look at f.Samples, say by recognising speech
				}
			}()
		})
	})
	for _, t := range recording.Wait().Tracks {
		fmt.Println(t.Label(), t.Missing)
	}
	rec.Close()
	// Output:
	// 8:acs:alice 0
	// mixed 0
}

// perform lets the emulated cloud ring the bot once, and returns its log.
func perform(o session.Options, bot func(*session.Call)) *cloud.Log {
	emulator := &cloud.Server{Insecure: true}
	if err := emulator.Start(context.Background()); err != nil {
		panic(err)
	}
	defer emulator.Close()
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	defer server.Close()
	tokens, err := acs.NewVerifier(acs.VerifierConfig{OpenIDURL: emulator.OIDCURL(), Audience: []string{emulator.Audience()}})
	if err != nil {
		panic(err)
	}
	var hook *acs.Webhook
	var done func()
	handler, hook, done = host(server.URL, acs.ClientConfig{Endpoint: emulator.URL(), AccessKey: emulator.AccessKey()}, tokens, o, bot)
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	call, err := emulator.Ring(ctx, cloud.Ring{EventsURL: server.URL + hook.EventPath(), Script: cloud.Script{
		HangUp: 60, Speakers: []cloud.Speaker{{ID: "8:acs:alice", Voice: "allison", Length: 40}},
	}})
	if err != nil {
		panic(err)
	}
	if err := call.Wait(ctx); err != nil {
		panic(err)
	}
	return call.Log()
}
