package cloud

import (
	"errors"
	"net/http"
	"sync"
)

// How a lost socket is dialled again. The service does so, as its status
// details prove, but by which rules is not documented.
const (
	maxRedials  = 6
	redialAfter = 5 // slots, doubled each time
)

// drop gives the socket up; it is closed beside, by how.
func (s *stream) drop(slot, again int, cause Cause, how func(link)) {
	conn := s.conn
	s.conn, s.again, s.tries, s.cause, s.lost = nil, again, 0, cause, true
	text := ""
	select {
	case <-conn.ended():
		text = conn.failure().Error()
	default:
	}
	s.c.mu.Lock()
	s.c.media.up = false
	last := &s.c.media.connections[len(s.c.media.connections)-1]
	last.To, last.Error = slot, text
	s.c.mu.Unlock()
	s.leave.Go(func() { how(conn) })
}

// reconnect looks after a dial under way, or starts the next.
func (s *stream) reconnect(slot int) {
	if s.dial == nil {
		if s.on && slot >= s.again {
			s.redial()
		}
		return
	}
	select {
	case d := <-s.dial:
		s.dial = nil
		if s.on {
			s.settle(slot, d)
		} else if d.conn != nil { // stopped while it was dialled
			d.conn.abandon()
		}
	default:
	}
}

// redial dials beside, once the socket before is closed.
func (s *stream) redial() {
	s.dial = make(chan dialled, 1)
	before, out := s.leave, s.dial
	s.leave = &sync.WaitGroup{}
	s.leave.Go(before.Wait)
	c := s.c
	c.server.wg.Go(func() {
		before.Wait()
		conn, err := c.dialMedia(c.ctx)
		out <- dialled{conn, err}
	})
}

// settle takes the outcome of a dial.
func (s *stream) settle(slot int, d dialled) {
	if d.err != nil {
		s.failed(slot, d.err)
		return
	}
	if err := d.conn.begin(s.c); err != nil {
		d.conn.abandon()
		s.failed(slot, err)
		return
	}
	s.conn = d.conn
	s.c.mu.Lock()
	s.c.media.up = true
	s.c.media.connections = append(s.c.media.connections, ConnectionLog{From: slot, To: -1})
	s.c.mu.Unlock()
	s.c.server.wg.Go(func() { d.conn.read(s.c) })
	if s.lost {
		s.report(streamBack, 0)
	} else {
		s.report(streamStarted, 0)
	}
}

// failed dials again if a socket stood before, and otherwise gives up, as the
// service does.
func (s *stream) failed(slot int, err error) {
	if s.c.ctx.Err() != nil {
		return // the call ended while it was dialled
	}
	var refused *dialError
	status := 0
	if errors.As(err, &refused) {
		status = refused.status
	}
	s.c.server.log.Warn("cloud: media not connected", "call", s.c.id, "error", err)
	s.tries++
	final := status == http.StatusUnauthorized || status == http.StatusForbidden
	if s.lost && !final && s.tries < maxRedials {
		s.again = slot + redialAfter<<s.tries
		return
	}
	s.want(false)
	if !s.lost {
		s.cause = ByNoMedia
		s.report(streamNever, status)
		return
	}
	s.report(streamLost, status)
}

func (s *stream) report(change streamChange, status int) {
	s.c.side.streaming(streamReport{change: change, status: status, wish: s.wish})
	s.wish = nil
}
