package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// request is an http.Request that reads itself strictly: what is not
// understood is refused by its name, and nothing of it is done.
type request struct{ *http.Request }

// decode reads the body, one JSON object, into v.
func (r *request) decode(v any) error { return r.read(v, false) }

// decodeOptional is decode that takes an empty body for an empty object.
func (r *request) decodeOptional(v any) error { return r.read(v, true) }

func (r *request) read(v any, optional bool) error {
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Message: fmt.Sprintf("body is over %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return &Error{Status: http.StatusBadRequest, Code: "bad_body", Message: "body: " + err.Error()}
	}
	if optional && len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return decodeStrict(body, v)
}

// decodeStrict parses one JSON object without unknown fields.
func decodeStrict(body []byte, v any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return &Error{Status: http.StatusBadRequest, Code: "bad_json", Message: "body: want a JSON object"}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			return &Error{Status: http.StatusBadRequest, Code: "bad_json", Message: "body: more follows the JSON object"}
		}
		return nil
	}
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return badField(wrong.Field, fmt.Sprintf("%s: want %s, got %s", wrong.Field, wrong.Type, wrong.Value))
	}
	// encoding/json has no type for this one error.
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		if field, err := strconv.Unquote(name); err == nil {
			name = field
		}
		return badField(name, fmt.Sprintf("unknown field %q", name))
	}
	return &Error{Status: http.StatusBadRequest, Code: "bad_json", Message: "body: " + err.Error()}
}

// flag reads the query's only parameter, a boolean that is false if absent.
func (r *request) flag(name string) (bool, error) {
	query := r.URL.Query()
	for key := range query {
		if key != name {
			return false, badField(key, fmt.Sprintf("unknown parameter %q", key))
		}
	}
	value := query.Get(name)
	if value == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, badField(name, fmt.Sprintf("%s = %q: want true or false", name, value))
	}
	return on, nil
}
