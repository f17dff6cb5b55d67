package acs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// NewCall is a call to place, in words that hold for every api-version.
type NewCall struct {
	// Targets by raw id; one at least.
	Targets []string
	// Source is the raw id of the communication user who calls; Version2022
	// needs one.
	Source string
	// CallerID is the phone number that a telephone is shown, E.164.
	CallerID string
	// DisplayName that others are shown.
	DisplayName string
	// TeamsApp is the raw id of a Teams app that calls in Source's place.
	TeamsApp string
	CallOptions
}

// CallOptions are asked for when a call is created, answered or joined.
// Version2022 has none of them.
type CallOptions struct {
	// CognitiveServices is the address of the Azure AI services resource that
	// speaks and recognises speech.
	CognitiveServices string
	// Transcription of the call, to a WebSocket; nil for none.
	Transcription *TranscriptionOptions
}

// TranscriptionOptions is WebSocketTranscriptionOptions.
type TranscriptionOptions struct {
	// Locale that is spoken: "en-US".
	Locale string `json:"locale"`
	// TransportURL is where it goes, wss; empty means the media's own
	// connection, from where Call.OnTranscript hears of it.
	TransportURL string `json:"transportUrl,omitzero"`
	// SpeechModel is the id of a custom model's endpoint.
	SpeechModel string `json:"speechModelEndpointId,omitzero"`
	// Start with the call, and not only at StartTranscription.
	Start bool `json:"startTranscription"`
	// Intermediate results too.
	Intermediate bool `json:"enableIntermediateResults,omitzero"`
}

// callOptions is CallOptions on the wire.
type callOptions struct {
	Intelligence  *intelligence         `json:"callIntelligenceOptions,omitzero"`
	Transcription *transcriptionRequest `json:"transcriptionOptions,omitzero"`
}

type intelligence struct {
	Endpoint string `json:"cognitiveServicesEndpoint"`
}

type transcriptionRequest struct {
	TransportType string `json:"transportType"`
	TranscriptionOptions
}

func (c *Client) callOptions(o CallOptions) (wire callOptions, err error) {
	if o.CognitiveServices != "" {
		if err := c.needs2026("callIntelligenceOptions"); err != nil {
			return wire, err
		}
		if err := c.webAddress("callIntelligenceOptions.cognitiveServicesEndpoint", o.CognitiveServices); err != nil {
			return wire, err
		}
		wire.Intelligence = &intelligence{o.CognitiveServices}
	}
	if t := o.Transcription; t != nil {
		if err := c.needs2026("transcriptionOptions"); err != nil {
			return wire, err
		}
		if t.Locale == "" {
			return wire, &session.FieldError{Field: "transcriptionOptions.locale", Want: "want one such as en-US"}
		}
		if t.TransportURL != "" {
			if err := c.mediaAddress("transcriptionOptions.transportUrl", t.TransportURL); err != nil {
				return wire, err
			}
		}
		wire.Transcription = &transcriptionRequest{"websocket", *t}
	}
	return wire, nil
}

// sharedSocket sends a transcription that names no address to that of the
// media, which nobody knows before the request is made.
func sharedSocket(body json.RawMessage, url string) (json.RawMessage, error) {
	var told struct {
		Options json.RawMessage `json:"transcriptionOptions"`
	}
	// A body that is no object is refused where it is spliced.
	if url == "" || json.Unmarshal(body, &told) != nil || len(told.Options) == 0 || told.Options[0] != '{' || bytes.Count(body, told.Options) != 1 {
		return body, nil
	}
	shared, err := rest.Splice(told.Options, []rest.Member{{Key: "transportUrl", Value: url}})
	if err != nil {
		return nil, fmt.Errorf("transcriptionOptions: %w", err)
	}
	return bytes.Replace(body, told.Options, shared, 1), nil
}

// NewCall builds the body of Create, or of session.Manager's, in the shape of
// the client's api-version: CreateCallRequest.
func (c *Client) NewCall(n NewCall) (json.RawMessage, error) {
	const op = "create"
	if len(n.Targets) == 0 {
		return nil, c.localError(op, &session.FieldError{Field: "targets", Want: "want one raw id at least"})
	}
	targets, err := c.parties("targets", n.Targets)
	if err != nil {
		return nil, c.localError(op, err)
	}
	options, err := c.callOptions(n.CallOptions)
	if err != nil {
		return nil, c.localError(op, err)
	}
	var body any
	if c.old() {
		body, err = c.newCall2022(n, targets)
	} else {
		body, err = newCall2026(c.config.APIVersion, n, targets, options)
	}
	if err != nil {
		return nil, c.localError(op, err)
	}
	return rest.Marshal(body)
}

func (c *Client) newCall2022(n NewCall, targets []identifier) (any, error) {
	if n.TeamsApp != "" {
		return nil, c.unsupported("teamsAppSource", Version2026)
	}
	source, err := c.party("source.identifier", n.Source)
	if err != nil {
		return nil, err
	}
	type wireSource struct {
		CallerID    *phoneNumber `json:"callerId,omitzero"`
		DisplayName string       `json:"displayName,omitzero"`
		Identifier  identifier   `json:"identifier"`
	}
	return struct {
		Targets []identifier `json:"targets"`
		Source  wireSource   `json:"source"`
	}{targets, wireSource{phoneOf(n.CallerID), n.DisplayName, source}}, nil
}

func newCall2026(version string, n NewCall, targets []identifier, options callOptions) (any, error) {
	body := struct {
		Targets     []identifier `json:"targets"`
		CallerID    *phoneNumber `json:"sourceCallerIdNumber,omitzero"`
		DisplayName string       `json:"sourceDisplayName,omitzero"`
		Source      *userID      `json:"source,omitzero"`
		TeamsApp    *teamsApp    `json:"teamsAppSource,omitzero"`
		callOptions
	}{Targets: targets, CallerID: phoneOf(n.CallerID), DisplayName: n.DisplayName, callOptions: options}
	if n.Source != "" {
		body.Source = &userID{n.Source}
	}
	if n.TeamsApp != "" {
		if body.TeamsApp = identifierOf(version, n.TeamsApp).TeamsApp; body.TeamsApp == nil {
			return nil, &session.FieldError{Field: "teamsAppSource", Value: rest.Clip(n.TeamsApp), Want: "want a raw id such as 28:orgid:…"}
		}
	}
	return body, nil
}

// Locator names a call that stands. One of its fields is set.
type Locator struct {
	ServerCallID, GroupCallID, RoomID string
}

type callLocator struct {
	ServerCallID string `json:"serverCallId,omitzero"`
	GroupCallID  string `json:"groupCallId,omitzero"`
	RoomID       string `json:"roomId,omitzero"`
	Kind         string `json:"kind"`
}

func (l Locator) wire() (callLocator, error) {
	w := callLocator{ServerCallID: l.ServerCallID, GroupCallID: l.GroupCallID, RoomID: l.RoomID}
	set := 0
	for id, kind := range map[string]string{
		l.ServerCallID: "serverCallLocator", l.GroupCallID: "groupCallLocator", l.RoomID: "roomCallLocator",
	} {
		if id != "" {
			set++
			w.Kind = kind
		}
	}
	if set != 1 {
		return w, errors.New("callLocator: want exactly one of serverCallId, groupCallId and roomId")
	}
	return w, nil
}

// ConnectTo builds the body of a Create that joins a call that stands:
// ConnectRequest.
func (c *Client) ConnectTo(l Locator, o CallOptions) (json.RawMessage, error) {
	const op = "connect"
	locator, err := l.wire()
	if err != nil {
		return nil, c.localError(op, err)
	}
	options, err := c.callOptions(o)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return rest.Marshal(struct {
		Locator callLocator `json:"callLocator"`
		callOptions
	}{locator, options})
}

// Connect joins a call that stands: "Connect Call", and Create with the body
// of ConnectTo.
func (c *Client) Connect(ctx context.Context, l Locator, o CallOptions, m session.MediaRequest) (session.Connection, error) {
	body, err := c.ConnectTo(l, o)
	if err != nil {
		return session.Connection{}, err
	}
	return c.Create(ctx, session.CreateRequest{Body: body, Media: m})
}

// AnswerOptions builds MediaRequest.Answer, and session.Options.Answer:
// answeredBy is the raw id of the communication user in whose name a call is
// answered, empty for none.
func (c *Client) AnswerOptions(answeredBy string, o CallOptions) (json.RawMessage, error) {
	const op = "answer"
	options, err := c.callOptions(o)
	if err != nil {
		return nil, c.localError(op, err)
	}
	body := struct {
		AnsweredBy *userID `json:"answeredBy,omitzero"`
		callOptions
	}{callOptions: options}
	if answeredBy != "" {
		if err := c.needs2026("answeredBy"); err != nil {
			return nil, c.localError(op, err)
		}
		body.AnsweredBy = &userID{answeredBy}
	}
	return rest.Marshal(body)
}
