package acs

import (
	"context"
	"net/http"

	"github.com/mixminus/mixminus/session"
)

// Properties is all that the service tells of a call: CallConnectionProperties
// of both versions.
type Properties struct {
	session.Connection
	CallbackURI string
	// Media and Transcription are the call's streams. Version2022 tells the
	// id of Media alone.
	Media, Transcription Subscription
	// AnsweredBy is the raw id in whose name the call was answered, and
	// AnsweredFor the phone number that was called; empty if not told.
	AnsweredBy, AnsweredFor string
}

// Subscription is a stream of a call.
type Subscription struct {
	ID string
	// State is disabled, inactive or active.
	State string
	// Types are the contents of media ("audio"), the results of a
	// transcription ("final").
	Types  []string
	Locale string // of a transcription
}

type subscription struct {
	ID       string   `json:"id"`
	State    string   `json:"state"`
	Contents []string `json:"subscribedContentTypes"`
	Results  []string `json:"subscribedResultTypes"`
	Locale   string   `json:"locale"`
}

func (s subscription) of() Subscription {
	return Subscription{s.ID, s.State, append(s.Contents, s.Results...), s.Locale}
}

// Properties fetches a call: "Get Call". Get tells what session needs of it.
func (c *Client) Properties(ctx context.Context, callID string) (Properties, error) {
	path, err := callPath(callID, "")
	if err != nil {
		return Properties{}, c.localError("get", err)
	}
	r := request{op: "get", method: http.MethodGet, path: path, want: []int{http.StatusOK}}
	body, err := c.do(ctx, r)
	if err != nil {
		return Properties{}, err
	}
	p, err := parseProperties(body)
	if err != nil {
		return Properties{}, c.badResponse(r, err)
	}
	return p, nil
}
