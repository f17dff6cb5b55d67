// Package offer is what the paths share to which SDP offers are posted: what a
// request must be before it is looked at, how it is refused, and the interface of
// a medium that answers offers over HTTP by itself (WebRTC).
package offer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/mixminus/mixminus/session/rest"
)

const (
	// Type of an offer and of its answer (RFC 8866, section 8.1).
	Type = "application/sdp"
	// Max bounds an offer, in bytes.
	Max = 64 << 10
	// retryAfter, in seconds, goes with 503 and with what is too early.
	retryAfter = "5"
)

// Error is a response that is not a success: {"error":{"code","message"}}.
type Error struct {
	Status        int
	Code, Message string
	// Later: the same request may succeed later. It is so with 503 anyway.
	Later bool
}

func (e *Error) Error() string { return e.Message }

// Write sends the error.
func (e *Error) Write(w http.ResponseWriter) {
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	if e.Later || e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	type words struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	WriteJSON(w, e.Status, struct {
		Error words `json:"error"`
	}{words{e.Code, e.Message}})
}

// WriteJSON sends v.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a peer that is gone hears nothing
}

// NotFound is for what is no path.
func NotFound() *Error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Message: "nothing is served at this path"}
}

// Allow writes what a path has for a request whose method it has not: to OPTIONS
// that, and that offers are taken (RFC 9725, section 4.2), else 405.
func Allow(w http.ResponseWriter, r *http.Request, methods string) {
	w.Header().Set("Allow", methods)
	if r.Method == http.MethodOptions {
		if strings.Contains(methods, http.MethodPost) {
			w.Header().Set("Accept-Post", Type)
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	(&Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: rest.Clip(r.Method) + " is not served here"}).Write(w)
}

// Read returns the body if it may be an offer, else an *Error.
func Read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	said := r.Header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(said); err != nil || t != Type {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Code: "content_type",
			Message: fmt.Sprintf("Content-Type = %q: want %s", rest.Clip(said), Type)}
	}
	if packed := r.Header.Get("Content-Encoding"); packed != "" && !strings.EqualFold(packed, "identity") {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Code: "content_encoding",
			Message: fmt.Sprintf("Content-Encoding = %q: want none", rest.Clip(packed))}
	}
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, Max))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("body is over %d bytes", Max)}
	case err != nil:
		return nil, &Error{Status: http.StatusBadRequest, Code: "bad_body", Message: "body: " + err.Error()}
	}
	// Whatever has another first line (RFC 8866, section 5.1) need not ring.
	if first, _, _ := strings.Cut(string(offer), "\n"); strings.TrimSuffix(first, "\r") != "v=0" {
		return nil, &Error{Status: http.StatusBadRequest, Code: "bad_offer", Message: fmt.Sprintf("first line = %q: want v=0", rest.Clip(first))}
	}
	return offer, nil
}

// judged is the word of a medium on an offer: whether it is well-formed and
// nothing in it can be carried (true), or malformed.
type judged interface{ NotAcceptable() bool }

// Judged gives what a medium says of an offer its status: 406 or 400. It is nil
// if err is no such word.
func Judged(err error) *Error {
	var word judged
	switch {
	case !errors.As(err, &word):
		return nil
	case word.NotAcceptable():
		return &Error{Status: http.StatusNotAcceptable, Code: "not_acceptable", Message: err.Error()}
	}
	return &Error{Status: http.StatusBadRequest, Code: "bad_offer", Message: err.Error()}
}
