package phone

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/wav"
)

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

// sdpOf describes what the phone sends to whom listens at an address.
func sdpOf(at netip.AddrPort, codec, rtpmap string) string {
	payloadType := map[string]int{"PCMU": 0, "PCMA": 8, "G722": 9}[codec]
	if payloadType == 0 && codec != "PCMU" {
		payloadType = defaultDynamic
	}
	return strings.Join([]string{
		"v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=phone", "c=IN IP4 " + at.Addr().String(), "t=0 0",
		fmt.Sprintf("m=audio %d RTP/AVP %d", at.Port(), payloadType),
		fmt.Sprintf("a=rtpmap:%d %s", payloadType, rtpmap), "a=recvonly", "",
	}, "\r\n")
}

// freePorts finds two in a row that nobody has.
func freePorts(t *testing.T) netip.AddrPort {
	t.Helper()
	media, control, err := listen(Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	at := local(media)
	require.NoError(t, media.Close())
	require.NoError(t, control.Close())
	return at
}

// The phone's RTP is right because somebody else's program says so: ffmpeg is
// given an SDP and hears what was said.
func TestFFmpegHearsThePhone(t *testing.T) {
	needFFmpeg(t)
	for name, c := range map[string]struct {
		rtpmap string
		share  float64 // of the blocks that are alike
	}{
		"PCMU": {"PCMU/8000", 1}, "PCMA": {"PCMA/8000", 1}, "L16": {"L16/16000", 1},
		// It comes in the middle, and G.722 takes a moment to find its step.
		"G722": {"G722/8000", 0.9},
		"opus": {"opus/48000/2", 0.6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, heard := toFFmpeg(t, name, c.rtpmap)
			from, score := signal.Align(heard, said)
			if from < 0 { // a codec's delay: ffmpeg was there before the first word
				heard, from = heard[-from:], 0
			}
			like := signal.Liken(said[from:min(from+len(heard), len(said))], heard)
			t.Logf("%d samples, from %d on (%.3f): %v", len(heard), from, score, like)
			require.Greater(t, len(heard), 3*signal.SampleRate/2)
			require.GreaterOrEqual(t, like.Share(), c.share)
			require.Greater(t, like.Score, 0.9)
		})
	}
}

// toFFmpeg speaks to ffmpeg until it has written some two seconds. It comes
// to the call when its ports are open, so the beginning falls on deaf ears.
func toFFmpeg(t *testing.T, codec, rtpmap string) (said, heard []int16) {
	t.Helper()
	dir, at := t.TempDir(), freePorts(t)
	session, out := filepath.Join(dir, "session.sdp"), filepath.Join(dir, "out.wav")
	require.NoError(t, os.WriteFile(session, []byte(sdpOf(at, codec, rtpmap)), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	ffmpeg := exec.CommandContext(ctx, "ffmpeg", "-v", "warning", "-protocol_whitelist", "file,udp,rtp",
		"-i", session, "-ar", strconv.Itoa(signal.SampleRate), "-ac", "1", "-flush_packets", "1", "-y", out)
	var faults bytes.Buffer
	ffmpeg.Stderr = &faults
	quit, err := ffmpeg.StdinPipe()
	require.NoError(t, err)

	p, err := Open(Config{
		Codec: codec, Seed: 5, Voice: signal.Speech(signal.June), Loops: Forever, Duration: time.Minute,
		ReportEvery: time.Second, Bye: true,
	})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, ffmpeg.Start())
	require.NoError(t, p.Dial(at))
	for ctx.Err() == nil {
		if info, err := os.Stat(out); err == nil && info.Size() > 2*2*signal.SampleRate {
			break
		}
		time.Sleep(Slot)
	}
	_, _ = io.WriteString(quit, "q") // what has ended by itself is told by Wait
	require.NoError(t, ffmpeg.Wait(), &faults)
	t.Logf("ffmpeg's warnings: %q", faults.String())
	p.HangUp()
	l, err := p.Wait(ctx)
	require.NoError(t, err)
	return l.Said(), readWAV(t, out)
}

func readWAV(t *testing.T, path string) []int16 {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	r, err := wav.NewReader(f)
	require.NoError(t, err)
	all, err := r.ReadAll()
	require.NoError(t, err)
	return all
}
