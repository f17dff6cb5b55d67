package acs

import (
	"context"

	"github.com/mixminus/mixminus/session"
)

// PlaySource is one prompt: of File, Text and SSML one is set. Text and SSML
// need CallOptions.CognitiveServices. Version2022 has files only.
type PlaySource struct {
	// File is the address of a WAV file, mono, 16 kHz, or MP3.
	File string
	// Text to speak. Voice or VoiceKind (male, female) with Locale say how.
	Text                     string
	Locale, VoiceKind, Voice string
	// SSML to speak.
	SSML string
	// CustomVoice is the id of a custom voice's endpoint, of Text and SSML.
	CustomVoice string
	// CacheID has the service keep the prompt under this key.
	CacheID string
}

// Play says what to play, and to whom.
type Play struct {
	// Sources are played one after the other; Version2022 plays one.
	Sources []PlaySource
	// To names who hears it, by raw id; empty means everyone.
	To []string
	// Loop until it is cancelled.
	Loop bool
	// Interrupt what plays. Version2022 has no word for it.
	Interrupt bool
	Tracking
}

// playSource is PlaySource of 2026-03-12.
type playSource struct {
	Kind    string      `json:"kind"`
	CacheID string      `json:"playSourceCacheId,omitzero"`
	File    *fileSource `json:"file,omitzero"`
	Text    *textSource `json:"text,omitzero"`
	SSML    *ssmlSource `json:"ssml,omitzero"`
}

type fileSource struct {
	URI string `json:"uri"`
}

type textSource struct {
	Text        string `json:"text"`
	Locale      string `json:"sourceLocale,omitzero"`
	VoiceKind   string `json:"voiceKind,omitzero"`
	VoiceName   string `json:"voiceName,omitzero"`
	CustomVoice string `json:"customVoiceEndpointId,omitzero"`
}

type ssmlSource struct {
	Text        string `json:"ssmlText"`
	CustomVoice string `json:"customVoiceEndpointId,omitzero"`
}

// playSource2022 is PlaySource of 2022-04-07-preview.
type playSource2022 struct {
	Type string     `json:"sourceType"`
	ID   string     `json:"playSourceId,omitzero"`
	File fileSource `json:"fileSource"`
}

type playOptions struct {
	Loop bool `json:"loop"`
}

// source checks s and writes it in the shape of the client's version.
func (c *Client) source(field string, s PlaySource) (any, error) {
	set := 0
	for _, one := range []string{s.File, s.Text, s.SSML} {
		if one != "" {
			set++
		}
	}
	if set != 1 {
		return nil, &session.FieldError{Field: field, Want: "want exactly one of file, text and ssml"}
	}
	if s.File != "" {
		if err := c.webAddress(field+".file.uri", s.File); err != nil {
			return nil, err
		}
		if c.old() {
			return playSource2022{"file", s.CacheID, fileSource{s.File}}, nil
		}
		return playSource{Kind: "file", CacheID: s.CacheID, File: &fileSource{s.File}}, nil
	}
	if err := c.needs2026("play source of text"); err != nil {
		return nil, err
	}
	if s.SSML != "" {
		return playSource{Kind: "ssml", CacheID: s.CacheID, SSML: &ssmlSource{s.SSML, s.CustomVoice}}, nil
	}
	return playSource{Kind: "text", CacheID: s.CacheID, Text: &textSource{
		s.Text, s.Locale, s.VoiceKind, s.Voice, s.CustomVoice,
	}}, nil
}

// sources is source for several.
func (c *Client) sources(field string, list []PlaySource) (all []any, err error) {
	for _, s := range list {
		wire, err := c.source(field, s)
		if err != nil {
			return nil, err
		}
		all = append(all, wire)
	}
	if c.old() && len(all) > 1 {
		return nil, c.unsupported("several prompts at once", Version2026)
	}
	return all, nil
}

// playRequest is PlayRequest of both versions.
type playRequest struct {
	Info      any          `json:"playSourceInfo,omitzero"` // 2022-04-07-preview
	Sources   []any        `json:"playSources,omitempty"`
	To        []identifier `json:"playTo"`
	Interrupt bool         `json:"interruptCallMediaOperation,omitzero"`
	Options   playOptions  `json:"playOptions"`
	tracked
}

// Play plays prompts into the call: "Play Audio". The operation ends when they
// were played (PlayCompleted), failed, or were cancelled.
func (c *Client) Play(ctx context.Context, callID string, p Play) (*Operation, error) {
	body, err := c.playBody(&p)
	if err != nil {
		return nil, c.localError(string(kindPlay), err)
	}
	return c.one(ctx, started{
		kind: kindPlay, callID: callID, context: p.OperationContext, action: ":play", body: body, want: accepted,
	})
}

func (c *Client) playBody(p *Play) (body playRequest, err error) {
	if p.Tracking, err = c.track(p.Tracking); err != nil {
		return body, err
	}
	if len(p.Sources) == 0 {
		return body, &session.FieldError{Field: "playSources", Want: "want one at least"}
	}
	if p.Interrupt {
		if err := c.needs2026("interruptCallMediaOperation of play"); err != nil {
			return body, err
		}
	}
	sources, err := c.sources("playSources", p.Sources)
	if err != nil {
		return body, err
	}
	to, err := c.parties("playTo", p.To)
	if err != nil {
		return body, err
	}
	body = playRequest{Sources: sources, To: to, Interrupt: p.Interrupt, Options: playOptions{p.Loop}, tracked: p.members()}
	if c.old() {
		body.Info, body.Sources = sources[0], nil
	}
	return body, nil
}

// CancelAllMediaOperations ends all that plays, recognises or waits to: "Cancel
// All Media Operations". Their operations end with PlayCanceled and
// RecognizeCanceled.
func (c *Client) CancelAllMediaOperations(ctx context.Context, callID string) error {
	return c.act(ctx, "cancel all media operations", callID, ":cancelAllMediaOperations", nil, accepted)
}

// Hold says whom to put on hold.
type Hold struct {
	// Party by raw id.
	Party string
	// Music is played meanwhile; its zero value leaves it to the service.
	Music PlaySource
	Tracking
}

// Hold puts one of the call on hold: "Hold". No event tells that it worked, but
// that the party is in ParticipantsUpdated; HoldFailed tells that it did not,
// as a notice with the OperationContext. Not in Version2022.
func (c *Client) Hold(ctx context.Context, callID string, h Hold) error {
	const op = "hold"
	if err := c.needs2026(op); err != nil {
		return c.localError(op, err)
	}
	t, err := c.track(h.Tracking)
	if err != nil {
		return c.localError(op, err)
	}
	party, err := c.party("targetParticipant", h.Party)
	if err != nil {
		return c.localError(op, err)
	}
	body := struct {
		Target identifier `json:"targetParticipant"`
		Music  any        `json:"playSourceInfo,omitzero"`
		tracked
	}{Target: party, tracked: t.members()}
	if h.Music != (PlaySource{}) {
		if body.Music, err = c.source("playSourceInfo", h.Music); err != nil {
			return c.localError(op, err)
		}
	}
	return c.act(ctx, op, callID, ":hold", body, 200)
}

// targeted is the body of actions that name a participant and no more.
type targeted struct {
	Target identifier `json:"targetParticipant"`
	tracked
}

// target builds it, for what only Version2026 has.
func (c *Client) target(op, rawID string, t Tracking) (targeted, error) {
	if err := c.needs2026(op); err != nil {
		return targeted{}, err
	}
	t, err := c.track(t)
	if err != nil {
		return targeted{}, err
	}
	id, err := c.party("targetParticipant", rawID)
	return targeted{id, t.members()}, err
}

// Unhold is the way back from Hold: "Unhold".
func (c *Client) Unhold(ctx context.Context, callID, party string, t Tracking) error {
	const op = "unhold"
	body, err := c.target(op, party, t)
	if err != nil {
		return c.localError(op, err)
	}
	return c.act(ctx, op, callID, ":unhold", body, 200)
}
