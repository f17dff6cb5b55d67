package record

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

// interrupted records a call and puts the folder back into the state in which
// a kill would have left it: the manifest of the beginning, headers that lag
// behind.
func interrupted(t *testing.T, dir, id string) (c *call, folder string, m *Manifest) {
	t.Helper()
	c = newCall(t, engine.Unmixed)
	r := newRecorder(t, Config{Dir: dir})
	rec := attach(t, r, c.leg, Meta{CallID: id})
	c.speak("a", 0)
	until(t, "begun", func() bool { return rec.Stats().Frames == 1 })
	folder = filepath.Join(dir, folderName(id, 1))
	for slot := int64(1); slot < 100; slot++ {
		c.speak("a", slot)
		if slot < 30 || slot >= 60 {
			c.speak("b", slot)
		}
	}
	c.hangUp()
	res := wait(t, rec)
	check(t, res)
	m, err := ReadManifest(res.Manifest)
	require.NoError(t, err)
	m.State = StateRecording
	m.Lock = ".recorder-0123456789abcdef.lock" // of a recorder that is gone
	for i := range m.Tracks {
		tr := &m.Tracks[i]
		*tr = Track{File: tr.File, Path: tr.Path, Kind: tr.Kind, Speaker: tr.Speaker, First: tr.First, Gaps: []Gap{}}
	}
	writeManifest(t, folder, m)
	lag(t, filepath.Join(folder, "01-a.wav"), 320)
	lag(t, filepath.Join(folder, mixedName), 0)
	require.NoError(t, os.Truncate(filepath.Join(folder, mixedName), 80))
	return c, folder, m
}

func writeManifest(t *testing.T, folder string, m *Manifest) {
	t.Helper()
	require.NoError(t, m.write(osFS{}, folder, false))
}

// lag makes the header of a file claim only some of its samples.
func lag(t *testing.T, path string, samples int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	w := wave{file: f, claimed: -1}
	require.NoError(t, w.claim(samples))
}

func recoverOne(t *testing.T, dir string) Recovered {
	t.Helper()
	found, err := Recover(dir)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.NoError(t, found[0].Err)
	again, err := Recover(dir)
	require.NoError(t, err)
	require.Empty(t, again, "idempotent")
	return found[0]
}

func TestRecover(t *testing.T) {
	dir := t.TempDir()
	c, folder, _ := interrupted(t, dir, "call")
	for _, name := range []string{manifestName, mixedName, "01-a.wav"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name+tmpSuffix), []byte("half"), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "notes.txt"), []byte("mine"), 0o600))
	r := recoverOne(t, dir)
	require.Equal(t, StateRecovered, r.State)
	require.Equal(t, []string{"notes.txt"}, r.Foreign)
	require.Equal(t, "[folder="+folder+" state=recovered tracks=3 missing=0 foreign=1]", r.LogValue().String())
	got := check(t, r.Result)
	requireSame(t, c.track("a"), got["a"], "a")
	requireSame(t, c.track("b"), got["b"], "b")
	require.Equal(t, 100*320, len(got["mixed"]))
	b := trackOf(t, r.Result, "b")
	require.Equal(t, []Gap{{30 * 320, 30 * 320, DTX, Unconfirmed}}, b.Gaps)
	require.EqualValues(t, 320, b.First)
	require.Zero(t, r.Missing())
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 5, "what was half done is gone, what is foreign is not")
}

func TestRecoverKeepsWhatWasKnown(t *testing.T) {
	dir := t.TempDir()
	_, folder, m := interrupted(t, dir, "call")
	b := &m.Tracks[1]
	b.Samples = 62 * 320
	b.Gaps = []Gap{{40 * 320, 20 * 320, Lost, Connection}}
	b.Lost = map[Reason]int64{Connection: 20 * 320, Position: 320}
	writeManifest(t, folder, m)
	r := recoverOne(t, dir)
	got := trackOf(t, r.Result, "b")
	require.Equal(t, b.Gaps, got.Gaps)
	require.Equal(t, b.Lost, got.Lost)
	require.EqualValues(t, 21*320, got.Missing)
}

// TestRecoverFlushed: the bot's file is shorter than the manifest knew when a
// flush came after it; that is no loss.
func TestRecoverFlushed(t *testing.T) {
	dir := t.TempDir()
	_, folder, m := interrupted(t, dir, "call")
	b := &m.Tracks[1]
	b.Kind, b.Speaker, b.Samples = KindBot, "", 120*320
	b.Gaps = []Gap{{30 * 320, 30 * 320, DTX, ""}, {105 * 320, 5 * 320, DTX, ""}}
	writeManifest(t, folder, m)
	r := recoverOne(t, dir)
	check(t, r.Result)
	got := trackOf(t, r.Result, "bot")
	require.Equal(t, b.Gaps[:1], got.Gaps)
	require.EqualValues(t, 100*320, got.Samples)
	require.Zero(t, got.Missing)
}

// TestRecoverAfterPowerLoss: a file may be shorter than the manifest knew.
func TestRecoverAfterPowerLoss(t *testing.T) {
	dir := t.TempDir()
	_, folder, m := interrupted(t, dir, "call")
	a := &m.Tracks[0]
	a.Samples = 100 * 320
	writeManifest(t, folder, m)
	require.NoError(t, os.Truncate(filepath.Join(folder, "01-a.wav"), 80+2*90*320+1))
	r := recoverOne(t, dir)
	check(t, r.Result)
	got := trackOf(t, r.Result, "a")
	require.EqualValues(t, 90*320, got.Samples)
	require.Equal(t, []Gap{{90 * 320, 10 * 320, Lost, Disk}}, got.Gaps)
	require.EqualValues(t, 10*320, got.Missing)
}

func TestRecoverDamage(t *testing.T) {
	tests := []struct {
		name   string
		damage func(t *testing.T, folder string, m *Manifest)
		error  string // of track a
	}{
		{"overwritten", func(t *testing.T, folder string, _ *Manifest) {
			require.NoError(t, os.WriteFile(filepath.Join(folder, "01-a.wav"), []byte(strings.Repeat("x", 1000)), 0o600))
		}, `wav: header "xxxxxxxxxxxxxxxx"...`},
		{"empty", func(t *testing.T, folder string, _ *Manifest) {
			require.NoError(t, os.Truncate(filepath.Join(folder, "01-a.wav"), 0))
		}, "of 0 bytes"},
		{"a folder", func(t *testing.T, folder string, _ *Manifest) {
			require.NoError(t, os.Remove(filepath.Join(folder, "01-a.wav")))
			require.NoError(t, os.Mkdir(filepath.Join(folder, "01-a.wav"), 0o700))
		}, "not a regular file"},
		{"a link that leads out", func(t *testing.T, folder string, _ *Manifest) {
			out := filepath.Join(filepath.Dir(folder), "out.wav")
			require.NoError(t, os.Rename(filepath.Join(folder, "01-a.wav"), out))
			require.NoError(t, os.Symlink("../out.wav", filepath.Join(folder, "01-a.wav")))
		}, "not a regular file"},
		{"gone", func(t *testing.T, folder string, m *Manifest) {
			m.Tracks[0].Samples = 320
			require.NoError(t, os.Remove(filepath.Join(folder, "01-a.wav")))
		}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c, folder, m := interrupted(t, dir, "call")
			tt.damage(t, folder, m)
			writeManifest(t, folder, m)
			r := recoverOne(t, dir)
			a := trackOf(t, r.Result, "a")
			require.Contains(t, a.Error, tt.error)
			require.Empty(t, a.SHA256)
			require.Equal(t, StateFailed, r.State)
			b := trackOf(t, r.Result, "b")
			require.Empty(t, b.Error)
			requireSame(t, c.track("b"), samplesOf(t, b.Path), "b")
			requireSame(t, c.track("b"), samplesOf(t, trackOf(t, r.Result, "mixed").Path), "the sum of what is left")
		})
	}
}

// TestRecoverNeverBegun: the process was killed between the manifest and the
// first file.
func TestRecoverNeverBegun(t *testing.T) {
	dir := t.TempDir()
	_, folder, m := interrupted(t, dir, "call")
	for _, tr := range m.Tracks {
		require.NoError(t, os.Remove(filepath.Join(folder, tr.File)))
	}
	r := recoverOne(t, dir)
	require.Len(t, r.Tracks, 1)
	require.Empty(t, check(t, r.Result)["mixed"])
}

func TestRecoverForeign(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	track := func(file string) string {
		return `{"version":1,"state":"recording","tracks":[{"file":"ok.wav"},` + file + `]}`
	}
	put("loose.wav", "RIFF")
	put("photos/cat.jpg", "cat")
	put("unfinished/manifest.json.tmp", "{")
	put("complete/manifest.json", `{"version":1,"state":"complete"}`)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	bad := map[string]string{
		"torn":      `{"version":1,`,
		"future":    `{"version":2,"state":"recording"}`,
		"array":     `[]`,
		"escape":    track(`{"file":"../../x.wav"}`),
		"absolute":  track(`{"file":"/etc/x.wav"}`),
		"not-wav":   track(`{"file":"manifest.json"}`),
		"nameless":  track(`{"file":""}`),
		"twice":     track(`{"file":"ok.wav"}`),
		"negative":  track(`{"file":"a.wav","samples":-1}`),
		"bad-gap":   track(`{"file":"a.wav","gaps":[{"at":-5,"samples":1}]}`),
		"long-gap":  track(`{"file":"a.wav","gaps":[{"at":9223372036854775807,"samples":1}]}`),
		"bad-first": track(`{"file":"a.wav","first":-1}`),
	}
	for name, manifest := range bad {
		put(name+"/manifest.json", manifest)
	}
	_, _, _ = interrupted(t, dir, "good")
	found, err := Recover(dir)
	require.NoError(t, err)
	for _, r := range found {
		name := filepath.Base(r.Folder)
		switch name {
		case "good":
			require.NoError(t, r.Err)
		case "photos":
			require.ErrorIs(t, r.Err, ErrNoManifest)
			require.Equal(t, "[folder="+r.Folder+" error="+r.Err.Error()+"]", r.LogValue().String())
		default:
			require.Contains(t, bad, name)
			require.ErrorContains(t, r.Err, "manifest.json", name)
			data, err := os.ReadFile(filepath.Join(r.Folder, manifestName))
			require.NoError(t, err)
			require.Equal(t, bad[name], string(data), "left alone")
		}
	}
	require.Len(t, found, len(bad)+2)

	found, err = Recover(filepath.Join(dir, "nowhere"))
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = Recover(filepath.Join(dir, "loose.wav"))
	require.Error(t, err)
}

// TestRecoverLeavesTheLivingAlone: Recover beside a recorder that goes on.
func TestRecoverLeavesTheLivingAlone(t *testing.T) {
	dir := t.TempDir()
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{Dir: dir}), c.leg, Meta{})
	for slot := range int64(50) {
		c.speak("a", slot)
	}
	until(t, "written", func() bool { return rec.Stats().Frames == 50 })
	found, err := Recover(dir)
	require.NoError(t, err)
	require.Empty(t, found)
	for slot := int64(50); slot < 100; slot++ {
		c.speak("a", slot)
	}
	c.hangUp()
	res := wait(t, rec)
	require.Equal(t, StateComplete, res.State)
	requireSame(t, c.track("a"), check(t, res)["a"], "a")
}

// FuzzManifest: whatever stands in a manifest, it is refused or safe to use.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"state":"recording","call":{"id":"x"},"tracks":[{"file":"01-a.wav","kind":"speaker","first":0,"samples":320,"gaps":[{"at":0,"samples":1,"kind":"dtx"}]}]}`))
	f.Add([]byte(`{"version":1,"tracks":[{"file":"../x.wav"}]}`))
	f.Add([]byte(`{"version":1,"lock":"../../x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		for _, tr := range m.Tracks {
			if filepath.Dir(tr.File) != "." || filepath.Ext(tr.File) != ".wav" {
				t.Fatalf("took %q", tr.File)
			}
		}
		if _, err := json.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}
