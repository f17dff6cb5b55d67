package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// refusal is an answer that is not success: a status and a
// CommunicationErrorResponse. Which strings the service itself writes as code
// is not documented; the emulator writes the subcode of its troubleshooting
// page.
type refusal struct {
	status     int
	code       string
	message    string
	target     string
	retryAfter int // seconds
}

func (r *refusal) Error() string {
	return fmt.Sprintf("HTTP %d, code %s: %s: %s", r.status, r.code, r.target, r.message)
}

// within says that the field is part of another.
func (r *refusal) within(field string) *refusal {
	if r.target != "" {
		field += "." + r.target
	}
	r.target = field
	return r
}

// badArgument is 400/8523, "invalid argument in body".
func badArgument(field, format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "8523", target: field, message: fmt.Sprintf(format, args...)}
}

// notFound is 404/8522: the call never was, or has ended.
func notFound(what string) *refusal {
	return &refusal{status: http.StatusNotFound, code: "8522", message: what + " not found: it has ended, or never was."}
}

// wrongState is 400/8585: not now.
func wrongState(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "8585", message: fmt.Sprintf(format, args...)}
}

type errorModel struct {
	Code       string       `json:"code"`
	Message    string       `json:"message"`
	Target     string       `json:"target,omitempty"`
	Details    []errorModel `json:"details,omitempty"`
	InnerError *errorModel  `json:"innererror,omitempty"`
}

type errorResponse struct {
	Error errorModel `json:"error"`
}

func (r *refusal) response() *response {
	message := r.message
	if r.target != "" {
		message = r.target + ": " + message
	}
	resp := newResponse(r.status, errorResponse{errorModel{Code: r.code, Message: message, Target: r.target}})
	if r.retryAfter > 0 {
		resp.header = http.Header{"Retry-After": {strconv.Itoa(r.retryAfter)}}
	}
	return resp
}

// response is one that can be sent, and sent again.
type response struct {
	status int
	header http.Header
	body   []byte // nil: none
	// failure is written as the body once its request has a name.
	failure *graphFailure
}

// newResponse writes v, if not nil, as JSON.
func newResponse(status int, v any) *response {
	r := &response{status: status}
	if v == nil {
		return r
	}
	body, err := json.Marshal(v)
	if err != nil {
		// Only our own shapes come here, and those can be written.
		return &response{status: http.StatusInternalServerError}
	}
	r.body = body
	return r
}

// with returns a copy of r with one header more.
func (r *response) with(name, value string) *response {
	c := &response{status: r.status, header: r.header.Clone(), body: r.body, failure: r.failure}
	if c.header == nil {
		c.header = http.Header{}
	}
	c.header.Set(name, value)
	return c
}

func (r *response) write(w http.ResponseWriter) {
	if r.failure != nil {
		r = r.withFailure()
	}
	for name, values := range r.header {
		w.Header()[name] = values
	}
	if r.body != nil && w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	if r.status != http.StatusNoContent {
		// Without a length the response would only be complete once its
		// handler has returned, behind what is to follow it.
		w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	w.WriteHeader(r.status)
	if r.body != nil {
		// A peer that has gone away does not get its answer.
		_, _ = w.Write(r.body)
	}
}
