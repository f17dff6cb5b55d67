package record

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// children are what the test binary does as a child of itself.
var children = map[string]func([]string){
	"child-records": childRecords,
	"child-churns":  childChurns,
	"child-fills":   childFills,
}

// childT is what a child has for a testing.T: it dies of faults.
type childT struct{ testing.TB }

func (childT) Helper()                   {}
func (childT) Cleanup(func())            {}
func (childT) FailNow()                  { panic("failed") }
func (childT) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (childT) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// killed runs a child, kills it after a while and returns what it had printed
// by then.
func killed(t *testing.T, after time.Duration, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{name}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	first := make([]byte, 8)
	_, err = io.ReadFull(out, first)
	require.NoError(t, err, "the child does not begin")
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.ErrorContains(t, cmd.Wait(), "killed")
	return append(first, rest...)
}

// Speakers of childRecords and the slots in which they begin.
var killSpeakers = map[string]int64{"a": 0, "b": 7, "c": 40}

// childRecords records calls in real time and prints each slot when it is in
// the hands of the engine.
func childRecords(args []string) {
	r, err := New(Config{Dir: args[0]})
	if err != nil {
		panic(err)
	}
	var calls []*call
	for range 3 {
		c := newCall(childT{}, engine.Unmixed)
		c.connect(heard{})
		attach(childT{}, r, c.leg, Meta{CallID: "killed"})
		calls = append(calls, c)
	}
	begin := time.Now()
	for slot := int64(0); ; slot++ {
		time.Sleep(time.Until(begin.Add(time.Duration(slot) * pcm.FrameDuration)))
		for _, c := range calls {
			for id, from := range killSpeakers {
				if slot >= from {
					c.speak(id, slot)
				}
			}
			var s [320]int16
			for i := range s {
				s[i] = voice("bot", slot*320+int64(i))
			}
			c.leg.Source().TryWrite(s[:])
		}
		os.Stdout.Write(binary.LittleEndian.AppendUint64(nil, uint64(slot)))
	}
}

// openAll opens every WAV file below dir and returns their samples by path.
func openAll(t *testing.T, dir string) map[string][]int16 {
	t.Helper()
	files := make(map[string][]int16)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		if strings.HasSuffix(path, ".wav") {
			files[path] = samplesOf(t, path)
		}
		return nil
	}))
	return files
}

// TestKill: kill -9 at any moment loses at most one second of audio, to any
// tool at once, and the sum after Recover.
func TestKill(t *testing.T) {
	for range 4 {
		after := time.Duration(rand.Int64N(int64(2500 * time.Millisecond)))
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			out := killed(t, after, "child-records", dir)
			out = out[:len(out)/8*8]
			end := (int64(binary.LittleEndian.Uint64(out[len(out)-8:])) + 1) * 320
			t.Logf("killed after %v of audio", pcm.Duration(end))
			files := openAll(t, dir)
			found, err := Recover(dir)
			require.NoError(t, err)
			if end > pcm.SampleRate {
				require.Len(t, found, 3)
			}
			for _, r := range found {
				require.NoError(t, r.Err)
				require.Empty(t, r.Foreign)
				require.Equal(t, StateRecovered, r.State)
				checkKilled(t, r.Result, files, end)
			}
			again, err := Recover(dir)
			require.NoError(t, err)
			require.Empty(t, again)
			left, err := filepath.Glob(filepath.Join(dir, ".*"))
			require.NoError(t, err)
			require.Empty(t, left, "stale lock")
		})
	}
}

// checkKilled holds a recovered recording, and its files as they were before,
// against what had been sent up to sample end.
func checkKilled(t *testing.T, res Result, before map[string][]int16, end int64) {
	t.Helper()
	got := check(t, res)
	for id, from := range killSpeakers {
		if end-from*320 < pcm.SampleRate {
			continue
		}
		tr := trackOf(t, res, id)
		require.Equal(t, from*320, tr.First, id)
		require.Zero(t, tr.Missing)
		t.Logf("%s: %v are missing", id, pcm.Duration(end-int64(len(before[tr.Path]))))
		for _, s := range [][]int16{got[id], before[tr.Path]} {
			require.GreaterOrEqual(t, int64(len(s)), end-pcm.SampleRate, "%s lost more than a second", id)
			for i, v := range s[from*320:] {
				if v != voice(id, from*320+int64(i)) {
					t.Fatalf("%s: sample %d is %d", id, i, v)
				}
			}
		}
	}
	if end < pcm.SampleRate {
		return
	}
	// The playout model places the bot by the clock, the test the others.
	const late = pcm.SampleRate / 10
	require.GreaterOrEqual(t, int64(len(got["bot"])), end-pcm.SampleRate-late)
	require.GreaterOrEqual(t, int64(len(before[trackOf(t, res, "bot").Path])), end-pcm.SampleRate-late)
}

// childChurns begins and ends short recordings as fast as it can.
func childChurns(args []string) {
	r, err := New(Config{Dir: args[0], Sweep: time.Millisecond})
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(make([]byte, 8))
	for {
		c := newCall(childT{}, engine.Unmixed)
		rec := attach(childT{}, r, c.leg, Meta{CallID: "churn"})
		for slot := range int64(30) {
			c.speak("a", slot)
			if slot >= 20 {
				c.speak("b", slot)
			}
		}
		c.hangUp()
		<-rec.Done()
	}
}

// TestKillAtBeginAndEnd: wherever a recording stands when the process is
// killed, its files open and Recover completes it.
func TestKillAtBeginAndEnd(t *testing.T) {
	for range 6 {
		after := time.Duration(rand.Int64N(int64(200 * time.Millisecond)))
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			killed(t, after, "child-churns", dir)
			openAll(t, dir)
			found, err := Recover(dir)
			require.NoError(t, err)
			require.LessOrEqual(t, len(found), 1)
			for _, r := range found {
				require.NoError(t, r.Err)
				require.Empty(t, r.Foreign)
			}
			manifests, err := filepath.Glob(filepath.Join(dir, "*", manifestName))
			require.NoError(t, err)
			for _, path := range manifests {
				m, err := ReadManifest(path)
				require.NoError(t, err)
				require.Contains(t, []State{StateComplete, StateRecovered}, m.State)
				check(t, Result{Folder: filepath.Dir(path), Manifest: path, State: m.State, Start: m.Start, Tracks: m.Tracks})
			}
			t.Logf("%d recordings, %d recovered", len(manifests), len(found))
		})
	}
}
