package rtpio

import (
	"slices"
	"testing"

	"github.com/mixminus/mixminus/codec"
	"github.com/stretchr/testify/require"
)

// FuzzSDP answers whatever comes, reads the answer as the other side would,
// and holds the two against each other.
func FuzzSDP(f *testing.F) {
	for _, o := range offers {
		f.Add(readOffer(f, o.file))
	}
	f.Add(offerOf(ours()))
	f.Add([]byte(connectedTo("IN IP4 0.0.0.0")))
	f.Add([]byte(audioWith("audio 4000/1 RTP/AVP 111 96 96 100 0", "a=rtpmap:111 opus/48000/2", "a=rtpmap:96 opus/48000/2",
		"a=rtpmap:0 telephone-event/48000", "a=rtpmap:100 Telephone-Event/48000/1", "a=rtcp:9 IN IP6 ::", "a=ptime:1e1")))
	f.Fuzz(func(t *testing.T, b []byte) {
		offer, err := parseSDP(b)
		if err != nil {
			requireFitForALog(t, err)
			return
		}
		for _, l := range []local{ours(), ours6()} {
			a, answer, err := answerTo(offer, l)
			if err != nil {
				requireFitForALog(t, err)
				continue
			}
			requireAnswer(t, offer, a, answer)
		}
	})
}

func requireFitForALog(t *testing.T, err error) {
	t.Helper()
	var e *SDPError
	require.ErrorAs(t, err, &e)
	require.LessOrEqual(t, len(e.Value), maxValue)
	require.LessOrEqual(t, len(e.Field), maxValue)
	require.NotContains(t, e.Want, "\n")
	require.NotEmpty(t, e.Want)
	for _, c := range []byte(e.Field + e.Value) {
		require.True(t, ' ' <= c && c <= '~', "%q", e.Error())
	}
}

// requireAnswer holds an answer, read by the offerer, against its offer and
// what the answerer made of that.
func requireAnswer(t *testing.T, offer *remoteSDP, a agreed, answer []byte) {
	t.Helper()
	r, err := parseSDP(answer)
	require.NoError(t, err, "%s", answer)
	require.Len(t, r.streams, len(offer.streams))
	require.Equal(t, offer.times, r.times)
	accepted := -1
	for i, s := range r.streams {
		require.Equal(t, offer.streams[i].kind, s.kind)
		require.Equal(t, offer.streams[i].proto, s.proto)
		if s.audio != nil {
			require.Negative(t, accepted, "two are accepted:\n%s", answer)
			accepted = i
		}
	}
	require.GreaterOrEqual(t, accepted, 0)
	theirs, ours := offer.streams[accepted].audio, r.streams[accepted].audio
	require.NotNil(t, theirs)

	// The offerer's side of the same deal. Its address is told to the answerer
	// by what it offered.
	offerer := local{addr: ours.addr, codecs: codec.All(), mux: theirs.mux}
	b, e := ours.settle(offerer, theirs.formats)
	require.Nil(t, e)
	require.Equal(t, a.codec.RTPMap(), b.codec.RTPMap())
	require.Equal(t, [2]uint8{a.payloadType, a.sendType}, [2]uint8{b.sendType, b.payloadType})
	if a.eventClock == a.codec.ClockRate {
		require.Equal(t, [2]uint8{a.eventType, a.sendEventType}, [2]uint8{b.sendEventType, b.eventType})
	} else {
		require.Zero(t, a.sendEventType+b.sendEventType)
	}
	require.Equal(t, a.noiseType, b.noiseType)
	require.Equal(t, a.mux, b.mux)
	require.False(t, a.send && !b.recv || a.recv && !b.send, "%v", theirs.dir)
	require.Equal(t, a.send, theirs.dir.receives() && !theirs.hold)
	require.Equal(t, a.recv, theirs.dir.sends())
	require.Equal(t, !theirs.hold, a.remote.IsValid())

	types := slices.DeleteFunc([]uint8{a.eventType, a.noiseType}, func(pt uint8) bool { return pt == 0 })
	require.Len(t, slices.Compact(append(types, a.payloadType)), len(types)+1, "one number for two things")
}
