package rtp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

const (
	sdpType  = "application/sdp" // RFC 8866, section 8.1
	maxOffer = 64 << 10
	// retryAfter, in seconds, goes with 503.
	retryAfter = "5"
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
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if no := c.guard.Check(r); no != nil {
		writeError(w, &httpError{no.Status, no.Code, no.Message})
		return
	}
	id, one := strings.CutPrefix(r.URL.Path, c.path+"/")
	switch {
	case r.URL.Path == c.path:
		c.serveOffers(w, r)
	case one && id != "" && !strings.Contains(id, "/"):
		c.serveCall(w, r, id)
	default:
		writeError(w, &httpError{http.StatusNotFound, "not_found", "nothing is served at this path"})
	}
}

// httpError is a response that is not a success.
type httpError struct {
	status        int
	code, message string
}

func (e *httpError) Error() string { return e.message }

func writeError(w http.ResponseWriter, e *httpError) {
	switch e.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	type words struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	writeJSON(w, e.status, struct {
		Error words `json:"error"`
	}{words{e.code, e.message}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a peer that is gone hears nothing
}

func notAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	w.Header().Set("Allow", allow)
	writeError(w, &httpError{http.StatusMethodNotAllowed, "method_not_allowed", rest.Clip(r.Method) + " is not served here"})
}

func (c *Cloud) serveCall(w http.ResponseWriter, r *http.Request, id string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		conn, err := c.Get(r.Context(), id)
		if err != nil {
			writeError(w, httpErrorOf(err))
			return
		}
		writeJSON(w, http.StatusOK, conn)
	case http.MethodDelete:
		if err := c.hangUp(id, "hung up by the caller"); err != nil {
			writeError(w, httpErrorOf(err))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		notAllowed(w, r, "DELETE, GET, HEAD")
	}
}

func (c *Cloud) serveOffers(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		notAllowed(w, r, "POST")
		return
	}
	offer, err := readOffer(w, r)
	if err != nil {
		writeError(w, httpErrorOf(err))
		return
	}
	id, answer, err := c.offer(r.Context(), r.RemoteAddr, offer)
	if err != nil {
		writeError(w, httpErrorOf(err))
		return
	}
	w.Header().Set("Content-Type", sdpType)
	w.Header().Set("Location", c.path+"/"+id)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

// readOffer returns the body if it may be an offer.
func readOffer(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	said := r.Header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(said); err != nil || t != sdpType {
		return nil, &httpError{http.StatusUnsupportedMediaType, "content_type",
			fmt.Sprintf("Content-Type = %q: want %s", rest.Clip(said), sdpType)}
	}
	if packed := r.Header.Get("Content-Encoding"); packed != "" && !strings.EqualFold(packed, "identity") {
		return nil, &httpError{http.StatusUnsupportedMediaType, "content_encoding",
			fmt.Sprintf("Content-Encoding = %q: want none", rest.Clip(packed))}
	}
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOffer))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &httpError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("body is over %d bytes", maxOffer)}
	case err != nil:
		return nil, &httpError{http.StatusBadRequest, "bad_body", "body: " + err.Error()}
	}
	// Whatever has another first line (RFC 8866, section 5.1) need not ring.
	if first, _, _ := strings.Cut(string(offer), "\n"); strings.TrimSuffix(first, "\r") != "v=0" {
		return nil, &httpError{http.StatusBadRequest, "bad_offer", fmt.Sprintf("first line = %q: want v=0", rest.Clip(first))}
	}
	return offer, nil
}

// offer rings with an offer and returns what the bot answered.
func (c *Cloud) offer(ctx context.Context, from string, offer []byte) (id string, answer []byte, err error) {
	c.mu.Lock()
	sink := c.sink
	if sink == nil {
		c.mu.Unlock()
		return "", nil, &httpError{http.StatusServiceUnavailable, "not_ready", "the host is starting"}
	}
	who := session.Identity{RawID: Name + ":" + rest.Clip(from)}
	if at, err := netip.ParseAddrPort(from); err == nil {
		who = peer(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	}
	k := c.add(call{offer: offer, peer: who})
	c.mu.Unlock()
	raw := object(struct {
		Offer string `json:"offer"`
	}{string(offer)})
	ic, err := sink.TryRing(c.incoming(k, k.id, raw))
	if err != nil {
		c.forget(k.id)
		return "", nil, err
	}
	select {
	case is := <-k.agreed:
		return k.id, is.answer, is.err
	case <-ic.Done():
	case <-ctx.Done():
		_ = c.hangUp(k.id, "the caller gave up") // unless it ended by itself
		return "", nil, ctx.Err()
	}
	select {
	case is := <-k.agreed: // it was answered, and has ended since
		return k.id, is.answer, is.err
	default:
		return "", nil, c.unanswered(k, ic.Err())
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
		return &httpError{http.StatusGone, "ended", "the call ended before it was answered"}
	case reason == Busy:
		return &httpError{http.StatusServiceUnavailable, "busy", "the bot is busy"}
	case reason != "":
		return &httpError{http.StatusForbidden, "declined", "the call was declined: " + rest.Clip(reason)}
	}
	return &httpError{http.StatusForbidden, "declined", "the call was declined"}
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

// httpErrorOf gives any error its status.
func httpErrorOf(err error) *httpError {
	if e := (*httpError)(nil); errors.As(err, &e) {
		return e
	}
	if e := (*session.Error)(nil); errors.As(err, &e) && e.Status != 0 {
		return &httpError{e.Status, e.Code, e.Message}
	}
	for _, end := range ends {
		if errors.Is(err, end.err) {
			return &httpError{end.status, end.code, err.Error()}
		}
	}
	return &httpError{http.StatusInternalServerError, "internal", err.Error()}
}
