package acs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
)

// A prompt is played and waited for. Client and webhook have the same
// Operations; a program serves the webhook where the service reaches it.
func ExampleClient_Play() {
	var webhook *acs.Webhook
	// In place of the service: it takes the request and tells that it failed.
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, told, _ := strings.Cut(string(body), `"operationContext":"`)
		told, _, _ = strings.Cut(told, `"`)
		event := httptest.NewRequest(http.MethodPost, webhook.CallbackPath(), strings.NewReader(
			`[{"type":"Microsoft.Communication.PlayFailed","data":{"callConnectionId":"c1","operationContext":"`+told+`",
			"resultInformation":{"code":400,"subCode":8536,"message":"file could not be downloaded"}}}]`))
		webhook.ServeHTTP(httptest.NewRecorder(), event)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer service.Close()

	client, err := acs.NewClient(acs.ClientConfig{Endpoint: service.URL, AccessKey: "c2VjcmV0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	webhook, err = acs.NewWebhook(acs.WebhookConfig{Sink: printer{}, Operations: client.Operations(), Insecure: true})
	if err != nil {
		fmt.Println(err)
		return
	}

	play, err := client.Play(context.Background(), "c1", acs.Play{Sources: []acs.PlaySource{{File: "https://bot.example.com/hello.wav"}}})
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	end, err := play.Wait(context.Background())
	var failure *session.Error
	if errors.As(err, &failure) {
		fmt.Println(end.Name, failure.SubCode, failure.Message)
	}
	// Output:
	// c1 Microsoft.Communication.PlayFailed
	// PlayFailed 8536 file could not be downloaded
}
