package graph

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Enum is a value of one of Graph's enumerations. Decoding turns the first
// letter to lower case, as the documents write them: the service writes
// "Established" and "established". Values that the documents do not name
// survive.
type Enum string

// UnmarshalJSON reads a string or null.
func (e *Enum) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*e = ""
	if s != nil {
		*e = enumOf(*s)
	}
	return nil
}

func enumOf(s string) Enum {
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	return Enum(string(unicode.ToLower(first)) + s[size:])
}

// is compares without regard to case.
func (e Enum) is(name string) bool { return strings.EqualFold(string(e), name) }

// Code is an integer that some of the documents' samples write as a string.
type Code int

// UnmarshalJSON reads 500 or "500".
func (c *Code) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "null" || text == "" {
		*c = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("code %.40q is not an integer", text)
	}
	*c = Code(n)
	return nil
}
