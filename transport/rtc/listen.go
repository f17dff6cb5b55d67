package rtc

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// listen opens the ports.
func (s *Server) listen() error {
	conn, err := net.ListenUDP("udp"+family(s.cfg.UDP), net.UDPAddrFromAddrPort(s.cfg.UDP))
	if err != nil {
		return fmt.Errorf("rtc: Config.UDP = %v: %w", s.cfg.UDP, err)
	}
	_ = conn.SetReadBuffer(socketBuffer) // as much as the kernel grants
	_ = conn.SetWriteBuffer(socketBuffer)
	s.udpAddr = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.udp = webrtc.NewICEUDPMux(silence{}, conn)
	if !s.cfg.TCP.IsValid() {
		return nil
	}
	l, err := net.ListenTCP("tcp"+family(s.cfg.TCP), net.TCPAddrFromAddrPort(s.cfg.TCP))
	if err != nil {
		return errors.Join(fmt.Errorf("rtc: Config.TCP = %v: %w", s.cfg.TCP, err), s.udp.Close())
	}
	// With a write buffer a peer that does not read loses its own packets, and
	// holds nobody up.
	s.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: &listener{Listener: l, most: int64(s.cfg.MaxPeers + s.cfg.MaxPending), closed: make(chan struct{})},
		Logger:   silence{}, ReadBufferSize: 8, WriteBufferSize: 64 << 10,
		FirstStunBindTimeout: connectsFor, AliveDurationForConnFromStun: connectsFor,
	})
	return nil
}

// family of addresses that are listened on: [::] is both.
func family(a netip.AddrPort) string {
	if a.Addr().Is4() {
		return "4"
	}
	return ""
}

// listener bounds the connections of ICE-TCP, which cost a file each before they
// have said who they are, and outlives errors: Pion gives up at the first, one
// for too many open files among them.
type listener struct {
	net.Listener
	most   int64
	open   atomic.Int64
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	const pause = 50 * time.Millisecond
	for {
		c, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			select {
			case <-l.closed:
			case <-time.After(pause):
			}
		case l.open.Add(1) > l.most:
			l.open.Add(-1)
			_ = c.Close()
		default:
			return &counted{Conn: c, open: &l.open}, nil
		}
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
