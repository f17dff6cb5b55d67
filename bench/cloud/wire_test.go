package cloud

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func golden(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/golden/" + name)
	require.NoError(t, err)
	return string(text)
}

const (
	goldenSource = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_da7be3a9-8788-42a6-85c6-56b2cf784fce"
	goldenTarget = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_0f50d091-5bd3-448b-884d-44be7037d9b9"
)

func TestCreateRequestsOfTheDocuments(t *testing.T) {
	o, bad := parseCreate(version2022, []byte(golden(t, "create-2022.request.json")), false)
	require.Nil(t, bad)
	require.Equal(t, "Reminder call", o.operationContext)
	require.Equal(t, "https://app.contoso.com/callback", o.callbackURI)
	require.Equal(t, goldenSource, o.source.rawID())
	require.Equal(t, goldenTarget, o.targets[0].rawID())
	require.Equal(t, &mediaOptions{url: "wss://contoso.websocket.server/", mixed: true, start: true, bidirectional: true, rate: 16000}, o.media)

	o, bad = parseCreate(version2026, []byte(golden(t, "create-2026.request.json")), false)
	require.Nil(t, bad)
	require.Equal(t, goldenSource, o.source.rawID())
	require.Equal(t, &mediaOptions{
		url: "wss://contoso.websocket.server/", mixed: true, start: true, bidirectional: true, dtmf: true, rate: 24000,
	}, o.media)
}

// Bodies that the official JavaScript client sent, verbatim.
func TestCapturedBodies(t *testing.T) {
	o, bad := parseCreate(version2026, []byte(`{"targets":[{"kind":"phoneNumber","rawId":"4:+14250123456","phoneNumber":{"value":"+14250123456","isAnonymous":false}}],"sourceCallerIdNumber":{"value":"+18440123456","isAnonymous":false},"sourceDisplayName":"Contoso","source":{"id":"8:acs:…"},"callbackUri":"https://app.contoso.com/callback"}`), false)
	require.Nil(t, bad)
	require.Equal(t, "+18440123456", o.callerID.Value)
	require.Equal(t, "4:+14250123456", o.targets[0].rawID())
	require.Nil(t, o.media)

	o, bad = parseAnswer(version2026, []byte(`{"incomingCallContext":"eyJhbGciOiJub25lIn0.ctx.","callbackUri":"https://app.contoso.com/callback","operationContext":"ans","answeredBy":{"id":"8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_da7be3a9-8788-42a6-85c6-56b2cf784fce"},"mediaStreamingOptions":{"transportType":"websocket","audioChannelType":"mixed","transportUrl":"wss://contoso.websocket.server/","contentType":"audio","startMediaStreaming":true,"enableBidirectional":true,"audioFormat":"pcm24KMono","enableDtmfTones":true}}`), false)
	require.Nil(t, bad)
	require.Equal(t, "eyJhbGciOiJub25lIn0.ctx.", o.incomingContext)
	require.Equal(t, goldenSource, o.answeredBy.ID)
	require.Equal(t, 24000, o.media.rate)

	// 1.4.0-beta.1 has no enableDtmfTones; 1.2.0 has no media at all.
	o, bad = parseAnswer(version2026, []byte(`{"incomingCallContext":"c","callbackUri":"https://a/b","mediaStreamingOptions":{"transportUrl":"wss://a/","transportType":"websocket","contentType":"audio","audioChannelType":"unmixed","startMediaStreaming":false,"enableBidirectional":false,"audioFormat":"Pcm16KMono"}}`), false)
	require.Nil(t, bad)
	require.Equal(t, &mediaOptions{url: "wss://a/", rate: 16000}, o.media)

	r, bad := parseRedirect([]byte(`{"incomingCallContext":"ctx","target":{"kind":"communicationUser","rawId":"8:acs:t","communicationUser":{"id":"8:acs:t"}}}`))
	require.Nil(t, bad)
	require.Equal(t, "8:acs:t", r.Target.rawID())
	_, bad = parseReject([]byte(`{"incomingCallContext":"ctx","callRejectReason":"busy"}`))
	require.Nil(t, bad)
	st, bad := parseStream([]byte(`{"operationCallbackUri":"https://app.contoso.com/cb2","operationContext":"startMediaStreamingContext"}`), false)
	require.Nil(t, bad)
	require.Equal(t, streamRequest{"https://app.contoso.com/cb2", "startMediaStreamingContext"}, st)
	_, bad = parseStream([]byte(`{}`), false)
	require.Nil(t, bad)
}

func TestResponsesOfTheDocuments(t *testing.T) {
	source, target := identityOf(goldenSource), identityOf(goldenTarget)
	p := properties{
		callConnectionID: "18dea47f-b081-4107-9a5c-4300819d2c6c", serverCallID: "aHR0cHM6Ly9jb252ZXJzYXRpb251cmwvdGVzdA",
		correlationID: "d732db64-4803-462d-be9c-518943ea2b7a", source: &source, callerID: &phoneModel{Value: "+18440123456"},
		displayName: "Contoso", targets: []identifier{target}, answeredBy: goldenTarget, state: "connected",
		callbackURI: "https://app.contoso.com/callback", subscriptionID: "23dea47f-0000-0000-0000-000000000000", streaming: true,
	}
	require.JSONEq(t, golden(t, "create-2026.response.json"), string(marshal(p.shape(version2026))))

	// The 2022 answer repeats the identifiers as the request had them.
	o, bad := parseCreate(version2022, []byte(golden(t, "create-2022.request.json")), false)
	require.Nil(t, bad)
	p.source, p.displayName, p.subscriptionID = o.source, "", "6431f20a-1235-4a74-j632-asas8h6f999s"
	p.targets = append(o.targets, identifier{Kind: "phoneNumber", PhoneNumber: &phoneModel{Value: "+14250123456"}})
	require.JSONEq(t, golden(t, "create-2022.response.json"), string(marshal(p.shape(version2022))))

	p.subscriptionID, p.streaming = "", false
	require.NotContains(t, string(marshal(p.shape(version2022))), "mediaSubscriptionId")
	require.NotContains(t, string(marshal(p.shape(version2026))), "mediaStreamingSubscription")
}

func TestBadBodies(t *testing.T) {
	const media = `{"transportUrl":"wss://a/","transportType":"websocket","contentType":"audio","audioChannelType":"mixed"`
	base := func(field, value string) string {
		m := map[string]json.RawMessage{
			"targets":     json.RawMessage(`[{"communicationUser":{"id":"8:acs:t"}}]`),
			"source":      json.RawMessage(`{"identifier":{"communicationUser":{"id":"8:acs:s"}},"id":"8:acs:s"}`),
			"callbackUri": json.RawMessage(`"https://a/b"`),
		}
		if value == "" {
			delete(m, field)
		} else {
			m[field] = json.RawMessage(value)
		}
		return string(marshal(m))
	}
	_, bad := parseCreate(version2022, []byte(base("x", "1")), false)
	require.Nil(t, bad)
	for _, tt := range []struct{ version, field, value, target string }{
		{version2022, "targets", "", "targets"},
		{version2022, "targets", "[]", "targets"},
		{version2022, "targets", "{}", "targets"},
		{version2022, "targets", `[{}]`, "targets"},
		{version2022, "targets", `[{"kind":"phoneNumber","communicationUser":{"id":"x"}}]`, "targets.kind"},
		{version2022, "targets", `[{"phoneNumber":{"value":"+1"},"communicationUser":{"id":"x"}}]`, "targets"},
		{version2022, "targets", `[{"phoneNumber":{"value":""}}]`, "targets.phoneNumber.value"},
		{version2022, "callbackUri", "", "callbackUri"},
		{version2022, "callbackUri", `"http://a/b"`, "callbackUri"},
		{version2022, "callbackUri", `"/b"`, "callbackUri"},
		{version2022, "callbackUri", `7`, "callbackUri"},
		{version2022, "source", "", "source"},
		{version2022, "source", "null", "source"},
		{version2022, "source", `{"id":"8:acs:s"}`, "source.identifier"},
		{version2022, "source", `{"identifier":{}}`, "source.identifier"},
		{version2026, "source", `{"identifier":{"communicationUser":{"id":"8:acs:s"}}}`, "source.id"},
		{version2026, "source", `"8:acs:s"`, "source"},
		{version2022, "mediaStreamingConfiguration", `{}`, "mediaStreamingConfiguration.transportUrl"},
		{version2022, "mediaStreamingConfiguration", `{"transportUrl":"ws://a/"}`, "mediaStreamingConfiguration.transportUrl"},
		{version2022, "mediaStreamingConfiguration", `{"transportUrl":"wss://a/"}`, "mediaStreamingConfiguration.transportType"},
		{version2022, "mediaStreamingConfiguration", `{"transportUrl":"wss://a/","transportType":"websocket","audioChannelType":"mixed"}`, "mediaStreamingConfiguration.contentType"},
		{version2022, "mediaStreamingConfiguration", `{"transportUrl":"wss://a/","transportType":"websocket","contentType":"video","audioChannelType":"mixed"}`, "mediaStreamingConfiguration.contentType"},
		{version2026, "mediaStreamingOptions", media + `,"audioFormat":"opus"}`, "mediaStreamingOptions.audioFormat"},
		{version2026, "mediaStreamingOptions", media + `,"startMediaStreaming":"yes"}`, "mediaStreamingOptions.startMediaStreaming"},
	} {
		_, bad := parseCreate(tt.version, []byte(base(tt.field, tt.value)), false)
		require.NotNil(t, bad, "%s %s", tt.field, tt.value)
		require.Equal(t, 400, bad.status)
		require.Equal(t, "8523", bad.code)
		require.Equal(t, tt.target, bad.target, bad.message)
	}
	for _, body := range []string{"", "{", "[]", "null x", "\xff"} {
		_, bad := parseCreate(version2026, []byte(body), false)
		require.NotNil(t, bad, body)
	}
	// The other version's media, and optional parts that are missing.
	o, bad := parseCreate(version2026, []byte(base("mediaStreamingConfiguration", media+"}")), false)
	require.Nil(t, bad)
	require.Nil(t, o.media)
	_, bad = parseCreate(version2026, []byte(base("source", "")), false)
	require.Nil(t, bad)
	// Keys and enums in any case.
	_, bad = parseCreate(version2026, []byte(`{"CallbackURI":"http://a/b","Targets":[{"Kind":"PhoneNumber","PhoneNumber":{"Value":"+1"}}],
		"MediaStreamingOptions":{"TransportUrl":"ws://a/","TransportType":"WebSocket","AudioChannelType":"Unmixed","AudioFormat":"Pcm24KMono"}}`), true)
	require.Nil(t, bad)
}

func TestRawIDs(t *testing.T) {
	yes := true
	for _, tt := range []struct {
		raw, kind string
		id        identifier
	}{
		{"8:acs:a_b", "communicationUser", identifier{CommunicationUser: &userModel{ID: "8:acs:a_b"}}},
		{"4:+1425", "phoneNumber", identifier{PhoneNumber: &phoneModel{Value: "+1425"}}},
		{"8:orgid:u", "microsoftTeamsUser", identifier{MicrosoftTeamsUser: &teamsModel{UserID: "u"}}},
		{"8:gcch:u", "microsoftTeamsUser", identifier{MicrosoftTeamsUser: &teamsModel{UserID: "u", Cloud: "GCCH"}}},
		{"8:dod:u", "microsoftTeamsUser", identifier{MicrosoftTeamsUser: &teamsModel{UserID: "u", Cloud: "dod"}}},
		{"8:teamsvisitor:u", "microsoftTeamsUser", identifier{MicrosoftTeamsUser: &teamsModel{UserID: "u", IsAnonymous: &yes}}},
		{"28:orgid:x", "microsoftTeamsApp", identifier{MicrosoftTeamsApp: &appModel{AppID: "x"}}},
		{"whatever", "unknown", identifier{RawID: "whatever"}},
	} {
		require.Equal(t, tt.raw, tt.id.rawID())
		require.Nil(t, tt.id.normalize("x"))
		require.Equal(t, tt.kind, tt.id.Kind)
		got := identityOf(tt.raw)
		require.Equal(t, tt.kind, got.Kind)
		require.Nil(t, got.normalize("x"))
	}
}

func FuzzRequestBody(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/requests/*.json")
	require.NoError(f, err)
	for _, name := range append(files, "testdata/golden/create-2022.request.json", "testdata/golden/create-2026.request.json") {
		text, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"recognizeInputType":"choices","playPrompts":[{"kind":"ssml","ssml":{"ssmlText":"<a>"}},null],"recognizeOptions":{"choices":[{"label":"a","phrases":["b"],"tone":"C"}],"dtmfOptions":{"stopTones":["pound"]},"speechOptions":{"endSilenceTimeoutInMs":1}}}`))
	f.Add([]byte(`{"callLocator":{"kind":"roomCallLocator","roomId":"r"},"callbackUri":"https://a/b","transcriptionOptions":{"transportType":"websocket","transportUrl":"wss://a","locale":"x"},"channelAffinity":[{"channel":0,"participant":{"rawId":"4:+1"}}]}`))
	f.Add([]byte(`{"targetParticipants":[{"rawId":"x"}],"fromCall":"y","invitationId":"z","participantsToRemove":[{"rawId":"x"}],"targetParticipant":{"rawId":"x"},"tones":["one"]}`))
	f.Add([]byte(strings.Repeat(`{"playSources":[`, 3000)))
	f.Add([]byte(`{"incomingCallContext":"c","callbackUri":"https://a/b","target":{"rawId":"x"},"callRejectReason":"busy"}`))
	f.Add([]byte(`{"targets":[null],"source":{"identifier":null}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, v := range []string{version2022, version2026} {
			o, bad := parseCreate(v, body, true)
			if bad == nil {
				require.NotEmpty(t, o.targets)
				require.NotEmpty(t, o.targets[0].rawID())
				require.NotEmpty(t, o.callbackURI)
				p := properties{source: o.source, targets: o.targets, callerID: o.callerID}
				require.True(t, json.Valid(marshal(p.shape(v))))
			} else {
				require.Equal(t, 400, bad.status)
			}
			_, _ = parseAnswer(v, body, false)
		}
		_, _ = parseReject(body)
		_, _ = parseRedirect(body)
		_, _ = parseStream(body, false)
		for _, v := range versions {
			fuzzOperations(t, v, body)
		}
	})
}

// fuzzOperations reads a body as every operation's. Whatever is refused is so
// with a status of the table, and what is not can be relied on.
func fuzzOperations(t *testing.T, v string, body []byte) {
	refusals := []*refusal{}
	note := func(bad *refusal) bool {
		if bad != nil {
			refusals = append(refusals, bad)
		}
		return bad == nil
	}
	if o, bad := parsePlay(v, body, true); note(bad) {
		require.NotEmpty(t, o.sources)
	}
	if o, bad := parseRecognize(v, body, true); note(bad) {
		require.NotEmpty(t, o.input)
		require.Positive(t, o.interTone)
		require.Positive(t, o.endSilence)
	}
	if o, bad := parseTransfer(v, body, true); note(bad) {
		require.NotEmpty(t, o.TargetParticipant.rawID())
	}
	if o, bad := parseAdd(v, body, true); note(bad) {
		require.NotEmpty(t, o.ParticipantsToAdd)
		require.Positive(t, o.invitationTimeoutIn)
	}
	if o, bad := parseRecording(v, body, true); note(bad) && o.CallLocator != nil {
		require.NotEmpty(t, o.CallLocator.id())
	}
	if o, bad := parseConnect(v, body, true); note(bad) {
		require.NotEmpty(t, o.locator.id())
	}
	_, bad := parseRemove(v, body, true)
	note(bad)
	_, bad = parseMute(body)
	note(bad)
	_, bad = parseCancel(v, body, true)
	note(bad)
	_, bad = parseMove(v, body, true)
	note(bad)
	_, bad = parseTones(v, body, true)
	note(bad)
	_, _, bad = parseHold(v, body, true)
	note(bad)
	_, bad = parseTranscription(v, body, true, true)
	note(bad)
	for _, bad := range refusals {
		require.True(t, bad.status == 400 || bad.status == 500 && bad.target == "targetParticipant.kind", bad.Error())
		require.True(t, json.Valid(bad.response().body))
	}
}
