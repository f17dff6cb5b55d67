package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/g711"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/stretchr/testify/require"
)

// These tests type what docs/RTP.md says.

// alike is what correlation, and what share of the blocks, is certainly that of
// the same words. It is 0.99 and more as a rule; but the jitter buffer is as short
// as it is for everybody, and a busy machine may be heard.
const alike = 0.6

// needFFmpeg skips a test where ffmpeg is not installed; the project's own
// checks (CI=true) have it.
func needFFmpeg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("ffmpeg is not installed")
	}
	t.Skip("ffmpeg is not installed")
}

// ffmpeg starts it with arguments that have no spaces in them.
func ffmpeg(t *testing.T, args string, v ...any) (wait func()) {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-v", "error", "-y"}, strings.Fields(fmt.Sprintf(args, v...))...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // mostly it has ended
	return func() {
		t.Helper()
		select {
		case err := <-over:
			require.NoError(t, err, "%v: %s", cmd.Args, &out)
		case <-time.After(patience):
			t.Fatalf("%v does not end", cmd.Args)
		}
	}
}

// sentence is what is said, and a WAV of it after a while of silence: what was
// kept of a sender while it rang is heard faster, until it is in time, and so is
// what comes after a second, when the jitter buffer knows how short it may be.
func sentence(t *testing.T) (said []int16, path string) {
	said = signal.Speech(signal.June)[:3*signal.SampleRate]
	path = filepath.Join(t.TempDir(), "said.wav")
	f, err := os.Create(path)
	require.NoError(t, err)
	w, err := wav.NewWriter(f, signal.SampleRate)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(signal.SampleRate*3/2, said))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return said, path
}

func samplesOf(t *testing.T, path string) []int16 {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	r, err := wav.NewReader(f)
	require.NoError(t, err)
	all, err := r.ReadAll()
	require.NoError(t, err)
	return all
}

// postOffer posts an offer, and returns the port that the answer tells and where
// the call is found.
func postOffer(t *testing.T, urls map[string]string, offer string) (port, call string) {
	t.Helper()
	resp, err := http.Post(urls["rtp_offers"], "application/sdp", strings.NewReader(offer))
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, resp.StatusCode, string(answer))
	_, media, ok := strings.Cut(string(answer), "m=audio ")
	require.True(t, ok, string(answer))
	port, _, _ = strings.Cut(media, " ")
	return port, urls["http"] + resp.Header.Get("Location")
}

// relay passes on what comes to one port, from another where it keeps the audio
// that comes back: ffmpeg listens at no port that it sends from.
func relay(t *testing.T, to string) (at string, audio func() []int16) {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	back, err := net.Dial("udp4", to)
	require.NoError(t, err)
	t.Cleanup(func() { front.Close(); back.Close() })
	go func() { _, _ = io.Copy(back, front) }() // one packet a write
	type packet struct {
		seq     uint16
		payload []byte
	}
	got := make(chan packet, 1000)
	go func() {
		defer close(got)
		buf := make([]byte, 2048)
		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			if n > 12 && buf[1]&0x7f == 0 {
				got <- packet{binary.BigEndian.Uint16(buf[2:]), bytes.Clone(buf[12:n])}
			}
		}
	}()
	return front.LocalAddr().String(), func() (pcm []int16) {
		back.Close()
		next := uint16(0)
		for p := range got {
			require.True(t, len(pcm) == 0 || p.seq == next, "packet %d, not %d", p.seq, next)
			next = p.seq + 1
			x := make([]int16, len(p.payload))
			g711.DecodeUlaw(x, p.payload)
			pcm = append(pcm, x...)
		}
		return pcm
	}
}

// serveAlone starts serve without any cloud's account.
func serveAlone(t *testing.T, args ...string) (*exec.Cmd, map[string]string) {
	t.Helper()
	cmd := program(context.Background(), append([]string{"serve", "--rtp", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--json"}, args...)...)
	cmd.Env = append(os.Environ(), runMain+"=1", envKey+"=")
	return start(t, cmd)
}

// TestFFmpegTalksToServe sends by the line that serve prints, and hears the
// echo at the address from which it came.
func TestFFmpegTalksToServe(t *testing.T) {
	needFFmpeg(t)
	t.Parallel()
	dir := t.TempDir()
	serve, urls := serveAlone(t, "--bot", "echo", "--rtp-codec", "PCMU", "--rtp-idle", "2s", "--recordings", dir)
	said, path := sentence(t)
	at, audio := relay(t, urls["rtp"])
	ffmpeg(t, "-i %s -ac 1 -af aresample=8000,asetnsamples=160,arealtime -c:a pcm_mulaw -f rtp rtp://%s", path, at)()
	m := (&terminals{t: t, dir: dir}).manifest(record.StateComplete) // it fell silent
	require.Equal(t, "rtp", m.Call.Cloud)
	up, err := resample.New(8000, 16000)
	require.NoError(t, err)
	echo := audio()
	back := make([]int16, up.Size(len(echo)))
	up.Process(back, echo)
	tracks, err := filepath.Glob(filepath.Join(dir, "*", m.Tracks[0].File))
	require.NoError(t, err)
	require.Len(t, tracks, 1)
	for name, got := range map[string][]int16{"echo": back, "recording": samplesOf(t, tracks[0])} {
		like := signal.Liken(said, got)
		t.Logf("%s, %d samples: %v", name, len(got), like)
		require.Greater(t, like.Score, alike, name)
		require.GreaterOrEqual(t, like.Share(), alike, name)
	}
	interrupt(t, serve)
}

// TestServeTakesAnOfferOfFFmpeg posts the description that ffmpeg writes of what
// it sends, and lets it send to where the answer says.
func TestServeTakesAnOfferOfFFmpeg(t *testing.T) {
	needFFmpeg(t)
	t.Parallel()
	dir := t.TempDir()
	serve, urls := serveAlone(t, "--bot", "record", "--recordings", dir)
	said, path := sentence(t)
	offer := filepath.Join(t.TempDir(), "offer.sdp")
	ffmpeg(t, "-f lavfi -i anullsrc=r=16000:cl=mono -t 0.02 -c:a g722 -f rtp -sdp_file %s rtp://127.0.0.1:9000", offer)()
	b, err := os.ReadFile(offer)
	require.NoError(t, err)
	port, call := postOffer(t, urls, string(b))
	ffmpeg(t, "-i %s -ac 1 -af aresample=16000,asetnsamples=320,arealtime -c:a g722 -f rtp rtp://127.0.0.1:%s", path, port)()
	hangUp(t, call)
	m := (&terminals{t: t, dir: dir}).manifest(record.StateComplete)
	tracks, err := filepath.Glob(filepath.Join(dir, "*", m.Tracks[0].File))
	require.NoError(t, err)
	require.Len(t, tracks, 1)
	like := signal.Liken(said, samplesOf(t, tracks[0]))
	t.Log(like)
	require.Greater(t, like.Score, alike)
	require.GreaterOrEqual(t, like.Share(), alike)
	interrupt(t, serve)
}

func hangUp(t *testing.T, call string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, call, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
}

// quietPort is an even port that nobody has, nor the next, below those that the
// kernel gives to who asks for any.
func quietPort(t *testing.T) int {
	t.Helper()
	for port := 12000 + 2*os.Getpid()%4000; port < 20000; port += 2 {
		if free(port) && free(port+1) {
			return port
		}
	}
	t.Fatal("no two ports in a row are free")
	return 0
}

func free(port int) bool {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// TestFFmpegHearsServe posts the description by which ffmpeg listens, and hears
// the bot until it hangs up.
func TestFFmpegHearsServe(t *testing.T) {
	needFFmpeg(t)
	if _, err := os.Stat("/proc/net/udp"); err != nil {
		t.Skip("only Linux tells which ports are taken")
	}
	t.Parallel()
	serve, urls := serveAlone(t, "--bot", "speak", "--recordings", "")
	port := quietPort(t)
	offer := fmt.Sprintf("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=recvonly\r\n", port)
	dir := t.TempDir()
	session, heard := filepath.Join(dir, "hear.sdp"), filepath.Join(dir, "heard.wav")
	require.NoError(t, os.WriteFile(session, []byte(offer), 0o600))
	wait := ffmpeg(t, "-protocol_whitelist file,udp,rtp -c:a libopus -i %s -ar 16000 -ac 1 -flush_packets 1 %s", session, heard)
	require.Eventually(t, func() bool {
		// To try the port would take it from ffmpeg.
		table, err := os.ReadFile("/proc/net/udp")
		return err == nil && strings.Contains(string(table), fmt.Sprintf(":%04X 00000000:0000", port))
	}, patience, tick, "ffmpeg does not listen")
	_, call := postOffer(t, urls, offer)
	require.Eventually(t, func() bool {
		info, err := os.Stat(heard)
		return err == nil && info.Size() > 4*2*signal.SampleRate
	}, patience, tick)
	hangUp(t, call)
	wait()
	got := samplesOf(t, heard)
	like := signal.Liken(signal.Speech(signal.Allison)[:3*signal.SampleRate], got)
	t.Logf("%d samples: %v", len(got), like)
	require.Greater(t, like.Score, 0.9)
	require.GreaterOrEqual(t, like.Share(), 0.6)
	interrupt(t, serve)
}
