package acs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
)

// printer is a Sink; a real one is session.Manager.
type printer struct{}

func (printer) Deliver(n session.Notice) { fmt.Println(n.CallID, n.Type) }
func (printer) Ring(in session.Incoming) { fmt.Println("ringing:", in.From.RawID) }

// A program gives the webhook a place in its HTTP server and checks the
// tokens of callbacks with a Verifier.
func Example() {
	verifier, err := acs.NewVerifier(acs.VerifierConfig{
		Audience: []string{"9d3c9d5a-0000-4000-8000-000000000001"}, // the resource's immutable id
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()
	webhook, err := acs.NewWebhook(acs.WebhookConfig{Sink: printer{}, Verify: verifier.Verify})
	if err != nil {
		fmt.Println(err)
		return
	}
	// http.ListenAndServeTLS(":443", …, webhook)

	deliver := func(path, body string) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		w := httptest.NewRecorder()
		webhook.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Body)
	}
	deliver(webhook.EventPath(), `[{"eventType":"Microsoft.Communication.IncomingCall","data":{
		"from":{"rawId":"4:+14250123456"},"to":{"rawId":"8:acs:bot"},
		"incomingCallContext":"…","correlationId":"d732db64"}}]`)
	deliver(webhook.CallbackPath(), `[{"type":"Microsoft.Communication.CallConnected","data":{"callConnectionId":"c1"}}]`)
	// Output:
	// ringing: 4:+14250123456
	// 200 ""
	// 401 "token refused: missing\n"
}
