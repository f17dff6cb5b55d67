package rtpmedia

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

var compounds = []struct {
	name, hex string
	err       error
	want      Report
}{
	{"receiver report of nothing", "80c90001 00000007 81ca0003 00000007 01026162 00000000", nil, Report{SSRC: 7, CNAME: []byte("ab")}},
	{"sender report", `80c80006 00000007 0102030405060708 11121314 00000005 00000320
		81ca0002 00000007 01000000`, nil,
		Report{SSRC: 7, HasSender: true, Sender: SenderInfo{NTP: 0x0102030405060708, RTP: 0x11121314, Packets: 5, Octets: 800}, CNAME: []byte{}}},
	{"block", `81c90007 00000007 00000009 40fffffe 00010002 00000003 00000004 00000005`, nil,
		Report{SSRC: 7, Blocks: []ReportBlock{{SSRC: 9, Fraction: 64, Lost: -2, Highest: 0x10002, Jitter: 3, LastSR: 4, Delay: 5}}}},
	{"bye, reason", `80c90001 00000007 82cb0003 00000007 00000009 02686900`, nil, Report{SSRC: 7, Bye: []uint32{7, 9}}},
	{"feedback, and an extension of the report", `80c90002 00000007 deadbeef 81cd0001 00000001`, nil, Report{SSRC: 7, Others: 1}},
	{"padding on the last", `80c90001 00000007 a1cb0002 00000007 00000004`, nil, Report{SSRC: 7, Bye: []uint32{7}}},
	{"begins with a bye", "81cb0001 00000007", nil, Report{SSRC: 7, Bye: []uint32{7}}},
	{"bye of baresip", "81cb0003 00000007 0441646a 6f000000 81ca0003 00000007 01026162 00000000", nil, Report{SSRC: 7, Bye: []uint32{7}, CNAME: []byte("ab")}},
	{"ping of baresip", "80cc0003 00000007 50494e47 504f4e47", nil, Report{SSRC: 7, Others: 1}},
	{"bye of nobody", "80cb0000", nil, Report{}},
	{"empty", "", ErrShort, Report{}},
	{"a word", "80c90000", ErrShort, Report{}},
	{"version", "40c90001 00000007", ErrVersion, Report{}},
	{"begins with a media packet", "80090001 00000007", ErrCompound, Report{}},
	{"length beyond the end", "80c90002 00000007", ErrShort, Report{}},
	{"blocks that are not there", "9fc90001 00000007", ErrShort, Report{}},
	{"sources that are not there", "80c90001 00000007 9fcb0001 00000007", ErrShort, Report{}},
	{"padding before the last", "80c90001 00000007 a1cb0002 00000007 00000004 81cb0001 00000007", ErrCompound, Report{}},
	{"padding on the first", "a0c90002 00000007 00000004", ErrCompound, Report{}},
	{"padding of zero", "80c90001 00000007 a1cb0002 00000007 00000000", ErrPadding, Report{}},
	{"padding beyond the packet", "80c90001 00000007 a1cb0001 000000ff", ErrPadding, Report{}},
	{"padding of half words", "80c90001 00000007 a1cb0002 00000007 00000003", ErrPadding, Report{}},
	{"description without an end", "80c90001 00000007 81ca0002 00000007 01026162", ErrShort, Report{}},
	{"description beyond the packet", "80c90001 00000007 81ca0002 00000007 01ff6162", ErrShort, Report{}},
	{"two descriptions announced, one there", "80c90001 00000007 82ca0002 00000007 01000000", ErrShort, Report{}},
	{"rest", "80c90001 00000007 80", ErrShort, Report{}},
}

func words(t testing.TB, s string) []byte {
	return unhex(t, string(bytes.Join(bytes.Fields([]byte(s)), nil)))
}

func TestReportParse(t *testing.T) {
	for _, tt := range compounds {
		t.Run(tt.name, func(t *testing.T) {
			var got Report
			require.Equal(t, tt.err, got.Parse(words(t, tt.hex)))
			if tt.err != nil {
				return
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// same says whether two reports are, apart from empty and nil.
func same(t *testing.T, want, got Report) {
	for _, r := range []*Report{&want, &got} {
		r.Blocks = append([]ReportBlock{}, r.Blocks...)
		r.Bye = append([]uint32{}, r.Bye...)
		r.CNAME = append([]byte{}, r.CNAME...)
		r.Others = 0
	}
	require.Equal(t, want, got)
}

func TestReportRoundTrip(t *testing.T) {
	blocks := func(n int) (k []ReportBlock) {
		for i := range n {
			k = append(k, ReportBlock{SSRC: uint32(i), Fraction: uint8(i), Lost: int32(i*1000 - 20_000), Highest: uint32(i) << 20, Jitter: 1, LastSR: 2, Delay: 3})
		}
		return k
	}
	for _, r := range []Report{
		{SSRC: 1},
		{SSRC: 1, CNAME: []byte("a")},
		{SSRC: 1, CNAME: []byte("abc"), Bye: []uint32{1}},
		{SSRC: 1, CNAME: bytes.Repeat([]byte("x"), 255), Blocks: blocks(31)},
		{SSRC: 1, HasSender: true, Sender: SenderInfo{1, 2, 3, 4}, Blocks: blocks(32), Bye: []uint32{1, 2, 3}},
		{SSRC: 1, Blocks: blocks(100)},
	} {
		var got Report
		b := r.Append(nil)
		require.Zero(t, len(b)%4)
		require.NoError(t, got.Parse(b))
		same(t, r, got)
	}
	var got Report
	r := Report{Blocks: []ReportBlock{{Lost: math.MaxInt32}, {Lost: math.MinInt32}}}
	require.NoError(t, got.Parse(r.Append(nil)))
	require.EqualValues(t, 1<<23-1, got.Blocks[0].Lost)
	require.EqualValues(t, -1<<23, got.Blocks[1].Lost)
}

// No bytes make it panic; what it understands it writes so that it reads the
// same again.
func FuzzReport(f *testing.F) {
	for _, c := range compounds {
		f.Add(words(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Report
		if r.Parse(b) != nil {
			return
		}
		r.Bye = r.Bye[:min(len(r.Bye), maxBlocks)]
		require.NoError(t, again.Parse(r.Append(nil)))
		same(t, r, again)
	})
}

func TestReportNoAllocs(t *testing.T) {
	r := Report{SSRC: 1, HasSender: true, CNAME: []byte("abcde"), Blocks: make([]ReportBlock, 3), Bye: []uint32{1}}
	var got Report
	buf := r.Append(nil)
	require.NoError(t, got.Parse(buf))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		buf = r.Append(buf[:0])
		if got.Parse(buf) != nil {
			panic("parse")
		}
	}))
}

func TestNTP(t *testing.T) {
	require.Equal(t, uint64(2208988800)<<32, NTP(0))
	require.Equal(t, (uint64(2208988800)+1)<<32|1<<31, NTP(1_500_000_000))
	require.Equal(t, uint64(0xFFFFFFFF)<<32|0xFFFFFFFB, NTP(2085978495_999_999_999))
}

func TestRoundTrip(t *testing.T) {
	sent := int64(1_700_000_000_123_456_789)
	k := ReportBlock{LastSR: middle(NTP(sent)), Delay: 3 << 16}
	got, ok := k.RoundTrip(NTP(sent + 3_250_000_000))
	require.True(t, ok)
	require.InDelta(t, 250_000_000, got, 20_000)
	_, ok = k.RoundTrip(NTP(sent + 2_000_000_000))
	require.False(t, ok, "less than no time")
	k.LastSR = 0
	_, ok = k.RoundTrip(NTP(sent))
	require.False(t, ok, "no report was seen")
}

func TestReception(t *testing.T) {
	r := NewReception(8000)
	now := int64(1e9)
	take := func(seq uint16) {
		r.Take(now, &Packet{Seq: seq, Timestamp: uint32(now / 125_000), SSRC: 5})
	}
	for i := range 100 { // over the wrap; every tenth is lost
		if i%10 != 9 {
			take(uint16(65500 + i))
		}
		now += frameNanos
	}
	k := r.Report(now)
	require.Equal(t, ReportBlock{SSRC: 5, Fraction: 9 * 256 / 99, Lost: 9, Highest: 65500 + 98}, k)
	require.Zero(t, r.Jitter())
	for i := 100; i < 200; i++ {
		take(uint16(65500 + i))
		now += frameNanos
	}
	take(163) // a duplicate: 65500 + 199, wrapped
	k = r.Report(now)
	require.EqualValues(t, 0, k.Fraction)
	require.EqualValues(t, 9, k.Lost)
	r.TakeSR(now, SenderInfo{NTP: 0x1111222233334444})
	k = r.Report(now + 2_500_000_000)
	require.EqualValues(t, 0x22223333, k.LastSR)
	require.EqualValues(t, 5<<15, k.Delay)

	take(30_000) // alone it is nothing
	require.EqualValues(t, 9, r.Report(now).Lost)
	take(30_001)
	take(30_002)
	require.EqualValues(t, 0, r.Report(now).Lost, "restarted")
	require.EqualValues(t, 30_002, r.Report(now).Highest)
}

// The jitter of packets that come alternately 0 and 16 ms late settles at 16
// ms.
func TestReceptionJitter(t *testing.T) {
	r := NewReception(8000)
	for i := range 500 {
		now := int64(1e9) + int64(i)*frameNanos + int64(i%2)*16*ms
		r.Take(now, &Packet{Seq: uint16(i), Timestamp: uint32(160 * i)})
	}
	require.InDelta(t, 16*ms, r.Jitter(), float64(ms))
	require.InDelta(t, 16*8, r.Report(0).Jitter, 2)
}
