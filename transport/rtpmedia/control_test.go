package rtpmedia

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Two sides report to each other over a path of 40 ms there and 60 ms back.
func TestControl(t *testing.T) {
	out, err := newFed(OutboundConfig{Codec: l16(t), PayloadType: 96, SSRC: 1})
	require.NoError(t, err)
	peerOut, err := newFed(OutboundConfig{Codec: l16(t), PayloadType: 96, SSRC: 2})
	require.NoError(t, err)
	in, peerIn := NewReception(16000), NewReception(16000)
	us, peer := NewControl(in, out.Outbound, "us"), NewControl(peerIn, peerOut.Outbound, "peer")
	const unix = int64(1_700_000_000_000_000_000)
	now := int64(1e9)
	var frame [320]int16
	for i := range 100 {
		out.Queue(&frame)
		b, ok := out.Next(now, nil)
		require.True(t, ok)
		var p Packet
		require.NoError(t, p.Parse(b))
		if i%5 != 3 {
			peerIn.Take(now+40*ms, &p)
		}
		now += frameNanos
	}
	report := us.Append(nil, now, unix+now, false)
	require.NoError(t, peer.Take(now+40*ms, unix+now+40*ms, report))
	answer := peer.Append(nil, now+500*ms, unix+now+500*ms+7e12, true) // its clock is two hours off
	require.NoError(t, us.Take(now+560*ms, unix+now+560*ms, answer))
	s := us.Stats()
	require.InDelta(t, 100*ms, s.RoundTrip, float64(ms))
	require.EqualValues(t, 20, s.PeerLost)
	require.EqualValues(t, 51, s.PeerFraction)
	require.False(t, s.Bye, "nothing was received of the peer that could leave")

	in.Take(now, &Packet{SSRC: 2})
	require.NoError(t, us.Take(now, unix, answer))
	require.True(t, us.Stats().Bye)
	in.Take(now, &Packet{SSRC: 3})
	require.NoError(t, us.Take(now, unix, answer))
	require.False(t, us.Stats().Bye, "another source took its place")
	require.Equal(t, ErrCompound, us.Take(now, unix, []byte{0x80, 199, 0, 0}))
	require.EqualValues(t, 1, us.Stats().Malformed)
	var r Report
	require.NoError(t, r.Parse(report))
	require.True(t, r.HasSender)
	require.EqualValues(t, 100, r.Sender.Packets)
	require.EqualValues(t, 64000, r.Sender.Octets)
	require.Equal(t, "us", string(r.CNAME))
	require.NoError(t, r.Parse(us.Append(nil, now, unix, false)))
	require.False(t, r.HasSender, "nothing was sent since")
}
