package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/session"
)

// Strict decodes one JSON object, empty for {}, without unknown members into
// v. What is wrong with it is a *session.FieldError.
func Strict(body []byte, v any) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil
	}
	if body[0] != '{' {
		return &session.FieldError{Field: "body", Value: Clip(string(body)), Want: "want a JSON object"}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		if _, more := d.Token(); more != io.EOF {
			return &session.FieldError{Field: "body", Want: "more follows the JSON object"}
		}
		return nil
	case errors.As(err, &wrong):
		return &session.FieldError{Field: spelled(wrong.Field), Value: wrong.Value, Want: fmt.Sprintf("want %s", wrong.Type)}
	}
	// encoding/json has no type for this one error.
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		if field, err := strconv.Unquote(name); err == nil {
			name = field
		}
		return &session.FieldError{Field: Clip(name), Want: "is not known here"}
	}
	return &session.FieldError{Field: "body", Want: err.Error()}
}

// spelled is a field's path as it stands in JSON: encoding/json puts the names
// of embedded types into it.
func spelled(path string) string {
	parts := strings.Split(path, ".")
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool {
		return part != "" && part[0] >= 'A' && part[0] <= 'Z'
	}), ".")
}
