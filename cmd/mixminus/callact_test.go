package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// callingService takes every operation, and tells of the end of those that it
// was asked for by an operationContext.
type callingService struct {
	*httptest.Server
	mu       sync.Mutex
	callback string
	got      []string
}

// endOf is the event that ends an action, by its name on the wire.
var endOf = map[string]string{
	":play": "PlayCompleted", ":sendDtmfTones": "SendDtmfTonesCompleted", "/participants:add": "AddParticipantFailed",
	"/participants:remove": "RemoveParticipantSucceeded", ":transferToParticipant": "CallTransferAccepted",
	":startMediaStreaming": "MediaStreamingStarted", ":stopMediaStreaming": "MediaStreamingStopped",
}

func (s *callingService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var told struct{ CallbackURI, OperationContext string }
	_ = json.Unmarshal(body, &told)
	s.mu.Lock()
	defer s.mu.Unlock()
	action := strings.TrimPrefix(r.URL.Path, "/calling/callConnections/c1")
	s.got = append(s.got, action)
	switch {
	case r.URL.Path == "/calling/callConnections":
		s.callback = told.CallbackURI
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"callConnectionId":"c1","callConnectionState":"connected"}`)
		return
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
		return
	case action == "/participants:mute" || strings.HasSuffix(action, "hold"):
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
	io.WriteString(w, `{"invitationId":"i1"}`)
	if end := endOf[action]; end != "" {
		s.tell(end, told.OperationContext)
	}
}

func (s *callingService) tell(name, operationContext string) {
	body := fmt.Sprintf(`[{"type":"Microsoft.Communication.%s","data":{"callConnectionId":"c1","operationContext":"%s",
		"resultInformation":{"code":408,"subCode":560408,"message":"nobody picked up"}}}]`, name, operationContext)
	if resp, err := http.Post(s.callback, "application/json", strings.NewReader(body)); err == nil {
		resp.Body.Close()
	}
}

// TestCallActs drives a standing call from the command line to the wire and
// back: request, callback, end.
func TestCallActs(t *testing.T) {
	t.Parallel()
	s := &callingService{}
	s.Server = httptest.NewServer(s)
	defer s.Close()
	serve, urls := background(t, "serve", "--bot", "record", "--insecure", "--listen", "127.0.0.1:0", "--recordings", "", "--acs-endpoint", s.URL)
	call := func(args ...string) (string, error) {
		return output(t, append([]string{"call", "--api", urls["http"]}, args...)...)
	}
	out, err := call("create", "--request", exampleRequest)
	require.NoError(t, err, out)
	for _, tc := range []struct {
		args   []string
		action string
	}{
		{[]string{"play", "c1", "--file", "https://x/y.wav", "--wait"}, ":play"},
		{[]string{"play", "c1", "--stop"}, ":cancelAllMediaOperations"},
		{[]string{"dtmf", "c1", "12#", "--to", "4:+1", "--wait"}, ":sendDtmfTones"},
		{[]string{"add", "c1", "4:+1"}, "/participants:add"},
		{[]string{"remove", "c1", "4:+1", "--wait"}, "/participants:remove"},
		{[]string{"mute", "c1", "8:acs:a"}, "/participants:mute"},
		{[]string{"stream", "stop", "c1", "--wait"}, ":stopMediaStreaming"},
		{[]string{"stream", "start", "c1", "--wait"}, ":startMediaStreaming"},
		{[]string{"act", "c1", "hold", `{"party":"4:+1"}`}, ":hold"},
		{[]string{"transfer", "c1", "4:+2", "--wait"}, ":transferToParticipant"},
	} {
		out, err := call(tc.args...)
		require.NoError(t, err, "%v: %s", tc.args, out)
		s.mu.Lock()
		require.Equal(t, tc.action, s.got[len(s.got)-1])
		s.mu.Unlock()
		if tc.args[len(tc.args)-1] == "--wait" {
			require.Contains(t, out, endOf[tc.action])
		}
	}
	for want, args := range map[string][]string{
		`code "AddParticipantFailed", subcode 560408: nobody picked up`: {"add", "c1", "4:+1", "--wait"},
		"unknown action": {"act", "c1", "sing"},
		"tones":          {"dtmf", "c1", "x", "--to", "4:+1"},
	} {
		out, err := call(args...)
		require.Error(t, err, args)
		require.Contains(t, out, want)
	}
	out, err = call("mute", "nobody", "4:+1")
	require.Error(t, err)
	require.Contains(t, out, "unknown_call")
	interrupt(t, serve)
}
