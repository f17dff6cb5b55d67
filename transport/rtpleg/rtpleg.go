// Package rtpleg carries a leg of the engine over RTP, whatever brings the
// packets: transport/rtpio's sockets, or transport/rtc's peer connections. It
// binds the streams of transport/rtpmedia to a leg's contexts and knows neither
// socket nor clock.
//
// A Media belongs to the turns of a beat (engine.Beat): the driver gives it the
// packets that came (Take, TakeControl), lets it have its turn every 20 ms (Turn),
// and sends what it has (Next, Report). So no packet waits for a lock or wakes
// anybody:
//
//	packets -> Take -> jitter buffer -> Turn -> render context -> handler, taps
//	Source -> SendFrame -> queue -> Next -> packets
package rtpleg

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
)

// Types are the payload types of one direction, 0 to 127. Event and Noise may
// be 0: there is none, but that comfort noise has the static type 13.
type Types struct {
	Audio, Event, Noise uint8
}

// Config says what carries which leg.
type Config struct {
	Leg *engine.Leg
	// Speaker is the raw id of who is heard, if the leg is unmixed.
	Speaker string
	Codec   codec.Codec
	// Receive are the types that come, Send those that are sent.
	Receive, Send Types
	// Mute sends nothing, and Deaf hears nothing: the session was so agreed.
	Mute, Deaf bool
	Jitter     rtpmedia.JitterConfig
	// SSRC of what is sent; 0 is one by chance.
	SSRC uint32
	// Scratch may be shared by those on one beat; nil is one of its own.
	Scratch *rtpmedia.Scratch
	// CNAME names this side in reports (RFC 7022).
	CNAME string
}

const (
	slotNanos = int64(pcm.FrameDuration)
	// restAfter is how long nothing comes until nobody looks any more.
	restAfter = 10 * int64(time.Second)
	// skipped turns are not made up for beyond this many, as Outbound does not
	// for packets: audio that is answered would queue up behind those.
	skipped = 3
	// maxRate of packets per second, and of reports; more are dropped.
	maxRate    = 1000
	maxReports = 20
	// reportEvery is the mean interval of our reports (RFC 3550, section 6.2).
	reportEvery = 5 * int64(time.Second)
	// published are the turns between two snapshots.
	published = 10
	// settles is how long what was received before the end may still play.
	settles = 400 * int64(time.Millisecond)
)

// ErrClosed: the Media is closed.
var ErrClosed = errors.New("rtpleg: closed")

// Media carries one leg. Methods without another word must be called from one
// goroutine at a time.
type Media struct {
	// Static after construction.
	cfg     Config
	speaker []byte
	port    *engine.Port

	// Owned by the beat's goroutine.
	in      *rtpmedia.Inbound
	out     *rtpmedia.Outbound
	control *rtpmedia.Control
	render  *engine.Render
	scratch [pcm.FrameSamples]int16
	begun   bool  // the first turn was
	epoch   int64 // when
	slot    int64 // turns since
	came    int64 // when the last packet did
	heard   bool  // any did
	resting int64 // slots that were not pulled
	ending  int64 // when what is buffered may play no more; 0: it goes on
	second  int64 // of the rate limits
	packets int
	reports int
	due     int64 // of the next report; 0: none was
	dirty   int   // turns since the last snapshot
	closed  bool
	failed  error // a panic of the app's
	told    missed
	n       counters

	// The holder of the source's pump writes, the beat reads.
	queue queue

	// Owned by the holder of the source's pump.
	seq uint32 // of the next frame

	// Atomic.
	flushed atomic.Uint32 // frames before this one are not to be sent
	pressed atomic.Bool   // waiting is not 0

	// Guarded by mu.
	mu      sync.Mutex
	presses []press
	waiting int // keys that are not sent yet, presses included
	gone    bool
	stats   Stats
}

type counters struct{ flooded, reportsFlooded, flushed int64 }

// missed packets that the render context was told of.
type missed struct{ lost, late int64 }

// New attaches to the leg, which it carries from now on. Errors are those of
// engine.Leg.Attach, and of a codec that cannot be carried.
func New(cfg Config) (*Media, error) {
	m := &Media{cfg: cfg, came: engine.Now()}
	if cfg.Leg.Channels() == engine.Unmixed {
		m.speaker = []byte(cfg.Speaker)
	}
	if cfg.SSRC == 0 {
		cfg.SSRC = rand.Uint32()
	}
	if cfg.Scratch == nil {
		cfg.Scratch = &rtpmedia.Scratch{}
	}
	var err error
	m.in, err = rtpmedia.NewInbound(rtpmedia.InboundConfig{
		Codec: cfg.Codec, PayloadType: cfg.Receive.Audio, EventType: cfg.Receive.Event, NoiseType: cfg.Receive.Noise, Jitter: cfg.Jitter, Scratch: cfg.Scratch,
	})
	if err != nil {
		return nil, err
	}
	m.out, err = rtpmedia.NewOutbound(rtpmedia.OutboundConfig{
		Codec: cfg.Codec, PayloadType: cfg.Send.Audio, EventType: cfg.Send.Event,
		SSRC: cfg.SSRC, Seq: uint16(rand.Uint32()), Timestamp: rand.Uint32(), Slack: slotNanos / 2, Scratch: cfg.Scratch,
	})
	if err != nil {
		return nil, err
	}
	m.control = rtpmedia.NewControl(m.in.Reception(), m.out, cfg.CNAME)
	var out engine.Outlet
	if !cfg.Mute {
		out = (*outlet)(m)
	}
	if m.port, err = cfg.Leg.Attach(out); err != nil {
		return nil, err
	}
	return m, nil
}

// outlet is the source's side of a Media, without its other methods.
type outlet Media

// SendFrame implements engine.Outlet.
func (o *outlet) SendFrame(samples *[pcm.FrameSamples]int16) bool {
	f := o.queue.slot()
	if f == nil {
		return false
	}
	f.samples, f.seq = *samples, o.seq
	o.seq++
	o.queue.commit()
	return true
}

// SendFlush implements engine.Outlet: what was sent is paced here, so that it
// can be called back.
func (o *outlet) SendFlush() bool {
	o.flushed.Store(o.seq)
	return true
}

// Paced implements engine.PacedOutlet.
func (o *outlet) Paced() {}

// Take takes an RTP packet that came at arrival (engine.Now), of the source that
// the driver let in. It keeps nothing of p. An error is a panic of the app's,
// after which the leg is closed (engine.ErrPanic).
func (m *Media) Take(arrival int64, p *rtpmedia.Packet) (err error) {
	if m.closed || m.failed != nil {
		return m.failed
	}
	if !m.within(arrival, &m.packets, maxRate) {
		m.n.flooded++
		return nil
	}
	m.came = arrival
	if m.cfg.Deaf || m.ending != 0 {
		return nil
	}
	if m.resting > 0 {
		m.in.Rest(m.resting)
		m.resting = 0
	}
	m.heard = true
	if key, pressed := m.in.Push(arrival, p); pressed {
		defer m.recovered(&err)
		m.port.DTMF(key, string(m.speaker))
	}
	return nil
}

// within counts what comes per second.
func (m *Media) within(arrival int64, count *int, limit int) bool {
	if s := arrival / int64(time.Second); s != m.second {
		m.second, m.packets, m.reports = s, 0, 0
	}
	*count++
	return *count <= limit
}

// TakeControl takes a compound of reports that came at arrival (engine.Now) and
// unix, in ns since 1970. bye says that the peer's source leaves.
func (m *Media) TakeControl(arrival, unix int64, b []byte) (bye bool) {
	if !m.within(arrival, &m.reports, maxReports) {
		m.n.reportsFlooded++
		return false
	}
	_ = m.control.Take(arrival, unix, b) // counted
	return m.control.Stats().Bye
}

// Turn plays what is due. It is to be called every 20 ms, at now; the frames go
// to the leg on this goroutine. Turns that come up to 10 ms early or late are on
// time, a few that were left out are made up for by the next one, and after more
// the audio goes on where time is. Its error is that of Take.
func (m *Media) Turn(now int64) (err error) {
	if m.closed || m.failed != nil {
		return m.failed
	}
	defer m.recovered(&err)
	if !m.begun {
		m.begun, m.epoch = true, now
	}
	if m.pressed.Load() {
		m.press()
	}
	due := (now - m.epoch + slotNanos/2) / slotNanos
	if late := due - m.slot; late > skipped {
		m.slot = due
		if m.resting > 0 {
			m.resting += late
		}
	}
	for ; m.slot <= due; m.slot++ {
		m.pull(now)
	}
	if m.dirty++; m.dirty >= published {
		m.publish()
	}
	return nil
}

// pull hands the next frame to the leg. Nothing is committed before the stream
// has begun, nor while it rests.
func (m *Media) pull(now int64) {
	switch {
	case !m.heard:
		return
	case now-m.came > restAfter:
		m.resting++
		return
	}
	samples := &m.scratch
	if m.render != nil {
		samples = &m.render.Slot().Samples // never partly filled: Append is not used
	}
	at := m.epoch + m.slot*slotNanos
	f := m.in.Pull(at, samples)
	if !f.Begun {
		return
	}
	if m.render == nil {
		r, err := m.port.Render(m.speaker, now)
		if err != nil {
			return // counted by the leg
		}
		m.render = r
		r.Slot().Samples = m.scratch
	}
	m.render.Commit(engine.Chunk{
		Timestamp: at, HasTimestamp: true, Arrival: now,
		Silent: f.Silent(), Concealed: f.Concealed,
	})
	m.missed()
}

func (m *Media) missed() {
	lost, late := m.in.Missed()
	m.render.Missed(lost-m.told.lost, late-m.told.late)
	m.told = missed{lost, late}
}

// Next appends the packet that is due at now to dst; ok is false if there is
// none. It is to be called until it says so.
func (m *Media) Next(now int64, dst []byte) (b []byte, ok bool) {
	if m.cfg.Mute || m.closed {
		return dst, false
	}
	for m.out.Due() <= now {
		f := m.queue.peek()
		for f != nil && int32(f.seq-m.flushed.Load()) < 0 {
			m.n.flushed++
			m.queue.release()
			f = m.queue.peek()
		}
		if f == nil {
			b, ok = m.out.Next(now, dst, nil)
		} else {
			b, ok = m.out.Next(now, dst, &f.samples)
			m.queue.release()
		}
		if ok {
			return b, true
		}
	}
	return dst, false
}

// Report appends our report to dst, if one is due at now (engine.Now, and unix
// in ns since 1970): every 5 s, by chance half as much more or less.
func (m *Media) Report(now, unix int64, dst []byte) (b []byte, ok bool) {
	switch {
	case m.due == 0:
		m.due = now + spread(reportEvery/2)
		return dst, false
	case now < m.due:
		return dst, false
	}
	m.due = now + spread(reportEvery)
	return m.control.Append(dst, now, unix, false), true
}

// Bye appends a last report, which says that we leave.
func (m *Media) Bye(now, unix int64, dst []byte) []byte {
	return m.control.Append(dst, now, unix, true)
}

// spread keeps the reports of many from coming at once (RFC 3550, section 6.2).
func spread(d int64) int64 { return d/2 + rand.Int64N(d) }

// End takes no more packets: what is buffered plays out. done says that it has,
// or that 400 ms have passed.
func (m *Media) End(now int64) (done bool) {
	if m.ending == 0 {
		m.ending = now + settles
	}
	return !m.heard || m.failed != nil || m.in.Drained() || now >= m.ending
}

// Silent returns how long nothing came, reports aside.
func (m *Media) Silent(now int64) time.Duration { return time.Duration(now - m.came) }

// Close gives the leg back. Idempotent.
func (m *Media) Close() {
	if m.closed {
		return
	}
	m.closed = true
	m.mu.Lock()
	m.gone = true
	m.mu.Unlock()
	if m.render != nil {
		m.missed()
	}
	m.publish()
	m.port.Detach(engine.Now())
}

// recovered turns a panic of the app's into an error, and closes its leg.
func (m *Media) recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("%w: %v\n%s", engine.ErrPanic, v, debug.Stack())
		m.failed = *err
		m.cfg.Leg.Fail(fmt.Errorf("%w: %v", engine.ErrPanic, v))
	}
}

// Codec that is carried, as an rtpmap names it.
func (m *Media) Codec() string { return m.cfg.Codec.RTPMap() }

// String tells what it is made of.
func (m *Media) String() string { return fmt.Sprintf("%v; %v", m.in, m.out) }
