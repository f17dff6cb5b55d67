package rtc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckOffer(t *testing.T) {
	r := newRig(t, nil)
	const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	const audio = head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
		"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\n"
	for _, tt := range []struct {
		offer         string
		hears, speaks bool
		refused       string // empty: it is not
	}{
		{offer: audio + "a=sendrecv\r\n", hears: true, speaks: true},
		{offer: audio + "a=sendonly\r\n", speaks: true},
		{offer: audio + "a=recvonly\r\n", hears: true},
		{offer: audio + "a=inactive\r\n", refused: "not acceptable"},
		{offer: head, refused: "not acceptable"},
		{offer: "v=0\r\nhello", refused: "malformed"},
	} {
		hears, speaks, err := r.CheckOffer([]byte(tt.offer))
		require.Equal(t, tt.hears, hears, tt.offer)
		require.Equal(t, tt.speaks, speaks, tt.offer)
		if tt.refused == "" {
			require.NoError(t, err)
			continue
		}
		var no *OfferError
		require.ErrorAs(t, err, &no)
		require.Equal(t, tt.refused == "not acceptable", no.NotAcceptable())
	}
}
