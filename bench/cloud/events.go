package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	eventPrefix = "Microsoft.Communication."
	// maxEvents bounds the events of a call that wait for delivery; more are
	// dropped, and say so in the call's log.
	maxEvents = 256
	// eventAttempts and eventBackoff: how often a callback is posted, and the
	// pause after the first time, which doubles. The service's own policy is
	// not documented.
	eventAttempts = 4
	eventBackoff  = 100 * time.Millisecond
	postTimeout   = 10 * time.Second
)

// posting is an event on its way.
type posting struct {
	log    EventLog // its beginning
	uri    string
	header http.Header // besides Content-Type and Authorization
	body   []byte
	// bearer makes the Authorization of one attempt.
	bearer func(now time.Time, life time.Duration, flawed bool, flaw TokenFlaw) string
	// answered, if not nil, gets the response that accepted it, or the last
	// one that did not.
	answered func(status int, body []byte)

	token *Fault        // what is wrong with its token
	late  time.Duration // by which it is delivered later
}

// eventQueue delivers a call's events, one after the other.
type eventQueue struct {
	mu      sync.Mutex
	waiting []posting
	held    []posting // delayed: until the next event
	closed  bool
	dropped int
	sent    []EventLog

	bell chan struct{} // holds one token when there is news
}

func newEventQueue() *eventQueue { return &eventQueue{bell: make(chan struct{}, 1)} }

func (q *eventQueue) add(p posting, faults []Fault) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting)+len(q.held) >= maxEvents {
		q.dropped++
		return
	}
	copies, hold := 1, false
	for _, f := range faults {
		switch f.Kind {
		case DropEvent:
			q.dropped++
			return
		case DuplicateEvent:
			copies++
		case DelayEvent:
			hold = true
		case LateEvent:
			p.late += time.Duration(f.Slots) * pcm.FrameDuration
		case BadEventToken:
			p.token = &f
		}
	}
	var out []posting
	for range copies {
		out = append(out, p)
	}
	if hold && len(q.held) == 0 {
		q.held = out
		return
	}
	q.waiting = append(append(q.waiting, out...), q.held...)
	q.held = nil
	q.ring()
}

// close lets the queue end once it is empty.
func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting, q.held, q.closed = append(q.waiting, q.held...), nil, true
	q.ring()
}

func (q *eventQueue) ring() {
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

// next waits for an event; ok is false once the queue is closed and empty, or
// ctx is done.
func (q *eventQueue) next(ctx context.Context) (p posting, ok bool) {
	for {
		q.mu.Lock()
		if len(q.waiting) > 0 {
			p, q.waiting = q.waiting[0], q.waiting[1:]
			q.mu.Unlock()
			return p, true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return p, false
		}
		select {
		case <-q.bell:
		case <-ctx.Done():
			return p, false
		}
	}
}

func (q *eventQueue) delivered(e EventLog) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent = append(q.sent, e)
}

// eventLoop delivers the events of c in order, each until it is accepted or
// has been tried often enough.
func (c *Call) eventLoop() {
	if !c.hasFault(EventsFirst) {
		select {
		case <-c.responded:
		case <-c.server.ctx.Done():
			return
		}
	}
	for {
		p, ok := c.events.next(c.server.ctx)
		if !ok {
			return
		}
		c.events.delivered(c.server.deliver(c.server.ctx, p))
	}
}

// deliver posts an event, with a token of its own for each attempt.
func (s *Server) deliver(ctx context.Context, p posting) EventLog {
	entry := p.log
	if p.late > 0 {
		sleep(ctx, p.late)
	}
	pause := s.scaled(eventBackoff)
	for {
		entry.Attempts++
		status, answer, err := s.post(ctx, p.uri, p.headerNow(), p.body)
		entry.Status, entry.Error = status, ""
		if err == nil && status/100 == 2 {
			p.tell(status, answer)
			return entry
		}
		entry.Error = fmt.Sprintf("HTTP %d", status)
		if err != nil {
			entry.Error = err.Error()
		}
		s.log.Warn("cloud: callback refused", "event", p.log.Type, "attempt", entry.Attempts, "error", entry.Error)
		if entry.Attempts == eventAttempts || !sleep(ctx, pause) {
			p.tell(status, answer)
			return entry
		}
		pause *= 2
	}
}

func (p *posting) headerNow() http.Header {
	header := p.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	var flaw TokenFlaw
	if p.token != nil {
		flaw = p.token.Token
	}
	if token := p.bearer(time.Now(), eventTokenLife, p.token != nil, flaw); token != "" {
		header.Set("Authorization", token)
	}
	return header
}

func (p *posting) tell(status int, answer []byte) {
	if p.answered != nil {
		p.answered(status, answer)
	}
}

func marshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null") // not for our own shapes
	}
	return b
}

// posted is the response to a POST.
type posted struct {
	status   int
	location string
	body     []byte // its beginning
}

// post returns the status, and the beginning of the response's body.
func (s *Server) post(ctx context.Context, uri string, header http.Header, body []byte) (int, []byte, error) {
	resp, err := s.send(ctx, uri, header, body)
	return resp.status, resp.body, err
}

// send posts body. Redirections are not followed.
func (s *Server) send(ctx context.Context, uri string, header http.Header, body []byte) (posted, error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(body))
	if err != nil {
		return posted{}, err
	}
	req.Header = header
	resp, err := s.client.Do(req)
	if err != nil {
		return posted{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return posted{resp.StatusCode, resp.Header.Get("Location"), answer}, err
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
