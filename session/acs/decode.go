package acs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// number is an integer that may come as a string. null and "" are 0.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	s := string(b)
	if len(b) > 1 && b[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	if s == "null" || s == "" {
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return &json.UnmarshalTypeError{Value: rest.Clip(string(b)), Type: reflect.TypeFor[int32]()}
	}
	*n = number(v)
	return nil
}

// text is a string that may come as a number.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
		return nil
	case 'n':
		return nil
	case '{', '[', 't', 'f':
		return &json.UnmarshalTypeError{Value: rest.Clip(string(b)), Type: reflect.TypeFor[string]()}
	}
	*t = text(b)
	return nil
}

// stamp is a time of an event. One that cannot be read is zero rather than an
// error: an event must not be lost for its ornament.
type stamp time.Time

// UnmarshalJSON implements json.Unmarshaler.
func (s *stamp) UnmarshalJSON(b []byte) error {
	var str string
	if json.Unmarshal(b, &str) != nil {
		return nil
	}
	if t, err := time.Parse(time.RFC3339Nano, str); err == nil {
		*s = stamp(t.UTC())
	}
	return nil
}

// elements splits a JSON array into its values; a single object is an array
// of one. What is not UTF-8 in it becomes U+FFFD, so that whoever gets an event
// as it came gets JSON (RFC 8259 section 8.1).
func elements(body []byte) ([]json.RawMessage, error) {
	trimmed := bytes.TrimSpace(body)
	if !utf8.Valid(trimmed) {
		trimmed = bytes.ToValidUTF8(trimmed, []byte("\uFFFD"))
	}
	if len(trimmed) == 0 {
		return nil, errors.New("body is empty")
	}
	if trimmed[0] == '{' {
		var one json.RawMessage
		if err := rest.Unmarshal(trimmed, &one); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		return []json.RawMessage{one}, nil
	}
	var all []json.RawMessage
	if err := rest.Unmarshal(trimmed, &all); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if all == nil {
		return nil, errors.New("body is null, want an array of events")
	}
	return all, nil
}

// first returns the first of ss that is not empty.
func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// badNumber refuses a number out of bounds.
func badNumber(field string, value, low, high int) error {
	return &session.FieldError{Field: field, Value: strconv.Itoa(value), Want: fmt.Sprintf("want %d to %d", low, high)}
}

// sortedKeys lists the keys of m in order, so that equal requests are equal.
func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }
