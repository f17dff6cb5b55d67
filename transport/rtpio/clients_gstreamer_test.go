package rtpio_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

// element is how GStreamer speaks a codec.
type element struct {
	name string
	rate int
	// encode makes of raw audio what pay sends, in packets of 20 ms.
	encode, pay string
	caps        string // of what comes
	decode      string // of that, to raw audio
}

var elements = []element{
	{"L16", 16000, "audioconvert ! audio/x-raw,format=S16BE", "rtpL16pay pt=97 min-ptime=20000000 max-ptime=20000000",
		"encoding-name=L16,clock-rate=16000,channels=1,payload=97", "rtpL16depay ! audioconvert"},
	{"PCMU", 8000, "mulawenc", "rtppcmupay min-ptime=20000000 max-ptime=20000000",
		"encoding-name=PCMU,clock-rate=8000,payload=0", "rtppcmudepay ! mulawdec"},
	{"opus", 16000, "opusenc bitrate=32000 audio-type=voice", "rtpopuspay pt=96",
		"encoding-name=OPUS,clock-rate=48000,payload=96", "rtpopusdepay ! opusdec ! audioconvert ! audioresample"},
}

// dialect is ffmpeg's of the same codec: what is said, and what is expected, is
// the same.
func (e *element) dialect() *dialect { return speaks(e.name) }

func pipeline(line string) []string { return strings.Fields(line) }

// TestGStreamerIsHeard: GStreamer sends as evenly as a phone.
func TestGStreamerIsHeard(t *testing.T) {
	need(t, "gst-launch-1.0")
	for _, e := range elements {
		steadily(t, e.name, func(t testing.TB) {
			h, d := newHost(t, e.name), e.dialect()
			path := writeWAV(t, e.rate, d.said())
			encode := fmt.Sprintf("filesrc location=%s ! wavparse ! %s ! ", path, e.encode)
			sender := spawn(t, "gst-launch-1.0", pipeline(encode+fmt.Sprintf("%s ! udpsink host=127.0.0.1 port=%d", e.pay, h.server.Addr().Port()))...)
			l := h.line()
			sender.wait() // it says no good-bye
			l.ep.Drain()
			l.ended()
			got := l.heard()
			l.complete(packets)
			require.Zero(t, l.ep.Stats().RTP.Concealed)
			require.InDelta(t, 320*packets, len(got), 960)
			if e.name == "opus" {
				like := signal.Liken(said(), got)
				t.Log(like)
				require.Greater(t, like.Score, 0.9)
				require.GreaterOrEqual(t, like.Share(), 0.75)
				return
			}
			coded := filepath.Join(t.TempDir(), "coded")
			run(t, "gst-launch-1.0", pipeline(encode+"filesink location="+coded)...)
			payload, err := os.ReadFile(coded)
			require.NoError(t, err)
			theirs := make([]int16, len(d.said()))
			require.Equal(t, len(theirs), table(e.name).NewDecoder().Decode(theirs, payload))
			d.faithful(t, d.words(theirs), got, d.words(d.said()))
		})
	}
}

// jitterbuffer is a GStreamer that writes what it hears, and tells of each
// packet that its jitter buffer gave out, and of each that it missed.
type jitterbuffer struct {
	*process
	path string
}

func (e *element) hears(t testing.TB, at netip.AddrPort) *jitterbuffer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "heard.wav")
	p := spawn(t, "gst-launch-1.0", slices.Concat([]string{"-v", "-e"}, pipeline(fmt.Sprintf(
		"udpsrc address=127.0.0.1 port=%d caps=application/x-rtp,media=audio,%s ! rtpjitterbuffer latency=200 do-lost=true"+
			" ! identity name=out silent=false ! %s ! audio/x-raw,format=S16LE,rate=%d,channels=1 ! wavenc ! filesink location=%s",
		at.Port(), e.caps, e.decode, e.rate, path)))...)
	listens(t, at.Port())
	return &jitterbuffer{p, path}
}

// passed returns how many packets came out, and for how many others their time
// had come.
func (j *jitterbuffer) passed() (packets, lost int) {
	out := j.out.String()
	return strings.Count(out, "last-message = chain "), strings.Count(out, "GstRTPPacketLost")
}

// ends waits for so many packets and returns what was written.
func (j *jitterbuffer) ends(packets int) []int16 {
	j.t.Helper()
	require.Eventually(j.t, func() bool {
		n, _ := j.passed()
		return n >= packets
	}, patience, 20*time.Millisecond)
	require.NoError(j.t, j.cmd.Process.Signal(os.Interrupt)) // there is no other way to end udpsrc
	j.wait()
	return readWAV(j.t, j.path)
}

// TestGStreamerHears: a jitter buffer that waits for 200 ms gets every packet
// once, in time and in order.
func TestGStreamerHears(t *testing.T) {
	need(t, "gst-launch-1.0")
	for _, e := range elements {
		steadily(t, e.name, func(t testing.TB) {
			h, d, at := newHost(t), e.dialect(), freePorts(t)
			gst := e.hears(t, at)
			l := h.dial(d, at)
			l.say(said())
			sent := int(l.ep.Stats().RTP.Sent)
			require.Equal(t, len(said())/320, sent)
			got := gst.ends(sent)
			packets, lost := gst.passed()
			require.Equal(t, sent, packets)
			require.Zero(t, lost)
			require.InDelta(t, len(said())*e.rate/signal.SampleRate, len(got), 400)
			d.faithful(t, d.own(), got, d.alone())
		})
	}
}

// TestGStreamerMisses: what says that nothing was lost says so when something
// was.
func TestGStreamerMisses(t *testing.T) {
	need(t, "gst-launch-1.0")
	steadily(t, "L16", func(t testing.TB) {
		h, e, at := newHost(t), &elements[0], freePorts(t)
		gst := e.hears(t, at)
		net := bad(t, at, true)
		l := h.dial(e.dialect(), net.at)
		l.say(said())
		l.ep.Drain()
		up, _, _ := net.media.Stats()
		gst.ends(int(up.Sent - up.Lost))
		packets, lost := gst.passed()
		did := net.did(t, len(said())/320)
		require.EqualValues(t, did.Sent-did.Lost, packets)
		require.EqualValues(t, did.Lost, lost)
	})
}
