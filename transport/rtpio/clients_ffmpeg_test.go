package rtpio_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// dialect is how ffmpeg speaks a codec.
type dialect struct {
	name   string
	rate   int    // of the audio it is given
	send   string // options for output by RTP
	query  string // of the address, where packets of 20 ms are to be cut out of more
	file   string // the container of a file of the same bytes
	decode string // options to read that file
	sdp    string // rtpmap, with the payload type before it
}

// ffmpeg's own decoder of Opus is not libopus and hears worse: libopus is asked
// for by name.
var dialects = []dialect{
	{"L16", 16000, "-c:a pcm_s16be -payload_type 97", "?pkt_size=652", "s16be", "-f s16be -ar 16000 -ac 1", "97 L16/16000"},
	{"PCMU", 8000, "-c:a pcm_mulaw", "?pkt_size=172", "mulaw", "-f mulaw -ar 8000 -ac 1", "0 PCMU/8000"},
	{"PCMA", 8000, "-c:a pcm_alaw", "?pkt_size=172", "alaw", "-f alaw -ar 8000 -ac 1", "8 PCMA/8000"},
	{"G722", 16000, "-c:a g722", "?pkt_size=172", "g722", "-f g722", "9 G722/8000"},
	{"opus", 16000, "-c:a libopus -application voip -b:a 32k -payload_type 96", "", "ogg", "-c:a libopus", "96 opus/48000/2"},
}

// lead is silence before the first word, and after the last: a delay that is
// not right at first is changed in there, or when an encoder ends by sending at
// once what it had held back.
const lead = 25 * 320

// packets are those of what is said.
var packets = (lead + len(said()) + lead) / 320

// said is what is said at the rate at which ffmpeg is given it.
func (d *dialect) said() []int16 {
	pcm := slices.Concat(signal.Silence(lead), said(), signal.Silence(lead))
	if d.rate == signal.SampleRate {
		return pcm
	}
	return resampled(pcm, signal.SampleRate, d.rate)
}

// words are what is said without the silence, as a leg hears it.
func (d *dialect) words(pcm []int16) []int16 { return d.at16k(pcm)[lead : lead+len(said())] }

// at16k is audio of that rate as a leg makes it.
func (d *dialect) at16k(pcm []int16) []int16 {
	if d.rate == signal.SampleRate {
		return pcm
	}
	return resampled(pcm, d.rate, signal.SampleRate)
}

// evenly lets ffmpeg send a packet every 20 ms. By -re alone it sends what it
// has read from the file in one go, cut into packets the last of which is
// shorter.
func (d *dialect) evenly(path string) []string {
	return []string{"-i", path, "-ac", "1", "-af", fmt.Sprintf("aresample=%d,asetnsamples=%d,arealtime", d.rate, d.rate/50)}
}

// sends starts an ffmpeg that sends to whom listens at an address.
func (d *dialect) sends(t testing.TB, from []string, to string) *process {
	t.Helper()
	return spawn(t, "ffmpeg", slices.Concat([]string{"-v", "warning"}, from, strings.Fields(d.send),
		[]string{"-f", "rtp", "-rtpflags", "send_bye", "rtp://" + to})...)
}

// back is what ffmpeg makes of its own bytes, in a file.
func (d *dialect) back(t testing.TB, path string) []int16 {
	t.Helper()
	dir := t.TempDir()
	coded, decoded := filepath.Join(dir, "coded"), filepath.Join(dir, "decoded.wav")
	send, _, _ := strings.Cut(d.send, " -payload_type")
	run(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-i", path}, strings.Fields(send), []string{"-f", d.file, coded})...)
	run(t, "ffmpeg", slices.Concat([]string{"-v", "error"}, strings.Fields(d.decode), []string{"-i", coded, "-ar", strconv.Itoa(d.rate), decoded})...)
	return readWAV(t, decoded)
}

// TestFFmpegIsHeard: what ffmpeg sends to whoever listens is heard as it
// decodes it itself: to the bit, but for Opus, of which there is no one right
// decoding.
func TestFFmpegIsHeard(t *testing.T) {
	need(t, "ffmpeg")
	for _, d := range dialects {
		steadily(t, d.name, func(t testing.TB) {
			h := newHost(t, d.name)
			path := writeWAV(t, d.rate, d.said())
			theirs := d.back(t, path)
			ffmpeg := d.sends(t, d.evenly(path), h.server.Addr().String())
			l := h.line()
			l.ended()
			ffmpeg.wait()
			got := l.heard()
			l.complete(packets)
			require.Zero(t, l.ep.Stats().RTP.Concealed)
			require.InDelta(t, 320*packets, len(got), 960)
			d.faithful(t, d.words(theirs), got, d.words(d.said()))
		})
	}
}

// faithful holds got to what another decoder made of the same, and both to what
// was said.
func (d *dialect) faithful(t testing.TB, theirs, got, said []int16) {
	t.Helper()
	at, score := signal.Align(theirs, got)
	diff := signal.Compare(got, theirs, at)
	mine, other := snr(got, said), snr(theirs, said)
	t.Logf("%d samples, from %d on: %v; correlation %.4f; SNR %.2f dB, of the other decoder %.2f dB", len(got), at, diff, score, mine, other)
	require.Greater(t, score, 0.95)
	if d.name == "opus" {
		require.Greater(t, mine, other-1)
		return
	}
	require.True(t, diff.Exact(), diff)
}

// TestFFmpegBursts: what most people type is -re. It sends a file in bursts and
// in packets of two lengths; the delay settles within the first of it, and
// nothing is lost.
func TestFFmpegBursts(t *testing.T) {
	need(t, "ffmpeg")
	for _, d := range dialects[:2] {
		steadily(t, d.name, func(t testing.TB) {
			h := newHost(t, d.name)
			path := writeWAV(t, d.rate, d.said())
			ffmpeg := d.sends(t, []string{"-re", "-i", path}, h.server.Addr().String()+d.query)
			l := h.line()
			l.ended()
			ffmpeg.wait()
			got := l.heard()
			l.complete(packets)
			// The last frame, whose end was not sent.
			require.LessOrEqual(t, l.ep.Stats().RTP.Concealed, int64(1))
			like := signal.Liken(said(), got)
			t.Log(like)
			require.InDelta(t, 320*packets, len(got), 960)
			require.Greater(t, like.Score, 0.9)
			require.GreaterOrEqual(t, like.Share(), 0.75)
		})
	}
}

// listener is an ffmpeg that writes what it hears.
type listener struct {
	*process
	at   netip.AddrPort
	path string
}

// hears starts an ffmpeg that listens to a session which a file describes.
func (d *dialect) hears(t testing.TB, more ...string) *listener {
	t.Helper()
	at := freePorts(t)
	session := filepath.Join(t.TempDir(), "session.sdp")
	number, rtpmap, _ := strings.Cut(d.sdp, " ")
	require.NoError(t, os.WriteFile(session, []byte(strings.Join([]string{
		"v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=call", "c=IN IP4 127.0.0.1", "t=0 0",
		fmt.Sprintf("m=audio %d RTP/AVP %s", at.Port(), number), "a=rtpmap:" + number + " " + rtpmap, "",
	}, "\r\n")), 0o600))
	out := filepath.Join(t.TempDir(), "heard.wav")
	args := []string{"-v", "warning", "-protocol_whitelist", "file,udp,rtp"}
	if d.name == "opus" {
		args = append(args, "-c:a", "libopus")
	}
	args = slices.Concat(args, []string{"-i", session, "-ac", "1", "-ar", strconv.Itoa(d.rate)}, more, []string{"-flush_packets", "1", out})
	p := spawn(t, "ffmpeg", args...)
	listens(t, at.Port())
	listens(t, at.Port()+1)
	return &listener{p, at, out}
}

// dial makes a leg that sends to an address.
func (h *host) dial(d *dialect, to netip.AddrPort) *line {
	h.t.Helper()
	l := h.open()
	number, rtpmap, _ := strings.Cut(d.sdp, " ")
	pt, err := strconv.Atoi(number)
	require.NoError(h.t, err)
	require.NoError(h.t, h.server.Dial(l.ep.URL(), transport.Target{Addr: to, Codec: rtpmap, PayloadType: uint8(pt)}))
	return l
}

// through is pcm after a codec's encoder and decoder, at its rate.
func through(c codec.Codec, pcm []int16) (out []int16) {
	enc, dec := c.NewEncoder(), c.NewDecoder()
	payload, frame := make([]byte, 2000), make([]int16, 2000)
	for step := c.SampleRate / 50; len(pcm) >= step; pcm = pcm[step:] {
		n := dec.Decode(frame, payload[:enc.Encode(payload, pcm[:step])])
		out = append(out, frame[:n]...)
	}
	return out
}

// TestFFmpegHears: ffmpeg is told what comes, and writes every sample of what
// the app says. It ends by itself, for the leg says good-bye.
func TestFFmpegHears(t *testing.T) {
	need(t, "ffmpeg")
	for _, d := range dialects {
		steadily(t, d.name, func(t testing.TB) {
			h := newHost(t)
			ffmpeg := d.hears(t)
			l := h.dial(&d, ffmpeg.at)
			l.say(said())
			l.ep.Drain()
			require.Empty(t, ffmpeg.wait())
			got := readWAV(t, ffmpeg.path)
			ours := d.own()
			require.Len(t, got, len(ours))
			d.faithful(t, ours, got, d.alone())
		})
	}
}

// alone is what is said, at the rate of ffmpeg, by whom needs no silence.
func (d *dialect) alone() []int16 {
	if d.rate == signal.SampleRate {
		return said()
	}
	return resampled(said(), signal.SampleRate, d.rate)
}

// own is what our own decoder makes of what a leg sends, at the rate of ffmpeg's.
func (d *dialect) own() []int16 {
	c := table(d.name)
	return through(c, resampled(said(), signal.SampleRate, c.SampleRate))
}

// speaks is the dialect of a codec.
func speaks(name string) *dialect {
	return &dialects[slices.IndexFunc(dialects, func(d dialect) bool { return d.name == name })]
}
