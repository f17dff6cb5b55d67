package blob

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return bytes.TrimSpace(data)
}

const (
	renderID  = "14778cc4-f54c-43c7-989f-9092e34ef784"
	sourceID  = "a5dcfc9b-5a54-48ef-86f5-1fdd8508741a"
	sessionID = "2379cf46-acf3-4fef-a914-be9627075320"
	callID    = "1b69b141-7f1a-4033-9c34-202737190a20"
)

// TestDocumentedBlob reads and writes the sample of "Create call", Microsoft
// Graph beta, in every wrapping.
func TestDocumentedBlob(t *testing.T) {
	object := golden(t, "audio-2018.json")
	once, err := json.Marshal(string(object))
	require.NoError(t, err)
	twice, err := json.Marshal(string(once))
	require.NoError(t, err)
	for name, text := range map[string][]byte{
		"object": object, "escaped": golden(t, "audio-2018-escaped.txt"), "string": once, "string in a string": twice,
		"with spaces": append([]byte(" \n"), bytes.ReplaceAll(object, []byte(","), []byte(" ,\n\t"))...),
	} {
		b, err := Parse(text)
		require.NoError(t, err, name)
		require.Equal(t, string(object), string(b.AppendJSON(nil)), name)
		require.Empty(t, b.Check(), name)
		require.Equal(t, "net.tcp://bot.contoso.com:18732/MediaProcessor", b.MPURI)
		require.Equal(t, Contexts{renderID}, b.AudioRender)
		require.Equal(t, Contexts{sourceID}, b.AudioSource)
		require.Equal(t, Contexts{}, b.VideoRender)
		require.Nil(t, b.DataRender)
		require.Equal(t, callID, b.CallID)
		require.Equal(t, "1.11.1.0086", b.BotsVersion)
	}
}

// TestBuildGivesTheDocumentedBlob: what is built has the same bytes.
func TestBuildGivesTheDocumentedBlob(t *testing.T) {
	b, err := New(Config{
		MPURI: "net.tcp://bot.contoso.com:18732/MediaProcessor", Render: renderID, Source: sourceID,
		SessionID: sessionID, CallID: callID, Versions: Version111,
	})
	require.NoError(t, err)
	require.Equal(t, string(golden(t, "audio-2018.json")), string(b.AppendJSON(nil)))
}

func TestDirections(t *testing.T) {
	config := Config{MPURI: "wss://bot.example/media/secret-token", SessionID: sessionID, CallID: callID}
	for _, c := range []struct {
		render, source, want, render1, source1 string
	}{
		{renderID, sourceID, "sendrecv", `["` + renderID + `"]`, `["` + sourceID + `"]`},
		{renderID, "", "recvonly", `["` + renderID + `"]`, `[null]`},
		{"", sourceID, "sendonly", `[null]`, `["` + sourceID + `"]`},
	} {
		config.Render, config.Source = c.render, c.source
		b, err := New(config)
		require.NoError(t, err)
		require.Equal(t, c.want, b.Summary().Audio)
		text := string(b.AppendJSON(nil))
		require.Contains(t, text, `"audioRenderContexts":`+c.render1)
		require.Contains(t, text, `"audioSourceContexts":`+c.source1)
		again, err := Parse([]byte(text))
		require.NoError(t, err)
		require.Equal(t, c.want, again.Summary().Audio)
		require.NotContains(t, b.String()+b.Summary().Words(), "secret-token")
	}
	config.Render, config.Source = "", ""
	_, err := New(config)
	require.ErrorContains(t, err, "no medium flows")
}

func TestOldLibrariesWriteLess(t *testing.T) {
	b, err := New(Config{MPURI: "net.tcp://h:1/MediaProcessor", SessionID: sessionID, Render: renderID, Versions: Version15})
	require.NoError(t, err)
	require.Equal(t, `{"mpUri":"net.tcp://h:1/MediaProcessor","audioRenderContexts":["`+renderID+`"],"videoRenderContexts":[],`+
		`"audioSourceContexts":[null],"videoSourceContexts":[],"supportedAudioFormat":"Pcm16K","mpMediaSessionId":"`+sessionID+`",`+
		`"regionAffinity":null,"skypeMediaBotsVersion":"1.5.0.1177","mediaStackVersion":"6.0.8980.141","mpVersion":"7.0.697.0"}`,
		string(b.AppendJSON(nil)))
}

func TestVideo(t *testing.T) {
	video := []string{"00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000003"}
	b, err := New(Config{
		MPURI: "net.tcp://h:1/MediaProcessor", SessionID: sessionID, CallID: callID, Render: renderID,
		VideoRender: video, AudioFormat: Pcm44KStereo,
	})
	require.NoError(t, err)
	require.Equal(t, []string{"H264", "H264", "H264"}, b.VideoFormats)
	text := b.AppendJSON(nil)
	require.Contains(t, string(text), `"videoRenderContexts":["`+strings.Join(video, `","`)+`"]`, "the order is the sockets'")
	require.Contains(t, string(text), `"videoSourceContexts":[]`)
	require.ErrorIs(t, b.Hostable(), ErrUnsupportedMedia)
	require.ErrorContains(t, b.Hostable(), "mpUri")
	b.MPURI = "wss://h/"
	require.ErrorContains(t, b.Hostable(), "supportedAudioFormat")
	b.AudioFormat = Pcm16K
	require.ErrorContains(t, b.Hostable(), "videoRenderContexts")
	b.VideoRender, b.VideoFormats = Contexts{}, []string{}
	require.NoError(t, b.Hostable())
}

// TestUnknownKeysStay: in their places, byte for byte, whatever is changed
// around them.
func TestUnknownKeysStay(t *testing.T) {
	const text = `{"vbss\u0052":[1.50e+1,"\u00e9\/"],"mpUri":"wss:\/\/h\/","x":{"b":1,"a":2},"callId":"` + callID + `","x":null}`
	b, err := Parse([]byte(text))
	require.NoError(t, err)
	require.Equal(t, text, string(b.AppendJSON(nil)))
	require.Equal(t, []string{"vbssR", "x", "x"}, b.Unknown())

	b.AudioRender = Contexts{renderID, ""}
	b.CallID = sessionID
	require.Equal(t, `{"vbss\u0052":[1.50e+1,"\u00e9\/"],"mpUri":"wss:\/\/h\/","x":{"b":1,"a":2},"audioRenderContexts":["`+renderID+`",null],"callId":"`+sessionID+`","x":null}`,
		string(b.AppendJSON(nil)))
}

func TestChangingAListInPlaceIsAChange(t *testing.T) {
	b, err := Parse(golden(t, "audio-2018.json"))
	require.NoError(t, err)
	b.AudioSource[0] = ""
	require.Contains(t, string(b.AppendJSON(nil)), `"audioSourceContexts":[null]`)
}

func TestParseErrorsNameTheKey(t *testing.T) {
	for text, want := range map[string]string{
		``:                                "empty",
		`null`:                            "begins with",
		`[]`:                              "begins with",
		`"null"`:                          "begins with",
		`{"mpUri":7}`:                     `mpUri: 7: want a string`,
		`{"callId":{"a":1}}`:              "callId",
		`{"audioRenderContexts":"x"}`:     "audioRenderContexts",
		`{"audioRenderContexts":[1]}`:     "audioRenderContexts",
		`{"audioRenderContexts":[""]}`:    "audioRenderContexts: [0] is empty",
		`{"videoSinkEncodingFormats":{}}`: "videoSinkEncodingFormats",
		`{"mpUri":"a","mpUri":"b"}`:       "mpUri stands twice",
		`{"mpUri":"a"`:                    "not JSON",
		`{"mpUri":"a"}x`:                  "not JSON",
		"{\"a\":\"\xff\"}":                "not UTF-8",
		`{\"mpUri\":7}`:                   "mpUri: 7",
		`{\"mpUri`:                        "not JSON",
		`"\"\\\"{}\\\"\""`:                "",
		`{"dataRenderContexts":[` + strings.Repeat("null,", 64) + `null]}`: "dataRenderContexts: 65 entries",
		`{"x":"` + strings.Repeat("y", MaxBytes) + `"}`:                    "want at most 65536",
	} {
		b, err := Parse([]byte(text))
		if want == "" {
			require.NoError(t, err, text)
			require.Equal(t, "{}", string(b.AppendJSON(nil)))
			continue
		}
		require.ErrorContains(t, err, want, "%.60s", text)
	}
}

func TestCheckNamesKeyAndValue(t *testing.T) {
	good := string(golden(t, "audio-2018.json"))
	for _, c := range []struct{ old, new, want string }{
		{"net.tcp://bot.contoso.com:18732/MediaProcessor", "", "mpUri: is missing"},
		{"net.tcp://bot.contoso.com:18732/MediaProcessor", "ftp://h/s3cret", `mpUri = "ftp://h"`},
		{":18732", "", "want a port"},
		{renderID, "7", `audioRenderContexts[0] = "7": want a GUID`},
		{renderID, strings.ToUpper(sourceID), "is audioRenderContexts[0] already"},
		{"Pcm16K", "Pcm8K", `supportedAudioFormat = "Pcm8K"`},
		{`"videoSinkEncodingFormats":[]`, `"videoSinkEncodingFormats":["VP8"]`, `videoSinkEncodingFormats[0] = "VP8"`},
		{`"videoSinkEncodingFormats":[]`, `"videoSinkEncodingFormats":["Yuv"]`, "want one for each of the 0"},
		{sessionID, "", "mpMediaSessionId"},
		{"1.11.1.0086", "1.11", `skypeMediaBotsVersion = "1.11"`},
		{callID, "", "callId"},
	} {
		b, err := Parse([]byte(strings.Replace(good, c.old, c.new, 1)))
		require.NoError(t, err)
		var all []string
		for _, p := range b.Check() {
			all = append(all, p.Error())
		}
		require.Contains(t, strings.Join(all, "\n"), c.want, c.new)
	}
}

// FuzzParse: nothing panics; what was read is written as it came, but for
// spaces; and reading that again gives the same.
func FuzzParse(f *testing.F) {
	f.Add(golden(f, "audio-2018.json"))
	f.Add(golden(f, "audio-2018-escaped.txt"))
	f.Add([]byte(`{"a":1,"a":{},"mpUri":null,"\u006dpUri2":[1e9]}`))
	f.Add([]byte(`"{\"audioRenderContexts\":[null,\"x\"]}"`))
	f.Add([]byte(`{"mp\u0055ri":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse(text)
		if err != nil {
			return
		}
		once := b.AppendJSON(nil)
		if object := bytes.TrimSpace(text); object[0] == '{' && json.Valid(object) {
			var packed bytes.Buffer
			require.NoError(t, json.Compact(&packed, object))
			require.Equal(t, packed.String(), string(once))
		}
		again, err := Parse(once)
		require.NoError(t, err, "%q", once)
		require.Equal(t, string(once), string(again.AppendJSON(nil)))
		b.Check()
		_ = b.Summary().Words()
		b.members, b.parsed = nil, nil
		rebuilt, err := Parse(b.AppendJSON(nil))
		require.NoError(t, err)
		require.Equal(t, b.AudioRender, rebuilt.AudioRender)
		require.Equal(t, b.MPURI, rebuilt.MPURI)
	})
}
