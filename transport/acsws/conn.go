package acsws

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Why a connection was closed by us.
var (
	errServerClosed = errors.New("acsws: server closed")
	errSuperseded   = errors.New("acsws: a newer connection took over")
	errIdle         = errors.New("acsws: nothing read for three ping intervals")
	errLegClosed    = errors.New("acsws: leg closed")
	errOtherCall    = errors.New("acsws: x-ms-call-connection-id names another call")
	errRate         = errors.New("acsws: too many messages per second")
	errNoVerify     = errors.New("acsws: no way to verify tokens is configured")
)

// firstBuffer takes a message of 20 ms, read or written; longer ones make it
// grow.
const firstBuffer = 2 << 10

// conn is one connection, from the cloud's upgrade to its end. Whoever reads its
// link is its reading goroutine.
type conn struct {
	// Static after construction.
	ep     *endpoint
	done   chan struct{} // closed when the reading goroutine has ended
	callID string
	turn   int64 // guarded by ep.mu

	// Static once it is up.
	link link

	// Owned by the reading goroutine.
	port   *engine.Port
	msg    Message
	chunk  []int16 // audio that cannot be decoded in place
	second int64   // of the rate limit
	count  int
	in24   map[*engine.Render]*downsampler
	locale string // of the transcription, as last told

	// Owned by the holder of the source's pump.
	wbuf  []byte
	out24 *resample.Resampler
	pcm24 [480]int16

	// Guarded by mu.
	mu     sync.Mutex
	closed bool
	cause  error

	up atomic.Bool // link is set
}

func newConn(e *endpoint) *conn { return &conn{ep: e, done: make(chan struct{})} }

// close ends the connection for a reason of ours; nil is good order. From any
// goroutine; it does not wait.
func (c *conn) close(cause error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.cause = true, cause
	c.mu.Unlock()
	if c.up.Load() {
		c.shut()
	}
}

// shut says good-bye if the socket takes it, and closes.
func (c *conn) shut() {
	code, text := websocket.CloseNormalClosure, ""
	c.mu.Lock()
	switch c.cause {
	case errRate:
		code, text = websocket.ClosePolicyViolation, "too many messages"
	case errServerClosed:
		code = websocket.CloseGoingAway
	}
	c.mu.Unlock()
	c.link.control(opClose, websocket.FormatCloseMessage(code, text))
	c.link.close()
}

// begin gives the leg to the connection, which l carries from now on. An error
// is why it cannot, and l was closed.
func (c *conn) begin(l link) error {
	c.link = l
	c.up.Store(true)
	c.mu.Lock()
	closed, cause := c.closed, c.cause
	c.mu.Unlock()
	if closed { // while the handshake was under way
		c.shut()
		return cause
	}
	var out engine.Outlet
	if c.ep.stream.Bidirectional {
		out = c
	}
	port, err := c.ep.leg.Attach(out)
	if err != nil {
		c.close(err)
		return err
	}
	c.port = port
	c.ep.connections.Add(1)
	return nil
}

// finish gives the leg back and tells the app why: err is what ended the
// reading.
func (c *conn) finish(err error) {
	if e := c.guarded(func() error { c.port.Detach(engine.Now()); return nil }); e != nil { // a handler hears the last frames
		err = e
	}
	if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
		err = nil
	}
	c.mu.Lock()
	if c.closed && !errors.Is(err, engine.ErrPanic) {
		err = c.cause
	}
	c.closed = true
	c.mu.Unlock()
	if fn := c.ep.stream.OnDown; fn != nil {
		fn(err)
	}
}

// guarded calls fn, which runs the app's handlers: one that panics ends its own
// leg.
func (c *conn) guarded(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", engine.ErrPanic, v)
			c.ep.server.log.Error("handler panicked", "leg", c.ep.leg.ID(), "panic", v, "stack", string(debug.Stack()))
			c.ep.leg.Fail(err)
		}
	}()
	return fn()
}

// told calls OnUp.
func (c *conn) told() error {
	if fn := c.ep.stream.OnUp; fn != nil {
		fn()
	}
	return nil
}

// message takes a message that came at arrival. An error ends the connection.
func (c *conn) message(op byte, b []byte, arrival int64) error {
	if !c.withinRate(arrival) {
		c.close(errRate)
		return errRate
	}
	select {
	case <-c.ep.leg.Done():
		c.close(errLegClosed)
		return errLegClosed
	default:
	}
	c.ep.in.Add(1)
	if op != opText {
		c.bad(int(NumReasons) + connNotText)
		return nil
	}
	if err := Parse(b, &c.msg); err != nil {
		c.bad(int(ReasonOf(err)))
		return nil
	}
	c.take(arrival)
	return nil
}

// withinRate counts messages per second of arrival.
func (c *conn) withinRate(arrival int64) bool {
	if s := arrival / int64(time.Second); s != c.second {
		c.second, c.count = s, 0
	}
	c.count++
	return c.count <= c.ep.server.cfg.MaxRate
}

func (c *conn) bad(reason int) { c.ep.bad[reason].Add(1) }

// take acts on a message.
func (c *conn) take(arrival int64) {
	switch c.msg.Kind {
	case KindAudioData:
		c.takeAudio(arrival)
	case KindAudioMetadata:
		c.takeMetadata()
	case KindDTMF:
		tone, ok := ToneByte(c.msg.Tone)
		if !ok {
			c.bad(int(NumReasons) + connBadTone)
			return
		}
		c.port.DTMF(tone, string(c.msg.Speaker))
	case KindTranscriptionMetadata:
		c.locale = parseLocale(c.msg.Raw)
	case KindTranscription:
		c.takeTranscript()
	}
}

// takeMetadata notes the format of what follows; one that we cannot take
// stops the audio until another comes.
func (c *conn) takeMetadata() {
	m := &c.msg.Metadata
	ok := (m.SampleRate == 16000 || m.SampleRate == 24000) && m.Channels == 1 && strings.EqualFold(m.Encoding, "PCM")
	if !ok {
		c.bad(int(NumReasons) + connBadFormat)
		if c.ep.rate.Swap(-1) >= 0 { // once, not per message
			c.ep.server.log.Warn("media format not supported", "leg", c.ep.leg.ID(),
				"encoding", shorten([]byte(m.Encoding)), "sampleRate", m.SampleRate, "channels", m.Channels)
		}
		return
	}
	c.ep.rate.Store(int64(m.SampleRate))
}

// takeAudio brings the audio to the leg: in place where it is one frame, else
// by way of chunk.
func (c *conn) takeAudio(arrival int64) {
	m := &c.msg
	rate := c.ep.rate.Load()
	if rate <= 0 {
		if rate == 0 {
			c.bad(int(NumReasons) + connNoMetadata)
		} else {
			c.bad(int(NumReasons) + connBadFormat)
		}
		return
	}
	speaker := m.Speaker
	if c.ep.leg.Channels() == engine.Mixed {
		speaker = nil
	}
	at := engine.Chunk{Timestamp: m.Timestamp, HasTimestamp: m.HasTimestamp, Arrival: arrival, Silent: m.Silent}
	r := c.port.Lookup(speaker)
	if r != nil && rate == pcm.SampleRate && len(m.Data) == frameBase64 && c.inPlace(r, at) {
		return
	}
	if most := len(m.Data) / 4 * 3 / 2; most > len(c.chunk) { // bounded by MaxMessage
		c.chunk = make([]int16, max(most, 2*pcm.FrameSamples))
	}
	n, err := DecodePCM(c.chunk, m.Data)
	if err != nil {
		c.bad(int(ReasonOf(err)))
		return
	}
	// Only audio that could be decoded announces a speaker.
	if r == nil {
		if r, err = c.port.Render(speaker, arrival); err != nil {
			c.bad(int(NumReasons) + connTooManySpeakers)
			return
		}
	}
	if rate == pcm.SampleRate {
		r.Append(c.chunk[:n], at)
		return
	}
	c.resampler(r).append(c.chunk[:n], at)
}

// frameBase64 is the length of a frame's audio on the wire.
var frameBase64 = base64.StdEncoding.EncodedLen(pcm.FrameBytes)

// inPlace decodes the message straight into the leg's ring; false if it is
// not exactly one frame, or cannot be one now.
func (c *conn) inPlace(r *engine.Render, at engine.Chunk) bool {
	f := r.Slot()
	if f == nil {
		return false
	}
	if n, err := DecodePCM(f.Samples[:], c.msg.Data); err != nil || n != pcm.FrameSamples {
		return false
	}
	r.Commit(at)
	return true
}

// SendFrame sends 20 ms of audio (engine.Outlet).
func (c *conn) SendFrame(samples *[pcm.FrameSamples]int16) bool {
	if c.link.busy() {
		return false
	}
	out := samples[:]
	if c.ep.stream.SampleRate == 24000 {
		if c.out24 == nil {
			c.out24, _ = resample.New(16000, 24000) // these rates are known
		}
		out = c.pcm24[:c.out24.Process(c.pcm24[:], out)]
	}
	c.wbuf = AppendAudio(c.message0(), out)
	return c.send()
}

// SendFlush tells the cloud to drop what it has not played (engine.Outlet).
func (c *conn) SendFlush() bool {
	if c.link.busy() {
		return false // asked again within 20 ms; flushes until then are one
	}
	if c.out24 != nil {
		c.out24.Reset() // its history is flushed too
	}
	c.wbuf = AppendStopAudio(c.message0())
	return c.send()
}

// message0 is the empty message, behind the room for its frame's header.
func (c *conn) message0() []byte {
	if c.wbuf == nil {
		c.wbuf = make([]byte, maxHeader, firstBuffer)
	}
	return c.wbuf[:maxHeader]
}

func (c *conn) send() bool {
	c.ep.out.Add(1) // before the peer can have it
	if err := c.link.text(c.wbuf); err != nil {
		c.ep.out.Add(-1)
		c.link.close() // it cannot speak any more: the cloud is to dial again
		return false
	}
	return true
}

// keepAlive pings, and closes a connection that read nothing since oldest.
func (c *conn) keepAlive(oldest int64) {
	if !c.up.Load() {
		return
	}
	select {
	case <-c.ep.leg.Done():
		c.close(errLegClosed)
		return
	default:
	}
	if c.link.lastRead() < oldest {
		c.close(errIdle)
		return
	}
	c.link.control(opPing, nil)
}
