package load

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"

	"github.com/pion/ice/v4"
)

// arrivals is how many packets back a port remembers when they came.
const arrivals = 256

// A port is the socket of one peer, as ICE uses it. It notes when each packet
// of media came, which is in clear: Pion hands it through three goroutines
// before it is decrypted, and what that takes is not the server's doing.
//
// Peers cannot share one: a server has one port for all of them too, and
// without STUN a packet belongs to whom its two addresses say.
type port struct {
	*net.UDPConn
	clock *clock
	ctrl  []byte // owned by the reader, of what the kernel tells beside a packet

	came [arrivals]struct{ seq, at atomic.Int64 } // reader to whom decrypts
}

var (
	_ ice.UDPMux               = (*port)(nil)
	_ ice.AddrPortReaderWriter = (*port)(nil)
)

// openPort opens that of call n, on the address by which the server at to is
// reached.
func openPort(to string, n int, c *clock) (*port, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	server := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))
	local := &net.UDPAddr{}
	if ip := clientAddr(server, n); ip != nil && canSpread {
		local.IP = ip.IP
	} else {
		route, err := net.Dial("udp", server) // sends nothing
		if err != nil {
			return nil, err
		}
		addr, ok := route.LocalAddr().(*net.UDPAddr)
		_ = route.Close()
		if !ok {
			return nil, fmt.Errorf("%v is no address of UDP", route.LocalAddr())
		}
		local.IP, local.Zone = addr.IP, addr.Zone
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, err
	}
	p := &port{UDPConn: conn, clock: c, ctrl: make([]byte, ctrlBytes)}
	for i := range p.came {
		p.came[i].seq.Store(-1)
	}
	stampArrivals(conn)
	return p, nil
}

// GetConn implements ice.UDPMux.
func (p *port) GetConn(_ string, addr net.Addr) (net.PacketConn, error) {
	if addr.String() != p.LocalAddr().String() {
		return nil, fmt.Errorf("load: %v is not the address of the port", addr)
	}
	return p, nil
}

// RemoveConnByUfrag implements ice.UDPMux.
func (p *port) RemoveConnByUfrag(string) {}

// GetListenAddresses implements ice.UDPMux.
func (p *port) GetListenAddresses() []net.Addr { return []net.Addr{p.LocalAddr()} }

// ReadFromAddrPort implements ice.AddrPortReaderWriter.
func (p *port) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, size, _, from, err := p.ReadMsgUDPAddrPort(b, p.ctrl)
	if err == nil && n >= rtpHeader && b[0]>>6 == 2 && !isReport(b) {
		seq := binary.BigEndian.Uint16(b[2:])
		c := &p.came[seq%arrivals]
		c.at.Store(p.clock.now() - waited(p.ctrl[:size]))
		c.seq.Store(int64(seq))
	}
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}

// WriteToAddrPort implements ice.AddrPortReaderWriter.
func (p *port) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return p.WriteToUDPAddrPort(b, to)
}

// arrival is when the packet of that number came, now if that is not known.
func (p *port) arrival(seq uint16, now int64) int64 {
	c := &p.came[seq%arrivals]
	if at := c.at.Load(); c.seq.Load() == int64(seq) {
		return min(at, now)
	}
	return now
}
