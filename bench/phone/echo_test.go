package phone

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const echoSSRC = 0xec40ec40

// echo sends every packet of RTP back under its own SSRC, answers each sender
// report with a receiver report, and a goodbye with one.
type echo struct {
	media, control *net.UDPConn
	// change, if not nil, may change a packet that is sent back, or drop it.
	change func(i int, p *rtp.Packet) bool
	// reporting, if not nil, may change the report about the phone.
	reporting func(r *rtcp.ReceptionReport)
	loops     sync.WaitGroup

	mu       sync.Mutex
	packets  int
	highest  uint32
	compound [][]rtcp.Packet
}

func startEcho(t *testing.T, e *echo) *echo {
	t.Helper()
	var err error
	for range pairs { // some even port whose neighbour is free
		e.media, e.control, err = listen(Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
		if err == nil {
			break
		}
	}
	require.NoError(t, err)
	e.loops.Add(2)
	go e.loop(e.media)
	go e.loop(e.control)
	t.Cleanup(func() {
		e.media.Close()
		e.control.Close()
		e.loops.Wait()
	})
	return e
}

func (e *echo) addr() netip.AddrPort { return local(e.media) }

func (e *echo) loop(c *net.UDPConn) {
	defer e.loops.Done()
	buf := make([]byte, 2000)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		var answer []byte
		if isControl(buf[:n]) {
			answer = e.control1(buf[:n])
		} else {
			answer = e.media1(buf[:n])
		}
		if answer != nil {
			_, _ = c.WriteToUDPAddrPort(answer, from)
		}
	}
}

func (e *echo) media1(b []byte) []byte {
	var p rtp.Packet
	if p.Unmarshal(b) != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i := e.packets
	e.packets++
	e.highest = max(e.highest, uint32(p.SequenceNumber))
	p.SSRC = echoSSRC
	if e.change != nil && !e.change(i, &p) {
		return nil
	}
	raw, err := p.Marshal()
	if err != nil {
		return nil
	}
	return raw
}

func (e *echo) control1(b []byte) []byte {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.compound = append(e.compound, packets)
	rr := &rtcp.ReceiverReport{SSRC: echoSSRC}
	out := []rtcp.Packet{rr, rtcp.NewCNAMESourceDescription(echoSSRC, "echo")}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			r := rtcp.ReceptionReport{
				SSRC: p.SSRC, FractionLost: 64, TotalLost: 0xfffffe, LastSequenceNumber: e.highest, Jitter: 80,
				LastSenderReport: uint32(p.NTPTime >> 16),
			}
			if e.reporting != nil {
				e.reporting(&r)
			}
			rr.Reports = append(rr.Reports, r)
		case *rtcp.Goodbye:
			out = append(out, &rtcp.Goodbye{Sources: []uint32{echoSSRC}, Reason: "you too"})
		}
	}
	raw, err := rtcp.Marshal(out)
	if err != nil {
		return nil
	}
	return raw
}

// play makes a call that must end in good order.
func play(t *testing.T, cfg Config) *Log {
	t.Helper()
	l, err := Call(deadline(t), cfg)
	require.NoError(t, err)
	require.Zero(t, l.SendErrors)
	require.Zero(t, l.Omitted)
	require.Equal(t, Slots(cfg.Duration), l.Slots)
	t.Logf("late by %v at most", l.Late.Round(time.Microsecond))
	return l
}
