package rtpio

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var updateAnswers = flag.Bool("update", false, "write the answers in testdata anew")

// offers are files of testdata. The answers to those that have one stand
// beside them.
//
// Captured, as the program wrote it: ffmpeg 5.1 (-f rtp -sdp_file) and baresip
// 1.0.0 (its INVITE to a port that only reads). Written after the format of
// the program, not captured: all others.
var offers = []struct {
	file    string
	l       local
	want    deal
	refused string // the Field of an error that is NotAcceptable
}{
	{file: "ffmpeg-pcmu", want: symmetric("PCMU/8000", 0, 0, "127.0.0.1:5004", "127.0.0.1:5005")},
	{file: "ffmpeg-g722", want: symmetric("G722/8000", 9, 0, "127.0.0.1:5004", "127.0.0.1:5005")},
	{file: "ffmpeg-l16", want: symmetric(l16Map, 97, 0, "127.0.0.1:5004", "127.0.0.1:5005")},
	{file: "ffmpeg-opus", want: symmetric(opusMap, 97, 0, "127.0.0.1:5004", "127.0.0.1:5005")},
	{file: "ffmpeg-video", want: symmetric("PCMU/8000", 0, 0, "127.0.0.1:5004", "127.0.0.1:5005")},
	{file: "ffmpeg-ipv6", l: ours6(), want: symmetric("PCMU/8000", 0, 0, "[::1]:5004", "[::1]:5005")},
	{file: "ffmpeg-multicast", refused: "c="},
	// It encrypts, but calls the profile RTP/AVP: nobody can tell.
	{file: "ffmpeg-srtp", want: symmetric("PCMU/8000", 0, 0, "127.0.0.1:5004", "127.0.0.1:5005")},

	// Its events run on 8000 Hz, the audio does not.
	{file: "baresip", want: symmetric(opusMap, 96, 0, "127.0.0.1:30026", "127.0.0.1:30027").withFEC().hears(101)},
	// Encryption is offered, but can be done without.
	{file: "baresip-srtp", want: symmetric("PCMA/8000", 8, 101, "127.0.0.1:30060", "127.0.0.1:30060")},
	{file: "baresip-mand", refused: "m="},

	{file: "linphone", want: symmetric(opusMap, 96, 101, "198.51.100.7:7078", "198.51.100.7:62405").withFEC()},
	{file: "linphone-avpf", l: ours6(), want: symmetric(opusMap, 96, 101, "[2001:db8::10]:7078", "[2001:db8::10]:7079").withFEC().withDTX()},
	{file: "asterisk", want: symmetric("PCMA/8000", 8, 101, "192.0.2.20:14028", "192.0.2.20:14029")},
	{file: "asterisk-fax", want: symmetric("PCMU/8000", 0, 101, "192.0.2.20:14028", "192.0.2.20:14029")},
	{file: "freeswitch", want: symmetric(opusMap, 102, 103, "192.0.2.30:18030", "192.0.2.30:18030").withFEC()},
	{file: "freeswitch-plain", want: symmetric("G722/8000", 9, 101, "192.0.2.30:21156", "192.0.2.30:21157").noise(13)},
	{file: "zoiper", want: symmetric(opusMap, 106, 98, "192.0.2.40:54141", "192.0.2.40:54141").withFEC()},
	{file: "cisco-phone", want: symmetric("G722/8000", 9, 101, "192.0.2.50:27544", "192.0.2.50:27545")},
	{file: "cisco-manager", want: symmetric("PCMU/8000", 0, 101, "192.0.2.52:18594", "192.0.2.52:18595")},
	{file: "cisco-hold", want: deal{codec: "PCMU/8000"}},
	{file: "grandstream", want: symmetric("PCMU/8000", 0, 101, "192.0.2.60:5004", "192.0.2.60:5005")},
	{file: "old-hold", want: deal{codec: "PCMU/8000", eventType: 101, sendEventType: 101, recv: true}},
	{file: "gstreamer", want: symmetric(l16Map, 97, 0, "192.0.2.70:5002", "192.0.2.70:5003")},
	{file: "gstreamer-opus", want: symmetric(opusMap, 96, 0, "192.0.2.70:5002", "192.0.2.70:5003")},
	{file: "browser", refused: "m="},
	{file: "best-effort", want: symmetric("PCMA/8000", 8, 101, "192.0.2.80:49174", "192.0.2.80:49175").flow(false, true)},
}

func readOffer(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".sdp"))
	require.NoError(t, err)
	return b
}

func TestOffersOfOthers(t *testing.T) {
	for _, o := range offers {
		t.Run(o.file, func(t *testing.T) {
			if !o.l.addr.IsValid() {
				o.l = ours()
			}
			offer, err := parseSDP(readOffer(t, o.file))
			if o.refused != "" {
				var e *SDPError
				require.ErrorAs(t, err, &e)
				require.Equal(t, o.refused, e.Field)
				require.True(t, e.NotAcceptable(), "%v", err)
				return
			}
			require.NoError(t, err)
			a, answer, err := answerTo(offer, o.l)
			require.NoError(t, err)
			require.Equal(t, o.want, dealOf(a))
			golden := filepath.Join("testdata", o.file+".answer")
			if *updateAnswers {
				require.NoError(t, os.WriteFile(golden, answer, 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(answer))
		})
	}
}

func TestEveryOfferIsTested(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sdp")
	require.NoError(t, err)
	require.Len(t, offers, len(files))
}

// TestAnswerOfBaresip settles on what baresip 1.0.0 answered to this offer. It
// lists all that it has, of which the first counts, and events on 8000 Hz only.
func TestAnswerOfBaresip(t *testing.T) {
	l := ours()
	l.codecs = only(t, "opus", "L16", "G722", "PCMU", "PCMA")
	answer, err := parseSDP(readOffer(t, "answers/baresip"))
	require.NoError(t, err)
	a, err := settle(l, answer)
	require.NoError(t, err)
	require.Equal(t, symmetric(opusMap, 96, 0, "127.0.0.1:30054", "127.0.0.1:30054").withFEC().hears(101), dealOf(a))
}
