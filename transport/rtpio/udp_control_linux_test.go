package rtpio

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// controlMessage is one as the kernel writes it, padded.
func controlMessage(level, kind int, data ...any) []byte {
	var payload []byte
	for _, d := range data {
		payload, _ = binary.Append(payload, binary.NativeEndian, d)
	}
	b := make([]byte, unix.CmsgSpace(len(payload)))
	if unix.SizeofPtr == 8 {
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(payload))))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(unix.CmsgLen(len(payload))))
	}
	binary.NativeEndian.PutUint32(b[unix.SizeofPtr:], uint32(level))
	binary.NativeEndian.PutUint32(b[unix.SizeofPtr+4:], uint32(kind))
	copy(b[unix.CmsgLen(0):], payload)
	return b
}

func TestParseControl(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 678, time.UTC)
	stamp := controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, at.Unix(), int64(678))
	drops := controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, uint32(7))
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want recvControl
	}{
		{"none", nil, recvControl{}},
		{"stamp", stamp, recvControl{stamp: at.UnixNano()}},
		{"both", join(stamp, drops), recvControl{at.UnixNano(), 7, true}},
		{"both, other order", join(drops, stamp), recvControl{at.UnixNano(), 7, true}},
		{"last not padded", join(stamp, drops[:unix.CmsgLen(4)]), recvControl{at.UnixNano(), 7, true}},
		{"behind a stranger", join(controlMessage(unix.IPPROTO_IP, unix.IP_TTL, uint32(1)), drops), recvControl{0, 7, true}},
		{"32 bits", controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, int32(at.Unix()), int32(678)), recvControl{stamp: at.UnixNano()}},
		{"drops are 0", controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, uint32(0)), recvControl{0, 0, true}},
		{"cut off", join(drops, stamp[:len(stamp)-1]), recvControl{0, 7, true}},
		{"header cut off", join(drops, stamp[:unix.SizeofCmsghdr-1]), recvControl{0, 7, true}},
		{"length 0", make([]byte, controlSize), recvControl{}},
		{"stamp too short", controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, int64(1), int32(1)), recvControl{}},
		{"second of 2 s", controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, int64(1), int64(2e9)), recvControl{}},
		{"before 1970", controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, int64(-1), int64(1)), recvControl{}},
		{"after 2242", controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, int64(1)<<60, int64(1)), recvControl{}},
		{"drops too long", controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, uint64(7)), recvControl{}},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, parseControl(tt.b)) })
	}
	require.LessOrEqual(t, unix.CmsgSpace(16)+unix.CmsgSpace(4), controlSize)
}

// FuzzParseControl compares with x/sys/unix, which refuses what is malformed
// as a whole.
func FuzzParseControl(f *testing.F) {
	f.Add([]byte{})
	f.Add(controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, int64(1e9), int64(5)))
	f.Add(controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, uint32(7)))
	f.Add(append(controlMessage(unix.IPPROTO_IP, unix.IP_TTL, uint32(1)),
		controlMessage(unix.SOL_SOCKET, unix.SO_RXQ_OVFL, uint32(7))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := parseControl(b)
		require.GreaterOrEqual(t, got.stamp, int64(0))
		messages, err := unix.ParseSocketControlMessage(b)
		if err != nil {
			return
		}
		var want recvControl
		for _, m := range messages {
			switch {
			case m.Header.Level != unix.SOL_SOCKET:
			case m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) == 4:
				want.drops, want.hasDrops = binary.NativeEndian.Uint32(m.Data), true
			case m.Header.Type == unix.SO_TIMESTAMPNS || m.Header.Type == unix.SO_TIMESTAMPNS_NEW:
				if ns := parseStamp(m.Data); ns > 0 {
					want.stamp = ns
				}
			}
		}
		require.Equal(t, want, got)
	})
}
