package wav

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// need skips a test where another program is not installed; the project's own
// checks (CI=true) have it.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}

// tool runs another program and returns what it prints.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	need(t, name)
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

// ffprobe returns codec, rate, channels and length in samples.
func ffprobe(t *testing.T, path string) string {
	return tool(t, "ffprobe", "-v", "warning", "-of", "csv=p=0",
		"-show_entries", "stream=codec_name,sample_rate,channels,duration_ts", path)
}

func soxi(t *testing.T, path string) string {
	var facts []string
	for _, what := range []string{"-e", "-b", "-r", "-c", "-s"} {
		facts = append(facts, tool(t, "soxi", what, path))
	}
	return strings.Join(facts, ",")
}

// decoded returns the samples that ffmpeg finds in the file.
func decoded(t *testing.T, path string) []int16 {
	raw := path + ".raw"
	tool(t, "ffmpeg", "-v", "warning", "-y", "-i", path, "-f", "s16le", raw)
	b, err := os.ReadFile(raw)
	require.NoError(t, err)
	// A header of unknown length makes a file of raw samples.
	return readAll(t, append(appendHeader(nil, 16000, 0), b...))
}

func TestOtherToolsOpenOurs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ours.wav")
	m := killed(t, 16000, 24000)
	pcm := noise(24000, 9)

	require.NoError(t, os.WriteFile(path, m.b, 0o600))
	require.Equal(t, "pcm_s16le,16000,1,16000", ffprobe(t, path), "killed: what the header says")
	require.Equal(t, "Signed Integer PCM,16,16000,1,16000", soxi(t, path))
	require.Equal(t, pcm[:16000], decoded(t, path))

	_, _, err := Repair(m, int64(len(m.b)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, m.b, 0o600))
	require.Equal(t, "pcm_s16le,16000,1,24000", ffprobe(t, path), "repaired")
	require.Equal(t, "Signed Integer PCM,16,16000,1,24000", soxi(t, path))
	require.Equal(t, pcm, decoded(t, path))
}

func TestOtherToolsOpenOursPast4GiB(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "long.wav")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	const n = 5 << 30 / 2
	w, err := NewWriter(f, 16000)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(n-3, pcm3)) // all but the end is a hole
	require.NoError(t, w.Close())
	require.Equal(t, "pcm_s16le,16000,1,2684354560", ffprobe(t, path))

	tail := tool(t, "ffmpeg", "-v", "error", "-sseof", "-0.0001875", "-i", path, "-f", "s16le", "-")
	require.Contains(t, tail, "\x01\x00\xfe\xff\x03\x00")
}

func TestWeOpenThoseOfOtherTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	raw, pcm := filepath.Join(dir, "in.raw"), noise(4001, 6)
	m := memFile{}
	w := create(t, &m)
	require.NoError(t, w.WriteAt(0, pcm))
	require.NoError(t, os.WriteFile(raw, m.b[HeaderSize:], 0o600))

	from := []string{"-v", "error", "-f", "s16le", "-ar", "16000", "-ac", "1", "-i", raw}
	ffmpeg := func(args ...string) func(*testing.T, string) {
		return func(t *testing.T, out string) {
			tool(t, "ffmpeg", append(append(from[:len(from):len(from)], args...), out)...)
		}
	}
	for name, write := range map[string]func(*testing.T, string){
		"ffmpeg":           ffmpeg(),
		"ffmpeg with tag":  ffmpeg("-metadata", "title=odd"),
		"ffmpeg RF64":      ffmpeg("-rf64", "always"),
		"ffmpeg auto":      ffmpeg("-rf64", "auto"), // a JUNK chunk, as ours
		"ffmpeg with bext": ffmpeg("-write_bext", "1", "-metadata", "description=x"),
		"ffmpeg piped": func(t *testing.T, out string) {
			need(t, "ffmpeg")
			shell(t, "ffmpeg -v error -f s16le -ar 16000 -ac 1 -i "+raw+" -f wav - | cat > "+out)
		},
		"sox": func(t *testing.T, out string) {
			tool(t, "sox", "-D", "-t", "raw", "-r", "16000", "-c", "1", "-e", "signed", "-b", "16", raw, out)
		},
		"sox with comment": func(t *testing.T, out string) {
			tool(t, "sox", "-D", "-t", "raw", "-r", "16000", "-c", "1", "-e", "signed", "-b", "16", raw, "--comment", "odd", out)
		},
		"sox piped": func(t *testing.T, out string) {
			need(t, "sox")
			shell(t, "sox -V1 -D -t raw -r 16000 -c 1 -e signed -b 16 "+raw+" -t wav - | cat > "+out)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".wav")
			write(t, out)
			file, err := os.ReadFile(out)
			require.NoError(t, err)
			require.Equal(t, pcm, readAll(t, file))
		})
	}
}

func TestWeRefuseThoseOfOtherTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"channels 2":                     {"-ac", "2"},
		"bit depth 24":                   {"-c:a", "pcm_s24le"},
		"format tag 0x0003 (IEEE float)": {"-c:a", "pcm_f32le"},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(dir, args[1]+".wav")
			line := append([]string{"-v", "error", "-f", "lavfi", "-i", "sine=r=16000:d=0.1"}, args...)
			tool(t, "ffmpeg", append(line, out)...)
			f, err := os.Open(out)
			require.NoError(t, err)
			defer f.Close()
			_, err = NewReader(f)
			require.ErrorContains(t, err, want)
		})
	}
}

func shell(t *testing.T, line string) {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	require.NoError(t, err, "%s: %s", line, out)
}
