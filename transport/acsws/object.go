package acsws

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A value is a piece of a message that encoding/json has found valid,
// without white space around it: its first byte tells its type and its end
// need not be looked for with care. Its zero is a field that was not sent.
// Null is as good as that.
type value []byte

func (v value) present() bool { return len(v) > 0 && v[0] != 'n' }

// validObject returns the object that the whole of b is.
func validObject(b []byte) (value, error) {
	if !json.Valid(b) {
		var raw json.RawMessage // for the sake of the error
		return nil, &WireError{Reason: ReasonBadJSON, Value: shorten(b), Err: json.Unmarshal(b, &raw)}
	}
	v := value(bytes.Trim(b, " \t\r\n"))
	if v[0] != '{' {
		return nil, &WireError{Reason: ReasonBadJSON, Value: shorten(b), Err: errNotObject}
	}
	return v, nil
}

// fields looks the names up in an object and puts their values into vals,
// which is as long. As in encoding/json any case of a name will do, and the
// last of several members counts, whole: a second object is not merged into
// the first.
func (v value) fields(names []string, vals []value) {
	for i := 1; ; {
		for v[i] != '"' {
			if v[i] == '}' {
				return
			}
			i++ // white space, comma
		}
		end := valueEnd(v, i)
		text, _ := v[i:end].text()
		key := string(text)
		for i = end; v[i] != ':'; i++ {
		}
		for i++; isSpace(v[i]); i++ {
		}
		end = valueEnd(v, i)
		for k, name := range names {
			if strings.EqualFold(key, name) {
				vals[k] = v[i:end:end]
			}
		}
		i = end
	}
}

// valueEnd returns the index behind the value that begins at v[i]. It does
// not recurse, however deep the value is.
func valueEnd(v value, i int) int {
	for depth := 0; ; {
		switch c := v[i]; {
		case c == '"':
			for i++; v[i] != '"'; i++ {
				if v[i] == '\\' {
					i++
				}
			}
			i++
		case c == '{' || c == '[':
			depth++
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case isSpace(c) || c == ',' || c == ':': // inside only
			i++
		default: // number, true, false, null
			for i++; !isSpace(v[i]) && v[i] != ',' && v[i] != '}' && v[i] != ']'; i++ {
			}
		}
		if depth == 0 {
			return i
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// text returns the text of a string, which aliases v if it can; ok is false
// for any other value. As in encoding/json, what is not UTF-8 becomes U+FFFD.
func (v value) text() (s []byte, ok bool) {
	if len(v) == 0 || v[0] != '"' {
		return nil, false
	}
	if s = v[1 : len(v)-1]; isText(s) && bytes.IndexByte(s, '\\') < 0 {
		return s, true
	}
	var decoded string
	if json.Unmarshal(v, &decoded) != nil {
		return nil, false
	}
	return []byte(decoded), true
}

// optionalText is text for a field that may be absent, nil then.
func (v value) optionalText() (s []byte, ok bool) {
	if !v.present() {
		return nil, true
	}
	return v.text()
}

// optionalInt returns a number of any JSON form without its fraction, 0 if
// absent; ok is false if it is not from 0 to the largest int32.
func (v value) optionalInt() (n int, ok bool) {
	if !v.present() {
		return 0, true
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 0 || f > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}

// optionalBool returns a boolean, false if absent.
func (v value) optionalBool() (b, ok bool) {
	if !v.present() {
		return false, true
	}
	return v[0] == 't', v[0] == 't' || v[0] == 'f'
}
