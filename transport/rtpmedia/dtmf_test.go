package rtpmedia

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/codec"
	"github.com/stretchr/testify/require"
)

// keypad is an Outbound whose codec has such a clock.
func keypad(t testing.TB, clock int) *fed {
	c := quick
	c.ClockRate = clock
	o, err := newFed(OutboundConfig{Codec: c, PayloadType: 96, EventType: 101, Timestamp: 1<<32 - 1000, Seq: 65530})
	require.NoError(t, err)
	return o
}

// dial sends while keys are pressed, and returns the packets.
func dial(t testing.TB, o *fed, ticks int) (wire [][]byte) {
	var frame [320]int16
	now := int64(1e9)
	for range ticks {
		o.Queue(&frame)
		b, ok := o.Next(now, nil)
		require.True(t, ok)
		wire = append(wire, b)
		now += frameNanos
	}
	return wire
}

// One packet each 20 ms, the duration grows by 20 ms, the end comes three
// times, the audio goes on at its own timestamp.
func TestPress(t *testing.T) {
	for _, clock := range []int{8000, 16000, 48000} {
		t.Run(fmt.Sprint(clock), func(t *testing.T) {
			o := keypad(t, clock)
			require.NoError(t, o.Press('#', 110*ms))
			step := uint32(clock / 50)
			for i, b := range dial(t, o, 12) {
				var p Packet
				require.NoError(t, p.Parse(b))
				require.Equal(t, uint16(65530+i), p.Seq)
				if i >= 8 {
					require.EqualValues(t, 96, p.PayloadType)
					require.Equal(t, 1<<32-1000+uint32(i)*step, p.Timestamp)
					require.Equal(t, i == 8, p.Marker)
					continue
				}
				require.EqualValues(t, 101, p.PayloadType)
				require.Equal(t, uint32(1<<32-1000), p.Timestamp)
				require.Equal(t, i == 0, p.Marker)
				want := min(uint32(i+1)*step, uint32(clock*110/1000))
				require.Equal(t, []byte{11, 10, byte(want >> 8), byte(want)}, append([]byte{p.Payload[0], p.Payload[1] &^ eventEnd}, p.Payload[2:]...))
				require.Equal(t, i >= 5, p.Payload[1]&eventEnd != 0, "packet %d", i)
			}
			require.EqualValues(t, 8, o.Stats().Events)
		})
	}
}

// A press of 20 s is more than the duration can say at any clock rate.
func TestLongPress(t *testing.T) {
	for _, clock := range []int{8000, 16000, 48000} {
		for _, loss := range []float64{0, 0.3} {
			t.Run(fmt.Sprint(clock, " ", loss), func(t *testing.T) {
				o := keypad(t, clock)
				require.NoError(t, o.Press('7', 20_000*ms))
				r := rand.New(rand.NewPCG(1, 2))
				var tones Tones
				var got []byte
				segments := map[uint32]bool{}
				for _, b := range dial(t, o, 1010) {
					var p Packet
					require.NoError(t, p.Parse(b))
					if p.PayloadType != 101 || r.Float64() < loss {
						continue
					}
					segments[p.Timestamp] = true
					if k, ok := tones.Take(&p); ok {
						got = append(got, k)
					}
				}
				require.Equal(t, "7", string(got))
				require.Len(t, segments, 20*clock/eventMost+1)
				key, ticks, ended := tones.Last()
				require.Equal(t, byte('7'), key)
				require.True(t, ended)
				if loss == 0 && clock < 48000 { // more segments than are remembered
					require.EqualValues(t, 20*clock, ticks)
				}
			})
		}
	}
}

// Every key is told once and in order, whatever is lost, repeated and late, as
// long as one packet of it comes.
func TestKeysOverNetworks(t *testing.T) {
	const typed = "0123456789*#ABCD11223344550000*#"
	for seed := range uint64(40) {
		net := netem.Config{Seed: seed, Loss: 0.4, Duplicate: 0.3, Jitter: 60 * 1e6}
		t.Run(net.String(), func(t *testing.T) {
			o := keypad(t, 8000)
			for _, k := range typed {
				require.NoError(t, o.Press(byte(k), 80*ms))
			}
			l := netem.New(net)
			came := map[uint32]bool{}
			for i, b := range dial(t, o, 32*9) {
				l.Send(int64(i)*frameNanos, b)
			}
			var tones Tones
			var got []byte
			for {
				b, _, ok := l.Receive(1 << 62)
				if !ok {
					break
				}
				var p Packet
				require.NoError(t, p.Parse(b))
				if p.PayloadType != 101 {
					continue
				}
				came[p.Timestamp] = true
				if k, ok := tones.Take(&p); ok {
					got = append(got, k)
				}
			}
			require.Equal(t, len(came), len(got))
			if len(came) == len(typed) {
				require.Equal(t, typed, string(got))
			}
			s := tones.Stats()
			require.EqualValues(t, len(got), s.Presses)
		})
	}
}

func TestTonesBadInput(t *testing.T) {
	var tones Tones
	for _, b := range [][]byte{nil, {1}, {1, 2, 3}, {16, 0, 0, 1}, {255, 0x80, 0, 1}} {
		_, ok := tones.Take(&Packet{Payload: b})
		require.False(t, ok)
	}
	require.Equal(t, TonesStats{Malformed: 3, Unknown: 2}, tones.Stats())
	_, _, ended := tones.Last()
	require.False(t, ended)
}

func TestPressRefusals(t *testing.T) {
	o := keypad(t, 8000)
	require.ErrorContains(t, o.Press('x', 100*ms), `'x' is no key`)
	require.ErrorContains(t, o.Press('1', 3601*1000*ms), "at most an hour")
	for range 32 {
		require.NoError(t, o.Press('1', 100*ms))
	}
	require.ErrorContains(t, o.Press('1', 100*ms), "32 are waiting")
	o.cfg.EventType = 0
	require.ErrorContains(t, o.Press('1', 100*ms), "no telephone events")
}

// No packets make it panic, or tell more presses than there were timestamps.
func FuzzTones(f *testing.F) {
	o := keypad(f, 8000)
	require.NoError(f, o.Press('5', 100*ms))
	var seed []byte
	for _, b := range dial(f, o, 10) {
		var p Packet
		require.NoError(f, p.Parse(b))
		if p.PayloadType == 101 {
			seed = append(seed, byte(p.Timestamp>>24), byte(p.Timestamp>>16), byte(p.Timestamp>>8), byte(p.Timestamp))
			seed = append(seed, p.Payload...)
		}
	}
	f.Add(seed)
	f.Add([]byte{0, 0, 0, 0, 1, 0, 255, 255, 0, 0, 255, 255, 1, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var tones Tones
		at := map[string]bool{}
		pressed := 0
		for ; len(b) >= 8; b = b[8:] {
			p := Packet{Timestamp: uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), Payload: b[4:8], Marker: b[5]&1 != 0}
			at[string(b[:4])] = true
			if _, ok := tones.Take(&p); ok {
				pressed++
			}
			tones.Last()
		}
		if len(at) <= recalled {
			require.LessOrEqual(t, pressed, len(at))
		}
	})
}

var _ codec.Decoder = quickCodec{}
