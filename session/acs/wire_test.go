package acs

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

func TestCreateBodyIsTheSeeds(t *testing.T) {
	body := `{"source":{"identifier":{"kind":"communicationUser","communicationUser":{"id":"` + seedCaller + `"}}},
 "targets":[{"kind":"communicationUser","communicationUser":{"id":"` + seedCallee + `"}}]}`
	m := session.MediaRequest{
		URL: transportURL, CallbackURL: callbackURL, Channels: engine.Mixed,
		OperationContext: "Reminder call",
		// What 2022 has no words for must leave no trace.
		Bidirectional: true, DTMF: true, SampleRate: 16000,
	}
	got, err := createBody(Version2022, []byte(body), m)
	require.NoError(t, err)
	require.JSONEq(t, string(golden(t, "create-2022-request.json")), string(got))
	require.True(t, strings.HasPrefix(string(got), strings.TrimSuffix(body, "}")), "the given bytes are kept")

	whole := golden(t, "create-2022-request.json")
	got, err = createBody(Version2022, whole, session.MediaRequest{
		URL: "wss://other/", CallbackURL: "https://other/", OperationContext: "other"})
	require.NoError(t, err)
	require.Equal(t, string(whole), string(got), "a body that says all is not touched")
}

func TestCreateBodyIsTheCaptured(t *testing.T) {
	captured := strings.TrimSpace(string(golden(t, "create-2026-request.json")))
	body := captured[:strings.Index(captured, `,"operationContext"`)] + "}"
	got, err := createBody(Version2026, []byte(body), session.MediaRequest{
		URL: transportURL, CallbackURL: callbackURL, OperationContext: "Reminder call",
		SampleRate: 24000, Bidirectional: true, DTMF: true,
	})
	require.NoError(t, err)
	require.Equal(t, captured, string(got), "byte for byte what the official client sends")
}

func TestAnswerRejectRedirectBodies(t *testing.T) {
	in := session.Incoming{Context: "eyJhbGciOiJub25lIn0.ctx."}
	m := session.MediaRequest{
		URL: transportURL, CallbackURL: callbackURL, OperationContext: "ans",
		SampleRate: 24000, Bidirectional: true, DTMF: true,
	}
	got, err := answerBody(Version2026, in, m)
	require.NoError(t, err)
	var want map[string]any
	require.NoError(t, json.Unmarshal(golden(t, "answer-2026-request.json"), &want))
	delete(want, "answeredBy") // optional, and not ours to know
	wantJSON, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, string(wantJSON), string(got))

	m.SampleRate, m.Channels = 0, engine.Unmixed
	got, err = answerBody(Version2022, in, m)
	require.NoError(t, err)
	require.JSONEq(t, `{"incomingCallContext":"eyJhbGciOiJub25lIn0.ctx.","callbackUri":"https://app.contoso.com/callback",
		"mediaStreamingConfiguration":{"transportUrl":"wss://contoso.websocket.server/","transportType":"websocket",
		"contentType":"audio","audioChannelType":"unmixed"}}`, string(got))

	in.Context = "ctx"
	got, err = rejectBody(in, "busy")
	require.NoError(t, err)
	require.JSONEq(t, string(golden(t, "reject-2026-request.json")), string(got))
	got, err = rejectBody(in, "")
	require.NoError(t, err)
	require.JSONEq(t, `{"incomingCallContext":"ctx"}`, string(got))
	got, err = redirectBody(Version2026, in, session.Identity{RawID: "8:acs:t"})
	require.NoError(t, err)
	require.JSONEq(t, string(golden(t, "redirect-2026-request.json")), string(got))
}

func TestBodiesRefuse(t *testing.T) {
	in := session.Incoming{Context: "ctx"}
	media := session.MediaRequest{URL: transportURL}
	create := func(version, body string, m session.MediaRequest) error {
		_, err := createBody(version, []byte(body), m)
		return err
	}
	rate := func(r int) session.MediaRequest { return session.MediaRequest{URL: transportURL, SampleRate: r} }
	reject := func(in session.Incoming, reason string) error { _, err := rejectBody(in, reason); return err }
	redirect := func(in session.Incoming, id string) error {
		_, err := redirectBody(Version2026, in, session.Identity{RawID: id})
		return err
	}
	_, answerErr := answerBody(Version2026, session.Incoming{}, media)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"array", create(Version2026, `[{}]`, media), "request body is a JSON array, want an object"},
		{"string", create(Version2026, `"x"`, media), "request body is a JSON string"},
		{"null", create(Version2026, `null`, media), "request body is a JSON null"},
		{"number", create(Version2026, `12`, media), "request body is a JSON number"},
		{"true", create(Version2026, `true`, media), "request body is a JSON boolean"},
		{"empty", create(Version2026, " \n", media), "request body is empty"},
		{"cut", create(Version2026, `{"a":1`, media), "request body is not JSON"},
		{"two", create(Version2026, `{} {}`, media), "request body is not JSON"},
		{"rate", create(Version2026, `{}`, rate(44100)), "media sample rate 44100"},
		{"rate of 2022", create(Version2022, `{}`, rate(24000)), "media sample rate 24000"},
		{"channels", create(Version2022, `{}`, session.MediaRequest{URL: "u", Channels: 7}), "media channels"},
		{"answer", answerErr, "incomingCallContext is empty"},
		{"reject", reject(session.Incoming{}, ""), "incomingCallContext is empty"},
		{"reason", reject(in, "tired"), `callRejectReason "tired"`},
		{"redirect", redirect(session.Incoming{}, "4:+1"), "incomingCallContext is empty"},
		{"nobody", redirect(in, ""), "raw id is empty"},
	} {
		require.ErrorContains(t, c.err, c.want, c.name)
	}
}

func TestParseConnection(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       session.Connection
	}{
		{"seed", string(golden(t, "create-2022-response.json")), session.Connection{
			CallID: seedCallID, GroupID: "aHR0cHM6Ly9jb252ZXJzYXRpb251cmwvdGVzdA",
			State: session.StateConnected, Source: session.Identity{RawID: seedCaller},
			Targets: []session.Identity{{RawID: seedCallee}, {RawID: "4:+14250123456"}},
		}},
		{"2022 with name, by number alone",
			`{"callConnectionId":"c","source":{"identifier":null,"callerId":{"value":"+1844"},"displayName":"Contoso"}}`,
			session.Connection{CallID: "c", Source: session.Identity{RawID: "4:+1844", Name: "Contoso"}}},
		{"2026", `{"callConnectionId":"c","serverCallId":"s","correlationId":"k","callConnectionState":"connecting",
			"source":{"kind":"communicationUser","rawId":"8:acs:a","communicationUser":{"id":"8:acs:a"}},
			"sourceDisplayName":"Contoso","sourceCallerIdNumber":{"value":"+1"},
			"mediaStreamingSubscription":{"id":"m","state":"active"},"answeredFor":{"value":"+2"},
			"targets":[{"microsoftTeamsUser":{"userId":"u"}}]}`,
			session.Connection{CallID: "c", GroupID: "s", CorrelationID: "k", State: session.StateConnecting,
				Source:  session.Identity{RawID: "8:acs:a", Name: "Contoso"},
				Targets: []session.Identity{{RawID: "8:orgid:u"}}}},
		{"2026, only a number", `{"callConnectionId":"c","sourceCallerIdNumber":{"value":"+1"}}`,
			session.Connection{CallID: "c", Source: session.Identity{RawID: "4:+1"}}},
		{"flat id echoed", `{"callConnectionId":"c","source":{"id":"8:acs:a"}}`,
			session.Connection{CallID: "c", Source: session.Identity{RawID: "8:acs:a"}}},
		{"PascalCase", `{"CallConnectionId":"c","CallConnectionState":"DISCONNECTED"}`,
			session.Connection{CallID: "c", State: session.StateDisconnected}},
	} {
		got, err := parseConnection([]byte(c.body))
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
	for body, want := range map[string]string{
		`{}`:                            "callConnectionId is missing",
		``:                              "unexpected end of JSON input",
		`{"callConnectionId":5}`:        "callConnectionId: cannot be number",
		`{"callConnectionId":"c"} tail`: "invalid character",
	} {
		_, err := parseConnection([]byte(body))
		require.ErrorContains(t, err, want, body)
	}
}

func TestCallState(t *testing.T) {
	for s, want := range map[string]session.CallState{
		"unknown": session.StateNew, "": session.StateNew, "brandNew": session.StateNew,
		"connecting": session.StateConnecting, "Connected": session.StateConnected,
		"transferring": session.StateConnected, "transferAccepted": session.StateConnected,
		"disconnecting": session.StateDisconnecting, "disconnected": session.StateDisconnected,
	} {
		require.Equal(t, want, callState(s), s)
	}
}

func TestParseError(t *testing.T) {
	for _, c := range []struct {
		name, body, code string
		sub              int
		message          string
	}{
		{"numeric code", `{"error":{"code":"8523","message":"bad"}}`, "8523", 8523, "bad"},
		{"code as number", `{"error":{"code":8522,"message":"gone"}}`, "8522", 8522, "gone"},
		{"property", `{"error":{"code":"BadRequest","subCode":8501,"message":"m"}}`, "BadRequest", 8501, "m"},
		{"property as string", `{"error":{"code":"BadRequest","subcode":"8501","message":"m"}}`, "BadRequest", 8501, "m"},
		{"inner", `{"error":{"code":"A","message":"m","innererror":{"code":"B","innererror":{"code":"8585"}}}}`, "A", 8585, "m"},
		{"inner, capital", `{"error":{"code":"A","message":"m","innerError":{"code":"7509"}}}`, "A", 7509, "m"},
		{"details", `{"error":{"code":"A","message":"m","details":[{"code":"x"},{"code":"8519"}]}}`, "A", 8519, "m"},
		{"message", `{"error":{"code":"A","message":"Failed. SubCode: 8528."}}`, "A", 8528, "Failed. SubCode: 8528."},
		{"none", `{"error":{"code":"A","message":"subcode is not here"}}`, "A", 0, "subcode is not here"},
		{"empty", ``, "", 0, "no error body"},
		{"html", `<html>`, "", 0, "error body is not a CommunicationErrorResponse"},
		{"other JSON", `{"message":"x"}`, "", 0, "error body is not a CommunicationErrorResponse"},
	} {
		code, sub, message := parseError([]byte(c.body))
		require.Equal(t, []any{c.code, c.sub, c.message}, []any{code, sub, message}, c.name)
	}
}

func TestIdentifierRoundTrip(t *testing.T) {
	for _, c := range []struct{ raw, kind, json string }{
		{"8:acs:r_u", "communicationUser", `"communicationUser":{"id":"8:acs:r_u"}`},
		{"8:spool:x", "communicationUser", `"communicationUser":{"id":"8:spool:x"}`},
		{"8:gcch-acs:r_u", "communicationUser", `"communicationUser":{"id":"8:gcch-acs:r_u"}`},
		{"4:+14250123456", "phoneNumber", `"phoneNumber":{"value":"+14250123456"}`},
		{"8:orgid:u", "microsoftTeamsUser", `"microsoftTeamsUser":{"userId":"u","cloud":"public"}`},
		{"8:dod:u", "microsoftTeamsUser", `"microsoftTeamsUser":{"userId":"u","cloud":"dod"}`},
		{"8:gcch:u", "microsoftTeamsUser", `"microsoftTeamsUser":{"userId":"u","cloud":"gcch"}`},
		{"8:teamsvisitor:u", "microsoftTeamsUser", `"microsoftTeamsUser":{"userId":"u","isAnonymous":true}`},
		{"28:orgid:a", "microsoftTeamsApp", `"microsoftTeamsApp":{"appId":"a","cloud":"public"}`},
		{"8:acs:r_t_u", "teamsExtensionUser", `"teamsExtensionUser":{"userId":"u","tenantId":"t","resourceId":"r","cloud":"public"}`},
		{"8:dod-acs:r_t_u", "teamsExtensionUser", `"teamsExtensionUser":{"userId":"u","tenantId":"t","resourceId":"r","cloud":"dod"}`},
		{"28:0000-guid", "unknown", ``},
		{"nonsense", "unknown", ``},
		{"4:", "unknown", ``},
		{"8:acs:", "unknown", ``},
	} {
		id := identifierOf(Version2026, c.raw)
		b, err := json.Marshal(id)
		require.NoError(t, err)
		want := `{"kind":"` + c.kind + `","rawId":"` + c.raw + `"`
		if c.json != "" {
			want += "," + c.json
		}
		require.JSONEq(t, want+"}", string(b))
		id.RawID = ""
		if c.kind != "unknown" {
			require.Equal(t, c.raw, id.raw(), "derived again from the typed part")
		}
	}
	require.Equal(t, "unknown", identifierOf(Version2022, "28:orgid:a").Kind)
	require.Equal(t, "communicationUser", identifierOf(Version2022, "8:acs:r_t_u").Kind)
}

// TestSansIO keeps the wire pure: what it says depends on its arguments alone.
func TestSansIO(t *testing.T) {
	for _, name := range []string{"wire.go", "decode.go", "identifier.go", "event.go", "events.go", "grid.go", "tone.go", "sign.go"} {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, word := range []string{"\"net\"", "\"sync\"", "time.Now", "\tgo "} {
			require.NotContains(t, string(b), word, name)
		}
	}
}

// TestTranscriptionSharesTheSocket: a transcription that names no address goes
// to the media's; one that names its own keeps it.
func TestTranscriptionSharesTheSocket(t *testing.T) {
	m := session.MediaRequest{URL: "wss://bot.example.com/media/x", Channels: engine.Mixed}
	for _, tc := range []struct{ body, want string }{
		{`{"transcriptionOptions":{"locale":"en-US"}}`, `{"locale":"en-US","transportUrl":"wss://bot.example.com/media/x"}`},
		{`{"transcriptionOptions":{"locale":"en-US","transportUrl":"wss://other/"}}`, `{"locale":"en-US","transportUrl":"wss://other/"}`},
	} {
		created, err := createBody(Version2026, json.RawMessage(tc.body), m)
		require.NoError(t, err)
		m.Answer = json.RawMessage(tc.body)
		answered, err := answerBody(Version2026, session.Incoming{Context: "c"}, m)
		require.NoError(t, err)
		for _, body := range [][]byte{created, answered} {
			var told struct {
				Options json.RawMessage `json:"transcriptionOptions"`
			}
			require.NoError(t, json.Unmarshal(body, &told))
			require.JSONEq(t, tc.want, string(told.Options))
		}
	}
}
