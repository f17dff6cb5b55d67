package acs

import (
	"context"
	"net/http"

	"github.com/mixminus/mixminus/session"
)

// maxTones is how many keys one request may press.
const maxTones = 1000

// SendDTMF presses keys in the ear of one of the call: "Send Dtmf Tones". Keys
// are 0 to 9, *, #, A to D. The operation ends with SendDtmfTonesCompleted or
// Failed. Not in Version2022.
func (c *Client) SendDTMF(ctx context.Context, callID, party, keys string, t Tracking) (*Operation, error) {
	const op = string(kindSendDTMF)
	on, err := c.target(op, party, t)
	if err != nil {
		return nil, c.localError(op, err)
	}
	if keys == "" || len(keys) > maxTones {
		return nil, c.localError(op, badNumber("tones", len(keys), 1, maxTones))
	}
	names, err := toneNames("tones", keys)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.one(ctx, started{
		kind: kindSendDTMF, callID: callID, context: on.OperationContext, action: ":sendDtmfTones", want: accepted, repeatable: true,
		body: struct {
			Tones []string `json:"tones"`
			targeted
		}{names, on},
	})
}

// StartContinuousDTMF has every key that one of the call presses told as
// session.EventTone, until StopContinuousDTMF: "Start Continuous Dtmf
// Recognition". Not in Version2022.
func (c *Client) StartContinuousDTMF(ctx context.Context, callID, party string, t Tracking) error {
	const op = "start continuous DTMF"
	on, err := c.target(op, party, t)
	if err != nil {
		return c.localError(op, err)
	}
	return c.act(ctx, op, callID, ":startContinuousDtmfRecognition", on, http.StatusOK)
}

// StopContinuousDTMF is the way back; the operation ends with
// ContinuousDtmfRecognitionStopped. Not in Version2022.
func (c *Client) StopContinuousDTMF(ctx context.Context, callID, party string, t Tracking) (*Operation, error) {
	const op = string(kindStopDTMF)
	on, err := c.target(op, party, t)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.one(ctx, started{
		kind: kindStopDTMF, callID: callID, context: on.OperationContext,
		action: ":stopContinuousDtmfRecognition", body: on, want: http.StatusOK,
	})
}

// stream begins an operation on a stream of the call. extra is its body but
// for what tracks it.
func (c *Client) stream(ctx context.Context, k kind, callID, action string, t Tracking, m speech) (*Operation, error) {
	if err := c.needs2026(string(k)); err != nil {
		return nil, c.localError(string(k), err)
	}
	t, err := c.track(t)
	if err != nil {
		return nil, c.localError(string(k), err)
	}
	return c.one(ctx, started{
		kind: k, callID: callID, context: t.OperationContext, action: action, want: accepted,
		body: struct {
			speech
			tracked
		}{m, t.members()},
	})
}

type speech struct {
	Locale string `json:"locale,omitzero"`
	Model  string `json:"speechModelEndpointId,omitzero"`
}

// StartMediaStreaming starts the stream that was asked for at create or answer:
// "Start Media Streaming". The operation ends with MediaStreamingStarted or
// Failed. Not in Version2022, whose streams start with the call.
func (c *Client) StartMediaStreaming(ctx context.Context, callID string, t Tracking) (*Operation, error) {
	return c.stream(ctx, kindStartMedia, callID, ":startMediaStreaming", t, speech{})
}

// StopMediaStreaming is the way back: MediaStreamingStopped or Failed.
func (c *Client) StopMediaStreaming(ctx context.Context, callID string, t Tracking) (*Operation, error) {
	return c.stream(ctx, kindStopMedia, callID, ":stopMediaStreaming", t, speech{})
}

// StartTranscription starts the transcription that was asked for at create or
// answer: "Start Transcription". locale and model may be empty, for what was
// asked for. The operation ends with TranscriptionStarted or Failed. Not in
// Version2022.
func (c *Client) StartTranscription(ctx context.Context, callID, locale, model string, t Tracking) (*Operation, error) {
	return c.stream(ctx, kindStartScript, callID, ":startTranscription", t, speech{locale, model})
}

// StopTranscription is the way back: TranscriptionStopped or Failed.
func (c *Client) StopTranscription(ctx context.Context, callID string, t Tracking) (*Operation, error) {
	return c.stream(ctx, kindStopScript, callID, ":stopTranscription", t, speech{})
}

// UpdateTranscription changes the language of a transcription: "Update
// Transcription". The operation ends with TranscriptionUpdated or Failed.
func (c *Client) UpdateTranscription(ctx context.Context, callID, locale, model string, t Tracking) (*Operation, error) {
	if locale == "" && model == "" {
		return nil, c.localError(string(kindUpdateScript), &session.FieldError{Field: "locale", Want: "want one such as en-US, or a model"})
	}
	return c.stream(ctx, kindUpdateScript, callID, ":updateTranscription", t, speech{locale, model})
}
