package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// whipTimeout is how long the DELETE at the end may take.
const whipTimeout = 2 * time.Second

// whipConn is the media of a call over WebRTC, offered to the bot by WHIP
// (RFC 9725). It carries one stream each way: to the bot that is the mix.
//
// Each has a UDP port of its own, so that it can vanish as a machine does whose
// cable is pulled.
type whipConn struct {
	// Static after construction.
	call     *Call
	udp      *net.UDPConn
	mux      ice.UDPMux
	peer     *rtcPeer
	session  string // that DELETE ends, empty if the bot told none
	unmixed  bool   // the bot asked for what cannot be had
	started  chan struct{}
	left     chan struct{} // closed when we give it up
	leaving  sync.Once
	starting sync.Once

	out *rtpOut // owned by the call's goroutine

	pause
}

var _ link = (*whipConn)(nil)

// mediaCodec is what a call's media is coded by over WebRTC.
func (c *Call) mediaCodec() string {
	return cmp.Or(c.stage.script.MediaCodec, c.server.MediaCodec, defaultMediaCodec)
}

// dialWHIP offers the media to the bot, and returns when it is connected.
func (c *Call) dialWHIP(ctx context.Context) (link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	w := &whipConn{call: c, started: make(chan struct{}), left: make(chan struct{})}
	if err := w.open(); err != nil {
		return nil, &dialError{err: err}
	}
	if err := w.dial(ctx); err != nil {
		w.abandon()
		return nil, err
	}
	return w, nil
}

// open opens the port, and prepares the connection on it.
func (w *whipConn) open() (err error) {
	u, err := url.Parse(w.call.asked.url)
	if err != nil {
		return err
	}
	ip := net.IPv4zero
	if host := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || host != nil && host.IsLoopback() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	if w.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: ip}); err != nil {
		return err
	}
	w.mux = webrtc.NewICEUDPMux(rtcSilent{}, w.udp)
	w.peer, err = newRTCPeer(rtcSettings{
		mux: w.mux, codecs: rtcCodecs(w.call.mediaCodec()), quiet: rtcSilence, after: rtcLost,
		track: w.track, up: func() {}, down: func(error) {},
	})
	if err != nil {
		return errors.Join(err, w.mux.Close())
	}
	return nil
}

// dial makes the offer, takes the answer, and waits for the connection.
func (w *whipConn) dial(ctx context.Context) error {
	c := w.call
	offer, err := w.peer.offer(ctx)
	if err != nil {
		return &dialError{err: err}
	}
	answer, err := w.post(ctx, offer)
	if err != nil {
		return err
	}
	if c.hasFault(HalfOpen) {
		<-ctx.Done()
		return &dialError{err: fmt.Errorf("fault by script: %s", HalfOpen)}
	}
	if err := w.peer.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return &dialError{err: fmt.Errorf("answer: %w", err)}
	}
	select {
	case <-w.peer.ready:
	case <-w.peer.gone:
		return &dialError{err: w.peer.reason()}
	case <-ctx.Done():
		return &dialError{err: fmt.Errorf("not connected: %w", ctx.Err())}
	}
	if w.out = w.peer.out.sender(); w.out == nil {
		return &dialError{err: errors.New("answer: no codec of the offer is taken")}
	}
	if w.unmixed {
		c.server.log.Warn("cloud: unmixed media was asked for: over WebRTC the mix is sent", "call", c.id)
	}
	return nil
}

// post makes the WHIP request. An error is a *dialError.
func (w *whipConn) post(ctx context.Context, offer string) (answer string, err error) {
	base := w.call.asked.url
	resp, err := w.request(ctx, http.MethodPost, base, offer)
	if err != nil {
		return "", &dialError{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxSDP))
	switch {
	case resp.StatusCode != http.StatusCreated:
		return "", &dialError{status: resp.StatusCode, err: errors.New("want 201")}
	case err != nil:
		return "", &dialError{err: err}
	}
	w.unmixed = strings.EqualFold(resp.Header.Get(channelsHeader), "unmixed")
	if location := resp.Header.Get("Location"); location != "" {
		if w.session, err = elsewhere(base, location); err != nil {
			return "", &dialError{err: fmt.Errorf("header Location: %w", err)}
		}
	}
	return string(text), nil
}

func (w *whipConn) request(ctx context.Context, method, to, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = w.call.side.upgrade()
	if body != "" {
		r.Header.Set("Content-Type", "application/sdp")
	}
	return w.call.server.client.Do(r)
}

// track is what the bot's audio is heard by, once the call's clock runs.
func (w *whipConn) track(in *rtpIn) func(*rtp.Packet) {
	select {
	case <-w.started:
	case <-w.peer.gone:
	}
	return func(p *rtp.Packet) {
		w.wait(w.call.ctx, w.left)
		h := in.push(p)
		w.call.hear(h, in.drain(), time.Now())
	}
}

// hear takes what packets of the bot brought.
func (c *Call) hear(h rtpHeard, counts RTPLog, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.media.rtp.add(counts)
	c.media.pressed = append(c.media.pressed, h.keys[:min(len(h.keys), max(0, maxKeys-len(c.media.pressed)))]...)
	if len(h.samples) > 0 {
		c.obey(fromBot{samples: h.samples}, c.media.position(now))
	}
}

func (w *whipConn) mixed() bool { return true }

// begin notes what the log tells of the link.
func (w *whipConn) begin(c *Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.media.codec, c.media.unmixedAsked = w.out.codec.Name, w.unmixed
	return nil
}

func (w *whipConn) audio(_ *Call, f frame) error {
	return w.peer.out.send(w.out.slot(f.slot, f.samples))
}

func (w *whipConn) key(_ *Call, tone string) error {
	w.out.press(tone)
	return nil
}

// mark: nobody sets marks here.
func (w *whipConn) mark(*Call, string, bool) error { return nil }

func (w *whipConn) read(*Call) {
	w.starting.Do(func() { close(w.started) })
	<-w.peer.gone
}

func (w *whipConn) ended() <-chan struct{} { return w.peer.gone }

func (w *whipConn) failure() error { return w.peer.reason() }

// abandon ends what the bot may know of already.
func (w *whipConn) abandon() {
	w.goodbye()
	w.close()
}

// breakOff pulls the cable: the bot hears nothing more, not even a goodbye.
func (w *whipConn) breakOff() {
	w.leave()
	_ = w.udp.Close()
	w.close()
}

// hangUp says goodbye, and waits a little for the bot to do so too: what it
// said last is still heard.
func (w *whipConn) hangUp() {
	w.leave()
	w.goodbye()
	t := time.NewTimer(closeTimeout)
	defer t.Stop()
	select {
	case <-w.peer.gone:
	case <-t.C:
	}
	w.close()
}

func (w *whipConn) leave() { w.leaving.Do(func() { close(w.left) }) }

// goodbye is the DELETE of RFC 9725. A bot that does not answer it will notice
// the end of the connection.
func (w *whipConn) goodbye() {
	if w.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(w.call.server.ctx, whipTimeout)
	defer cancel()
	resp, err := w.request(ctx, http.MethodDelete, w.session, "")
	if err != nil {
		w.call.server.log.Info("cloud: WHIP session not deleted", "call", w.call.id, "error", err)
		return
	}
	_ = resp.Body.Close()
}

func (w *whipConn) close() {
	w.peer.close()
	_ = w.mux.Close()
}
