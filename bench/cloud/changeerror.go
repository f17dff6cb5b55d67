package cloud

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// changeRefusal is an answer of Microsoft Graph that is not success
// (learn.microsoft.com/graph/errors).
type changeRefusal struct {
	status     int
	code       string
	message    string
	retryAfter int // seconds
}

func (e *changeRefusal) Error() string {
	return fmt.Sprintf("HTTP %d, code %s: %s", e.status, e.code, e.message)
}

type changeErrorModel struct {
	Code       string           `json:"code"`
	Message    string           `json:"message"`
	InnerError changeInnerError `json:"innerError"`
}

type changeInnerError struct {
	Date            string `json:"date"`
	RequestID       string `json:"request-id"`
	ClientRequestID string `json:"client-request-id"`
}

// response puts e into the envelope of Graph's errors. An empty requestID
// means a new one; a request without the header client-request-id has its
// requestID for both.
func (e *changeRefusal) response(now time.Time, requestID, clientRequestID string) *response {
	requestID = cmp.Or(requestID, uuid.NewString())
	resp := newResponse(e.status, map[string]changeErrorModel{"error": {
		Code: e.code, Message: e.message, InnerError: changeInnerError{
			Date:            now.UTC().Format("2006-01-02T15:04:05"),
			RequestID:       requestID,
			ClientRequestID: cmp.Or(clientRequestID, requestID),
		},
	}})
	if e.retryAfter > 0 {
		resp.header = http.Header{"Retry-After": {strconv.Itoa(e.retryAfter)}}
	}
	return resp
}

// faultRefusal is the answer of a RequestFault.
func faultRefusal(f RequestFault) *changeRefusal {
	e := &changeRefusal{status: f.Status, code: "UnknownError", message: "Fault by script.", retryAfter: f.RetryAfter}
	switch f.Status {
	case http.StatusTooManyRequests:
		e.code = "TooManyRequests"
	case http.StatusServiceUnavailable:
		e.code = "ServiceUnavailable"
	}
	return e
}

// invalidChange is 400, before the service of the resource is asked.
func invalidChange(format string, args ...any) *changeRefusal {
	return &changeRefusal{status: http.StatusBadRequest, code: "InvalidRequest", message: fmt.Sprintf(format, args...)}
}

// extensionError is what the service of a resource refused a subscription for,
// in the wrapping that Graph gives it. Operation is "Create" or "Update".
func extensionError(status int, operation, format string, args ...any) *changeRefusal {
	return &changeRefusal{status: status, code: "ExtensionError", message: fmt.Sprintf(
		"Operation: %s; Exception: [Status Code: %s; Reason: %s]", operation, statusName(status), fmt.Sprintf(format, args...))}
}

// statusName writes a status as Graph does in its messages: "BadRequest".
func statusName(status int) string {
	var name []byte
	for _, c := range []byte(http.StatusText(status)) {
		if c != ' ' && c != '-' && c != '\'' {
			name = append(name, c)
		}
	}
	if len(name) == 0 {
		return strconv.Itoa(status)
	}
	return string(name)
}
