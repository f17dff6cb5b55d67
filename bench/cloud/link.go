package cloud

import (
	"context"
	"net/url"
	"sync"
	"time"
)

// link carries a call's media to the bot and back: a WebSocket, or WebRTC. But
// for read it must only be used from the call's goroutine.
type link interface {
	// mixed: the peer gets one stream, not one for each speaker.
	mixed() bool
	// begin sends what comes before all audio.
	begin(*Call) error
	// audio sends a speaker's frame of a slot, key a key pressed in it, and
	// mark what became of a mark.
	audio(*Call, frame) error
	key(c *Call, tone string) error
	mark(c *Call, id string, cancelled bool) error
	// stall has nothing be read until then.
	stall(until time.Time)
	// read takes what the bot says until the link ends.
	read(*Call)
	// ended is closed when nothing more can be read; failure says why.
	ended() <-chan struct{}
	failure() error
	// breakOff ends the link without a word, hangUp in good order, and abandon
	// one that was never read.
	breakOff()
	hangUp()
	abandon()
}

// frame is a slot of a stream on its way to the bot.
type frame struct {
	slot    int
	at      time.Time
	id      string // of the speaker, empty for the mix
	samples []int16
	silent  bool
}

// dialMedia opens the link that the bot's address asks for. An error tells the
// HTTP status, if there was one.
func (c *Call) dialMedia(ctx context.Context) (link, error) {
	if u, err := url.Parse(c.asked.url); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		return c.dialWHIP(ctx)
	}
	return c.dialWebSocket(ctx)
}

// pause is how a link stalls.
type pause struct {
	mu    sync.Mutex
	until time.Time
}

func (p *pause) stall(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
}

// wait waits for the end of a stall, as long as nobody gives the link up.
func (p *pause) wait(ctx context.Context, left <-chan struct{}) {
	p.mu.Lock()
	d := time.Until(p.until)
	p.mu.Unlock()
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-left:
	case <-ctx.Done():
	}
}
