package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/phone"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// phoneScene is a call of the phone and what a host told of it, to be spoilt.
type phoneScene struct {
	w       *watched
	res     record.Result
	in, bot []int16 // recorded
}

// phoneCall is a real one, of two seconds, with a mirror.
func phoneCall(t *testing.T) *phone.Log {
	t.Helper()
	mirror, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	go reflect(mirror)
	defer mirror.Close()
	const length = 2 * time.Second
	log, err := phone.Call(t.Context(), phone.Config{
		Target: mirror.LocalAddr().(*net.UDPAddr).AddrPort(), Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		Voice: signal.Speech(signal.June), Loops: phone.Forever, Keys: []phone.Key{{Slot: 60, Tone: phoneKey}},
		Drop: keptBack(phone.Slots(length)), Duration: length,
	})
	require.NoError(t, err)
	require.NotZero(t, log.DroppedByScript)
	return log
}

// reflect sends what is heard back, under another SSRC.
func reflect(c *net.UDPConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if buf[1]&0x7f == 0 { // PCMU, and no key
			buf[8] ^= 0x55
			_, _ = c.WriteToUDPAddrPort(buf[:n], from)
		}
	}
}

// newPhoneScene is one in which all is well.
func newPhoneScene(log *phone.Log) *phoneScene {
	own := *log
	own.Streams = slices.Clone(log.Streams)
	own.Late, own.LateSlots = 0, 0 // the mirror does not mind
	return &phoneScene{
		w: &watched{
			phone: &own, rtp: &transport.RTPStats{},
			leg: &engine.LegStats{
				DTMF: 1, Renders: []engine.RenderStats{{Frames: int64(log.Slots), Lost: int64(log.DroppedByScript), Concealed: 9, Late: 1}},
				Source: engine.SourceStats{Frames: int64(log.Streams[0].Packets)},
			},
		},
		res: record.Result{State: record.StateComplete},
		in:  slices.Clone(log.Said()), bot: slices.Clone(log.Heard()),
	}
}

func (s *phoneScene) judge(t *testing.T) *verdict {
	t.Helper()
	s.record(t, record.KindMixedIn, s.in)
	s.record(t, record.KindBot, s.bot)
	_, v := new(Demo).judgePhone(s.w, s.res)
	return v
}

// record writes a track, unless there is none.
func (s *phoneScene) record(t *testing.T, kind record.TrackKind, samples []int16) {
	if samples == nil {
		return
	}
	path := filepath.Join(t.TempDir(), string(kind)+".wav")
	f, err := os.Create(path)
	require.NoError(t, err)
	w, err := wav.NewWriter(f, pcm.SampleRate)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(0, samples))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	s.res.Tracks = append(s.res.Tracks, record.Track{
		Kind: kind, Path: path, Samples: int64(len(samples)), SHA256: hex.EncodeToString(sum[:]),
	})
}

// TestPhoneVerdict: an untouched call is proven, and whatever is wrong with one
// is named.
func TestPhoneVerdict(t *testing.T) {
	log := phoneCall(t)
	stream := func(s *phoneScene) *phone.Stream { return &s.w.phone.Streams[0] }
	render := func(s *phoneScene) *engine.RenderStats { return &s.w.leg.Renders[0] }
	other := signal.Speech(signal.Carlo)
	for _, tt := range []struct {
		name  string
		spoil func(*phoneScene)
		says  string // empty: nothing is wrong
	}{
		{"nothing", func(*phoneScene) {}, ""},
		{"another level", func(s *phoneScene) { s.in = signal.Gain(s.in, -6) }, ""},
		{"a loss too many", func(s *phoneScene) { render(s).Lost++ }, "packets were reported lost"},
		{"a loss too few", func(s *phoneScene) { render(s).Lost-- }, "packets were reported lost"},
		{"nothing reported lost", func(s *phoneScene) { render(s).Lost = 0 }, "0 packets were reported lost"},
		{"no key", func(s *phoneScene) { s.w.leg.DTMF = 0 }, "0 keys were heard"},
		{"a key twice", func(s *phoneScene) { s.w.leg.DTMF = 2 }, "2 keys were heard"},
		{"nothing concealed", func(s *phoneScene) { render(s).Concealed = 0 }, "nothing was concealed"},
		{"track silent", func(s *phoneScene) { clear(s.in) }, "mixed-in: "},
		{"track of another voice", func(s *phoneScene) { s.in = other }, "mixed-in: "},
		{"half of the track of another voice", func(s *phoneScene) { copy(s.in[len(s.in)/2:], other) }, "mixed-in: "},
		{"track shifted", func(s *phoneScene) { s.in = append(make([]int16, pcm.SampleRate), s.in...) }, "mixed-in: it lies"},
		{"beginning of the track missing", func(s *phoneScene) { s.in = s.in[pcm.SampleRate:] }, "mixed-in: "},
		{"track cut short", func(s *phoneScene) { s.in = s.in[:len(s.in)/2] }, "mixed-in: "},
		{"no track", func(s *phoneScene) { s.in = nil }, "mixed-in was never recorded"},
		{"bot silent", func(s *phoneScene) { clear(s.bot) }, "bot: "},
		{"bot never recorded", func(s *phoneScene) { s.bot = nil }, "bot was never recorded"},
		{"recording failed", func(s *phoneScene) { s.res.State = record.StateFailed }, "recording is"},
		{"echo missing", func(s *phoneScene) { s.w.phone.Streams = nil }, "echo: "},
		{"a second stream", func(s *phoneScene) {
			s.w.phone.Streams = append(s.w.phone.Streams, s.w.phone.Streams[0])
		}, "2 streams came"},
		{"a fault", func(s *phoneScene) { stream(s).Pacing.BadStep = 1 }, "phone: stream"},
		{"a datagram of no kind", func(s *phoneScene) { s.w.phone.Unreadable = 1 }, "phone: 1 datagrams"},
		{"more came than was said", func(s *phoneScene) { s.w.leg.Source.Frames-- }, "packets came, the bot said"},
		{"less came than was said", func(s *phoneScene) { s.w.leg.Source.Frames += 30 }, "packets came, the bot said"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newPhoneScene(log)
			tt.spoil(s)
			v := s.judge(t)
			if tt.says == "" {
				require.Empty(t, v.problems)
				require.Len(t, v.proven, 6, "%q", v.proven)
				return
			}
			require.Contains(t, strings.Join(v.problems, "\n"), tt.says)
		})
	}
}

// TestPhoneVerdictHears spoils what the phone heard, in place, and so each in a
// call of its own.
func TestPhoneVerdictHears(t *testing.T) {
	for name, spoil := range map[string]func(heard []int16){
		"silence":       func(heard []int16) { clear(heard) },
		"another voice": func(heard []int16) { copy(heard, slices.Repeat(signal.Speech(signal.Carlo), 2)) },
		"half of it":    func(heard []int16) { clear(heard[len(heard)/2:]) },
		"late": func(heard []int16) {
			copy(heard[pcm.SampleRate:], heard)
			clear(heard[:pcm.SampleRate])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPhoneScene(phoneCall(t))
			spoil(s.w.phone.Streams[0].Samples())
			require.Contains(t, strings.Join(s.judge(t).problems, "\n"), "echo: ")
		})
	}
}
