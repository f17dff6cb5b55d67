package graph

import (
	"errors"
	"fmt"
	"strings"
)

// The keys of a telephone, by the enumeration tone.
const toneKeys = "0123456789*#ABCDF"

var toneWords = [...]string{
	"tone0", "tone1", "tone2", "tone3", "tone4", "tone5", "tone6", "tone7", "tone8", "tone9",
	"star", "pound", "a", "b", "c", "d", "flash",
}

// toneNames translates keys: "5#" is tone5, pound.
func toneNames(keys string) ([]string, error) {
	if keys == "" {
		return nil, errors.New("tones: none")
	}
	names := make([]string, 0, len(keys))
	for i := range len(keys) {
		at := strings.IndexByte(toneKeys, strings.ToUpper(keys[i : i+1])[0])
		if at < 0 {
			return nil, fmt.Errorf("tones: %q: want 0 to 9, *, #, A to D or F", keys[i:i+1])
		}
		names = append(names, toneWords[at])
	}
	return names, nil
}

// toneKey is the way back.
func toneKey(name Enum) (byte, bool) {
	for i, word := range toneWords {
		if name.is(word) {
			return toneKeys[i], true
		}
	}
	return 0, false
}
