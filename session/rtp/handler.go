package rtp

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
	"github.com/mixminus/mixminus/session/rest"
)

// ServeHTTP takes offers and serves the calls by their ids:
//
//	POST   /rtp       an offer, application/sdp   201, the answer, Location: /rtp/{id}
//	GET    /rtp/{id}                              200 session.Connection
//	DELETE /rtp/{id}                              204
//
// POST rings, and returns when that was decided on. Whoever gives up waiting
// ends the call. An offer cannot be changed later (no re-offer, no hold): hang
// up and offer anew. {id} is the call_id of any call of this cloud.
//
// Errors are {"error":{"code","message"}}: 400 for an offer that cannot be
// read; 401 and 403 from the guard of the control API; 403 for a call that was
// declined; 404; 405; 406 for an offer in which nothing can be carried; 410 for
// a call that ended before it was answered; 413 over 64 KiB; 415; 503 with
// Retry-After for a bot that is busy or a host that is full; 504 if nobody
// answers. A busy bot has no status of its own in HTTP, as 486 in SIP: 503 says
// like it that the same request may succeed later. 408 would blame the request.
//
// With the media of WebRTC the answer and its Location are the media's own: the
// session is there, and its end is the call's. 406 is also for a peer that would
// not speak: who only listens is no party of a call.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if c.guard.CORS(w, r, "DELETE, GET, HEAD, POST") {
		return
	}
	if no := c.guard.Check(r); no != nil {
		(&offer.Error{Status: no.Status, Code: no.Code, Message: no.Message}).Write(w)
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, c.path+"/")
	switch {
	case r.URL.Path == c.path:
		c.serveOffers(w, r)
	case one && id != "" && !strings.Contains(id, "/"):
		c.serveCall(w, r, id)
	default:
		offer.NotFound().Write(w)
	}
}

func (c *Cloud) serveCall(w http.ResponseWriter, r *http.Request, id string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		conn, err := c.Get(r.Context(), id)
		if err != nil {
			errorOf(err).Write(w)
			return
		}
		offer.WriteJSON(w, http.StatusOK, conn)
	case http.MethodDelete:
		if err := c.hangUp(id, "hung up by the caller"); err != nil {
			errorOf(err).Write(w)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		offer.Allow(w, r, "DELETE, GET, HEAD")
	}
}

func (c *Cloud) serveOffers(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		offer.Allow(w, r, "OPTIONS, POST")
		return
	}
	sdp, err := offer.Read(w, r)
	if err != nil {
		errorOf(err).Write(w)
		return
	}
	c.mu.Lock()
	web := c.web
	c.mu.Unlock()
	if web != nil {
		c.serveWeb(w, r, web, sdp)
		return
	}
	k, is, err := c.invite(r, call{offer: sdp})
	if err != nil {
		errorOf(err).Write(w)
		return
	}
	w.Header().Set("Content-Type", offer.Type)
	w.Header().Set("Location", c.path+"/"+k.id)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(is.answer)
}

// invite rings with an offer, as the call that template describes, and returns
// what the bot answered.
func (c *Cloud) invite(r *http.Request, template call) (*call, agreed, error) {
	c.mu.Lock()
	sink := c.sink
	if sink == nil {
		c.mu.Unlock()
		return nil, agreed{}, &offer.Error{Status: http.StatusServiceUnavailable, Code: "not_ready", Message: "the host is starting"}
	}
	template.peer = session.Identity{RawID: c.name + ":" + rest.Clip(r.RemoteAddr)}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		template.peer = c.peer(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	k := c.add(template)
	c.mu.Unlock()
	raw := object(struct {
		Offer string `json:"offer"`
	}{string(k.offer)})
	ic, err := sink.TryRing(c.incoming(k, k.id, raw))
	if err != nil {
		c.forget(k.id)
		return k, agreed{}, err
	}
	select {
	case is := <-k.agreed:
		return k, is, is.err
	case <-ic.Done():
	case <-r.Context().Done():
		_ = c.hangUp(k.id, "the caller gave up") // unless it ended by itself
		return k, agreed{}, r.Context().Err()
	}
	select {
	case is := <-k.agreed: // it was answered, and has ended since
		return k, is, is.err
	default:
		return k, agreed{}, c.unanswered(k, ic.Err())
	}
}

// unanswered is the error of an offer whose call ended so, unanswered.
func (c *Cloud) unanswered(k *call, end error) error {
	c.mu.Lock()
	declined, reason := k.declined, k.reason
	c.mu.Unlock()
	var refused *session.Error
	switch {
	case end != nil && !errors.As(end, &refused):
		return end
	case !declined:
		return &offer.Error{Status: http.StatusGone, Code: "ended", Message: "the call ended before it was answered"}
	case reason == Busy:
		return &offer.Error{Status: http.StatusServiceUnavailable, Code: "busy", Message: "the bot is busy"}
	case reason != "":
		return &offer.Error{Status: http.StatusForbidden, Code: "declined", Message: "the call was declined: " + rest.Clip(reason)}
	}
	return &offer.Error{Status: http.StatusForbidden, Code: "declined", Message: "the call was declined"}
}

// ends are the errors of a call that have a status of their own.
var ends = []struct {
	err    error
	status int
	code   string
}{
	{session.ErrAnswerDeadline, http.StatusGatewayTimeout, "no_answer"},
	{session.ErrTooManyCalls, http.StatusServiceUnavailable, "too_many_calls"},
	{session.ErrClosed, http.StatusServiceUnavailable, "closed"},
	{context.Canceled, http.StatusServiceUnavailable, "canceled"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout"},
}

// errorOf gives any error its status.
func errorOf(err error) *offer.Error {
	if e := (*offer.Error)(nil); errors.As(err, &e) {
		return e
	}
	if e := (*session.Error)(nil); errors.As(err, &e) && e.Status != 0 {
		return &offer.Error{Status: e.Status, Code: e.Code, Message: e.Message}
	}
	for _, end := range ends {
		if errors.Is(err, end.err) {
			return &offer.Error{Status: end.status, Code: end.code, Message: err.Error()}
		}
	}
	return &offer.Error{Status: http.StatusInternalServerError, Code: "internal", Message: err.Error()}
}
