package acsws

import (
	"io"
	"time"

	"github.com/gorilla/websocket"
)

// link is a WebSocket connection after its handshake. But for text its methods
// may be called from any goroutine; none blocks.
type link interface {
	// text sends a message, which begins at b[maxHeader]: the bytes before
	// are for the header of its frame. One goroutine at a time calls it.
	text(b []byte) error
	// control sends a control frame, if that is possible now.
	control(op byte, payload []byte)
	// busy says that another audio message should not be sent now.
	busy() bool
	// lastRead is engine.Now when something was read last.
	lastRead() int64
	// close ends the connection; its reader learns of it.
	close()
}

// gorillaLink is the link that a goroutine of its own reads, by gorilla: where
// sockets cannot be polled, and over TLS.
type gorillaLink struct {
	ws *websocket.Conn
	nc *netConn
}

func (l *gorillaLink) text(b []byte) error {
	return l.ws.WriteMessage(websocket.TextMessage, b[maxHeader:])
}

func (l *gorillaLink) control(op byte, payload []byte) {
	_ = l.ws.WriteControl(int(op), payload, time.Now().Add(time.Second))
}

func (l *gorillaLink) busy() bool      { return l.nc.busy() }
func (l *gorillaLink) lastRead() int64 { return l.nc.arrival.Load() }
func (l *gorillaLink) close()          { l.nc.Close() }

// runGorilla carries the leg until the connection ends, on the http server's
// goroutine.
func (c *conn) runGorilla(ws *websocket.Conn, nc *netConn) {
	defer nc.wait()
	defer nc.Close()
	ws.SetReadLimit(c.ep.server.cfg.MaxMessage)
	l := &gorillaLink{ws, nc}
	if c.begin(l) != nil {
		return
	}
	c.countControls(l)
	c.finish(c.guarded(func() error {
		_ = c.told()
		return c.readLoop(l)
	}))
}

// readLoop takes message after message off the socket.
func (c *conn) readLoop(l *gorillaLink) error {
	buf := make([]byte, firstBuffer)
	for {
		kind, r, err := l.ws.NextReader()
		if err != nil {
			return err
		}
		n := 0
		if buf, n, err = fill(buf, r); err != nil {
			return err
		}
		if err := c.message(byte(kind), buf[:n], l.nc.arrival.Load()); err != nil {
			return err
		}
	}
}

// fill reads a whole message into buf, which grows up to the read limit.
func fill(buf []byte, r io.Reader) ([]byte, int, error) {
	n := 0
	for {
		if n == len(buf) {
			buf = append(buf, make([]byte, len(buf))...)
		}
		k, err := r.Read(buf[n:])
		n += k
		if err == io.EOF {
			return buf, n, nil
		}
		if err != nil {
			return buf, n, err
		}
	}
}

// countControls puts pings and pongs under the rate limit too.
func (c *conn) countControls(l *gorillaLink) {
	ping, pong := l.ws.PingHandler(), l.ws.PongHandler()
	limited := func(next func(string) error) func(string) error {
		return func(data string) error {
			if !c.withinRate(l.nc.arrival.Load()) {
				c.close(errRate)
				return errRate
			}
			return next(data)
		}
	}
	l.ws.SetPingHandler(limited(ping))
	l.ws.SetPongHandler(limited(pong))
}

// carry runs a connection whose handshake is done, and calls over when it has
// ended: polled where that is possible, else before it returns.
func (c *conn) carry(ws *websocket.Conn, nc *netConn, over func()) {
	if c.ep.server.cfg.Portable || !c.poll(nc.Conn, over) {
		c.runGorilla(ws, nc)
		over()
	}
}
