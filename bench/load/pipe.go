package load

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// A pipe is a socket as the threads use it.
type pipe interface {
	// write takes as much of b as it can without waiting.
	write(b []byte) (n int, err error)
	close()
}

// slowPipe is the portable one: a goroutine writes what write leaves it, and
// another reads. It serves TLS, and systems without epoll.
type slowPipe struct {
	conn net.Conn
	in   chan []byte
	done chan struct{}
	once sync.Once

	mu  sync.Mutex
	err error
}

// slowQueue is how many frames may wait for the goroutine: a second of them.
const slowQueue = 50

func newSlowPipe(conn net.Conn) *slowPipe {
	return &slowPipe{conn: conn, in: make(chan []byte, slowQueue), done: make(chan struct{})}
}

// write takes b whole or not at all.
func (p *slowPipe) write(b []byte) (int, error) {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	select {
	case p.in <- append([]byte(nil), b...):
		return len(b), nil
	default:
		return 0, nil
	}
}

func (p *slowPipe) writeLoop() {
	for {
		select {
		case b := <-p.in:
			if _, err := p.conn.Write(b); err != nil {
				p.mu.Lock()
				p.err = err
				p.mu.Unlock()
				return
			}
		case <-p.done:
			return
		}
	}
}

func (p *slowPipe) readLoop(c *call, sent []byte) {
	buf := make([]byte, 64<<10)
	for {
		n, err := copy(buf, sent), error(nil)
		if sent = nil; n == 0 {
			n, err = p.conn.Read(buf)
		}
		now := c.run.clock.now()
		c.tally.mu.Lock()
		if n > 0 {
			if bad := c.wire.heard(c, buf[:n], now); bad != nil {
				err = errors.Join(err, bad)
			}
		}
		c.tally.mu.Unlock()
		if err != nil {
			select {
			case <-p.done:
			default:
				c.fail(readError(err))
			}
			return
		}
	}
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("read: the server closed the connection")
	}
	return errors.Join(errors.New("read"), err)
}

func (p *slowPipe) close() {
	p.once.Do(func() {
		close(p.done)
		_ = p.conn.SetDeadline(time.Now())
		_ = p.conn.Close()
	})
}
