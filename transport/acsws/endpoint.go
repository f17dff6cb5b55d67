package acsws

import (
	"bufio"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
)

// endpoint is one minted address and the connections that came to it, one
// after the other.
type endpoint struct {
	// Static after construction.
	server *Server
	leg    *engine.Leg
	stream transport.Stream
	token  string

	// Atomic.
	connections, refused, in, out atomic.Int64
	bad                           [NumReasons + numConnReasons]atomic.Int64
	rate                          atomic.Int64 // of the last metadata, Hz; 0 before

	// Guarded by mu.
	mu       sync.Mutex
	callID   string
	conn     *conn
	draining bool
	turns    int64
}

// URL returns the address.
func (e *endpoint) URL() string { return e.server.cfg.BaseURL + "/" + e.token }

// Bind names the call that the address belongs to.
func (e *endpoint) Bind(callID string) {
	e.mu.Lock()
	e.callID = callID
	c := e.conn
	e.mu.Unlock()
	if c != nil && !belongs(c.callID, callID) {
		c.close(errOtherCall)
	}
}

// belongs reports whether an upgrade that names the call got may carry want.
func belongs(got, want string) bool {
	return want == "" || got == "" || subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// Drain accepts no further connection and returns when the standing one has
// ended, after 500 ms by force. It waits for the app's handlers to return, so
// it must not be called from one; after 5 s it waits no more.
func (e *endpoint) Drain() {
	e.server.forget(e)
	defer e.server.totals.End(e)
	e.mu.Lock()
	e.draining = true
	c := e.conn
	e.mu.Unlock()
	if c == nil {
		return
	}
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
		c.close(nil)
	}
	t.Reset(takeoverTime)
	select {
	case <-c.done:
	case <-t.C: // a handler does not return; its connection is closed
	}
}

// Stats returns the counters.
func (e *endpoint) Stats() transport.Stats {
	e.mu.Lock()
	connected := e.conn != nil
	e.mu.Unlock()
	s := transport.Stats{
		Connections: e.connections.Load(), Refused: e.refused.Load(),
		MessagesIn: e.in.Load(), MessagesOut: e.out.Load(), Connected: connected,
	}
	for i := range e.bad {
		if n := e.bad[i].Load(); n > 0 {
			if s.BadMessages == nil {
				s.BadMessages = make(map[string]int64)
			}
			s.BadMessages[reasonName(i)] = n
		}
	}
	return s
}

// refuse counts and answers an upgrade that is not served.
func (e *endpoint) refuse(w http.ResponseWriter, status int, text string) {
	e.refused.Add(1)
	http.Error(w, text, status)
}

// serve checks an upgrade, takes the leg over from an older connection, and has
// the new one carried. It calls over when that has ended, or is not to be.
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request, over func()) {
	done := over
	defer func() {
		if done != nil {
			done()
		}
	}()
	if status, text := e.server.check(w, r); status != 0 {
		e.refuse(w, status, text)
		return
	}
	if text := foreign(r.Header, e.stream.Contexts); text != "" {
		e.refuse(w, http.StatusForbidden, text)
		return
	}
	c := newConn(e)
	c.callID = r.Header.Get("x-ms-call-connection-id")
	if id := e.stream.Contexts.CallID; id != "" && strings.EqualFold(c.callID, id) {
		c.callID = "" // the blob's name of the call is as good as none
	}
	if status, text := e.takeOver(c); status != 0 {
		e.refuse(w, status, text)
		return
	}
	// It keeps the http server's buffers of 4 KiB. The origin was checked.
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	h := &hijacker{ResponseWriter: w}
	ws, err := up.Upgrade(h, r, http.Header{channelsHeader: {e.leg.Channels().String()}})
	if err != nil {
		e.refused.Add(1)
		e.release(c)
		return
	}
	done = nil
	c.carry(ws, h.conn, func() {
		e.release(c)
		over()
	})
}

// channelsHeader of the response tells a peer which of both it is to send that
// was not told by its cloud: a media session configuration has no room for it.
const channelsHeader = "X-Mixminus-Channels"

// check looks at all that can be wrong with an upgrade by itself, before it
// may cost a connection that stands its place. 0 is fine.
func (s *Server) check(w http.ResponseWriter, r *http.Request) (status int, text string) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		return http.StatusUpgradeRequired, "this address speaks WebSocket only"
	}
	// RFC 6455 section 4.2.1.
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "an upgrade is a GET"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return http.StatusUpgradeRequired, "Sec-WebSocket-Version is not 13"
	case err != nil || len(key) != 16:
		return http.StatusBadRequest, "Sec-WebSocket-Key is not 16 bytes in base64"
	}
	if origin := r.Header.Get("Origin"); origin != "" && !s.cfg.Insecure {
		return http.StatusForbidden, "web pages may not dial this address"
	}
	if err := s.verify(r); err != nil {
		s.log.Warn("media upgrade refused", "err", err)
		return http.StatusUnauthorized, "bearer token not accepted"
	}
	return 0, ""
}

// verify checks the token of an upgrade; it fails closed.
func (s *Server) verify(r *http.Request) error {
	switch {
	case s.cfg.Insecure:
		return nil
	case s.cfg.Verify == nil:
		return errNoVerify
	}
	return s.cfg.Verify(r)
}

// foreign tells which context of a media session configuration a connection
// names that was not issued, "" if none.
func foreign(h http.Header, issued transport.Contexts) string {
	for _, c := range []struct{ header, id string }{
		{"x-mixminus-render", issued.Render}, {"x-mixminus-source", issued.Source},
	} {
		if named := h.Get(c.header); named != "" && (c.id == "" || !strings.EqualFold(named, c.id)) {
			return c.header + " names a context that was not issued"
		}
	}
	return ""
}

// takeOver makes c the endpoint's connection. A newer connection wins: the
// older one is closed, and its reading goroutine has ended before the newer
// may produce.
func (e *endpoint) takeOver(c *conn) (status int, text string) {
	deadline := time.NewTimer(takeoverTime)
	defer deadline.Stop()
	for {
		e.mu.Lock()
		old := e.conn
		if c.turn == 0 {
			e.turns++
			c.turn = e.turns
		}
		switch {
		case !belongs(c.callID, e.callID):
			e.mu.Unlock()
			return http.StatusForbidden, "x-ms-call-connection-id names another call"
		case old != nil && old.turn > c.turn:
			e.mu.Unlock()
			return http.StatusConflict, "a newer connection took over"
		case e.draining:
			e.mu.Unlock()
			return http.StatusUnauthorized, "the call has ended"
		case old == nil:
			if !e.server.enter(c) {
				e.mu.Unlock()
				return http.StatusServiceUnavailable, "shutting down"
			}
			e.conn = c
			e.mu.Unlock()
			return 0, ""
		}
		e.mu.Unlock()
		old.close(errSuperseded)
		select {
		case <-old.done:
		case <-deadline.C:
			return http.StatusConflict, "the older connection's handler does not return"
		}
	}
}

// release ends c's time.
func (e *endpoint) release(c *conn) {
	e.mu.Lock()
	e.conn = nil
	e.mu.Unlock()
	close(c.done)
	e.server.leave(c)
}

// hijacker puts a netConn between the http server's connection and gorilla.
type hijacker struct {
	http.ResponseWriter
	conn *netConn
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = newNetConn(c)
	if brw.Reader.Buffered() == 0 { // else gorilla refuses: the peer spoke before its turn
		brw.Reader.Reset(h.conn)
	}
	return h.conn, brw, nil
}

// Reasons of the connection, beside those of the wire.
const (
	connNotText = iota
	connNoMetadata
	connBadFormat
	connTooManySpeakers
	connBadTone
	connBadTranscript
	numConnReasons
)

var connReasons = [numConnReasons]string{
	"not_text", "audio_before_metadata", "unsupported_format", "too_many_speakers", "bad_tone", "bad_transcript",
}

func reasonName(i int) string {
	if i < int(NumReasons) {
		return Reason(i).String()
	}
	return connReasons[i-int(NumReasons)]
}
