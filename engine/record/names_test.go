package record

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpeakerFile(t *testing.T) {
	tests := []struct {
		id   string
		want string
	}{
		{"8:acs:3d2f_00-11", "01-8_acs_3d2f_00-11.wav"},
		{"4:+14255550123", "01-4_14255550123.wav"},
		{"../../etc/passwd", "01-_etc_passwd.wav"},
		{"", "01-unnamed.wav"},
		{"...", "01-unnamed.wav"},
		{"\x00\n\x1b[31m", "01-_31m.wav"},
		{"--help", "01-help.wav"},
		{"Zoë 👋", "01-Zo_.wav"},
		{"CON", "01-CON.wav"},
		{strings.Repeat("a", 10_000), "01-" + strings.Repeat("a", maxName) + ".wav"},
		{strings.Repeat("/", 10_000), "01-unnamed.wav"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, speakerFile(1, tt.id), "%.40q", tt.id)
	}
	require.Equal(t, "100-a.wav", speakerFile(100, "a"))
}

func TestFolderName(t *testing.T) {
	require.Equal(t, "call", folderName("", 1))
	require.Equal(t, "call-2", folderName("/", 2))
	require.Equal(t, "a_b", folderName("a/../b", 1))
}

func FuzzReduce(f *testing.F) {
	for _, s := range []string{"", "8:acs:x", "../..", "-rf", "\xff\x00", strings.Repeat("é", 99)} {
		f.Add(s)
	}
	safe := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)
	f.Fuzz(func(t *testing.T, id string) {
		name := reduce(id, "unnamed")
		if !safe.MatchString(name) || len(name) > maxName || !filepath.IsLocal(name) {
			t.Fatalf("%q became %q", id, name)
		}
	})
}
