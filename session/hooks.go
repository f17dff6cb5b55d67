package session

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/mixminus/mixminus/transport"
)

// ErrPanic: a callback of the app panicked; its call was hung up.
var ErrPanic = errors.New("session: callback panicked")

// maxToldNotices is how many notices wait for an app that is slow in its
// OnNotice; more are dropped and counted.
const maxToldNotices = 64

// hooks are an app's callbacks of one call and the queue of what it is to be
// told. One goroutine at a time calls them, in order; it exists only while
// there is something to tell.
type hooks struct {
	// Guarded by mu.
	mu        sync.Mutex
	state     []func(CallState)
	roster    []func([]Participant)
	media     []func(bool, error)
	notice    []func(Notice)
	phase     []func(CallPhase)
	lobby     []func(bool)
	tone      []func(byte)
	text      []func(transport.Transcript)
	queue     []func()
	running   bool
	rosterDue bool // in queue
	mediaDue  bool // in queue

	// Atomic.
	notices atomic.Int64 // in queue
}

// OnState calls fn with each state that the call enters from now on.
//
// This and the following callbacks run one after the other on a goroutine of
// the call's own that is neither the media's nor the one that drives the
// call: they may block and may call any method. Set in Config.OnCall they
// miss nothing. A panic in one hangs its call up.
func (c *Call) OnState(fn func(CallState)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.state = append(c.hooks.state, fn)
}

// OnRoster calls fn with the roster when it has changed; an app that is slow
// gets the last one only.
func (c *Call) OnRoster(fn func([]Participant)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.roster = append(c.hooks.roster, fn)
}

// OnMedia calls fn when a connection begins to carry the call's audio and
// when none does any more, with the reason if that was a failure; and when
// the cloud tells that it could not connect. The call goes on.
func (c *Call) OnMedia(fn func(up bool, err error)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.media = append(c.hooks.media, fn)
}

// OnNotice calls fn with each event of the cloud about the call, once, also
// those that mixminus does not know.
func (c *Call) OnNotice(fn func(Notice)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.notice = append(c.hooks.notice, fn)
}

// OnPhase calls fn with each phase that the connected call enters.
func (c *Call) OnPhase(fn func(CallPhase)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.phase = append(c.hooks.phase, fn)
}

// OnLobby calls fn when the bot has to wait in the lobby, and when it was
// admitted.
func (c *Call) OnLobby(fn func(waits bool)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.lobby = append(c.hooks.lobby, fn)
}

// OnTone calls fn with each key that the cloud tells was pressed: 0 to 9, *,
// #, A to D, or F for flash. Keys on the media stream come to the leg's OnDTMF.
func (c *Call) OnTone(fn func(tone byte)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.tone = append(c.hooks.tone, fn)
}

// OnTranscript calls fn with what the cloud recognised of the call's speech,
// where it was asked to transcribe to the address of the media (ACS). An app
// that is slow misses what does not fit beside the notices that wait for it.
func (c *Call) OnTranscript(fn func(transport.Transcript)) {
	c.hooks.mu.Lock()
	defer c.hooks.mu.Unlock()
	c.hooks.text = append(c.hooks.text, fn)
}

// tell queues fn and sees that somebody calls it.
func (c *Call) tell(fn func()) {
	h := &c.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queue = append(h.queue, fn)
	if !h.running {
		h.running = true
		c.manager.wg.Go(c.hookLoop)
	}
}

func (c *Call) hookLoop() {
	h, exited := &c.hooks, true
	defer func() {
		if exited { // a callback ended the goroutine by runtime.Goexit
			c.manager.wg.Go(c.hookLoop)
		}
	}()
	for {
		h.mu.Lock()
		if len(h.queue) == 0 {
			h.running, h.queue, exited = false, nil, false
			h.mu.Unlock()
			return
		}
		fn := h.queue[0]
		h.queue = h.queue[1:]
		h.mu.Unlock()
		fn()
	}
}

// guard calls fn, which is the app's, and reports whether it returned: if it
// did not, its call is hung up and no other.
func (c *Call) guard(what string, fn func()) (returned bool) {
	defer func() {
		if returned {
			return
		}
		v := recover()
		c.manager.counters.panics.Add(1)
		c.log.Error("callback panicked", "callback", what, "panic", v, "stack", string(debug.Stack()))
		c.inbox.put(hangUpAsked{cause: fmt.Errorf("%w: %s: %v", ErrPanic, what, v)})
	}()
	fn()
	return true
}

func (c *Call) tellState(s CallState) {
	c.tell(func() {
		for _, fn := range list(&c.hooks, &c.hooks.state) {
			c.guard("OnState", func() { fn(s) })
		}
	})
}

func (c *Call) tellRoster() {
	if !c.hooks.mark(&c.hooks.rosterDue) {
		return
	}
	c.tell(func() {
		c.hooks.unmark(&c.hooks.rosterDue)
		roster := c.Participants()
		for _, fn := range list(&c.hooks, &c.hooks.roster) {
			c.guard("OnRoster", func() { fn(roster) })
		}
	})
}

func (c *Call) tellMedia() {
	if !c.hooks.mark(&c.hooks.mediaDue) {
		return
	}
	c.tell(func() {
		c.hooks.unmark(&c.hooks.mediaDue)
		up, err := c.Media()
		for _, fn := range list(&c.hooks, &c.hooks.media) {
			c.guard("OnMedia", func() { fn(up, err) })
		}
	})
}

func (c *Call) tellPhase(p CallPhase) {
	c.tell(func() {
		for _, fn := range list(&c.hooks, &c.hooks.phase) {
			c.guard("OnPhase", func() { fn(p) })
		}
	})
}

func (c *Call) tellLobby(waits bool) {
	c.tell(func() {
		for _, fn := range list(&c.hooks, &c.hooks.lobby) {
			c.guard("OnLobby", func() { fn(waits) })
		}
	})
}

// tellTone shares the bound of the notices: keys come in them.
func (c *Call) tellTone(tone byte) {
	fns := list(&c.hooks, &c.hooks.tone)
	if len(fns) == 0 {
		return
	}
	c.tellBounded(func() {
		for _, fn := range fns {
			c.guard("OnTone", func() { fn(tone) })
		}
	})
}

// tellTranscript is called on the media's goroutine. Transcripts share the
// bound of the notices.
func (c *Call) tellTranscript(t transport.Transcript) {
	fns := list(&c.hooks, &c.hooks.text)
	if len(fns) == 0 {
		return
	}
	c.tellBounded(func() {
		for _, fn := range fns {
			c.guard("OnTranscript", func() { fn(t) })
		}
	})
}

func (c *Call) tellNotice(n Notice) {
	fns := list(&c.hooks, &c.hooks.notice)
	if len(fns) == 0 {
		return
	}
	c.tellBounded(func() {
		for _, fn := range fns {
			c.guard("OnNotice", func() { fn(n) })
		}
	})
}

// tellBounded is tell for what a cloud may send faster than an app takes it.
func (c *Call) tellBounded(fn func()) {
	if c.hooks.notices.Add(1) > maxToldNotices {
		c.hooks.notices.Add(-1)
		c.manager.counters.dropped.Add(1)
		return
	}
	c.tell(func() {
		c.hooks.notices.Add(-1)
		fn()
	})
}

// list returns one of the callback lists as it is now.
func list[F any](h *hooks, fns *[]F) []F {
	h.mu.Lock()
	defer h.mu.Unlock()
	return *fns
}

// mark sets a flag and reports whether it was clear.
func (h *hooks) mark(due *bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := *due
	*due = true
	return !was
}

func (h *hooks) unmark(due *bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*due = false
}
