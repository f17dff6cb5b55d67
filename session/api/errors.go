package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mixminus/mixminus/session"
)

// Error is why a request was refused. The Client returns it too.
type Error struct {
	// Status of HTTP.
	Status int `json:"-"`
	// Code is one word of this API's own: "unknown_call", "decided", …
	Code    string `json:"code"`
	Message string `json:"message"`
	// Field of the request that is wrong.
	Field string `json:"field,omitempty"`
	// Cloud's refusal, if it was one.
	Cloud *CloudError `json:"cloud,omitempty"`
}

// CloudError is what a cloud said when it refused.
type CloudError struct {
	Name string `json:"name"`
	// Op that it refused: "create", …
	Op string `json:"op"`
	// Status of the cloud's HTTP response, 0 when none came.
	Status int `json:"status"`
	// Code and SubCode are the cloud's own.
	Code    string `json:"code,omitempty"`
	SubCode int    `json:"subcode,omitempty"`
	Message string `json:"message,omitempty"`
	// RequestID is what the vendor's support asks for.
	RequestID string `json:"request_id,omitempty"`
	// Retryable: the same request may succeed later.
	Retryable bool `json:"retryable"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("control API: HTTP %d, %s: %s", e.Status, e.Code, e.Message)
}

func badField(field, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "bad_field", Field: field, Message: message}
}

// sentinels are the errors of package session that have a status of their own.
var sentinels = []struct {
	err    error
	status int
	code   string
}{
	{session.ErrUnknownCall, http.StatusNotFound, "unknown_call"},
	{session.ErrUnknownRoom, http.StatusNotFound, "unknown_room"},
	{session.ErrUnknownAction, http.StatusNotFound, "unknown_action"},
	{session.ErrDecided, http.StatusConflict, "decided"},
	{session.ErrAnswerDeadline, http.StatusConflict, "answer_deadline"},
	{session.ErrEnded, http.StatusConflict, "call_ended"},
	{session.ErrJoined, http.StatusConflict, "joined"},
	{session.ErrRoomFull, http.StatusServiceUnavailable, "room_full"},
	{session.ErrTooManyCalls, http.StatusServiceUnavailable, "too_many_calls"},
	{session.ErrClosed, http.StatusServiceUnavailable, "closed"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout"},
	{context.Canceled, http.StatusServiceUnavailable, "canceled"},
}

// asError gives any error its status and code.
func asError(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if f := (*session.FieldError)(nil); errors.As(err, &f) {
		return badField(f.Field, err.Error())
	}
	if u := (*session.UnsupportedError)(nil); errors.As(err, &u) {
		return unsupported(err.Error())
	}
	if c := (*session.Error)(nil); errors.As(err, &c) {
		return refusal(c)
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return &Error{Status: s.status, Code: s.code, Message: err.Error()}
		}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "internal", Message: err.Error()}
}

func refusal(c *session.Error) *Error {
	e := &Error{Status: http.StatusBadGateway, Code: "cloud_refused", Message: c.Error(), Cloud: &CloudError{
		Name: c.Cloud, Op: c.Op, Status: c.Status, Code: c.Code, SubCode: c.SubCode,
		Message: c.Message, RequestID: c.RequestID, Retryable: c.Retryable,
	}}
	if c.Err != nil { // no response
		e.Code = "cloud_unreachable"
		if errors.Is(c.Err, context.DeadlineExceeded) {
			e.Status = http.StatusGatewayTimeout
		}
	}
	return e
}

// errorBody is the body of every response that is not a success.
type errorBody struct {
	Error *Error `json:"error"`
}

func writeError(w http.ResponseWriter, e *Error) {
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, e.Status, errorBody{e})
}
