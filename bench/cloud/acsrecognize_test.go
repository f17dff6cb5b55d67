package cloud

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// What the callee does, and what is recognized of that.
func TestRecognizeOutcomes(t *testing.T) {
	t.Parallel()
	const quick = `"initialSilenceTimeoutInSeconds":1`
	choices := `"choices":[{"label":"Yes","phrases":["yes please","sure"],"tone":"one"},{"label":"No","phrases":["no"]}]`
	voice := signal.Noise(10*320, 1, -20)
	for _, tt := range []struct {
		name, input, options string
		keys                 string // pressed one after the other once it listens
		says                 string // from the start of the listening on
		mumbles              bool
		event                string
		code, sub            int
		recognized           map[string]any
	}{
		{"max tones", "dtmf", `"dtmfOptions":{"maxTonesToCollect":3}`, "12#45", "", false, "RecognizeCompleted", 200, 8531, map[string]any{"recognitionType": "dtmf", "dtmfResult": map[string]any{"tones": []any{"one", "two", "pound"}}}},
		{"stop tone", "dtmf", `"dtmfOptions":{"maxTonesToCollect":9,"stopTones":["Pound"]}`, "12#", "", false, "RecognizeCompleted", 200, 8514, map[string]any{"recognitionType": "dtmf", "dtmfResult": map[string]any{"tones": []any{"one", "two"}}}},
		{"stop tone alone", "dtmf", `"dtmfOptions":{"stopTones":["asterisk"]}`, "*", "", false, "RecognizeCompleted", 200, 8514, map[string]any{"recognitionType": "dtmf", "dtmfResult": map[string]any{"tones": []any{}}}},
		{"inter-tone timeout", "dtmf", `"dtmfOptions":{"maxTonesToCollect":3,"interToneTimeoutInSeconds":1}`, "1", "", false, "RecognizeFailed", 400, 8532, nil},
		{"silence", "dtmf", quick, "", "", false, "RecognizeFailed", 400, 8510, nil},
		{"talk is no tone", "dtmf", quick, "", "hello", true, "RecognizeFailed", 400, 8510, nil},
		{"choice by tone", "choices", choices, "1", "", false, "RecognizeCompleted", 200, 8533, map[string]any{"recognitionType": "choices", "choiceResult": map[string]any{"label": "Yes"}}},
		{"wrong tone", "choices", choices, "9", "", false, "RecognizeFailed", 400, 8534, nil},
		{"choice by phrase", "choices", choices, "", "Yes, please!", true, "RecognizeCompleted", 200, 8545, map[string]any{"recognitionType": "choices", "choiceResult": map[string]any{"label": "Yes", "recognizedPhrase": "yes please", "confidence": 0.95}}},
		{"no choice", "choices", choices, "", "perhaps", true, "RecognizeFailed", 400, 8547, nil},
		{"choices, silence", "choices", quick + "," + choices, "", "", false, "RecognizeFailed", 400, 8510, nil},
		{"speech", "speech", `"speechOptions":{"endSilenceTimeoutInMs":200}`, "", "I want a pizza.", true, "RecognizeCompleted", 200, 8569, map[string]any{"recognitionType": "speech", "speechResult": map[string]any{"speech": "I want a pizza.", "confidence": 0.95}}},
		{"mumbling", "speech", `"speechOptions":{"endSilenceTimeoutInMs":200}`, "", "", true, "RecognizeFailed", 400, 8563, nil},
		{"speech, silence", "speech", quick, "5", "", false, "RecognizeFailed", 400, 8510, nil},
		{"speech or tones", "speechOrDtmf", `"dtmfOptions":{"maxTonesToCollect":1}`, "5", "", false, "RecognizeCompleted", 200, 8531, map[string]any{"recognitionType": "dtmf", "dtmfResult": map[string]any{"tones": []any{"five"}}}},
		{"tones or speech", "speechOrDtmf", `"speechOptions":{"endSilenceTimeoutInMs":200}`, "", "five", true, "RecognizeCompleted", 200, 8569, map[string]any{"recognitionType": "speech", "speechResult": map[string]any{"speech": "five", "confidence": 0.95}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBot(t, &Server{OnCreate: talker()})
			c := b.dial(version2026, "")
			status, v := b.op(c, version2026, ":recognize", `{"recognizeInputType":"`+tt.input+`","operationContext":"ask","recognizeOptions":{`+tt.options+`}}`)
			require.Equal(t, 202, status, v)
			for _, key := range strings.Split(tt.keys, "") {
				require.NoError(t, c.DTMF(key))
			}
			sp := Speaker{}
			if tt.mumbles {
				sp.PCM = voice
			}
			if tt.says != "" {
				sp.Says = []Phrase{{Text: tt.says, Slots: 10}}
			}
			require.NoError(t, c.Speak(sp))
			e := b.expect(tt.event)[0]
			code, sub := result(e)
			require.Equal(t, []int{tt.code, tt.sub}, []int{code, sub}, e.Data)
			require.Equal(t, "ask", e.Data["operationContext"])
			for key, want := range tt.recognized {
				require.Equal(t, want, e.Data[key])
			}
			c.HangUp()
			wait(t, c)
		})
	}
}

// A prompt is heard to its end, unless it may be interrupted: then a key that
// cuts it short counts, and before that none does.
func TestRecognizeAfterAPrompt(t *testing.T) {
	t.Parallel()
	for _, bargeIn := range []bool{true, false} {
		b := newBot(t, &Server{OnCreate: talker()})
		c := b.dial(version2026, "")
		text := strings.Repeat("press ", 5)
		status, v := b.op(c, version2026, ":recognize", `{"recognizeInputType":"dtmf","playPrompts":[{"kind":"text","text":{"text":"`+text+`"}}],
			"recognizeOptions":{"interruptPrompt":`+map[bool]string{true: "true", false: "false"}[bargeIn]+`,"dtmfOptions":{"maxTonesToCollect":1}}}`)
		require.Equal(t, 202, status, v)
		require.Eventually(t, func() bool { return len(c.Log().Prompts) == 1 && c.Log().Prompts[0].Samples > 320 }, deadline, 5*time.Millisecond)
		require.NoError(t, c.DTMF("1"))
		if !bargeIn {
			all := int64(len(ToneSpeech(text)))
			require.Eventually(t, func() bool { return c.Log().Prompts[0].Samples == all }, deadline, 5*time.Millisecond)
			require.Eventually(t, func() bool { return c.DTMF("2") == nil && len(b.callbacks) > 0 }, deadline, 50*time.Millisecond)
		}
		e := b.expect("RecognizeCompleted")[0]
		got := e.Data["dtmfResult"].(map[string]any)["tones"]
		log := c.Log()
		if bargeIn {
			require.Equal(t, []any{"one"}, got)
			require.Less(t, len(log.Prompts[0].PCM), len(ToneSpeech(text)))
		} else {
			require.Equal(t, []any{"two"}, got)
		}
		require.Equal(t, ToneSpeech(text)[:len(log.Prompts[0].PCM)], []int16(log.Prompts[0].PCM))
		c.HangUp()
		wait(t, c)
	}
}

func TestRecognizeFailsAndIsCancelled(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2022, "")
	recognize := `{"recognizeInputType":"dtmf","recognizeOptions":{"targetParticipant":` + callee + `}%}`
	status, v := b.op(c, version2022, ":recognize", strings.Replace(recognize, "%", `,"playPrompt":{"sourceType":"file","fileSource":{"uri":"`+b.http.URL+`/none"}}`, 1))
	require.Equal(t, 202, status, v)
	e := b.expect("RecognizeFailed")[0]
	_, sub := result(e)
	require.Equal(t, 8536, sub)
	require.Equal(t, "recognizeFailed", e.Data["type"])
	status, _ = b.op(c, version2022, ":recognize", strings.Replace(recognize, "%", "", 1))
	require.Equal(t, 202, status)
	status, _ = b.op(c, version2022, ":cancelAllMediaOperations", "")
	require.Equal(t, 202, status)
	require.NotContains(t, b.expect("RecognizeCanceled")[0].Data, "resultInformation", "not in that version")

	status, _ = b.op(c, version2022, ":recognize", strings.Replace(recognize, "%", "", 1))
	require.Equal(t, 202, status)
	require.NoError(t, c.DTMF("1"))
	require.NoError(t, c.Inject(Fault{Kind: FailOperation, Operation: "recognize"}))
	_, sub = result(b.expect("RecognizeFailed")[0])
	require.Equal(t, 9999, sub)
	c.HangUp()
	wait(t, c)
}
