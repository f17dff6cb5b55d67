// Package proxy puts a bad network (package netem) between the UDP sockets of
// programs that do not know of it: clients send to the proxy, it sends to the
// target what the network lets through, and the answers back.
package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
)

// Config says what stands between whom.
type Config struct {
	// Listen is where clients send to; "" means a free port of 127.0.0.1.
	Listen string
	// Target is where their packets go.
	Target string
	// Up is the network on the way to the target, Down that on the way back.
	Up, Down netem.Config
}

const (
	maxPacket = 65535
	// under way in one direction, at most; more are dropped and counted.
	maxPending = 10000
)

// Proxy forwards the packets of one client, the last that was heard from.
type Proxy struct {
	// Static after construction.
	front, back *net.UDPConn // the clients' side, and the target's
	target      netip.AddrPort
	began       time.Time
	up, down    *direction
	done        sync.WaitGroup
}

// direction is one way through the proxy: a reader puts packets on the link, a
// writer takes them off when their time has come.
type direction struct {
	proxy    *Proxy
	from, to *net.UDPConn
	woken    chan struct{} // holds one: the link's next arrival may be earlier
	stop     chan struct{}

	// Guarded by mu.
	mu       sync.Mutex
	link     *netem.Link
	peer     netip.AddrPort // where to
	overflow int64
}

// Start opens the sockets and forwards until Close.
func Start(cfg Config) (*Proxy, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	listen, err := net.ResolveUDPAddr("udp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("proxy: address to listen on: %w", err)
	}
	target, err := net.ResolveUDPAddr("udp", cfg.Target)
	if err != nil {
		return nil, fmt.Errorf("proxy: target: %w", err)
	}
	front, err := net.ListenUDP("udp", listen)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	back, err := net.ListenUDP("udp", &net.UDPAddr{IP: listen.IP})
	if err != nil {
		front.Close()
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{front: front, back: back, target: target.AddrPort(), began: time.Now()}
	p.up = p.direction(front, back, cfg.Up, p.target)
	p.down = p.direction(back, front, cfg.Down, netip.AddrPort{})
	for _, d := range []*direction{p.up, p.down} {
		p.done.Add(2)
		go d.readLoop()
		go d.writeLoop()
	}
	return p, nil
}

func (p *Proxy) direction(from, to *net.UDPConn, cfg netem.Config, peer netip.AddrPort) *direction {
	return &direction{
		proxy: p, from: from, to: to, link: netem.New(cfg), peer: peer,
		woken: make(chan struct{}, 1), stop: make(chan struct{}),
	}
}

// Addr is where clients send to.
func (p *Proxy) Addr() netip.AddrPort { return p.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// Stats returns what the network did either way, and how many packets were
// dropped because too many were under way.
func (p *Proxy) Stats() (up, down netem.Stats, overflow int64) {
	up, n := p.up.stats()
	down, m := p.down.stats()
	return up, down, n + m
}

// Close ends the forwarding; what is under way is lost. It waits until
// nothing runs any more.
func (p *Proxy) Close() error {
	close(p.up.stop)
	close(p.down.stop)
	err := p.front.Close()
	if e := p.back.Close(); err == nil {
		err = e
	}
	p.done.Wait()
	return err
}

func (p *Proxy) now() int64 { return int64(time.Since(p.began)) }

func (d *direction) stats() (netem.Stats, int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.link.Stats(), d.overflow
}

func (d *direction) readLoop() {
	defer d.proxy.done.Done()
	buf := make([]byte, maxPacket)
	for {
		n, source, err := d.from.ReadFromUDPAddrPort(buf)
		if err != nil {
			select {
			case <-d.stop:
				return
			default:
				continue // an ICMP answer to what was sent
			}
		}
		p := d.proxy
		if d == p.up {
			p.down.answer(source)
		} else if source.Port() != p.target.Port() || source.Addr().Unmap() != p.target.Addr().Unmap() {
			continue
		}
		d.mu.Lock()
		if d.link.Pending() < maxPending {
			d.link.Send(p.now(), buf[:n])
		} else {
			d.overflow++
		}
		d.mu.Unlock()
		select {
		case d.woken <- struct{}{}:
		default:
		}
	}
}

// answer makes the client the one that answers go to.
func (d *direction) answer(client netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peer = client
}

func (d *direction) writeLoop() {
	defer d.proxy.done.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	buf := make([]byte, 0, maxPacket)
	for {
		packet, peer, wait := d.next(buf)
		if packet != nil {
			if peer.IsValid() {
				_, _ = d.to.WriteToUDPAddrPort(packet, peer) // a refused packet is a lost one
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-d.stop:
			return
		case <-d.woken:
		case <-timer.C:
		}
	}
}

// next returns a copy of a packet that has arrived, or how long to wait.
func (d *direction) next(buf []byte) (packet []byte, peer netip.AddrPort, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.proxy.now()
	if b, _, ok := d.link.Receive(now); ok {
		return append(buf[:0], b...), d.peer, 0
	}
	if at, ok := d.link.Next(); ok {
		return nil, d.peer, time.Duration(at - now)
	}
	return nil, d.peer, time.Hour
}
