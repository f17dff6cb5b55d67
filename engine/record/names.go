package record

import (
	"fmt"
	"strings"
)

// maxName bounds the part of a file name that comes from outside, in bytes.
const maxName = 64

// File names of a call's folder that do not come from a speaker id.
const (
	manifestName = "manifest.json"
	botName      = "bot.wav"
	mixedName    = "mixed.wav"
	mixedInName  = "mixed-in.wav"
	tmpSuffix    = ".tmp"
)

// reduce returns id with every run of characters other than [A-Za-z0-9_-]
// replaced by one underscore, bounded, never empty and never an option of a
// command line. It does not keep ids apart: the caller numbers them.
func reduce(id, empty string) string {
	var b strings.Builder
	gap := false
	for i := 0; i < len(id) && b.Len() < maxName; i++ {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			b.WriteByte(c)
			gap = false
		case !gap:
			b.WriteByte('_')
			gap = true
		}
	}
	name := strings.TrimLeft(b.String(), "-")
	if strings.Trim(name, "_") == "" {
		return empty
	}
	return name
}

// speakerFile names the file of the n-th speaker, from 1.
func speakerFile(n int, rawID string) string {
	return fmt.Sprintf("%02d-%s.wav", n, reduce(rawID, "unnamed"))
}

// folderName names the n-th folder that wants the name of the call, from 1.
func folderName(callID string, n int) string {
	name := reduce(callID, "call")
	if n > 1 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	return name
}
