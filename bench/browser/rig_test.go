// Package browser drives the page by which people join emulated calls, in
// headless Chromium, by clicks and keys alone, against the program that serves
// it; and it has Chromium call "mixminus serve" over WebRTC. It is a module of its own because it needs a browser's client, which the
// product does not.
package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/stretchr/testify/require"
)

// folder holds the program, which is built when it is first needed.
var folder string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "mixminus-browser-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return m.Run()
}

var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(folder, "mixminus")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", binary, "./cmd/mixminus").CombinedOutput(); err != nil {
		return "", fmt.Errorf("mixminus: %w\n%s", err, out)
	}
	return binary, nil
})

// program is the product as a process that records.
type program struct {
	t          *testing.T
	cmd        *exec.Cmd
	stderr     bytes.Buffer
	recordings string
}

// talk is a running "mixminus demo --browser".
type talk struct {
	program
	ready struct{ Page, Bot, Meeting, Control, Admin string }
}

func startTalk(t *testing.T, bot string) *talk {
	x := &talk{program: program{t: t, recordings: t.TempDir()}}
	x.start(&x.ready, "demo", "--browser", "--bot", bot, "--admin", "127.0.0.1:0", "--out", x.recordings)
	return x
}

// start runs it and reads the line of JSON that says that it is ready.
func (x *program) start(ready any, args ...string) {
	t := x.t
	t.Helper()
	browserPath(t) // skips before anything is started
	binary, err := build()
	require.NoError(t, err)
	x.cmd = exec.Command(binary, append(args, "--json")...)
	x.cmd.Stderr = &x.stderr
	out, err := x.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, x.cmd.Start())
	t.Cleanup(func() {
		if x.cmd.ProcessState == nil {
			x.cmd.Process.Kill()
			x.cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%v: %s", x.cmd.Args, &x.stderr)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err, &x.stderr)
	require.NoError(t, json.Unmarshal(line, ready))
}

// end is Ctrl-C, which completes the recordings.
func (x *program) end() {
	x.t.Helper()
	require.NoError(x.t, x.cmd.Process.Signal(os.Interrupt))
	done := make(chan error, 1)
	go func() { done <- x.cmd.Wait() }()
	select {
	case err := <-done:
		require.NoError(x.t, err, &x.stderr)
	case <-time.After(patience):
		x.t.Fatal("does not end")
	}
}

// ask speaks to an API that the demo printed.
func ask(t *testing.T, method, address string, body, answer any) {
	t.Helper()
	var data bytes.Buffer
	if body != nil {
		require.NoError(t, json.NewEncoder(&data).Encode(body))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, &data)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 300, "%s %s: %s", method, address, text)
	if answer != nil {
		require.NoError(t, json.Unmarshal(text, answer))
	}
}

// live is what a test asks of a call besides the page.
type live struct {
	State        string
	Slots        int
	Participants []struct {
		ID, Name, PID string
		Bot, Lobby    bool
		Level         float64
	}
	People []struct{ PID, Name, State, Codec string }
	Keys   []struct{ Tone string }
}

func (x *talk) live(call string) live {
	x.t.Helper()
	var l live
	ask(x.t, "GET", x.ready.Admin+"/v1/calls/"+call+"/live", nil, &l)
	return l
}

// names of who is in the call, but for the bot.
func (l live) names() []string {
	var names []string
	for _, p := range l.Participants {
		if !p.Bot {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (l live) tones() (tones string) {
	for _, k := range l.Keys {
		tones += k.Tone
	}
	return tones
}

// eventually waits for what does not happen in the page.
func (x *program) eventually(what string, is func() bool) {
	x.t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			x.t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// recording returns the samples of one recorded file, of the one call that has
// any, once the program has ended.
func (x *program) recording(name string) []int16 {
	x.t.Helper()
	files, err := filepath.Glob(filepath.Join(x.recordings, "*", name))
	require.NoError(x.t, err)
	require.Len(x.t, files, 1)
	f, err := os.Open(files[0])
	require.NoError(x.t, err)
	defer f.Close()
	r, err := wav.NewReader(f)
	require.NoError(x.t, err)
	all, err := r.ReadAll()
	require.NoError(x.t, err)
	return all
}

// lead is silence before the speech of a microphone: the browser opens its file
// before anybody listens.
const lead = 2 * signal.SampleRate

// microphone writes a file for Chromium's microphone: silence, and then the
// samples.
func microphone(t *testing.T, samples []int16) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "microphone.wav"))
	require.NoError(t, err)
	w, err := wav.NewWriter(f, signal.SampleRate)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(0, append(signal.Silence(lead), samples...)))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return f.Name()
}
