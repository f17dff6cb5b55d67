package acs

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// Parties and addresses of the specification's examples and of the captures of
// the official JavaScript client 1.6.0.
const (
	partyA     = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_ae9e3307-f56e-44be-8934-80a63f080538"
	partyD     = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_da7be3a9-8788-42a6-85c6-56b2cf784fce"
	partyO     = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_0f50d091-5bd3-448b-884d-44be7037d9b9"
	sampleWAV  = "https://some.file.azure.com/sample.wav"
	serverCall = "aHR0cHM6Ly9za3lwZS5uZXQvYXBpL3YyL2NwL3NreXBlLm5ldC9jb252LzFQd3ZKMTcxZFI/aT0wJmU9NzU3NzA4NzU3OQ=="
	recording  = "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiI4YjlkYmFkMS0xOGFiLTRmODYtYWQ0Yy1jNzVmODA5ODA3NmUiLCJSZXNvdXJjZVNwZWNpZmljSWQiOiI4YjlkYmFkMS0xOGFiLTRmODYtYWQ0Yy1jNzVmODA5ODA3NmUifQ=="
	inCall     = "/calling/callConnections/" + seedCallID
	inRecord   = "/calling/recordings/eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiI4YjlkYmFkMS0xOGFiLTRmODYtYWQ0Yy1jNzVmODA5ODA3NmUiLCJSZXNvdXJjZVNwZWNpZmljSWQiOiI4YjlkYmFkMS0xOGFiLTRmODYtYWQ0Yy1jNzVmODA5ODA3NmUifQ%3D%3D"
)

// wireCase is one operation and what it must put on the wire; its golden file
// holds the body of request and response.
type wireCase struct {
	golden, method, target string
	status                 int
	repeatable             bool
	versions               []string
	do                     func(ctx context.Context, c *Client) error
}

func failed[T any](_ T, err error) error { return err }

var (
	newest = []string{Version2026}
	oldest = []string{Version2022}
	both   = []string{Version2022, Version2026}
)

// cb is the operationCallbackUri that examples of Version2026 have.
func cb(c *Client, context string) Tracking {
	if c.old() {
		return Tracking{OperationContext: context}
	}
	return Tracking{OperationContext: context, CallbackURI: callbackURL}
}

func mediaCases() []wireCase {
	recognize := func(ctx context.Context, c *Client) error {
		return failed(c.Recognize(ctx, seedCallID, Recognize{
			Input: RecognizeDTMF, Party: partyD, Prompts: []PlaySource{{File: sampleWAV}}, InterruptPrompt: true,
			InitialSilence: 5, InterTone: 3, MaxTones: 5, StopTones: "#", Tracking: cb(c, ""),
		}))
	}
	return []wireCase{
		{"play", "POST", inCall + ":play", 202, false, both, func(ctx context.Context, c *Client) error {
			return failed(c.Play(ctx, seedCallID, Play{
				Sources: []PlaySource{{File: sampleWAV, CacheID: "string"}}, To: []string{partyA}, Loop: true, Tracking: cb(c, ""),
			}))
		}},
		{"play-captured", "POST", inCall + ":play", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.Play(ctx, seedCallID, Play{
				Sources: []PlaySource{{File: "https://x/y.wav"}}, Tracking: Tracking{OperationContext: "79db31b5-1be2-4c98-af20-f177d414bd56"},
			}))
		}},
		{"recognize", "POST", inCall + ":recognize", 202, false, both, recognize},
		{"recognize-captured", "POST", inCall + ":recognize", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.Recognize(ctx, seedCallID, Recognize{
				Input: RecognizeDTMF, Party: "4:+1425", InitialSilence: 5, InterTone: 2, MaxTones: 4,
				Tracking: Tracking{OperationContext: "23a1ae9f"},
			}))
		}},
		{"cancel-all", "POST", inCall + ":cancelAllMediaOperations", 202, false, both, func(ctx context.Context, c *Client) error {
			return c.CancelAllMediaOperations(ctx, seedCallID)
		}},
		{"hold", "POST", inCall + ":hold", 200, false, newest, func(ctx context.Context, c *Client) error {
			return c.Hold(ctx, seedCallID, Hold{Party: partyO, Music: PlaySource{File: sampleWAV}})
		}},
		{"unhold", "POST", inCall + ":unhold", 200, false, newest, func(ctx context.Context, c *Client) error {
			return c.Unhold(ctx, seedCallID, partyO, Tracking{})
		}},
		{"send-dtmf", "POST", inCall + ":sendDtmfTones", 202, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.SendDTMF(ctx, seedCallID, partyD, "0", cb(c, "sendDtmf operation context")))
		}},
		{"send-dtmf-captured", "POST", inCall + ":sendDtmfTones", 202, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.SendDTMF(ctx, seedCallID, "4:+1425", "1#", Tracking{}))
		}},
		{"start-continuous-dtmf", "POST", inCall + ":startContinuousDtmfRecognition", 200, false, newest, func(ctx context.Context, c *Client) error {
			return c.StartContinuousDTMF(ctx, seedCallID, partyD, Tracking{})
		}},
		{"stop-continuous-dtmf", "POST", inCall + ":stopContinuousDtmfRecognition", 200, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.StopContinuousDTMF(ctx, seedCallID, partyD, cb(c, "")))
		}},
		{"start-media-streaming", "POST", inCall + ":startMediaStreaming", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.StartMediaStreaming(ctx, seedCallID, Tracking{"startMediaStreamingContext", "https://app.contoso.com/cb2"}))
		}},
		{"stop-media-streaming", "POST", inCall + ":stopMediaStreaming", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.StopMediaStreaming(ctx, seedCallID, Tracking{OperationContext: "stopMediaStreamingContext"}))
		}},
		{"start-transcription", "POST", inCall + ":startTranscription", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.StartTranscription(ctx, seedCallID, "", "", Tracking{}))
		}},
		{"stop-transcription", "POST", inCall + ":stopTranscription", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.StopTranscription(ctx, seedCallID, Tracking{}))
		}},
		{"update-transcription", "POST", inCall + ":updateTranscription", 202, false, newest, func(ctx context.Context, c *Client) error {
			return failed(c.UpdateTranscription(ctx, seedCallID, "en-us", "", Tracking{}))
		}},
	}
}

func partyCases() []wireCase {
	return []wireCase{
		{"connect", "POST", "/calling/callConnections:connect", 200, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.Connect(ctx, Locator{RoomID: "99434917639286209"}, CallOptions{
				CognitiveServices: "https://cognitiveservice.com",
				Transcription: &TranscriptionOptions{
					Locale: "en-ca", TransportURL: "wss://contosowebsocketserver.com/", Start: true, Intermediate: true,
					SpeechModel: "afa0669c-a01e-4693-ae3a-93baf40f26d6",
				},
			}, session.MediaRequest{
				URL: "wss://contosowebsocketserver.com/", CallbackURL: "https://contoso.communications.azure.com/callback",
				Channels: engine.Mixed, Bidirectional: true,
			}))
		}},
		{"list-participants", "GET", inCall + "/participants", 200, false, both, func(ctx context.Context, c *Client) error {
			roster, err := c.Participants(ctx, seedCallID)
			if err == nil && (len(roster.Participants) == 0 || roster.Participants[0].RawID != partyD) {
				return fmt.Errorf("roster %v", roster)
			}
			return err
		}},
		{"get-participant", "GET", inCall + "/participants/" + strings.Replace(partyD, "8:acs:", "8%3Aacs%3A", 1), 200, false, both, func(ctx context.Context, c *Client) error {
			p, err := c.GetParticipant(ctx, seedCallID, partyD)
			if err == nil && p.RawID != partyD {
				return fmt.Errorf("participant %v", p)
			}
			return err
		}},
		{"add-participant", "POST", inCall + "/participants:add", 202, true, both, func(ctx context.Context, c *Client) error {
			in, err := c.AddParticipant(ctx, seedCallID, AddParticipant{Party: partyA, CallerID: "+18440123456", Tracking: cb(c, "adding participant")})
			if err == nil && !c.old() && in.ID != "7b4244f8-d2ff-46d1-a629-4f9fb5f73d40" {
				return fmt.Errorf("invitation %q", in.ID)
			}
			return err
		}},
		{"add-participant-captured", "POST", inCall + "/participants:add", 202, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.AddParticipant(ctx, seedCallID, AddParticipant{Party: "4:+1425", CallerID: "4:+1844", Tracking: Tracking{OperationContext: "add"}}))
		}},
		{"remove-participant", "POST", inCall + "/participants:remove", 202, true, both, func(ctx context.Context, c *Client) error {
			return failed(c.RemoveParticipant(ctx, seedCallID, partyA, cb(c, "removing participant")))
		}},
		{"mute-participant", "POST", inCall + "/participants:mute", 200, true, newest, func(ctx context.Context, c *Client) error {
			return c.MuteParticipant(ctx, seedCallID, partyD, "mute participant")
		}},
		{"cancel-add-participant", "POST", inCall + "/participants:cancelAddParticipant", 202, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.CancelAddParticipant(ctx, seedCallID, "7b4244f8-d2ff-46d1-a629-4f9fb5f73d40", cb(c, "cancelling add participant")))
		}},
		{"move-participants", "POST", inCall + "/participants:moveHere", 202, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.MoveParticipants(ctx, seedCallID, "28dea47f-b081-4107-9a5c-4300819d2c6c", []string{partyA}, cb(c, "moveing participant")))
		}},
		{"transfer", "POST", inCall + ":transferToParticipant", 202, true, newest, func(ctx context.Context, c *Client) error {
			return failed(c.Transfer(ctx, seedCallID, Transfer{Target: partyD, Transferee: partyA, Tracking: cb(c, "trasferring call")}))
		}},
		{"transfer", "POST", inCall + ":transferToParticipant", 202, true, oldest, func(ctx context.Context, c *Client) error {
			return failed(c.Transfer(ctx, seedCallID, Transfer{Target: partyD, CallerID: "+11234567890", UserToUser: "user to user", Tracking: cb(c, "trasferring call")}))
		}},
	}
}

func recordingCases() []wireCase {
	const state = "https://contoso.communications.azure.com/callback"
	start := func(s StartRecording) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error {
			r, err := c.StartRecording(ctx, s)
			if err == nil && (r.ID != recording || r.State != "inactive") {
				return fmt.Errorf("recording %v", r)
			}
			return err
		}
	}
	on := func(do func(*Client, context.Context, string) error) func(context.Context, *Client) error {
		return func(ctx context.Context, c *Client) error { return do(c, ctx, recording) }
	}
	return []wireCase{
		{"start-recording", "POST", "/calling/recordings", 200, true, newest, start(StartRecording{
			Call: Locator{ServerCallID: serverCall}, StateCallbackURI: state, Paused: true, Container: "https://contoso.blob.core.windows.net/recordings",
		})},
		{"start-recording", "POST", "/calling/recordings", 200, true, oldest, start(StartRecording{
			Call: Locator{ServerCallID: serverCall}, StateCallbackURI: state,
		})},
		{"start-recording-by-connection", "POST", "/calling/recordings", 202, true, newest, start(StartRecording{
			CallID: "0400a480-ab14-4f1a-bce6-9041d4e55959", StateCallbackURI: state,
		})},
		{"start-recording-captured", "POST", "/calling/recordings", 200, true, newest, start(StartRecording{
			Call: Locator{ServerCallID: "srv1"}, Content: "audio", Channels: "unmixed", Format: "wav",
		})},
		{"get-recording", "GET", inRecord, 200, false, both, func(ctx context.Context, c *Client) error {
			return failed(c.GetRecording(ctx, recording))
		}},
		{"stop-recording", "DELETE", inRecord, 204, false, both, on((*Client).StopRecording)},
		{"pause-recording", "POST", inRecord + ":pause", 202, false, both, on((*Client).PauseRecording)},
		{"resume-recording", "POST", inRecord + ":resume", 202, false, both, on((*Client).ResumeRecording)},
	}
}

func wireCases() []wireCase { return slices.Concat(mediaCases(), partyCases(), recordingCases()) }

// exchange is a golden file.
type exchange struct {
	Request  json.RawMessage `json:"request"`
	Response json.RawMessage `json:"response"`
}

func exchangeOf(t testing.TB, version, name string) (x exchange) {
	t.Helper()
	b, err := os.ReadFile("testdata/operations/" + version + "/" + name + ".json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &x))
	return x
}

// plain drops what two clients may write differently and the service reads
// alike: nulls, the default false, empty objects, a rawId beside its parts.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			value = plain(value)
			v[key] = value
			if empty, ok := value.(map[string]any); value == nil || value == false || ok && len(empty) == 0 {
				delete(v, key)
			}
		}
		if v["communicationUser"] != nil || v["phoneNumber"] != nil {
			delete(v, "rawId")
			delete(v, "kind")
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

func plainJSON(t testing.TB, b []byte) any {
	t.Helper()
	if len(b) == 0 {
		return nil
	}
	var v any
	require.NoError(t, json.Unmarshal(b, &v), string(b))
	return plain(v)
}

func TestEveryOperationOnTheWire(t *testing.T) {
	seen := map[string]bool{}
	for _, tc := range wireCases() {
		for _, version := range tc.versions {
			t.Run(version+"/"+tc.golden, func(t *testing.T) {
				seen[version+"/"+tc.golden+".json"] = true
				x := exchangeOf(t, version, tc.golden)
				f := newFakeService(t, reply(tc.status, string(x.Response)))
				c := newTestClient(t, f, ClientConfig{APIVersion: version})
				require.NoError(t, tc.do(t.Context(), c.Client))
				require.Len(t, f.requests(), 1)
				r := f.requests()[0]
				require.Equal(t, tc.method+" "+tc.target+"?api-version="+version, r.method+" "+r.target)
				verifySignature(t, r)
				require.Equal(t, tc.repeatable, r.header.Get("Repeatability-Request-Id") != "")
				require.Equal(t, tc.repeatable, r.header.Get("Repeatability-First-Sent") != "")
				want, got := plainJSON(t, x.Request), plainJSON(t, r.body)
				if w, ok := want.(map[string]any); ok {
					g := got.(map[string]any)
					if w["operationContext"] == nil {
						delete(g, "operationContext") // minted
					}
					if media, ok := g["mediaStreamingOptions"].(map[string]any); ok {
						delete(media, "enableDtmfTones")
					}
				}
				require.Equal(t, want, got)
			})
		}
	}
	for _, version := range both {
		files, err := os.ReadDir("testdata/operations/" + version)
		require.NoError(t, err)
		for _, f := range files {
			require.True(t, seen[version+"/"+f.Name()], "%s/%s is no case", version, f.Name())
		}
	}
}

// TestRetriesOfEveryOperation: what is repeatable is sent again as it was and
// counts as one; what is not is sent again only where it was not executed.
func TestRetriesOfEveryOperation(t *testing.T) {
	for _, tc := range wireCases() {
		version := tc.versions[0]
		t.Run(tc.golden, func(t *testing.T) {
			x := exchangeOf(t, version, tc.golden)
			again := tc.repeatable || tc.method != "POST"
			f := newFakeService(t, reply(503, ""), reply(500, ""), reply(tc.status, string(x.Response)))
			c := newTestClient(t, f, ClientConfig{APIVersion: version})
			err := tc.do(t.Context(), c.Client)
			got := f.requests()
			if !again {
				var refused *session.Error
				require.ErrorAs(t, err, &refused)
				require.Equal(t, 503, refused.Status)
				require.True(t, refused.Retryable)
				require.Len(t, got, 1)
			} else {
				require.NoError(t, err)
				require.Len(t, got, 3)
				ids := map[string]bool{}
				for _, r := range got {
					require.Equal(t, got[0], r)
					ids[r.header.Get("Repeatability-Request-Id")] = true
				}
				require.Len(t, ids, 1, "one request, however often it was sent")
			}
			waiting, _ := c.config.Operations.Waiting()
			if !again {
				require.Zero(t, waiting, "what was refused is not waited for")
			}

			f = newFakeService(t, reply(429, "", "Retry-After", "2"), reply(tc.status, string(x.Response)))
			c = newTestClient(t, f, ClientConfig{APIVersion: version})
			require.NoError(t, tc.do(t.Context(), c.Client), "turned away unread")
			require.Len(t, f.requests(), 2)
			require.Equal(t, "2s", c.pauses[0].String())
		})
	}
}

// TestRefusalsOfEveryOperation: status, code and subcode reach the caller, and
// a success of a wrong status is none.
func TestRefusalsOfEveryOperation(t *testing.T) {
	for _, tc := range wireCases() {
		version := tc.versions[0]
		f := newFakeService(t, reply(412, `{"error":{"code":"8583","message":"precondition"}}`, "x-ms-request-id", "rid"))
		c := newTestClient(t, f, ClientConfig{APIVersion: version})
		var refused *session.Error
		require.ErrorAs(t, tc.do(t.Context(), c.Client), &refused, tc.golden)
		require.Equal(t, []any{"acs", 412, "8583", 8583, "rid", false},
			[]any{refused.Cloud, refused.Status, refused.Code, refused.SubCode, refused.RequestID, refused.Retryable}, tc.golden)
		require.NotEmpty(t, refused.Op, tc.golden)
		f = newFakeService(t, reply(http.StatusNonAuthoritativeInfo, `{}`))
		c = newTestClient(t, f, ClientConfig{APIVersion: version})
		require.ErrorAs(t, tc.do(t.Context(), c.Client), &refused, tc.golden)
		require.Equal(t, 203, refused.Status, tc.golden)
	}
}
