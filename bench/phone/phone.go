package phone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtp"

	"github.com/mixminus/mixminus/bench/netem"
)

// Phone is a phone in one call: opened, dialed, hung up.
type Phone struct {
	// Static after construction.
	cfg       Config
	clockRate int
	rtp, rtcp *net.UDPConn // the same one with Mux
	began     time.Time
	drop      map[int]bool
	hung      chan struct{} // closed: no more packets
	quit      chan struct{} // closed: nothing more at all
	done      chan struct{} // closed: the log is written
	hangOnce  sync.Once
	quitOnce  sync.Once
	readers   sync.WaitGroup

	// Written by Dial, before talkLoop runs.
	target, targetRTCP netip.AddrPort
	zero               int64 // of slot 0, in ns since began

	// Owned by talkLoop.
	speaker        *speaker
	media, control *netem.Link
	slots          int // that have passed
	sent           []Sent
	octets         uint32
	late           int64
	lateSlots      int
	sendErrors     int
	reportsSent    int

	// Written by talkLoop, before done is closed.
	log *Log
	err error

	// Guarded by mu.
	mu         sync.Mutex
	dialed     bool
	received   []arrival
	bytes      int
	receptions map[uint32]*reception
	reports    []Report
	asked      []uint32 // the sender reports that were sent last, by their middle 32 bits
	n          counters
}

// counters of what is not in the log otherwise.
type counters struct{ omitted, unreadable, incompound int }

// arrival is a packet that came, at a time in ns since began.
type arrival struct {
	at      int64
	from    netip.AddrPort
	header  rtp.Header
	payload []byte
}

const (
	maxPacket = 65535
	// maxBytes of payloads are kept.
	maxBytes = 256 << 20
	// maxFaults is how many errors a socket may bring before it is given up:
	// on some systems there is one for each packet that nobody takes.
	maxFaults = 100000
	// pairs is how many even ports are tried for a free one above.
	pairs = 100
)

// Call plays a whole call. If ctx ends before, it returns what has been
// written down until then, besides the error.
func Call(ctx context.Context, cfg Config) (*Log, error) {
	p, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.Dial(cfg.Target); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p.Wait(ctx)
}

// Open takes the ports and listens: what comes from now on is in the log.
// Nothing is sent before Dial. The phone must be closed, or waited for.
func Open(cfg Config) (*Phone, error) {
	cfg, row, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	s, err := newSpeaker(cfg, row)
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	p := &Phone{
		cfg: cfg, clockRate: row.ClockRate, speaker: s, drop: map[int]bool{},
		hung: make(chan struct{}), quit: make(chan struct{}), done: make(chan struct{}),
		media: netem.New(cfg.Net), receptions: map[uint32]*reception{}, began: time.Now(),
		// Reports are as late as packets are, but not lost: what a lost goodbye
		// does is another test.
		control: netem.New(netem.Config{Seed: cfg.Net.Seed, Delay: cfg.Net.Delay, Jitter: cfg.Net.Jitter, Shape: cfg.Net.Shape, InOrder: true}),
	}
	for _, i := range cfg.Drop {
		p.drop[i] = true
	}
	if p.rtp, p.rtcp, err = listen(cfg); err != nil {
		return nil, err
	}
	sockets := []*net.UDPConn{p.rtp}
	if p.rtcp != p.rtp {
		sockets = append(sockets, p.rtcp)
	}
	for _, c := range sockets {
		_ = c.SetReadBuffer(1 << 20) // as much as the system gives
		p.readers.Add(1)
		go p.readLoop(c)
	}
	return p, nil
}

// listen opens the sockets for RTP and, one port above, for RTCP.
func listen(cfg Config) (media, control *net.UDPConn, err error) {
	for range pairs {
		media, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(cfg.Listen))
		if err != nil {
			return nil, nil, fmt.Errorf("phone: %w", err)
		}
		if cfg.Mux {
			return media, media, nil
		}
		at := local(media)
		if cfg.Listen.Port() != 0 || at.Port()%2 == 0 {
			above := netip.AddrPortFrom(at.Addr(), at.Port()+1)
			if control, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(above)); err == nil {
				return media, control, nil
			}
			err = fmt.Errorf("phone: port of the reports: %w", err)
		}
		media.Close()
		if cfg.Listen.Port() != 0 {
			break
		}
	}
	if err == nil {
		err = fmt.Errorf("phone: no two ports in a row are free")
	}
	return nil, nil, err
}

func local(c *net.UDPConn) netip.AddrPort { return unmap(c.LocalAddr().(*net.UDPAddr).AddrPort()) }

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Addr is where the phone takes RTP, and sends from.
func (p *Phone) Addr() netip.AddrPort { return local(p.rtp) }

// AddrRTCP is where the phone takes reports, and sends them from.
func (p *Phone) AddrRTCP() netip.AddrPort { return local(p.rtcp) }

// Dial begins the call: slot 0 is now. The reports go to Config.TargetRTCP, or
// to the port above the target's.
func (p *Phone) Dial(target netip.AddrPort) error {
	if !target.IsValid() || target.Port() == 0 {
		return fmt.Errorf("phone: target: %v: want an address and a port", target)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dialed {
		return errors.New("phone: a phone is for one call")
	}
	p.dialed = true
	p.target, p.targetRTCP = target, p.cfg.TargetRTCP
	if !p.targetRTCP.IsValid() {
		p.targetRTCP = target
		if !p.cfg.Mux {
			p.targetRTCP = netip.AddrPortFrom(target.Addr(), target.Port()+1)
		}
	}
	p.zero = p.now()
	go p.talkLoop()
	return nil
}

// HangUp ends the call before its Duration is over: no more packets, but what
// is under way, the goodbye, and the time to linger.
func (p *Phone) HangUp() { p.hangOnce.Do(func() { close(p.hung) }) }

// Wait returns the log when the call has ended. If ctx ends before, so does the
// call, at once.
func (p *Phone) Wait(ctx context.Context) (*Log, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.Close()
		return p.log, fmt.Errorf("phone: call broken off: %w", context.Cause(ctx))
	}
	return p.log, p.err
}

// Close breaks the call off, if there is one, and waits until nothing runs any
// more. It may be called more than once, and need not be after Wait.
func (p *Phone) Close() error {
	p.quitOnce.Do(func() { close(p.quit) })
	p.mu.Lock()
	dialed := p.dialed
	p.dialed = true
	p.mu.Unlock()
	if !dialed {
		p.shut()
		close(p.done)
	}
	<-p.done
	return nil
}

// shut closes the sockets and waits for their readers.
func (p *Phone) shut() {
	p.rtp.Close()
	if p.rtcp != p.rtp {
		p.rtcp.Close()
	}
	p.readers.Wait()
}

// now is in ns since the phone was opened.
func (p *Phone) now() int64 { return int64(time.Since(p.began)) }

func (p *Phone) readLoop(c *net.UDPConn) {
	defer p.readers.Done()
	buf := make([]byte, maxPacket)
	for faults := 0; faults < maxFaults; {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		now := p.now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			faults++ // an ICMP answer to what was sent
		case isControl(buf[:n]):
			p.takeControl(now, buf[:n])
		default:
			p.takeMedia(now, unmap(from), buf[:n])
		}
	}
}

// takeMedia writes down a packet of RTP.
func (p *Phone) takeMedia(now int64, from netip.AddrPort, b []byte) {
	var packet rtp.Packet
	err := packet.Unmarshal(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || packet.Version != 2 {
		p.n.unreadable++
		return
	}
	if len(p.received) >= maxReceived || p.bytes+len(packet.Payload) > maxBytes {
		p.n.omitted++
		return
	}
	p.bytes += len(packet.Payload)
	p.received = append(p.received, arrival{at: now, from: from, header: packet.Header.Clone(), payload: slices.Clone(packet.Payload)})
	r := p.receptions[packet.SSRC]
	if r == nil {
		if len(p.receptions) >= maxStreams {
			return
		}
		r = &reception{}
		p.receptions[packet.SSRC] = r
	}
	r.count(packet.SequenceNumber)
	if packet.PayloadType == p.cfg.PayloadType {
		r.time(now, packet.Timestamp, p.clockRate)
	}
}
