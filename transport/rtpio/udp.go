package rtpio

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
)

// maxArrivalAge bounds how long before it was read a datagram can have come. The
// kernel stamps with the wall clock: when that is stepped, no arrival may land
// minutes away.
const maxArrivalAge = 1e9

// socket is a UDP socket that is polled. Nobody blocks in a read: whoever
// paces the media looks at its turn what has come. The kernel's buffer is the
// queue, and the kernel's timestamps tell when each datagram came, so that a
// late read costs no precision. There is no reader goroutine, hence no wake-up
// per datagram, no hand-over and no lock.
//
// Linux reads and writes in batches. Elsewhere, and where batches are refused,
// a goroutine reads into a bounded queue (udpQueue); all of the rest is alike.
//
// recv, flush and send are for one goroutine at a time; wait, close and stats
// may be called beside them. IPv6 zones are ignored: addresses of senders have
// none, and link-local addresses cannot be sent to.
type socket struct {
	// Static after construction.
	addr   netip.AddrPort
	packet packetIO
	counts *socketCounts
}

// packetIO is a socket's way to the kernel.
type packetIO interface {
	recv(b *inBatch, now, unix int64) int
	flush(o *outBatch)
	send(b []byte, to netip.AddrPort) bool
	wait() error
	close() error
}

// listenUDP binds addr; [::] takes IPv4 too. recvBuffer and sendBuffer are the
// kernel's, in bytes; 0 leaves its default, and what it grants may be less.
func listenUDP(addr netip.AddrPort, recvBuffer, sendBuffer int) (*socket, error) {
	s, err := listenBatched(addr, recvBuffer, sendBuffer)
	if errors.Is(err, errors.ErrUnsupported) {
		return listenQueued(addr, recvBuffer, sendBuffer)
	}
	return s, err
}

// plainAddr returns addr as sockets are told apart by it: IPv4 as such, and no
// zone.
func plainAddr(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
}

func checkListenAddr(addr netip.AddrPort) error {
	if !addr.IsValid() {
		return errors.New("rtpio: no address to listen on")
	}
	if addr.Addr().Zone() != "" {
		return fmt.Errorf("rtpio: listen on %v: zones are not supported", addr)
	}
	return nil
}

// local is the address that the socket is bound to.
func (s *socket) local() netip.AddrPort { return s.addr }

// recv fills b with what is waiting and returns how many datagrams that are;
// it never blocks. now and unix are engine.Now and the wall clock in
// nanoseconds since 1970, read together by the caller once per turn. The
// datagrams are b's until the next recv.
func (s *socket) recv(b *inBatch, now, unix int64) int { return s.packet.recv(b, now, unix) }

// flush sends and empties o. It never blocks: what the kernel does not take is
// dropped and counted. A datagram that fails takes no other with it.
func (s *socket) flush(o *outBatch) { s.packet.flush(o) }

// send sends one datagram by the rules of flush and reports whether the kernel
// took it.
func (s *socket) send(b []byte, to netip.AddrPort) bool { return s.packet.send(b, to) }

// wait returns when something may be readable; its error means that the socket
// is closed. It is for idle sockets, called by one goroutine of its own.
func (s *socket) wait() error { return s.packet.wait() }

// close closes the socket and wakes wait. Closing again does nothing.
func (s *socket) close() error { return s.packet.close() }

// inBatch is room for datagrams that recv reads at once.
type inBatch struct {
	// packets are those of the last recv.
	packets []datagram

	size    int
	buf     []byte // one after another, size bytes each
	filled  bool
	headers inHeaders
}

// datagram is one that was received.
type datagram struct {
	data    []byte
	from    netip.AddrPort // never an IPv4-mapped address
	arrival int64          // on engine.Now's clock
}

// unix is when d came on the wall clock, which shows unix at now: the round
// trip is reckoned from when a report came, and not from when it was read.
func (d *datagram) unix(now, unix int64) int64 { return unix - (now - d.arrival) }

// newInBatch makes room for n datagrams of at most size bytes. Longer ones are
// dropped and counted: half a packet is none.
func newInBatch(n, size int) *inBatch {
	b := &inBatch{packets: make([]datagram, 0, n), size: size, buf: make([]byte, n*size)}
	b.headers.init(n, size, b.buf)
	return b
}

// more reports whether the last recv took as many as b has room for, so that
// others may be waiting. recv may have returned fewer, even 0, for some were
// too long.
func (b *inBatch) more() bool { return b.filled }

// room is where datagram i is read to.
func (b *inBatch) room(i int) []byte { return b.buf[i*b.size : (i+1)*b.size : (i+1)*b.size] }

// arrivalOf is when a datagram came that was so old at now.
func arrivalOf(now, age int64) int64 { return now - min(max(age, 0), maxArrivalAge) }

// outBatch collects datagrams that flush sends at once.
type outBatch struct {
	data [][]byte
	to   []netip.AddrPort

	size    int
	buf     []byte
	headers outHeaders
}

// newOutBatch makes room for n datagrams of size bytes.
func newOutBatch(n, size int) *outBatch {
	o := &outBatch{
		data: make([][]byte, 0, n),
		to:   make([]netip.AddrPort, 0, n),
		size: size,
		buf:  make([]byte, n*size),
	}
	o.headers.init(n)
	return o
}

// buffer returns an empty slice, with room for size bytes, to append the next
// datagram to. There is none when o is full.
func (o *outBatch) buffer() []byte {
	i := len(o.data) * o.size
	return o.buf[i : i : i+o.size]
}

// add puts b on the list, which must not be full. b is what was appended to
// buffer; should it have grown out of it, it must stay as it is until flush.
func (o *outBatch) add(b []byte, to netip.AddrPort) {
	n := len(o.data)
	o.data, o.to = o.data[:n+1], o.to[:n+1]
	o.data[n], o.to[n] = b, to
}

// full reports that o must be flushed before the next add.
func (o *outBatch) full() bool { return len(o.data) == cap(o.data) }

func (o *outBatch) reset() {
	o.data, o.to = o.data[:0], o.to[:0]
}

// socketStats counts datagrams, and the bytes in them.
type socketStats struct {
	Received, ReceivedBytes int64
	Sent, SentBytes         int64
	// KernelDropped: the receive buffer was full. The kernel tells with the
	// next datagram that it keeps; the portable path counts its own queue.
	KernelDropped int64
	// Truncated: longer than the batch has room for.
	Truncated int64
	// SendBlocked: the send buffer was full.
	SendBlocked int64
	// SendFailed: refused for their address or length, or by a firewall.
	SendFailed int64
}

// stats may be called from any goroutine. The counts move once per batch.
func (s *socket) stats() socketStats { return s.counts.load() }

// socketCounts are socketStats, atomic.
type socketCounts struct {
	received, receivedBytes atomic.Int64
	sent, sentBytes         atomic.Int64
	kernelDropped           atomic.Int64
	truncated               atomic.Int64
	sendBlocked, sendFailed atomic.Int64
}

func (c *socketCounts) load() socketStats {
	return socketStats{
		Received: c.received.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(),
		KernelDropped: c.kernelDropped.Load(), Truncated: c.truncated.Load(),
		SendBlocked: c.sendBlocked.Load(), SendFailed: c.sendFailed.Load(),
	}
}

// count adds a batch. Most of its counts are 0, and an atomic add is not free.
func (c *socketCounts) count(s *socketStats) {
	addCount(&c.received, s.Received)
	addCount(&c.receivedBytes, s.ReceivedBytes)
	addCount(&c.sent, s.Sent)
	addCount(&c.sentBytes, s.SentBytes)
	addCount(&c.kernelDropped, s.KernelDropped)
	addCount(&c.truncated, s.Truncated)
	addCount(&c.sendBlocked, s.SendBlocked)
	addCount(&c.sendFailed, s.SendFailed)
}

func addCount(c *atomic.Int64, n int64) {
	if n != 0 {
		c.Add(n)
	}
}
