package rtpio

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// decoded streams of a fleet are compared with what was said.
const decoded = 3

// fleet is the clients, which one thread moves.
type fleet struct {
	codec   codec.Codec
	said    [][]int16 // 20 ms each, at 16 kHz ...
	coded   [][]byte  // ... and as payloads
	streams []*stream // in the order of their turns
	to      []netip.AddrPort
	in      *inBatch
	start   int64 // of the call
	rounds  int   // of it
	since   int   // the round of the mark ...
	marked  int64 // ... and its time
	ended   int64 // of play
}

// stream is one client.
type stream struct {
	socket *socket
	phase  int64 // in the 20 ms
	offset int   // in what is said
	packet rtpmedia.Packet
	wire   []byte

	heard, gaps int // packets, and those that are missing between
	ssrc        uint32
	next        uint16
	decodes     bool
	said, got   []int16 // since the mark
	first       uint32  // timestamp of got
	decoder     codec.Decoder
}

func newFleet(b *testing.B, n int, c codec.Codec) *fleet {
	f := &fleet{codec: c, in: newInBatch(4, 1500)}
	f.say(b, slices.Concat(signal.Speech(signal.Allison), signal.Speech(signal.June)))
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		s, err := listenUDP(udpLoopback, 0, 0)
		require.NoError(b, err)
		b.Cleanup(func() { s.close() })
		f.streams = append(f.streams, &stream{
			socket: s, phase: random.Int64N(slotNanos), offset: random.IntN(len(f.said)), decodes: i < decoded,
			packet: rtpmedia.Packet{
				PayloadType: uint8(max(c.PayloadType, 0)), SSRC: random.Uint32(), Seq: uint16(random.Uint32()), Timestamp: random.Uint32(),
			},
		})
		if c.PayloadType == codec.Dynamic {
			f.streams[i].packet.PayloadType = 96
		}
	}
	slices.SortFunc(f.streams, func(a, b *stream) int { return int(a.phase - b.phase) })
	return f
}

const slotNanos = int64(pcm.FrameDuration)

// say codes what the clients say.
func (f *fleet) say(b *testing.B, voice []int16) {
	down, err := resample.New(pcm.SampleRate, f.codec.SampleRate)
	require.NoError(b, err)
	encoder := f.codec.NewEncoder()
	raw := make([]int16, pcm.FrameSamples)
	for frame := range slices.Chunk(voice[:len(voice)/pcm.FrameSamples*pcm.FrameSamples], pcm.FrameSamples) {
		payload := make([]byte, 2*pcm.FrameSamples)
		payload = payload[:encoder.Encode(payload, raw[:down.Process(raw, frame)])]
		f.said, f.coded = append(f.said, frame), append(f.coded, payload)
	}
}

// call begins anew with another echo.
func (f *fleet) call(to []netip.AddrPort) {
	f.to, f.start, f.rounds = to, 0, 0
	for _, s := range f.streams {
		for s.socket.recv(f.in, 0, 0) > 0 { // of the last one
		}
		s.packet.SSRC++
		s.ssrc = 0
	}
	f.mark()
}

// mark begins to count anew.
func (f *fleet) mark() {
	f.since, f.marked = f.rounds, engine.Now()
	for _, s := range f.streams {
		s.heard, s.gaps, s.said, s.got, s.first = 0, 0, nil, nil, 0
		s.decoder = f.codec.NewDecoder()
	}
}

// play sends for d from where the call is, and returns how many packets it
// sent.
func (f *fleet) play(d time.Duration) (packets int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	if f.start == 0 {
		f.start = engine.Now() + slotNanos
	}
	for range d / pcm.FrameDuration {
		at := f.start + int64(f.rounds)*slotNanos
		for i, s := range f.streams {
			sleepUntilEngine(at + s.phase)
			s.listen(f)
			s.send(f, f.to[i%len(f.to)])
		}
		f.rounds++
		packets += len(f.streams)
	}
	f.ended = engine.Now()
	return packets
}

func (s *stream) send(f *fleet, to netip.AddrPort) {
	i := (s.offset + f.rounds) % len(f.said)
	s.packet.Payload = f.coded[i]
	s.wire = s.packet.Append(s.wire[:0])
	s.packet.Seq++
	s.packet.Timestamp += uint32(f.codec.ClockRate / 50)
	s.socket.send(s.wire, to)
	if s.decodes {
		s.said = append(s.said, f.said[i]...)
	}
}

// listen takes what has come back.
func (s *stream) listen(f *fleet) {
	s.socket.recv(f.in, 0, 0)
	for i := range f.in.packets {
		var p rtpmedia.Packet
		if b := f.in.packets[i].data; rtpmedia.IsRTCP(b) || p.Parse(b) != nil {
			continue
		}
		if s.ssrc != p.SSRC { // the first; any other shows as a gap
			s.ssrc = p.SSRC
		} else if s.next != p.Seq {
			s.gaps++
		}
		s.next = p.Seq + 1
		s.heard++
		if s.decodes {
			s.decode(f, &p)
		}
	}
}

// decode puts what came in its place.
func (s *stream) decode(f *fleet, p *rtpmedia.Packet) {
	if s.got == nil {
		s.first = p.Timestamp
	}
	at := int(int32(p.Timestamp-s.first)) * f.codec.SampleRate / f.codec.ClockRate
	raw := make([]int16, f.codec.SampleRate/50)
	n := s.decoder.Decode(raw, p.Payload)
	if at < 0 || at > len(s.got)+pcm.SampleRate {
		s.gaps++
		return
	}
	s.got = append(s.got, make([]int16, max(0, at+n-len(s.got)))...)
	copy(s.got[at:], raw[:n])
}

// check returns which part of what was said since the mark has come back: an
// echo that paces itself sends one packet each 20 ms, however late the clients
// are, and leaves out what would be much too late. It fails if that is much, if
// packets are missing between those that came, or if of some streams the sound
// is another.
func (f *fleet) check(b *testing.B) (part float64) {
	rounds := f.rounds - f.since
	slots := int((f.ended - f.marked) / slotNanos)
	heard, gaps := 0, 0
	for i, s := range f.streams {
		heard, gaps = heard+s.heard, gaps+s.gaps
		require.Less(b, s.heard, max(rounds, slots)+10, "stream %d", i)
		if s.decodes {
			l := s.likeness(b, f.codec)
			require.Greater(b, l.Share(), 0.4, "stream %d: %v; is the machine busy?", i, l)
		}
	}
	require.LessOrEqual(b, gaps, heard/1000)
	part = float64(heard) / float64(len(f.streams)*min(rounds, slots))
	require.Greater(b, part, 0.8, "the machine is too busy")
	return part
}

// likeness of what came back to what was said.
func (s *stream) likeness(b *testing.B, c codec.Codec) signal.Likeness {
	up, err := resample.New(c.SampleRate, pcm.SampleRate)
	require.NoError(b, err)
	got := make([]int16, up.Size(len(s.got)))
	up.Process(got, s.got)
	return signal.Liken(s.said, got)
}
