package engine

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

// Channels says how a leg's audio arrives.
type Channels int

// Mixed: one stream of all speakers. Unmixed: one stream per speaker.
const (
	Mixed Channels = iota
	Unmixed
)

func (c Channels) String() string {
	switch c {
	case Mixed:
		return "mixed"
	case Unmixed:
		return "unmixed"
	}
	return fmt.Sprintf("Channels(%d)", int(c))
}

// MarshalText makes the channels readable in JSON.
func (c Channels) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Channels) UnmarshalText(b []byte) error {
	switch string(b) {
	case "mixed":
		*c = Mixed
	case "unmixed":
		*c = Unmixed
	default:
		return fmt.Errorf("channels %q: want mixed or unmixed", b)
	}
	return nil
}

// LegConfig of a leg. The zero value works.
type LegConfig struct {
	// ID names the leg in logs and snapshots.
	ID       string
	Channels Channels
	// MaxSpeakers heard in the leg's life; 0 means 64. The audio of more is
	// refused and counted.
	MaxSpeakers int
	// Slack between a wire timestamp and the expected one within which a
	// chunk is the next; 0 means 10 ms.
	Slack time.Duration
	// SourceLimit of what the source context queues; 0 means 400 ms.
	// Memory is allocated as it is used.
	SourceLimit time.Duration
	// OnRender announces a new speaker, before its first frame, on the
	// goroutine that reads the network, or at the turn of a pacer that does:
	// handlers and taps attached in it get frame one. It must not block.
	OnRender func(*Render)
	// OnDTMF tells of a key that a party pressed: one of 0-9, *, #, A-D;
	// speaker is "" when the cloud does not tell. Called as OnRender.
	OnDTMF func(tone byte, speaker string)
	// OnMark tells that a mark was played or flushed, one at a time, at a turn
	// of a pacer or on the goroutine that flushes or closes. It must not
	// block; it may TryWrite, Flush and Mark.
	OnMark func(Mark)

	inner bool // of a room: what is said there counts at the members' legs
}

// DefaultMaxSpeakers of a leg.
const DefaultMaxSpeakers = 64

// maxSourceLimit bounds LegConfig.SourceLimit.
const maxSourceLimit = time.Hour

// Leg is one call's media: its render contexts, its source context, and the
// clock they share, which counts samples from the leg's first frame.
type Leg struct {
	// Static after construction.
	engine *Engine
	log    *slog.Logger
	cfg    LegConfig
	source *Source
	done   chan struct{}

	// Owned by the producing goroutine.
	clock   legClock
	byRawID map[string]*Render

	// Atomic.
	start   atomic.Pointer[legStart]
	renders atomic.Pointer[[]*Render] // copied on each new speaker
	refused atomic.Int64              // chunks of speakers over MaxSpeakers
	dtmf    atomic.Int64
	lat     latency
	// dominant is nil unless somebody wants to know.
	dominant atomic.Pointer[dominant]

	// Guarded by mu.
	mu       sync.Mutex
	taps     []*Tap // of all speakers
	dropped  uint64 // by such taps that are closed
	port     *Port
	onRender []func(*Render)
	ended    bool
	err      error
}

// legStart is when sample 0 of the leg's clock was.
type legStart struct {
	at  int64 // Now
	utc time.Time
}

func newLeg(e *Engine, cfg LegConfig, p *pacer) (*Leg, error) {
	switch {
	case cfg.Channels != Mixed && cfg.Channels != Unmixed:
		return nil, fmt.Errorf("engine: LegConfig.Channels = %d, want Mixed or Unmixed", cfg.Channels)
	case cfg.MaxSpeakers < 0:
		return nil, fmt.Errorf("engine: LegConfig.MaxSpeakers = %d, want 0 or more", cfg.MaxSpeakers)
	case cfg.Slack < 0 || cfg.Slack > pcm.FrameDuration:
		return nil, fmt.Errorf("engine: LegConfig.Slack = %v, want 0 to %v", cfg.Slack, pcm.FrameDuration)
	case cfg.SourceLimit < 0 || cfg.SourceLimit > maxSourceLimit:
		return nil, fmt.Errorf("engine: LegConfig.SourceLimit = %v, want 0 to %v", cfg.SourceLimit, maxSourceLimit)
	}
	if cfg.MaxSpeakers == 0 {
		cfg.MaxSpeakers = DefaultMaxSpeakers
	}
	if cfg.Slack == 0 {
		cfg.Slack = 10 * time.Millisecond
	}
	if cfg.SourceLimit == 0 {
		cfg.SourceLimit = DefaultSourceLimit
	}
	l := &Leg{engine: e, log: e.log, cfg: cfg, done: make(chan struct{}), byRawID: make(map[string]*Render)}
	l.renders.Store(&[]*Render{})
	l.source = newSource(l, p)
	if cfg.OnRender != nil {
		l.onRender = append(l.onRender, cfg.OnRender)
	}
	return l, nil
}

// ID returns LegConfig.ID.
func (l *Leg) ID() string { return l.cfg.ID }

// Channels returns how the leg's audio arrives.
func (l *Leg) Channels() Channels { return l.cfg.Channels }

// Source returns the leg's source context.
func (l *Leg) Source() *Source { return l.source }

// Start returns the UTC of sample 0 of the leg's clock; zero before the first
// frame in either direction.
func (l *Leg) Start() time.Time {
	if s := l.start.Load(); s != nil {
		return s.utc
	}
	return time.Time{}
}

// begin starts the leg's clock at now unless it runs, and returns when it
// was started.
func (l *Leg) begin(now int64) int64 {
	s := l.start.Load()
	if s == nil {
		utc := processStart.Add(time.Duration(now)).UTC()
		l.start.CompareAndSwap(nil, &legStart{at: now, utc: utc})
		s = l.start.Load()
	}
	return s.at
}

// OnRender adds a hook beside LegConfig.OnRender, for speakers that are not
// announced yet.
func (l *Leg) OnRender(fn func(*Render)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onRender = append(l.onRender, fn)
}

// Renders returns the render contexts in the order of their announcement.
func (l *Leg) Renders() []*Render { return append([]*Render(nil), *l.renders.Load()...) }

// Render returns the context whose frames carry the given speaker id, nil if
// there is none.
func (l *Leg) Render(speaker uint32) *Render {
	for _, r := range *l.renders.Load() {
		if r.speaker == speaker {
			return r
		}
	}
	return nil
}

// Tap attaches a ring that gets the frames of every speaker in the order of
// arrival, from now on; Frame.Speaker tells them apart.
func (l *Leg) Tap(frames int) *Tap { return l.attachTap(newTap(frames, &l.lat, l.drop)) }

// LazyTap is Tap for a reader that comes now and then and takes all: the ring has
// memory for what waits in it, borrowed four frames at a time, and given back as
// the next frames come.
func (l *Leg) LazyTap(frames int) *Tap { return l.attachTap(newLazyTap(frames, &l.lat, l.drop)) }

func (l *Leg) attachTap(t *Tap) *Tap {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		t.end()
		return t
	}
	l.taps = append(l.taps, t)
	l.publish()
	return t
}

func (l *Leg) drop(t *Tap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.taps, t) {
		l.taps, l.dropped = without(l.taps, t), l.dropped+t.Dropped()
		l.publish()
	}
}

func (l *Leg) publish() {
	for _, r := range *l.renders.Load() {
		r.publish()
	}
}

// announce makes the render context of a new speaker; called by the
// producing goroutine.
func (l *Leg) announce(rawID string) *Render {
	l.mu.Lock()
	known := *l.renders.Load()
	r := &Render{leg: l, rawID: rawID, place: placer{slack: int64(l.cfg.Slack)}}
	if rawID != "" || l.cfg.Channels == Unmixed {
		r.speaker = uint32(len(known)) + 1
	}
	r.publish()
	all := append(append(make([]*Render, 0, len(known)+1), known...), r)
	l.renders.Store(&all)
	hooks := l.onRender
	l.mu.Unlock()
	l.byRawID[rawID] = r
	for _, fn := range hooks {
		fn(r)
	}
	return r
}

// Done is closed when the leg is.
func (l *Leg) Done() <-chan struct{} { return l.done }

// Err tells why the leg was closed by the engine (ErrPanic), nil otherwise.
func (l *Leg) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close ends the leg. Taps return io.EOF once they are drained, writers of
// the source ErrClosed. If a connection is attached, it learns of it by Done
// and the taps end with it. Idempotent, from any goroutine.
func (l *Leg) Close() { l.Fail(nil) }

// Fail is Close for a reason, which Err returns from then on: for transports
// on whose goroutine a handler panicked.
func (l *Leg) Fail(err error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended, l.err = true, err
	spent := l.port == nil
	if spent {
		l.endTaps()
	}
	l.mu.Unlock()
	if spent {
		defer l.engine.spent(l)
	}
	l.source.close()
	l.engine.forget(l)
	close(l.done)
}

// endTaps ends the inbound taps. Guarded by mu; nobody produces any more.
func (l *Leg) endTaps() {
	for _, t := range l.taps {
		t.end()
	}
	for _, r := range *l.renders.Load() {
		for _, t := range r.own {
			t.end()
		}
	}
}

// recovered is deferred around callbacks that do not run on a transport's
// goroutine: a panic closes the leg and no other.
func (l *Leg) recovered(what string) {
	if v := recover(); v != nil {
		l.log.Error("callback panicked", "leg", l.cfg.ID, "callback", what, "panic", v, "stack", string(debug.Stack()))
		l.Fail(fmt.Errorf("%w: %s: %v", ErrPanic, what, v))
	}
}

// LegStats is a snapshot of a leg.
type LegStats struct {
	ID       string        `json:"id"`
	Channels Channels      `json:"channels"`
	Start    time.Time     `json:"start"`
	Renders  []RenderStats `json:"renders"`
	Source   SourceStats   `json:"source"`
	// Refused chunks: of speakers over MaxSpeakers.
	Refused int64 `json:"refused"`
	// TapDropped frames found the ring of a tap of all speakers full.
	TapDropped uint64 `json:"tap_dropped"`
	// DTMF keys heard.
	DTMF int64 `json:"dtmf"`
	// Latency from the return of the socket read to a handler or a reader
	// of a tap; SendLatency from when a frame could be sent (it was written, and
	// the peer had room) until the connection had taken it.
	Latency     Latency `json:"-"`
	SendLatency Latency `json:"-"`
}

// Frames returns the frames in and the slots lost of all speakers.
func (s *LegStats) Frames() (in, lost int64) {
	for _, r := range s.Renders {
		in += r.Frames
		lost += r.Lost
	}
	return in, lost
}

// Stats returns a snapshot, which allocates: for tables and APIs.
func (l *Leg) Stats() LegStats {
	s := LegStats{
		ID: l.cfg.ID, Channels: l.cfg.Channels, Start: l.Start(),
		Refused: l.refused.Load(), DTMF: l.dtmf.Load(),
		Source: l.source.Stats(), Latency: l.lat.summary(), SendLatency: l.source.lat.summary(),
	}
	for _, r := range *l.renders.Load() {
		s.Renders = append(s.Renders, r.Stats())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.TapDropped = dropped(l.dropped, l.taps)
	return s
}
