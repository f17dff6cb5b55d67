package rtpmedia

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// feed is a jitter buffer with 20 ms packets at 8000 Hz, in virtual time. The
// payload of a packet is a number that says which.
type feed struct {
	*Jitter
	t   *testing.T
	now int64
	p   Packet
}

func newFeed(t *testing.T, cfg JitterConfig) *feed {
	return &feed{Jitter: NewJitter(8000, cfg), t: t, now: 5e9, p: Packet{SSRC: 1, Seq: 100, Timestamp: 1000}}
}

// send pushes packet n, counted from the first.
func (f *feed) send(n int) {
	f.sendAs(n, f.p.Seq+uint16(n), f.p.Timestamp+uint32(160*n), Audio)
}

func (f *feed) sendAs(n int, seq uint16, ts uint32, c Content) {
	p := Packet{SSRC: f.p.SSRC, Seq: seq, Timestamp: ts, Payload: binary.BigEndian.AppendUint32(nil, uint32(n))}
	f.Push(f.now, &p, c)
}

// Results of pop that are no number of a packet.
const (
	waited = -1 - iota
	concealed
	unsent
	dried
	comfort
)

// pop plays 20 ms and returns what.
func (f *feed) pop() int {
	it := f.Pop(f.now, 160)
	f.now += frameNanos
	switch it.Kind {
	case Play:
		f.Advance(160)
		return int(int32(binary.BigEndian.Uint32(it.Payload)))
	case Lost:
		require.Equal(f.t, 160, it.Ticks)
		return concealed
	case Comfort:
		return comfort
	}
	require.Equal(f.t, 160, it.Ticks)
	return map[Kind]int{Wait: waited, Unsent: unsent, Dry: dried}[it.Kind]
}

// talk sends packets as they are due and pops, until the buffer plays.
func (f *feed) talk(from, to int) (got []int) {
	for n := from; n < to; n++ {
		f.send(n)
		got = append(got, f.pop())
	}
	return got
}

// drain pops n times.
func (f *feed) drain(n int) (got []int) {
	for range n {
		got = append(got, f.pop())
	}
	return got
}

func seqOf(from, to int) (s []int) {
	for ; from < to; from++ {
		s = append(s, from)
	}
	return s
}

// The delay of a fixed buffer of 60 ms: three packets are waited for.
var fixed = JitterConfig{Min: 60 * time.Millisecond, Max: 60 * time.Millisecond}

func (f *feed) balanced() JitterStats {
	s := f.Stats()
	require.Equal(f.t, s.Received, s.Played+s.Control+s.Late+s.Duplicate+s.Discarded+s.Buffered, "%+v", s)
	require.Equal(f.t, s.Discarded, s.Overflow+s.Backlog+s.Restarted+s.Stray+s.Oversize)
	return s
}

func TestJitterInOrder(t *testing.T) {
	f := newFeed(t, fixed)
	got := f.talk(0, 50)
	require.Equal(t, []int{waited, waited, waited}, got[:3])
	require.Equal(t, seqOf(0, 47), got[3:])
	s := f.balanced()
	require.Equal(t, int64(60*time.Millisecond), s.Delay)
	require.Equal(t, int64(60*time.Millisecond), s.Target)
	require.Equal(t, int64(60*time.Millisecond), s.Waited)
	require.EqualValues(t, 3, s.Buffered)
	require.Zero(t, s.Missing+s.Dried)
}

func TestJitterDisorder(t *testing.T) {
	f := newFeed(t, fixed)
	f.talk(0, 10)
	f.send(11)
	f.send(11)
	require.Equal(t, 7, f.pop())
	f.send(12)
	f.send(10)
	f.send(5) // played
	f.send(10)
	require.Equal(t, seqOf(8, 11), f.drain(3))
	f.talk(13, 30)
	s := f.balanced()
	require.EqualValues(t, 3, s.Duplicate)
	require.Zero(t, s.Late)
	require.Zero(t, s.Missing)
}

func TestJitterFirstPacketsOutOfOrder(t *testing.T) {
	f := newFeed(t, fixed)
	f.send(2)
	f.send(0)
	f.send(1)
	// 2 was the fastest: it came when it was sent.
	require.Equal(t, append([]int{waited}, seqOf(0, 5)...), append(f.drain(1), f.talk(3, 8)...))
	require.Zero(t, f.balanced().Late)
}

func TestJitterLossAndLate(t *testing.T) {
	f := newFeed(t, fixed)
	f.talk(0, 10)
	for n := 11; n < 14; n++ { // 10 does not come
		f.send(n)
		f.pop()
	}
	f.send(14)
	require.Equal(t, concealed, f.pop())
	f.send(10)
	f.send(10)
	require.Equal(t, append([]int{11}, 12), append(f.drain(1), f.talk(15, 16)...))
	s := f.balanced()
	require.EqualValues(t, 1, s.Missing)
	require.EqualValues(t, 1, s.Late)
	require.EqualValues(t, 1, s.Duplicate)
	require.Equal(t, frameNanos, s.Concealed)
}

// The payload behind a lost packet is shown, if that packet is all that is
// missing.
func TestJitterShowsWhatMayHelp(t *testing.T) {
	f := newFeed(t, JitterConfig{})
	for _, n := range []int{0, 2, 5} {
		f.send(n)
	}
	f.now += 60 * ms
	var helped []int
	for range 6 {
		it := f.Pop(f.now, 160)
		f.now += frameNanos
		if it.Kind == Play {
			f.Advance(160)
		} else if require.Equal(t, Lost, it.Kind); it.Payload == nil {
			helped = append(helped, -1)
		} else {
			helped = append(helped, int(it.Payload[3]))
		}
	}
	require.Equal(t, []int{2, -1, 5}, helped)
}

func TestJitterWraps(t *testing.T) {
	f := newFeed(t, fixed)
	f.p.Seq, f.p.Timestamp = 65530, 1<<32-800
	got := f.talk(0, 200_000) // three times round
	require.Equal(t, seqOf(0, 200_000-3), got[3:])
	s := f.balanced()
	require.Zero(t, s.TimestampJumps+s.Restarts+s.Missing+s.Duplicate)
}

func TestJitterBurstLoss(t *testing.T) {
	for _, lost := range []int{2, 10, 100, 127, 128, 129, 500, 2900} {
		f := newFeed(t, fixed)
		f.talk(0, 20)
		for range lost {
			f.pop()
		}
		got := f.talk(20+lost, 40+lost)
		require.Equal(t, seqOf(20+lost, 37+lost), got[3:], "%d lost", lost)
		s := f.balanced()
		require.EqualValues(t, lost, s.Missing, "%d lost", lost)
		require.Equal(t, int64(lost)*frameNanos, s.Concealed)
		require.Zero(t, s.Owed+s.Stretched+s.Restarts+s.Resyncs)
		require.Equal(t, int64(60*time.Millisecond), s.Delay)
	}
}

func TestJitterUnsent(t *testing.T) {
	for _, pause := range []int{1, 5, 200, 10_000} {
		f := newFeed(t, fixed)
		f.talk(0, 20)
		f.drain(pause)
		for i := range 20 { // the sequence goes on, the timestamp has gone on
			f.sendAs(20+i, f.p.Seq+uint16(20+i), f.p.Timestamp+uint32(160*(20+pause+i)), Audio)
			got := f.pop()
			if i >= 3 {
				require.Equal(t, 20+i-3, got)
			}
		}
		s := f.balanced()
		require.Equal(t, int64(pause)*frameNanos, s.Unsent, "pause of %d", pause)
		require.Zero(t, s.Missing+s.Concealed+s.Stretched+s.TimestampJumps+s.Resyncs)
		require.Equal(t, int64(60*time.Millisecond), s.Delay)
	}
}

func TestJitterComfortNoise(t *testing.T) {
	f := newFeed(t, fixed)
	f.talk(0, 10)
	f.sendAs(-9, f.p.Seq+10, f.p.Timestamp+1600, Noise)
	got := f.drain(6)
	require.Equal(t, []int{7, 8, 9, comfort, dried, dried}, got)
	f.now += 50 * frameNanos
	s := f.balanced()
	require.EqualValues(t, 1, s.Control)
	require.Zero(t, s.Missing)
}

// Events take sequence numbers and no time.
func TestJitterNoAudio(t *testing.T) {
	f := newFeed(t, fixed)
	f.talk(0, 10)
	for i := range 6 { // a press of 120 ms, one packet of which is lost
		if i != 2 {
			f.sendAs(-9, f.p.Seq+uint16(10+i), f.p.Timestamp+1600, NoAudio)
		}
		f.pop()
	}
	for i := range 10 {
		f.sendAs(16+i, f.p.Seq+uint16(16+i), f.p.Timestamp+uint32(160*(16+i)), Audio)
		if got := f.pop(); i >= 3 {
			require.Equal(t, 16+i-3, got)
		}
	}
	s := f.balanced()
	require.EqualValues(t, 5, s.Control)
	require.EqualValues(t, 1, s.Missing)
	require.Equal(t, 6*frameNanos, s.Unsent+s.Concealed)
}
