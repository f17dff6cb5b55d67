package acs

import (
	"strings"

	"github.com/mixminus/mixminus/session"
)

// The keys of a telephone, by the enumeration Tone.
const toneKeys = "0123456789ABCD#*"

var toneWords = [...]string{
	"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
	"a", "b", "c", "d", "pound", "asterisk",
}

// toneNames translates keys: "5#" is five, pound.
func toneNames(field, keys string) ([]string, error) {
	names := make([]string, 0, len(keys))
	for i := range len(keys) {
		at := strings.IndexByte(toneKeys, strings.ToUpper(keys[i : i+1])[0])
		if at < 0 {
			return nil, &session.FieldError{Field: field, Value: keys[i : i+1], Want: "want 0 to 9, *, #, A to D"}
		}
		names = append(names, toneWords[at])
	}
	return names, nil
}

// toneKey is the way back.
func toneKey(word string) (byte, bool) {
	for i, w := range toneWords {
		if strings.EqualFold(w, word) {
			return toneKeys[i], true
		}
	}
	return 0, false
}

// Keys translates the words of tones: "five", "pound" is "5#". Words that it
// does not know are left out.
func Keys(tones []string) string {
	var keys []byte
	for _, word := range tones {
		if key, ok := toneKey(word); ok {
			keys = append(keys, key)
		}
	}
	return string(keys)
}
