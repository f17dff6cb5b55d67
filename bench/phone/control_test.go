package phone

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"
)

// RFC 3550, appendix A.3, over a wrap of the sequence number.
func TestReceptionReport(t *testing.T) {
	r := &reception{}
	for i := range 100 {
		if i%10 != 4 {
			r.count(uint16(65500 + i))
		}
	}
	b := r.block(9, 0)
	require.Equal(t, rtcp.ReceptionReport{SSRC: 9, TotalLost: 10, FractionLost: 10 * 256 / 100, LastSequenceNumber: 65599}, b)
	for i := 100; i < 120; i++ {
		r.count(uint16(65500 + i))
	}
	b = r.block(9, 0)
	require.Zero(t, b.FractionLost, "since the report before")
	require.Equal(t, uint32(10), b.TotalLost)
	for range 15 {
		r.count(65619 - 65536) // duplicates may make it less than nothing
	}
	b = r.block(9, 0)
	require.Equal(t, uint32(0xfffffb), b.TotalLost)
	require.Zero(t, b.FractionLost)

	r.lastSR, r.lastSRAt = 77, 1e9
	b = r.block(9, 15e8)
	require.Equal(t, uint32(77), b.LastSenderReport)
	require.Equal(t, uint32(1<<15), b.Delay)
}

// A steady difference between neighbours is what the jitter comes to.
func TestJitter(t *testing.T) {
	r := &reception{}
	for i := range int64(1000) {
		r.time(i*int64(Slot)+i%2*4e6, uint32(4e9+160*i), 8000)
	}
	require.InDelta(t, 32, r.jitter, 0.5) // 4 ms
	require.Equal(t, uint32(8000*3600+4), units(3600e9+500_000, 8000))
}

func TestNTP(t *testing.T) {
	p := &Phone{began: time.Date(2036, 2, 7, 6, 28, 15, 5e8, time.UTC)} // half a second before the era ends
	require.Equal(t, uint64(0xffffffff_80000000), p.ntp(0))
	require.Equal(t, uint64(0x00000000_40000000), p.ntp(75e7))
}
