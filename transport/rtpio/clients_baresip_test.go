package rtpio_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// softphone is a baresip that plays a file to whom it calls and keeps what it
// hears. It hangs up at the end of the file.
type softphone struct {
	*process
	dir     string
	control netip.AddrPort
}

// Traps of baresip 1.0: net_interface is an address, not a name; the file must
// have the rate that the codec has, which is not converted; a player must be,
// and the bridge to nowhere is one that needs no sound card.
const softphoneConfig = `sip_listen 127.0.0.1:0
net_interface 127.0.0.1
rtp_ports 10000-19998
audio_source aufile,%s
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
ausrc_srate %[2]d
auplay_srate %[2]d
ausrc_channels 1
auplay_channels 1
opus_bitrate 32000
opus_stereo no
snd_path %[3]s
ctrl_tcp_listen %[4]v
module_path %[5]s
module g711.so
module g722.so
module l16.so
module opus.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
`

// plainWAV writes a file that begins with its format, as baresip wants it.
func plainWAV(t testing.TB, rate int, pcm []int16) (path string) {
	t.Helper()
	size := uint32(2 * len(pcm))
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), 36+size)
	b = append(b, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(2*rate))
	b = append(b, "\x02\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, size)
	path = filepath.Join(t.TempDir(), "said.wav")
	require.NoError(t, os.WriteFile(path, l16.AppendLE(b, pcm), 0o600))
	return path
}

func newSoftphone(t testing.TB, codec string, rate int, said []int16, call netip.AddrPort) *softphone {
	t.Helper()
	modules, err := filepath.Glob("/usr/lib*/baresip/modules")
	require.NoError(t, err)
	require.NotEmpty(t, modules, "baresip has its modules elsewhere")
	s := &softphone{dir: t.TempDir(), control: freePorts(t)}
	config := fmt.Sprintf(softphoneConfig, plainWAV(t, rate, said), rate, s.dir, s.control, modules[0])
	account := fmt.Sprintf("<sip:phone@127.0.0.1>;regint=0;audio_codecs=%s\n", codec)
	for name, text := range map[string]string{"config": config, "accounts": account, "contacts": ""} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	s.process = spawn(t, "baresip", "-f", s.dir, "-e", fmt.Sprintf("/dial sip:echo@%v", call))
	return s
}

// command types a command, in JSON as a netstring.
func (s *softphone) command(name, params string) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.control.String())
	require.NoError(s.t, err)
	defer c.Close()
	b, err := json.Marshal(map[string]string{"command": name, "params": params})
	require.NoError(s.t, err)
	_, err = fmt.Fprintf(c, "%d:%s,", len(b), b)
	require.NoError(s.t, err)
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	require.NoError(s.t, err)
	s.t.Logf("%s %q: %s", name, params, buf[:n])
}

// heard ends the program and returns what it kept.
func (s *softphone) heard() []int16 {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(os.Interrupt))
	s.wait()
	kept, err := filepath.Glob(filepath.Join(s.dir, "*-dec.wav"))
	require.NoError(s.t, err)
	require.Len(s.t, kept, 1)
	return readWAV(s.t, kept[0])
}

// echo says what the leg hears.
func (l *line) echo() {
	l.leg.OnRender(func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) { _, _ = l.leg.Source().TryWrite(f.Samples[:]) })
	})
}

// echoed is pcm after it was sent to a leg, echoed, and heard.
func echoed(c codec.Codec, pcm []int16) []int16 {
	pcm = through(c, pcm)
	if c.SampleRate != signal.SampleRate {
		pcm = resampled(resampled(pcm, c.SampleRate, signal.SampleRate), signal.SampleRate, c.SampleRate)
	}
	return through(c, pcm)
}

// TestBaresipCalls: a SIP phone agrees on a codec by an offer of its own,
// speaks, presses two keys, hears its echo and hangs up.
func TestBaresipCalls(t *testing.T) {
	need(t, "baresip")
	for _, c := range []struct {
		name, codec string
		rate        int
	}{{"L16", "L16/16000/1", 16000}, {"PCMU", "PCMU/8000/1", 8000}, {"G722", "G722/16000/1", 16000}, {"opus", "opus/48000/1", 48000}} {
		steadily(t, c.name, func(t testing.TB) {
			h := newHost(t)
			l := h.open()
			l.echo()
			u := newUAS(t, func(offer []byte) ([]byte, error) { return h.server.Answer(l.ep.URL(), offer) })
			// It hangs up when its file ends; the echo of the last word is back by then.
			script := slices.Concat(signal.Silence(lead), said(), signal.Silence(2*lead))
			phone := newSoftphone(t, c.codec, c.rate, resampled(script, signal.SampleRate, c.rate), u.addr())
			u.await(u.up)
			phone.command("sndcode", "5#")
			u.await(u.bye)
			l.ep.Drain()
			l.ended()
			got := phone.heard()

			l.complete(len(script) / 320)
			s := l.ep.Stats().RTP
			require.EqualValues(t, 2, s.Keys)
			require.Equal(t, "5#", l.pressed())
			require.Zero(t, s.PeerLost)
			if c.name == "opus" {
				like := signal.Liken(said(), resampled(got, c.rate, signal.SampleRate))
				t.Log(like)
				require.Greater(t, like.Score, 0.9)
				require.GreaterOrEqual(t, like.Share(), 0.6)
				return // that is two times opus, one after the other
			}
			want := echoed(table(c.name), resampled(script, signal.SampleRate, c.rate))
			want = want[lead*c.rate/signal.SampleRate:][:len(said())*c.rate/signal.SampleRate]
			at, score := signal.Align(want, got)
			diff := signal.Compare(got, want, at)
			t.Logf("%d samples, from %d on: %v; correlation %.4f; SNR against the echo of our own codec %.2f dB", len(got), at, diff, score, snr(got, want))
			require.Greater(t, score, 0.999)
		})
	}
}
