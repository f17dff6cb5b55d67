package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 5 * time.Second
	// closeTimeout is how long a socket is read on after we closed it.
	closeTimeout = 500 * time.Millisecond
	// maxFromBot bounds a message of the bot, in bytes: two minutes of audio.
	maxFromBot = 6 << 20
	// channelsHeader of the upgrade's response says "mixed" or "unmixed",
	// where the bot did not say so before: a media session configuration has
	// no room for it.
	channelsHeader = "x-mixminus-channels"
)

// mediaState is the part of a call that its log tells of the media. It is
// guarded by Call.mu.
type mediaState struct {
	epoch       time.Time // when the call's clock started; with monotonic part
	start       time.Time // the same as written in timestamps: UTC, ms
	stopped     time.Time // when the media ended
	slots       int
	wanted      bool // by the bot
	up          bool
	streams     []StreamLog
	muted       map[int][]Span // speakers who are not in the mix
	connections []ConnectionLog
	keys        []Key
	// inward brings the bot's audio to 16 kHz; nil if it comes so.
	inward    *resample.Resampler
	wireDelay int
	// Of WebRTC: the codec, empty for WebSockets; that unmixed was asked for;
	// what came; and the keys that the bot pressed.
	codec        string
	unmixedAsked bool
	rtp          RTPLog
	pressed      []string
}

// position returns where the call's clock stands, in samples.
func (m *mediaState) position(now time.Time) int64 {
	if m.epoch.IsZero() {
		return 0
	}
	if !m.stopped.IsZero() && now.After(m.stopped) {
		now = m.stopped
	}
	return max(0, int64(now.Sub(m.epoch))*pcm.SampleRate/int64(time.Second))
}

// mediaConn is one media socket, dialled out to the bot.
type mediaConn struct {
	ws   *websocket.Conn
	left chan struct{} // closed when we give the socket up
	gone chan struct{} // closed by read when nothing more can be read
	err  error         // why; set before gone is closed
	// mix: the peer did not ask for one stream per speaker.
	mix bool
	buf []byte // owned by the call's goroutine

	pause
}

var _ link = (*mediaConn)(nil)

// dialWebSocket opens the media's socket.
func (c *Call) dialWebSocket(ctx context.Context) (link, error) {
	conn, resp, err := c.dialSocket(ctx, c.asked.url)
	if err != nil {
		return nil, err
	}
	conn.mix = !strings.EqualFold(resp.Header.Get(channelsHeader), "unmixed")
	return conn, nil
}

func (m *mediaConn) mixed() bool { return m.mix }

func (m *mediaConn) begin(c *Call) error {
	return m.write(c.ctx, appendMetadata(nil, c.subscriptionID, c.asked.rate))
}

func (m *mediaConn) audio(c *Call, f frame) error {
	m.buf = appendAudio(m.buf[:0], f.at, f.id, f.samples, f.silent)
	return m.write(c.ctx, m.buf)
}

func (m *mediaConn) key(c *Call, tone string) error {
	return m.write(c.ctx, appendTone(m.buf[:0], tone))
}

func (m *mediaConn) mark(c *Call, id string, cancelled bool) error {
	return m.write(c.ctx, appendMark(m.buf[:0], id, cancelled))
}

func (m *mediaConn) ended() <-chan struct{} { return m.gone }

func (m *mediaConn) failure() error { return m.err }

func (m *mediaConn) abandon() { _ = m.ws.Close() }

// dialSocket opens a socket to the bot.
func (c *Call) dialSocket(ctx context.Context, url string) (*mediaConn, *http.Response, error) {
	longest := maxID // of who may join later
	c.mu.Lock()
	for i := range c.stage.actors {
		longest = max(longest, len(c.side.streamID(i)))
	}
	c.mu.Unlock()
	d := websocket.Dialer{
		HandshakeTimeout: dialTimeout,
		TLSClientConfig:  c.server.TLS,
		// A message that does not fit here would go out in fragments.
		WriteBufferSize: 2*maxMessage + 6*longest,
	}
	ws, resp, err := d.DialContext(ctx, url, c.side.upgrade())
	if err != nil {
		e := &dialError{err: err}
		if resp != nil {
			e.status = resp.StatusCode
		}
		return nil, nil, e
	}
	ws.SetReadLimit(maxFromBot)
	return &mediaConn{ws: ws, left: make(chan struct{}), gone: make(chan struct{})}, resp, nil
}

// dialledSocket is the outcome of dialSocket.
type dialledSocket struct {
	conn *mediaConn
	err  error
}

type dialError struct {
	status int // 0: no response
	err    error
}

func (e *dialError) Error() string {
	if e.status == 0 {
		return e.err.Error()
	}
	return fmt.Sprintf("HTTP %d: %v", e.status, e.err)
}

func (e *dialError) Unwrap() error { return e.err }

func (c *Call) tokenFlaw(kind FaultKind) (TokenFlaw, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.faults {
		if f.Kind == kind {
			return f.Token, true
		}
	}
	return "", false
}

// write sends a text message in one frame. It must only be called from the
// call's goroutine.
func (m *mediaConn) write(ctx context.Context, text []byte) error {
	timeout := writeTimeout
	if ctx.Err() != nil {
		timeout = closeTimeout
	}
	// The error of setting a deadline is that of the write.
	_ = m.ws.SetWriteDeadline(time.Now().Add(timeout))
	stop := context.AfterFunc(ctx, func() {
		// The call has ended: a bot that does not read must not keep it.
		_ = m.ws.NetConn().SetWriteDeadline(time.Now().Add(closeTimeout))
	})
	defer stop()
	return m.ws.WriteMessage(websocket.TextMessage, text)
}

// read takes what the bot says until the socket ends.
func (m *mediaConn) read(c *Call) {
	defer close(m.gone)
	for {
		m.wait(c.ctx, m.left)
		kind, text, err := m.ws.ReadMessage()
		if err != nil {
			m.err = err
			return
		}
		c.receive(kind, text, time.Now())
	}
}

// receive takes one message of the bot.
func (c *Call) receive(kind int, text []byte, now time.Time) {
	msg, err := fromBot{}, error(nil)
	if kind == websocket.TextMessage {
		msg, err = parseFromBot(text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.media.position(now)
	switch {
	case kind != websocket.TextMessage:
		c.bad[badBinary]++
	case err != nil:
		c.bad[reason(err)]++
	default:
		c.obey(msg, at)
	}
}

// obey does what a message of the bot wants. Called with Call.mu held.
func (c *Call) obey(msg fromBot, at int64) {
	switch {
	case !c.asked.bidirectional:
		c.bad[badOneWay]++
	case c.deaf || c.held:
		c.bad[badMuted]++
	case msg.stop:
		c.playout.flush(at)
		c.cancelMarks(at)
		if c.media.inward != nil {
			c.media.inward.Reset()
		}
	default:
		if r := c.media.inward; r != nil {
			out := make([]int16, r.Size(len(msg.samples)))
			msg.samples = out[:r.Process(out, msg.samples)]
		}
		c.playout.write(at, msg.samples)
		if msg.mark != "" {
			c.setMark(msg.mark, at)
		}
	}
}

// breakOff ends the socket without a close frame. Everything written before
// still arrives: only our half is closed at first, for closing the whole with
// unread data in it would make the kernel throw away what is under way.
func (m *mediaConn) breakOff() {
	close(m.left)
	half, ok := m.ws.NetConn().(interface{ CloseWrite() error })
	if tlsConn, isTLS := m.ws.NetConn().(interface{ NetConn() net.Conn }); isTLS {
		half, ok = tlsConn.NetConn().(interface{ CloseWrite() error })
	}
	if ok && half.CloseWrite() == nil {
		m.drain()
	}
	_ = m.ws.Close()
	<-m.gone
}

// hangUp ends the socket in good order.
func (m *mediaConn) hangUp() {
	close(m.left)
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	err := m.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(closeTimeout))
	if err == nil || errors.Is(err, websocket.ErrCloseSent) {
		m.drain()
	}
	_ = m.ws.Close()
	<-m.gone
}

// drain lets read go on until the peer has closed too.
func (m *mediaConn) drain() {
	t := time.NewTimer(closeTimeout)
	defer t.Stop()
	select {
	case <-m.gone:
	case <-t.C:
	}
}
