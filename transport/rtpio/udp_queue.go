package rtpio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine"
)

const (
	udpQueueLimit = 256
	// udpQueueSize is the longest datagram that a queue takes, well above what
	// an Ethernet carries.
	udpQueueSize = 2048
	// sendPatience is half of the longest that a flush blocks on a full send
	// buffer. A deadline that has passed would forbid even the try.
	sendPatience = time.Millisecond
)

// udpQueue is the portable packetIO: a goroutine reads, and polling takes what it
// has read. Arrivals are those of its reads. What the kernel drops is not
// known, nor is there a write that cannot block: sendPatience bounds it.
type udpQueue struct {
	// Static after construction.
	conn   *net.UDPConn
	counts *socketCounts
	ready  chan struct{} // of capacity 1: something may be queued
	done   chan struct{} // closed when the reader has ended

	closing sync.Once

	// Guarded by mu.
	mu     sync.Mutex
	queued [udpQueueLimit]queuedDatagram // a ring
	first  int
	n      int
	spare  [][]byte
}

type queuedDatagram struct {
	data    []byte // of a buffer of udpQueueSize+1
	from    netip.AddrPort
	arrival int64
}

// listenQueued is listenUDP by a udpQueue.
func listenQueued(addr netip.AddrPort, recvBuffer, sendBuffer int) (*socket, error) {
	if err := checkListenAddr(addr); err != nil {
		return nil, err
	}
	addr = plainAddr(addr)
	network := "udp6"
	switch {
	case addr.Addr().Is4():
		network = "udp4"
	case addr.Addr().IsUnspecified():
		network = "udp" // both
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("rtpio: %w", err)
	}
	if recvBuffer > 0 {
		_ = conn.SetReadBuffer(recvBuffer) // the default does, less well
	}
	if sendBuffer > 0 {
		_ = conn.SetWriteBuffer(sendBuffer)
	}
	q := &udpQueue{
		conn:   conn,
		counts: &socketCounts{},
		ready:  make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
	go q.readLoop()
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return &socket{addr: plainAddr(local), packet: q, counts: q.counts}, nil
}

func (q *udpQueue) readLoop() {
	defer close(q.done)
	var buf []byte
	for {
		if buf == nil {
			// One more than fits tells that a datagram was longer.
			buf = make([]byte, udpQueueSize+1)
		}
		n, from, err := q.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil && n > 0: // Windows says so itself
			q.counts.truncated.Add(1)
		case err != nil:
			time.Sleep(time.Millisecond) // an error that stays must not spin
		case n > udpQueueSize:
			q.counts.truncated.Add(1)
		default:
			buf = q.push(queuedDatagram{buf[:n], plainAddr(from), engine.Now()})
		}
	}
}

// push queues d, or drops it, and returns a buffer for the next, or nil when
// one is to be made.
func (q *udpQueue) push(d queuedDatagram) []byte {
	q.mu.Lock()
	if q.n == udpQueueLimit {
		q.mu.Unlock()
		q.counts.kernelDropped.Add(1)
		return d.data[:cap(d.data)]
	}
	q.queued[(q.first+q.n)%udpQueueLimit] = d
	q.n++
	var next []byte
	if last := len(q.spare) - 1; last >= 0 {
		next, q.spare = q.spare[last], q.spare[:last]
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return next
}

func (q *udpQueue) recv(b *inBatch, now, _ int64) int {
	var c socketStats
	b.packets = b.packets[:0]
	taken := 0
	q.mu.Lock()
	for ; q.n > 0 && taken < cap(b.packets); taken++ {
		d := &q.queued[q.first]
		if len(d.data) > b.size {
			c.Truncated++
		} else {
			data := b.room(taken)
			data = data[:copy(data, d.data)]
			b.packets = append(b.packets, datagram{data, d.from, arrivalOf(now, now-d.arrival)})
			c.ReceivedBytes += int64(len(data))
		}
		q.spare = append(q.spare, d.data[:cap(d.data)])
		*d = queuedDatagram{}
		q.first = (q.first + 1) % udpQueueLimit
		q.n--
	}
	q.mu.Unlock()
	b.filled = taken == cap(b.packets)
	c.Received = int64(len(b.packets))
	q.counts.count(&c)
	return len(b.packets)
}

func (q *udpQueue) flush(o *outBatch) {
	if len(o.data) == 0 {
		return
	}
	var c socketStats
	q.patience()
	for i, b := range o.data {
		if q.write(b, o.to[i], &c); c.SendBlocked > 0 {
			c.SendBlocked = int64(len(o.data) - i)
			break
		}
	}
	q.counts.count(&c)
	o.reset()
}

func (q *udpQueue) send(b []byte, to netip.AddrPort) bool {
	var c socketStats
	q.patience()
	q.write(b, to, &c)
	q.counts.count(&c)
	return c.Sent > 0
}

func (q *udpQueue) patience() { _ = q.conn.SetWriteDeadline(time.Now().Add(sendPatience)) }

func (q *udpQueue) write(b []byte, to netip.AddrPort, c *socketStats) {
	_, err := q.conn.WriteToUDPAddrPort(b, to)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// It may have passed while we were not running, before the try.
		q.patience()
		_, err = q.conn.WriteToUDPAddrPort(b, to)
	}
	switch {
	case err == nil:
		c.Sent++
		c.SentBytes += int64(len(b))
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.SendBlocked++
	default:
		c.SendFailed++
	}
}

func (q *udpQueue) wait() error {
	for {
		q.mu.Lock()
		n := q.n
		q.mu.Unlock()
		if n > 0 {
			return nil
		}
		select {
		case <-q.ready: // perhaps for one that was taken since
		case <-q.done:
			return net.ErrClosed
		}
	}
}

func (q *udpQueue) close() error {
	var err error
	q.closing.Do(func() { err = q.conn.Close() })
	<-q.done
	return err
}
