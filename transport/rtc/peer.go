package rtc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/pion/webrtc/v4"
)

// peer is one session: a PeerConnection and the media that it carries.
//
//	Pion's decryption -> queue -> turn -> rtpleg.Media -> leg
//	leg -> rtpleg.Media -> turn -> Pion's encryption
//
// It is offered, admitted (the newest of its address), connected, running (it
// has the leg) and over; it may be over at any time.
type peer struct {
	// Static after construction.
	server *Server
	ep     *endpoint
	pc     *webrtc.PeerConnection
	offer  *offer
	id     string // a secret: who knows it may change and end the session
	callID string // that it named, "" if none
	open   bool   // Config.Verify is not asked: somebody else let it in

	// Static once it is admitted.
	out  *track        // nil: nothing is sent
	ssrc uint32        // of what is sent
	done chan struct{} // closed when the leg is free again

	in, control queue

	// Owned by the beat's goroutine, once running.
	leg    *rtpleg.Media
	beat   *engine.Beat
	packet rtpmedia.Packet
	wire   []byte
	report []byte // the last one

	// Atomic.
	malformed         atomic.Int64
	sources, reported atomic.Int32
	ending            atomic.Bool // no more is taken; what came plays out
	stop              atomic.Bool
	// holds: nothing is sent while ICE restarts. Pion has nowhere to send it to,
	// and would wait for its ICE agent to tell so.
	holds atomic.Bool

	// Held while the connection's state is looked at and acted on.
	following sync.Mutex

	// ICE, guarded by ice: Pion's descriptions change under it, and it closes.
	ice        sync.Mutex
	etag       string
	ufrag      string // the peer's
	password   string
	candidates int // of this generation

	// Guarded by mu.
	mu        sync.Mutex
	admitted  bool
	connected bool
	running   bool
	decided   bool // why is
	over      bool
	why       error
	timer     *time.Timer
}

// newPeer prepares a session for the leg of an endpoint.
func (s *Server) newPeer(e *endpoint, o *offer) (*peer, error) {
	p := &peer{
		server: s, ep: e, offer: o, done: make(chan struct{}), wire: make([]byte, 0, 2048),
		id: newToken(), etag: newTag(), ufrag: o.ufrag, password: o.password,
	}
	api, err := s.api(p)
	if err != nil {
		return nil, err
	}
	certificate, err := s.current()
	if err != nil {
		return nil, err
	}
	p.pc, err = api.NewPeerConnection(webrtc.Configuration{
		Certificates: []webrtc.Certificate{certificate}, BundlePolicy: webrtc.BundlePolicyMaxBundle,
	})
	if err != nil {
		return nil, fmt.Errorf("rtc: %w", err)
	}
	p.pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { p.follow() })
	return p, nil
}

// newToken is one that nobody guesses: 128 bits.
func newToken() string {
	var key [16]byte
	rand.Read(key[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(key[:])
}

func newTag() string { return `"` + newToken() + `"` }

// answer takes the offer and returns the answer, with all candidates.
func (p *peer) answer(ctx context.Context) (string, error) {
	p.ice.Lock()
	defer p.ice.Unlock()
	if err := p.describe(); err != nil {
		return "", err
	}
	if p.offer.send {
		p.out = &track{codec: p.offer.parameters()[0]}
		sender, err := p.pc.AddTrack(p.out)
		if err != nil {
			return "", p.broken(err, unacceptable)
		}
		p.ssrc = uint32(sender.GetParameters().Encodings[0].SSRC)
	}
	p.try(p.offer.candidates)
	ours, err := p.gather(ctx)
	if err != nil {
		return "", err
	}
	return p.offer.answer(ours)
}

// follow follows the connection. Pion calls it on a goroutine of its own each
// time, in no order, so that the state of the moment counts.
func (p *peer) follow() {
	p.following.Lock()
	defer p.following.Unlock()
	switch p.pc.ConnectionState() {
	case webrtc.PeerConnectionStateConnected:
		p.holds.Store(false)
		p.stands()
	case webrtc.PeerConnectionStateDisconnected:
		p.ep.tell(p, false, ErrLost)
	case webrtc.PeerConnectionStateFailed:
		p.late() // if it is the handshake that failed
		p.end(ErrLost)
	case webrtc.PeerConnectionStateClosed:
		p.late() // as above: Pion may have gone on from there
		p.end(nil)
	}
}

// stands notes that the connection does: for the first time, or again.
func (p *peer) stands() {
	p.mu.Lock()
	first, running := !p.connected, p.running
	if p.over {
		p.mu.Unlock()
		return
	}
	p.connected = true
	if first && p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	switch {
	case first:
		p.server.connected(p)
		p.ep.take(p)
	case running:
		p.ep.tell(p, true, nil)
	}
}

// claim lets p run, which is to begin next; false if it is over. Whoever gives
// it the leg calls it under the endpoint's lock.
func (p *peer) claim() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = !p.over
	return p.running
}

// begin runs the media of a session that was claimed.
func (p *peer) begin() {
	if err := p.run(); err != nil {
		p.mu.Lock()
		p.running = false
		p.mu.Unlock()
		p.end(err)
		return
	}
	p.ep.tell(p, true, nil)
}

// late ends a session that never connected.
func (p *peer) late() {
	p.mu.Lock()
	connected := p.connected
	p.mu.Unlock()
	if !connected {
		p.end(ErrNotConnected)
	}
}

// end ends the session, for a reason: nil is good order. The first one counts.
// Media that runs is stopped by its own goroutine, which comes back here.
func (p *peer) end(err error) {
	p.mu.Lock()
	if !p.decided {
		p.decided, p.why = true, err
	}
	switch {
	case p.over:
		p.mu.Unlock()
		return
	case p.running:
		p.stop.Store(true)
		p.mu.Unlock()
		return
	}
	p.over = true
	why, admitted := p.why, p.admitted
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.server.leave(p)
	p.ep.left(p, why, admitted)
	go func() {
		defer p.server.wg.Done()
		// Pion keeps the ICE agent of an answer that a close overtakes.
		p.ice.Lock()
		defer p.ice.Unlock()
		_ = p.pc.GracefulClose() // it waits for Pion's goroutines
	}()
}

// reason is why it is over, to whoever wanted something of it.
func (p *peer) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why == nil {
		return engine.ErrClosed
	}
	return p.why
}

// drop ends a session that never was.
func (p *peer) drop() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	_ = p.pc.Close()
}
