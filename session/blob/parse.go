package blob

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what is read.
const (
	// MaxBytes of a blob, escapes included.
	MaxBytes = 64 << 10
	// maxContexts of one medium and direction: a call has at most ten video
	// sockets; the rest is room for what is not known.
	maxContexts = 64
	// maxEscapes is how often a blob may have been put into a string.
	maxEscapes = 3
)

// Parse reads a blob: a JSON object, a JSON string that holds one, or the text
// of such a string without its quotes, as documents show it. Strings may be
// nested. Errors name the key and what is wrong with its value.
func Parse(text []byte) (*Blob, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("blob: %d bytes, want at most %d", len(text), MaxBytes)
	}
	object, err := unwrap(bytes.TrimSpace(text), maxEscapes)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	members, err := split(object)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	b := &Blob{members: members}
	seen := map[string]bool{}
	for _, m := range members {
		f := fieldOf(m.key)
		if f == nil {
			continue
		}
		if seen[m.key] {
			return nil, fmt.Errorf("blob: %s stands twice", m.key)
		}
		seen[m.key] = true
		if err := decode(m.value, f.at(b)); err != nil {
			return nil, fmt.Errorf("blob: %s: %w", m.key, err)
		}
	}
	b.remember()
	return b, nil
}

// remember keeps what the members said, apart from the fields that may change.
func (b *Blob) remember() {
	p := *b
	for i := range fields {
		switch at := fields[i].at(&p).(type) {
		case *Contexts:
			*at = slices.Clone(*at)
		case *[]string:
			*at = slices.Clone(*at)
		}
	}
	p.members = nil
	b.parsed = &p
}

// unwrap takes the object out of the strings around it.
func unwrap(text []byte, deep int) ([]byte, error) {
	switch {
	case len(text) == 0:
		return nil, errors.New("empty")
	case text[0] == '{' && !bytes.HasPrefix(bytes.TrimLeft(text[1:], " \t\r\n"), []byte(`\`)):
		return text, nil
	case deep == 0:
		return nil, fmt.Errorf("string in a string, more than %d deep", maxEscapes)
	case text[0] != '"' && text[0] != '{':
		return nil, fmt.Errorf("begins with %q, want a JSON object or a string that holds one", clip(text))
	case text[0] == '{': // the inside of a string, without its quotes
		text = slices.Concat([]byte(`"`), text, []byte(`"`))
	}
	var inner string
	if err := json.Unmarshal(text, &inner); err != nil {
		return nil, fmt.Errorf("string: %w", err)
	}
	return unwrap(bytes.TrimSpace([]byte(inner)), deep-1)
}

// split lists the members of a JSON object in their order, without the spaces
// between.
func split(object []byte) ([]member, error) {
	if !utf8.Valid(object) {
		return nil, errors.New("not UTF-8")
	}
	if !json.Valid(object) {
		var v json.RawMessage
		err := json.Unmarshal(object, &v)
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	var packed bytes.Buffer
	if err := json.Compact(&packed, object); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(packed.Bytes()))
	if _, err := d.Token(); err != nil { // the brace
		return nil, err
	}
	members := []member{}
	for d.More() {
		begin := d.InputOffset()
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: t.(string), name: bytes.TrimPrefix(packed.Bytes()[begin:d.InputOffset()], []byte(","))}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return members, nil
}

// decode reads a known key's value.
func decode(value json.RawMessage, into any) error {
	switch into := into.(type) {
	case *string:
		if string(value) == "null" {
			return nil
		}
		if err := json.Unmarshal(value, into); err != nil {
			return fmt.Errorf("%s: want a string or null", clip(value))
		}
	case *[]string:
		if err := json.Unmarshal(value, into); err != nil {
			return fmt.Errorf("%s: want a list of strings or null", clip(value))
		}
		return atMost(len(*into))
	case *Contexts:
		var ids []*string
		if err := json.Unmarshal(value, &ids); err != nil {
			return fmt.Errorf("%s: want a list of ids, or null", clip(value))
		}
		if ids == nil {
			return nil
		}
		*into = make(Contexts, len(ids))
		for i, id := range ids {
			switch {
			case id == nil:
			case *id == "":
				return fmt.Errorf("[%d] is empty: want an id or null", i)
			default:
				(*into)[i] = *id
			}
		}
		return atMost(len(ids))
	}
	return nil
}

func atMost(n int) error {
	if n > maxContexts {
		return fmt.Errorf("%d entries, want at most %d", n, maxContexts)
	}
	return nil
}

// AppendJSON appends the blob as compact JSON: what Parse read and nobody
// changed, byte for byte; else in the known order of keys. It never fails.
func (b *Blob) AppendJSON(to []byte) []byte {
	to = append(to, '{')
	first := true
	write := func(name, value []byte) {
		if !first {
			to = append(to, ',')
		}
		first = false
		to = append(append(append(to, name...), ':'), value...)
	}
	missing := b.missing()
	for _, m := range b.members {
		f := fieldOf(m.key)
		if f != nil {
			// What was added since goes where it belongs.
			for len(missing) > 0 && before(missing[0], f) {
				write(quote(missing[0].key), encode(missing[0].at(b)))
				missing = missing[1:]
			}
		}
		value := []byte(m.value)
		if f != nil && !same(f.at(b), f.at(b.parsed)) {
			value = encode(f.at(b))
		}
		write(m.name, value)
	}
	for _, f := range missing {
		write(quote(f.key), encode(f.at(b)))
	}
	return append(to, '}')
}

func before(a, b *field) bool { return index(a) < index(b) }

func index(f *field) int {
	return slices.IndexFunc(fields[:], func(g field) bool { return g.key == f.key })
}

// missing lists what is to be written and is no member yet.
func (b *Blob) missing() (list []*field) {
	old := (Versions{Bots: b.BotsVersion}).old()
	for i := range fields {
		f := &fields[i]
		if slices.ContainsFunc(b.members, func(m member) bool { return m.key == f.key }) {
			continue
		}
		switch f.key {
		case "callId", "dataRenderContexts", "dataSourceContexts", "videoSinkEncodingFormats":
			if b.members == nil && old && f.key != "callId" {
				continue
			}
			if empty(f.at(b)) && (old || b.members != nil) {
				continue
			}
		default:
			if b.members != nil && empty(f.at(b)) {
				continue
			}
		}
		list = append(list, f)
	}
	return list
}

func empty(v any) bool {
	switch v := v.(type) {
	case *string:
		return *v == ""
	case *[]string:
		return *v == nil
	case *Contexts:
		return *v == nil
	}
	return true
}

func same(a, b any) bool {
	switch a := a.(type) {
	case *string:
		return *a == *b.(*string)
	case *[]string:
		return slices.Equal(*a, *b.(*[]string)) && (*a == nil) == (*b.(*[]string) == nil)
	case *Contexts:
		return slices.Equal(*a, *b.(*Contexts)) && (*a == nil) == (*b.(*Contexts) == nil)
	}
	return false
}

// encode writes a field's value: "" as null.
func encode(v any) []byte {
	switch v := v.(type) {
	case *string:
		if *v == "" {
			return []byte("null")
		}
		return quote(*v)
	case *[]string:
		return encodeList(*v, *v == nil)
	case *Contexts:
		return encodeList(*v, *v == nil)
	}
	return nil
}

func encodeList(list []string, null bool) []byte {
	if null {
		return []byte("null")
	}
	out := []byte{'['}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, encode(&s)...)
	}
	return append(out, ']')
}

// quote writes a string as the library does: without escaping <, > and &.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string cannot fail
	return bytes.TrimRight(b.Bytes(), "\n")
}

func clip(b []byte) string {
	const most = 32
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
