package phone

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/signal"
)

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// To the sample where the codec is exact: what comes back is what was said, but
// for the packets that the script kept back, and it lies where it was said.
func TestEchoIsExact(t *testing.T) {
	t.Parallel()
	e := startEcho(t, &echo{})
	l := play(t, Config{
		Target: e.addr(), Codec: "L16", Seed: 1, Sequence: 65500, Timestamp: 1<<32 - 5000,
		Voice: signal.Speech(signal.Allison)[:32000], Start: 10, OmitSilence: true,
		Drop: []int{0, 20, 21, 70}, Duration: 2300 * time.Millisecond,
	})
	require.Empty(t, l.Faults())
	require.Len(t, l.Streams, 1)
	s := l.Streams[0]
	require.Equal(t, 4, l.DroppedByScript)
	require.Len(t, l.Sent, 100)
	require.Equal(t, 96, s.Packets)
	require.Equal(t, 96, s.Audio)
	require.Equal(t, 3, s.Missing, "nobody can miss the first")
	require.Zero(t, s.Duplicates)
	require.Zero(t, s.Reordered)

	want := append([]int16(nil), l.Said()...)
	for _, x := range l.Sent {
		if x.Kept != "" {
			require.Equal(t, time.Duration(-1), x.Left)
			clear(want[x.Slot*320:][:320])
		} else {
			require.Equal(t, 1, x.Copies)
			require.GreaterOrEqual(t, x.Left, time.Duration(x.Slot)*Slot)
		}
	}
	const first = 11 * 320 // slot 10 is the one that was dropped
	require.Equal(t, want[first:110*320], s.Samples())
	at, _ := signal.Align(want, l.Heard())
	require.Equal(t, int(s.position())-first, at)
}

// Every codec, with keys, through an echo.
func TestEchoOfEveryCodec(t *testing.T) {
	for name, share := range map[string]float64{"PCMU": 1, "PCMA": 1, "G722": 1, "opus": 0.6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startEcho(t, &echo{})
			l := play(t, Config{
				Target: e.addr(), Codec: name, Seed: 2, Voice: signal.Speech(signal.June)[:28800], Start: 5,
				Keys:     []Key{{Slot: 30, Tone: "7"}, {Slot: 60, Tone: "d", Duration: 200 * time.Millisecond}},
				Duration: 2 * time.Second,
			})
			require.Empty(t, l.Faults())
			s := l.Streams[0]
			require.Zero(t, s.Missing)
			require.Equal(t, len(l.Sent), s.Packets)
			require.Len(t, s.Events, 2)
			for i, tone := range []string{"7", "D"} {
				got := s.Events[i]
				require.Equal(t, tone, got.Tone)
				require.Equal(t, l.Keys[i].Duration, got.Duration)
				require.Equal(t, time.Duration(l.Keys[i].Slot)*Slot, (got.At - s.At).Round(time.Microsecond))
				require.Equal(t, Slots(got.Duration)+endCopies, got.Packets)
			}
			like := signal.Liken(l.Said(), s.Samples())
			t.Log(like)
			require.GreaterOrEqual(t, like.Share(), share)
			require.Less(t, like.At, 320)
		})
	}
}

// What the network did is what the packets that came tell.
func TestNetworkOnTheWayUp(t *testing.T) {
	t.Parallel()
	e := startEcho(t, &echo{})
	l := play(t, Config{
		Target: e.addr(), Seed: 3, Voice: signal.Speech(signal.Carlo), Duration: 4 * time.Second, Bye: true, ReportEvery: time.Second,
		Net: netem.Config{Seed: 4, Loss: 0.05, Delay: 30 * time.Millisecond, Jitter: 60 * time.Millisecond, Duplicate: 0.05},
	})
	require.Empty(t, l.Faults())
	s := l.Streams[0]
	require.Positive(t, l.DroppedByScript)
	require.Equal(t, int(l.Net.Lost), l.DroppedByScript)
	require.Equal(t, int(l.Net.Duplicated), s.Duplicates)
	require.Positive(t, s.Reordered)
	require.Equal(t, 200-l.DroppedByScript, s.Audio)
	seen := 0 // of the lost ones, those between others
	first, last := 0, len(l.Sent)-1
	for ; l.Sent[first].Kept != ""; first++ {
	}
	for ; l.Sent[last].Kept != ""; last-- {
	}
	for _, x := range l.Sent[first:last] {
		if x.Kept == ByNet {
			seen++
		}
	}
	require.Equal(t, seen, s.Missing)
	require.Greater(t, s.Pacing.Behind.Max, 40.0)
	require.Greater(t, s.Pacing.JitterMS, 5.0)
	at, ok := l.Bye()
	require.True(t, ok)
	require.Greater(t, at, 4*time.Second)
	for _, r := range l.Reports {
		if r.About != nil {
			require.True(t, r.About.Measured)
			require.GreaterOrEqual(t, r.About.RoundTrip, 30*time.Millisecond, "reports are as late as packets")
		}
	}
}

func TestReports(t *testing.T) {
	for name, mux := range map[string]bool{"ports of their own": false, "muxed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			e := startEcho(t, &echo{change: func(i int, _ *rtp.Packet) bool { return i%10 != 9 }, reporting: func(r *rtcp.ReceptionReport) {
				if n++; n == 2 {
					r.LastSenderReport++
				}
			}})
			l := play(t, Config{Target: e.addr(), Mux: mux, Duration: time.Second, ReportEvery: 200 * time.Millisecond, Bye: true})
			require.Equal(t, 5, l.ReportsSent) // at 200, 400, 600, 800 ms and with the goodbye
			require.Len(t, l.Reports, 6)
			require.Equal(t, "BYE", l.Reports[5].Kind)
			require.Equal(t, "you too", l.Reports[5].Reason)
			for i, r := range l.Reports[:5] {
				require.Equal(t, "RR", r.Kind)
				require.Equal(t, uint32(echoSSRC), r.SSRC)
				require.Equal(t, 0.25, r.About.FractionLost)
				require.Equal(t, -2, r.About.Lost)
				require.Equal(t, 10.0, r.About.JitterMS)
				require.Equal(t, i != 1, r.About.Measured)
				require.Equal(t, i == 1, r.About.Stranger)
				require.Less(t, r.About.RoundTrip, 10*time.Second)
			}
			require.Equal(t, []string{"1 reports answer a report that was never sent (RFC 3550, section 6.4.1)"}, l.Faults())

			e.mu.Lock()
			defer e.mu.Unlock()
			for i, packets := range e.compound {
				require.NoError(t, rtcp.CompoundPacket(packets).Validate())
				sr := packets[0].(*rtcp.SenderReport)
				require.Equal(t, l.SSRC, sr.SSRC)
				require.Equal(t, min(uint32(10*i+11), 50), sr.PacketCount)
				require.Equal(t, 160*sr.PacketCount, sr.OctetCount)
				require.Len(t, sr.Reports, 1)
				require.Equal(t, uint32(echoSSRC), sr.Reports[0].SSRC)
				require.LessOrEqual(t, sr.Reports[0].TotalLost, uint32(5))
			}
		})
	}
}

func TestHangUp(t *testing.T) {
	t.Parallel()
	e := startEcho(t, &echo{})
	p, err := Open(Config{Duration: time.Hour, Codec: "PCMA", Bye: true})
	require.NoError(t, err)
	require.Equal(t, p.Addr().Port()+1, p.AddrRTCP().Port())
	require.Zero(t, p.Addr().Port()%2)
	require.ErrorContains(t, p.Dial(netip.AddrPort{}), "phone: target: ")
	require.NoError(t, p.Dial(e.addr()))
	require.ErrorContains(t, p.Dial(e.addr()), "one call")
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.received) > 3
	}, 20*time.Second, time.Millisecond)
	p.HangUp()
	p.HangUp()
	l, err := p.Wait(deadline(t))
	require.NoError(t, err)
	require.Greater(t, l.Slots, 3)
	require.Less(t, l.Slots, 3000)
	require.Len(t, l.Said(), l.Slots*320)
	_, bye := l.Bye()
	require.True(t, bye)
	require.NoError(t, p.Close())
}

func TestBrokenOff(t *testing.T) {
	t.Parallel()
	e := startEcho(t, &echo{})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	l, err := Call(ctx, Config{Target: e.addr(), Duration: time.Hour, Bye: true, Linger: time.Hour})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotNil(t, l)
	require.Less(t, l.Slots, 3000)

	p, err := Open(Config{Duration: time.Hour})
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	require.Error(t, p.Dial(e.addr()))
	l, err = p.Wait(deadline(t))
	require.NoError(t, err)
	require.Nil(t, l, "there was no call")

	_, err = Call(deadline(t), Config{Duration: time.Second})
	require.ErrorContains(t, err, "phone: target: ")
}

func TestPortsInUse(t *testing.T) {
	t.Parallel()
	p, err := Open(Config{Duration: time.Second})
	require.NoError(t, err)
	defer p.Close()
	_, err = Open(Config{Duration: time.Second, Listen: p.Addr()})
	require.ErrorContains(t, err, "phone: listen")
	below := netip.AddrPortFrom(p.Addr().Addr(), p.Addr().Port()-1)
	_, err = Open(Config{Duration: time.Second, Listen: below})
	require.ErrorContains(t, err, "phone: ") // of the reports, or somebody has that one too
}

// What comes before the call, and what is no RTP at all, is in the log.
func TestStrangers(t *testing.T) {
	t.Parallel()
	e := startEcho(t, &echo{})
	p, err := Open(Config{Duration: 200 * time.Millisecond})
	require.NoError(t, err)
	defer p.Close()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.Addr()))
	require.NoError(t, err)
	defer c.Close()
	early := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 5, PayloadType: 13}, Payload: []byte{1}}
	raw, err := early.Marshal()
	require.NoError(t, err)
	for _, b := range [][]byte{raw, []byte("?"), {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {0x80, 200, 0, 99}} {
		_, err := c.Write(b)
		require.NoError(t, err)
	}
	bye, err := rtcp.Marshal([]rtcp.Packet{&rtcp.Goodbye{Sources: []uint32{5}}})
	require.NoError(t, err)
	_, err = c.Write(bye)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.reports) == 1
	}, 20*time.Second, time.Millisecond)
	require.NoError(t, p.Dial(e.addr()))
	l, err := p.Wait(deadline(t))
	require.NoError(t, err)
	require.Len(t, l.Streams, 2)
	require.Equal(t, 1, l.Streams[0].Foreign)
	require.Negative(t, l.Received[0].At)
	require.Equal(t, 3, l.Unreadable)
	require.Equal(t, 1, l.Incompound)
	require.Len(t, l.Faults(), 3)

	text, err := json.Marshal(l)
	require.NoError(t, err)
	var again Log
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, l.Received, again.Received)
	require.Equal(t, l.Sent, again.Sent)
	require.Equal(t, l.Local, again.Local)
}
