package load

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec/l16"
	"github.com/stretchr/testify/require"
)

func TestMark(t *testing.T) {
	for _, m := range []mark{{}, {1, 2}, {255, markSeqs - 1}, {7, 123456}} {
		b := bytes.Repeat([]byte{0x55, 0xaa}, 320)
		m.put(b)
		got, ok := markOf(b)
		require.True(t, ok)
		require.Equal(t, m, got)
	}
	for _, b := range [][]byte{nil, make([]byte, 640), bytes.Repeat([]byte{0xff}, 640)} {
		_, ok := markOf(b)
		require.False(t, ok, "silence passes for a mark")
	}
}

// The window is held against a map that forgets nothing.
func TestWindow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n := 1 + rnd.Uint32N(3*windowFrames)
		var w window
		seen := make([]bool, n)
		high, duplicates := -1, int64(0)
		for seq := uint32(0); seq < n; seq++ {
			for range rnd.IntN(3) { // 0 to 2 times
				got := seq
				if seq > 10 && rnd.IntN(4) == 0 {
					got -= rnd.Uint32N(10)
				}
				want := fresh
				switch {
				case seen[got]:
					want = duplicate
					duplicates++
				case int(got) < high:
					want = reordered
				}
				require.Equal(t, want, w.take(got))
				seen[got], high = true, max(high, int(got))
			}
		}
		w.finish(n)
		gaps, longest, run, back := int64(0), int64(0), int64(0), int64(0)
		for i := range n + 1 {
			if i < n && !seen[i] {
				run++
				continue
			}
			if run > 0 {
				gaps, longest, run = gaps+1, max(longest, run), 0
			}
			if i < n {
				back++
			}
		}
		require.Equal(t, []int64{back, gaps, longest}, []int64{w.back, w.gaps, w.longest})
	}
	var w window
	require.Equal(t, fresh, w.take(2*windowFrames))
	require.Equal(t, stale, w.take(5))
}

func TestLetter(t *testing.T) {
	for _, rate := range []int{16000, 24000} {
		c, err := newClip(3, rate)
		require.NoError(t, err)
		zero := time.Date(2026, 11, 22, 10, 59, 59, 987e6, time.UTC)
		l := newLetter(c, 498, "8:acs:a_b", zero, 0x01020304)
		for seq := range uint32(5) {
			frame := l.fill(mark{3, seq})
			require.Equal(t, []byte{0x81, 0xfe}, frame[:2])
			require.Equal(t, len(l.text), int(binary.BigEndian.Uint16(frame[2:])))
			require.Equal(t, []byte{4, 3, 2, 1}, frame[4:8])
			text := bytes.Clone(frame[8:])
			for i := range text {
				text[i] ^= frame[4+i%4]
			}
			var in struct {
				Kind      string
				AudioData struct {
					Timestamp        time.Time
					ParticipantRawID string
					Data             []byte
				}
			}
			require.NoError(t, json.Unmarshal(text, &in))
			require.Equal(t, "8:acs:a_b", in.AudioData.ParticipantRawID)
			require.Equal(t, zero.Add(time.Duration(seq)*frameTime), in.AudioData.Timestamp)
			require.Len(t, in.AudioData.Data, rate/25)
			m, ok := markOf(in.AudioData.Data)
			require.True(t, ok)
			require.Equal(t, mark{3, seq}, m)
			want := make([]int16, rate/50)
			at := (498 + int(seq)) % c.frames * c.bytes
			l16.DecodeLE(want, c.pcm[at:at+c.bytes])
			for i := range want { // speech, but for the mark
				require.LessOrEqual(t, want[i]^int16(binary.LittleEndian.Uint16(in.AudioData.Data[2*i:])), int16(1))
			}
		}
		require.Less(t, len(l.frame), 2048)
	}
}

func TestAudioIn(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"kind":"AudioData","audioData":{"data":"AQID"}}`, "AQID"},
		{`{"kind":"audioData","audioData":{"data":"AQID","isSilent":false},"stopAudio":{}}`, "AQID"},
		{`{"Kind":"AudioData","AudioData":{"Data":"AQID","Timestamp":"0001-01-01T00:00:00+00:00","Participant":null,"IsSilent":false},"StopAudio":null}`, "AQID"},
		{`{"kind": "AudioData", "AudioData": {"data" : "AQID"}, "StopAudio": null}`, "AQID"},
		{`{"kind":"StopAudio","stopAudio":{}}`, "-"},
		{`{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}`, "-"},
		{`{"data":""}`, ""},
		{`{"data":"AQ`, "-"},
		{`"data"`, "-"},
		{``, "-"},
	} {
		got, ok := audioIn([]byte(c.text))
		if c.want == "-" {
			require.False(t, ok, c.text)
			continue
		}
		require.True(t, ok, c.text)
		require.Equal(t, c.want, string(got))
	}
}

// However a server cuts the audio, and the network the messages, each frame
// is found once.
func TestMarksInPieces(t *testing.T) {
	clip, err := newClip(1, 16000)
	require.NoError(t, err)
	var stream []byte
	const frames = 40
	for i := range frames {
		b := bytes.Clone(clip.pcm[i*clip.bytes : (i+1)*clip.bytes])
		mark{2, uint32(i)}.put(b)
		stream = append(stream, b...)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, junk := range []int{0, 2, 100} {
		for _, step := range []int{2, 100, 640, 642, 3200, len(stream)} {
			var wire []byte
			in := append(make([]byte, junk), stream...)
			for len(in) > 0 {
				n := min(step, len(in))
				text := fmt.Sprintf(`{"kind":"AudioData","audioData":{"data":"%s"}}`, base64.StdEncoding.EncodeToString(in[:n]))
				wire = appendServer(wire, text, rnd)
				in = in[n:]
			}
			var got []uint32
			r := markReader{frameBytes: clip.bytes}
			altered := 0
			d := deframer{message: func(op byte, payload []byte) {
				require.EqualValues(t, opText, op)
				data, ok := audioIn(payload)
				require.True(t, ok)
				altered += r.read(data, func(m mark) { got = append(got, m.seq) })
			}}
			for len(wire) > 0 {
				n := min(1+rnd.IntN(3000), len(wire))
				require.NoError(t, d.feed(wire[:n]))
				wire = wire[n:]
			}
			require.Len(t, got, frames, "step %d, junk %d", step, junk)
			for i, seq := range got {
				require.EqualValues(t, i, seq)
			}
			require.Equal(t, junk/2, altered)
		}
	}
}

// appendServer writes text as a server may: in one frame or in fragments.
func appendServer(b []byte, text string, rnd *rand.Rand) []byte {
	op := byte(opText)
	for {
		n := len(text)
		if rnd.IntN(3) == 0 {
			n = rnd.IntN(n + 1)
		}
		head := op
		if n == len(text) {
			head |= 0x80
		}
		switch {
		case n < 126:
			b = append(b, head, byte(n))
		case n < 1<<16:
			b = append(b, head, 126, byte(n>>8), byte(n))
		default:
			b = binary.BigEndian.AppendUint64(append(b, head, 127), uint64(n))
		}
		b = append(b, text[:n]...)
		if text, op = text[n:], opContinuation; head&0x80 != 0 {
			return b
		}
	}
}

func TestDeframerRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked":    {0x81, 0x81, 1, 2, 3, 4, 5},
		"extension": {0xc1, 1, 1},
		"too long":  {0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0},
	} {
		d := deframer{message: func(byte, []byte) {}}
		require.Error(t, d.feed(b), name)
	}
	d, part := deframer{message: func(byte, []byte) {}}, []byte{0x00, 127, 0, 0, 0, 0, 0, 0x0c, 0, 0}
	part = append(part, make([]byte, 0xc0000)...)
	require.NoError(t, d.feed(part))
	require.Error(t, d.feed(part), "a message of many fragments has no end")
}

func TestClientAddr(t *testing.T) {
	require.Equal(t, "127.77.0.1", clientAddr("127.0.0.1:80", 0).IP.String())
	seen := map[string]bool{}
	for n := range 1000 {
		seen[clientAddr("localhost:80", n).IP.String()] = true
	}
	require.Len(t, seen, 500) // two calls an address
	require.Nil(t, clientAddr("10.0.0.1:80", 1))
	require.Nil(t, clientAddr("example.com:80", 1))
}

func TestErrorText(t *testing.T) {
	err := fmt.Errorf("dial tcp 127.77.0.1:0->127.0.0.1:81: connect: connection refused")
	require.Equal(t, "dial tcp : connect: connection refused", errorText(err))
	require.LessOrEqual(t, len(errorText(fmt.Errorf("%s", strings.Repeat("x", 900)))), 300)
}

func TestAllocations(t *testing.T) {
	c, err := newClip(1, 16000)
	require.NoError(t, err)
	l := newLetter(c, 0, "8:acs:a_b", time.Now(), 1)
	seq := uint32(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() { l.fill(mark{0, seq}); seq++ }))
	var got mark
	r, found := markReader{frameBytes: c.bytes}, func(m mark) { got = m }
	wire := appendServer(nil, string(l.text), rand.New(rand.NewPCG(8, 8)))
	d := deframer{message: func(_ byte, payload []byte) {
		data, _ := audioIn(payload)
		r.read(data, found)
	}}
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if d.feed(wire) != nil || got.seq != seq-1 {
			t.Fatal(got)
		}
	}))
}

// A thread that lost its CPU between reading the clock and reading the socket
// finds frames there that left meanwhile. Frames of the future are nobody's.
func TestBackAfterTheClockWasRead(t *testing.T) {
	r := &runner{clock: newClock()}
	r.end.Store(1 << 60)
	c := &call{run: r, tally: newTally(), echo: true, expect: []*stream{{}}}
	read := r.clock.now()
	c.first = read + 1
	time.Sleep(time.Millisecond)
	c.back(mark{}, read)
	require.EqualValues(t, 1, c.expect[0].window.back)
	require.EqualValues(t, 1, c.tally.latency.TotalCount())
	c.first = read + int64(time.Hour)
	c.back(mark{}, read)
	require.EqualValues(t, 1, c.tally.strange)
	require.EqualValues(t, 1, c.tally.back)
}
