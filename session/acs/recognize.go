package acs

import (
	"context"
	"fmt"

	"github.com/mixminus/mixminus/session"
)

// What Recognize listens for: RecognizeInputType.
const (
	RecognizeDTMF         = "dtmf"
	RecognizeSpeech       = "speech"
	RecognizeSpeechOrDTMF = "speechOrDtmf"
	RecognizeChoices      = "choices"
)

// Recognize says what to listen for. A number that is 0 is left to the
// service.
type Recognize struct {
	// Input is one of the constants above, or what a later version of the
	// service has. Version2022 has RecognizeDTMF.
	Input string
	// Party that is listened to, by raw id.
	Party string
	// Prompts are played first; Version2022 plays one.
	Prompts []PlaySource
	// InterruptPrompt lets the party speak or press keys while they play.
	InterruptPrompt bool
	// Interrupt what plays.
	Interrupt bool
	// InitialSilence ends the wait for the first sign, 0 to 300 s.
	InitialSilence int

	// InterTone ends the wait for the next key, 1 to 60 s.
	InterTone int
	// MaxTones that are collected.
	MaxTones int
	// StopTones are keys that end it: "#".
	StopTones string

	// Choices to recognise.
	Choices []Choice
	// Language of speech: "en-US".
	Language string
	// SpeechModel is the id of a custom model's endpoint.
	SpeechModel string
	// EndSilence ends the speech, in ms.
	EndSilence int
	Tracking
}

// Choice is one of which RecognizeChoices finds out.
type Choice struct {
	Label   string
	Phrases []string
	// Tone is the key that stands for it; empty for none.
	Tone string
}

type recognizeRequest struct {
	Input     string           `json:"recognizeInputType"`
	Prompt    any              `json:"playPrompt,omitzero"`
	Prompts   []any            `json:"playPrompts,omitempty"`
	Interrupt bool             `json:"interruptCallMediaOperation,omitzero"`
	Options   recognizeOptions `json:"recognizeOptions"`
	tracked
}

type recognizeOptions struct {
	InterruptPrompt bool           `json:"interruptPrompt,omitzero"`
	InitialSilence  int            `json:"initialSilenceTimeoutInSeconds,omitzero"`
	Target          identifier     `json:"targetParticipant"`
	Language        string         `json:"speechLanguage,omitzero"`
	SpeechModel     string         `json:"speechRecognitionModelEndpointId,omitzero"`
	DTMF            *dtmfOptions   `json:"dtmfOptions,omitzero"`
	Choices         []choice       `json:"choices,omitempty"`
	Speech          *speechOptions `json:"speechOptions,omitzero"`
}

type dtmfOptions struct {
	InterTone int      `json:"interToneTimeoutInSeconds,omitzero"`
	Max       int      `json:"maxTonesToCollect,omitzero"`
	Stop      []string `json:"stopTones,omitempty"`
}

type choice struct {
	Label   string   `json:"label"`
	Phrases []string `json:"phrases"`
	Tone    string   `json:"tone,omitzero"`
}

type speechOptions struct {
	EndSilence int `json:"endSilenceTimeoutInMs"`
}

// Recognize listens to one of the call: "Recognize". The operation ends with a
// RecognizeCompleted, whose Recognition is what was heard, a RecognizeFailed
// (SubCode 8510: nothing was heard in time; 8532: not enough keys; 8563: no
// choice was understood) or a RecognizeCanceled.
func (c *Client) Recognize(ctx context.Context, callID string, r Recognize) (*Operation, error) {
	body, err := c.recognizeBody(&r)
	if err != nil {
		return nil, c.localError(string(kindRecognize), err)
	}
	return c.one(ctx, started{
		kind: kindRecognize, callID: callID, context: r.OperationContext, action: ":recognize", body: body, want: accepted,
	})
}

func (c *Client) recognizeBody(r *Recognize) (body recognizeRequest, err error) {
	if r.Tracking, err = c.track(r.Tracking); err != nil {
		return body, err
	}
	if r.Input == "" {
		return body, &session.FieldError{Field: "recognizeInputType", Want: "want dtmf, speech, speechOrDtmf or choices"}
	}
	if r.Input != RecognizeDTMF || r.Language != "" || r.SpeechModel != "" || r.EndSilence != 0 || len(r.Choices) > 0 {
		if err := c.needs2026("recognition of " + r.Input); err != nil {
			return body, err
		}
	}
	body = recognizeRequest{Input: r.Input, Interrupt: r.Interrupt, tracked: r.members()}
	prompts, err := c.sources("playPrompts", r.Prompts)
	switch {
	case err != nil:
		return body, err
	case len(prompts) == 1:
		body.Prompt = prompts[0]
	default:
		body.Prompts = prompts
	}
	body.Options, err = c.recognizeOptions(r)
	return body, err
}

func (c *Client) recognizeOptions(r *Recognize) (o recognizeOptions, err error) {
	o = recognizeOptions{
		InterruptPrompt: r.InterruptPrompt, InitialSilence: r.InitialSilence, Language: r.Language, SpeechModel: r.SpeechModel,
	}
	if o.Target, err = c.party("recognizeOptions.targetParticipant", r.Party); err != nil {
		return o, err
	}
	if err := within("recognizeOptions.initialSilenceTimeoutInSeconds", r.InitialSilence, 0, 300); err != nil {
		return o, err
	}
	if o.DTMF, err = r.dtmf(); err != nil {
		return o, err
	}
	if r.Input == RecognizeChoices && len(r.Choices) == 0 {
		return o, &session.FieldError{Field: "recognizeOptions.choices", Want: "want one at least"}
	}
	for i, ch := range r.Choices {
		w, err := ch.wire(fmt.Sprintf("recognizeOptions.choices[%d]", i))
		if err != nil {
			return o, err
		}
		o.Choices = append(o.Choices, w)
	}
	if r.EndSilence < 0 {
		return o, &session.FieldError{Field: "speechOptions.endSilenceTimeoutInMs", Value: fmt.Sprint(r.EndSilence), Want: "want 0 or more"}
	}
	if r.EndSilence > 0 {
		o.Speech = &speechOptions{r.EndSilence}
	}
	return o, nil
}

// dtmf is dtmfOptions, nil if nothing is said of keys.
func (r *Recognize) dtmf() (*dtmfOptions, error) {
	if err := within("dtmfOptions.interToneTimeoutInSeconds", r.InterTone, 1, 60); err != nil {
		return nil, err
	}
	if r.MaxTones < 0 {
		return nil, &session.FieldError{Field: "dtmfOptions.maxTonesToCollect", Value: fmt.Sprint(r.MaxTones), Want: "want 0 or more"}
	}
	stop, err := toneNames("dtmfOptions.stopTones", r.StopTones)
	if err != nil {
		return nil, err
	}
	if r.InterTone == 0 && r.MaxTones == 0 && len(stop) == 0 {
		return nil, nil
	}
	return &dtmfOptions{r.InterTone, r.MaxTones, stop}, nil
}

func (ch Choice) wire(field string) (choice, error) {
	w := choice{Label: ch.Label, Phrases: ch.Phrases}
	if ch.Label == "" || len(ch.Phrases) == 0 {
		return w, &session.FieldError{Field: field, Value: ch.Label, Want: "want a label and phrases"}
	}
	if ch.Tone == "" {
		return w, nil
	}
	names, err := toneNames(field+".tone", ch.Tone)
	if err != nil {
		return w, err
	}
	if len(names) != 1 {
		return w, &session.FieldError{Field: field + ".tone", Value: ch.Tone, Want: "want one key"}
	}
	w.Tone = names[0]
	return w, nil
}
