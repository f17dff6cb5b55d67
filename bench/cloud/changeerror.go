package cloud

import (
	"fmt"
	"net/http"
	"strconv"
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

// response puts e into the envelope of Graph's errors.
func (e *changeRefusal) response() *response {
	resp := graphError(e.status, e.code, e.message)
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
