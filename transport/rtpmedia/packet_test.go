package rtpmedia

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
)

const ms = int64(1e6)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	require.NoError(t, err)
	return b
}

var packets = []struct {
	name, hex string
	err       error
	want      Packet
}{
	{"plain", "8000 0001 00000002 00000003 aabb", nil,
		Packet{Seq: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0xaa, 0xbb}}},
	{"marker and type", "8089 fffe ffffff00 01020304", nil,
		Packet{Marker: true, PayloadType: 9, Seq: 0xfffe, Timestamp: 0xffffff00, SSRC: 0x01020304, Payload: []byte{}}},
	{"sources", "8200 0001 00000002 00000003 11111111 22222222 cc", nil,
		Packet{Seq: 1, Timestamp: 2, SSRC: 3, Contributing: []byte{0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22}, Payload: []byte{0xcc}}},
	{"extension", "9000 0001 00000002 00000003 abcd 0001 01020304 dd", nil,
		Packet{Seq: 1, Timestamp: 2, SSRC: 3, HasExtension: true, Profile: 0xabcd, Extension: []byte{1, 2, 3, 4}, Payload: []byte{0xdd}}},
	{"empty extension", "9000 0001 00000002 00000003 abcd 0000 dd", nil,
		Packet{Seq: 1, Timestamp: 2, SSRC: 3, HasExtension: true, Profile: 0xabcd, Payload: []byte{0xdd}}},
	{"padding", "a000 0001 00000002 00000003 aabb 000003", nil,
		Packet{Seq: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0xaa, 0xbb}}},
	{"nothing but padding", "a000 0001 00000002 00000003 00000003", nil,
		Packet{Seq: 1, Timestamp: 2, SSRC: 3, Payload: []byte{0}}},
	{"empty", "", ErrShort, Packet{}},
	{"half a header", "8000 0001 0000", ErrShort, Packet{}},
	{"version 0", "0000 0001 00000002 00000003", ErrVersion, Packet{}},
	{"version 1", "4000 0001 00000002 00000003", ErrVersion, Packet{}},
	{"version 3", "c000 0001 00000002 00000003", ErrVersion, Packet{}},
	{"sources missing", "8f00 0001 00000002 00000003 11111111", ErrShort, Packet{}},
	{"extension missing", "9000 0001 00000002 00000003 abcd", ErrShort, Packet{}},
	{"extension cut", "9000 0001 00000002 00000003 abcd 0002 01020304", ErrShort, Packet{}},
	{"extension huge", "9000 0001 00000002 00000003 abcd ffff 01020304", ErrShort, Packet{}},
	{"padding of nothing", "a000 0001 00000002 00000003", ErrPadding, Packet{}},
	{"padding of zero", "a000 0001 00000002 00000003 aa00", ErrPadding, Packet{}},
	{"padding into the header", "a000 0001 00000002 00000003 aa03", ErrPadding, Packet{}},
}

func TestPacket(t *testing.T) {
	for _, tt := range packets {
		t.Run(tt.name, func(t *testing.T) {
			var got Packet
			b := unhex(t, tt.hex)
			require.Equal(t, tt.err, got.Parse(b))
			if tt.err != nil {
				return
			}
			for _, s := range []*[]byte{&tt.want.Contributing, &tt.want.Extension} {
				if *s == nil {
					*s = []byte{}
				}
			}
			if !tt.want.HasExtension {
				tt.want.Extension = nil
			}
			require.Equal(t, tt.want, got)
			if b[0]&0x20 == 0 {
				require.Equal(t, b, got.Append(nil))
			}
			for i := range len(got.Contributing) / 4 {
				require.Equal(t, got.Contributing[4*i], byte(got.CSRC(i)>>24))
			}
		})
	}
}

func TestAppendCutsWhatDoesNotFit(t *testing.T) {
	p := Packet{PayloadType: 0xff, Contributing: make([]byte, 4*40+3), HasExtension: true, Extension: make([]byte, 7)}
	var got Packet
	require.NoError(t, got.Parse(p.Append(nil)))
	require.Equal(t, uint8(0x7f), got.PayloadType)
	require.False(t, got.Marker)
	require.Len(t, got.Contributing, 60)
	require.Len(t, got.Extension, 4)
}

func TestIsRTCP(t *testing.T) {
	require.True(t, IsRTCP([]byte{0x80, 200}))
	require.True(t, IsRTCP([]byte{0x81, 201}))
	require.False(t, IsRTCP([]byte{0x80, 0x80 | 9}), "a packet with marker bit")
	require.False(t, IsRTCP([]byte{0x80}))
	require.False(t, IsRTCP([]byte{0x00, 200}))
}

// Whatever bytes come, pion/rtp and we read the same.
func FuzzPacket(f *testing.F) {
	for _, p := range packets {
		f.Add(unhex(f, p.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got Packet
		err := got.Parse(b)
		if len(b) < headerSize || b[0]>>6 != 2 {
			require.Error(t, err) // pion looks at neither
			return
		}
		var want rtp.Packet
		if wantErr := want.Unmarshal(b); wantErr != nil {
			// pion reads the elements of extensions that it knows as well.
			if err == nil {
				require.Contains(t, []uint16{rtp.ExtensionProfileOneByte, rtp.ExtensionProfileTwoByte}, got.Profile, "%v", wantErr)
			}
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.Marker, got.Marker)
		require.Equal(t, want.PayloadType, got.PayloadType)
		require.Equal(t, want.SequenceNumber, got.Seq)
		require.Equal(t, want.Timestamp, got.Timestamp)
		require.Equal(t, want.SSRC, got.SSRC)
		require.True(t, bytes.Equal(want.Payload, got.Payload))
		require.Equal(t, len(want.CSRC), len(got.Contributing)/4)
		for i, c := range want.CSRC {
			require.Equal(t, c, got.CSRC(i))
		}
		require.Equal(t, want.Extension, got.HasExtension)
		if want.Extension {
			require.Equal(t, want.ExtensionProfile, got.Profile)
		}
		if again := got.Append(nil); b[0]&0x20 == 0 {
			require.Equal(t, b, again, "what was read is written again")
		}
	})
}

func TestPacketNoAllocs(t *testing.T) {
	b := unhex(t, packets[3].hex)
	buf := make([]byte, 0, 100)
	bad := unhex(t, packets[len(packets)-1].hex)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var p Packet
		if p.Parse(b) != nil || p.Parse(bad) == nil {
			panic("parse")
		}
		buf = p.Append(buf[:0])
	}))
}

func BenchmarkPacketParse(b *testing.B) {
	wire := (&Packet{Payload: make([]byte, 160)}).Append(nil)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var p Packet
		for b.Loop() {
			if p.Parse(wire) != nil {
				b.Fatal()
			}
		}
	})
	b.Run("pion", func(b *testing.B) {
		b.ReportAllocs()
		var p rtp.Packet
		for b.Loop() {
			if p.Unmarshal(wire) != nil {
				b.Fatal()
			}
		}
	})
}

func BenchmarkPacketAppend(b *testing.B) {
	payload := make([]byte, 160)
	buf := make([]byte, 200)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		p := Packet{Payload: payload}
		for b.Loop() {
			p.Append(buf[:0])
		}
	})
	b.Run("pion", func(b *testing.B) {
		b.ReportAllocs()
		p := rtp.Packet{Header: rtp.Header{Version: 2}, Payload: payload}
		for b.Loop() {
			if _, err := p.MarshalTo(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
