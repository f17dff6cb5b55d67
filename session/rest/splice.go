package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Member is one property that Splice may add.
type Member struct {
	Key   string
	Value any
}

// Splice appends to the JSON object in body those members whose key it has
// not, in their order. Every byte of body stays as it is. Keys compare without
// regard to case, since the service reads them so; a key with the value null
// is there.
func Splice(body []byte, add []Member) ([]byte, error) {
	have, err := TopKeys(body)
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(body, '}')
	out := bytes.NewBuffer(make([]byte, 0, len(body)+512))
	out.Write(body[:end])
	comma := len(have) > 0
	for _, m := range add {
		if hasFold(have, m.Key) {
			continue
		}
		value, err := Marshal(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Key, err)
		}
		if comma {
			out.WriteByte(',')
		}
		comma = true
		fmt.Fprintf(out, "%q:", m.Key)
		out.Write(value)
	}
	out.Write(body[end:])
	return out.Bytes(), nil
}

// TopKeys lists the keys of the JSON object in body, and refuses anything
// that is not exactly one JSON object.
func TopKeys(body []byte) ([]string, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, errors.New("request body is empty, want a JSON object")
	}
	if !json.Valid(body) {
		var v json.RawMessage
		return nil, fmt.Errorf("request body is not JSON: %w", Unmarshal(body, &v))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("request body is not JSON: %w", err)
	}
	if t != json.Delim('{') {
		return nil, fmt.Errorf("request body is a JSON %s, want an object", tokenName(t))
	}
	var keys []string
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("request body is not JSON: %w", err)
		}
		key, _ := t.(string)
		keys = append(keys, key)
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return nil, fmt.Errorf("request body: %s: %w", Clip(key), err)
		}
	}
	return keys, nil
}

// tokenName says what a JSON value is from its first token.
func tokenName(t json.Token) string {
	switch t.(type) {
	case json.Delim:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case nil:
		return "null"
	}
	return "number"
}

func hasFold(keys []string, key string) bool {
	for _, k := range keys {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}
