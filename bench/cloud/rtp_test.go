package cloud

import (
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
)

// ways are a sender and a receiver of a codec that belong together.
func ways(t *testing.T, name string) (*rtpOut, *rtpIn) {
	t.Helper()
	for _, c := range codec.All() {
		if c.Name == name {
			out := newRTPOut(c, 96)
			out.events, out.eventPT = true, 101
			return out, newRTPIn(map[uint8]payloadType{96: {codec: c}, 101: {event: true}})
		}
	}
	require.Fail(t, "no codec", name)
	return nil, nil
}

// TestRTP: what one end sends, the other hears, whatever the network does to
// the order of it, and with as many samples if it loses some.
func TestRTP(t *testing.T) {
	t.Parallel()
	said := signal.Speech(signal.June)[:100*320]
	for name, network := range map[string]struct {
		order func([]*rtp.Packet) []*rtp.Packet
		want  RTPLog
	}{
		"in order": {func(p []*rtp.Packet) []*rtp.Packet { return p }, RTPLog{Received: 100}},
		"swapped": {func(p []*rtp.Packet) []*rtp.Packet {
			p[10], p[11], p[20], p[22] = p[11], p[10], p[22], p[20]
			return p
		}, RTPLog{Received: 100}},
		"twice": {func(p []*rtp.Packet) []*rtp.Packet {
			return append(p[:50:50], append([]*rtp.Packet{p[49], p[48]}, p[50:]...)...)
		}, RTPLog{Received: 102, Late: 2}},
		"lost": {func(p []*rtp.Packet) []*rtp.Packet { return append(p[:50:50], p[52:]...) }, RTPLog{Received: 98, Lost: 2, Filled: 640}},
		"too late": {func(p []*rtp.Packet) []*rtp.Packet {
			return append(p[:50:50], append(append([]*rtp.Packet{}, p[51:60]...), append([]*rtp.Packet{p[50]}, p[60:]...)...)...)
		}, RTPLog{Received: 100, Lost: 1, Late: 1, Filled: 320}},
		"a stranger": {func(p []*rtp.Packet) []*rtp.Packet {
			return append(p, &rtp.Packet{Header: rtp.Header{PayloadType: 99}})
		}, RTPLog{Received: 100, Malformed: 1}},
	} {
		for _, c := range []string{"opus", "G722", "PCMU", "PCMA"} {
			t.Run(name+" "+c, func(t *testing.T) {
				t.Parallel()
				out, in := ways(t, c)
				out.sequence = 65500 // it wraps around
				var sent []*rtp.Packet
				for i := range 100 {
					sent = append(sent, out.slot(i, said[i*320:][:320])...)
				}
				require.Len(t, sent, 100)
				var got []int16
				for _, p := range network.order(sent) {
					got = append(got, in.push(p).samples...)
				}
				require.Equal(t, network.want, in.drain())
				require.Equal(t, RTPLog{}, in.drain())
				require.Len(t, got, len(said))
				requireAlike(t, said, got)
			})
		}
	}
}

// TestRTPBegunAnew: a sender that jumps is followed, and a long gap is a pause.
func TestRTPBegunAnew(t *testing.T) {
	t.Parallel()
	out, in := ways(t, "PCMU")
	in.push(out.slot(0, quiet[:])[0])
	out.sequence += 20000
	require.Len(t, in.push(out.slot(1, quiet[:])[0]).samples, 320)
	out.slot(2, quiet[:])
	n := 0
	for i := range 4 { // half a second later
		n += len(in.push(out.slot(27+i, quiet[:])[0]).samples)
	}
	require.Equal(t, 4*320, n)
	require.Equal(t, RTPLog{Received: 6, Lost: 1}, in.drain())
}

// TestRTPKeys: keys go out one after the other, and each comes in once, even if
// its first and its last packets are lost.
func TestRTPKeys(t *testing.T) {
	t.Parallel()
	out, in := ways(t, "opus")
	var want []string
	for _, key := range eventKeys {
		require.True(t, out.press(string(key)))
		want = append(want, string(key))
	}
	require.True(t, out.press("a"))
	var got []string
	audio, i := 0, 0
	for slot := range 17*(keySlots+keyPause) + 10 {
		for _, p := range out.slot(slot, quiet[:]) {
			if p.PayloadType == 96 {
				audio++
			}
			if i++; i%9 != 3 {
				got = append(got, in.push(p).keys...)
			}
		}
	}
	require.Equal(t, append(want, "A"), got)
	require.Equal(t, 17*keyPause+10, audio)

	for _, payload := range [][]byte{nil, {1, 2, 3}, {16, 0, 0, 0}} {
		require.Empty(t, in.push(&rtp.Packet{Header: rtp.Header{PayloadType: 101, SequenceNumber: in.next}, Payload: payload}).keys)
	}
	require.Equal(t, int64(3), in.drain().Malformed)
	out.events = false
	require.False(t, out.press("1"))
}
