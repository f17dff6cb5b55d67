package rtp

import (
	"context"
	"net/http"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/offer"
)

// serveWeb rings with an offer of WebRTC. When the bot has answered, the leg has
// an address, and the media answers the offer there:
//
//	Read, Check -> ring -> session.Manager -> Answer -> ServeOffer -> connected
func (c *Cloud) serveWeb(w http.ResponseWriter, r *http.Request, web offer.Media, sdp []byte) {
	_, speaks, err := offer.Check(web, sdp)
	if err == nil && !speaks {
		err = &offer.Error{Status: http.StatusNotAcceptable, Code: "not_acceptable",
			Message: "the offer only receives: want sendrecv or sendonly; to listen in on a call there is /whep/{call}"}
	}
	if err != nil {
		errorOf(err).Write(w)
		return
	}
	k, is, err := c.invite(r, call{offer: sdp, web: true})
	if err != nil {
		errorOf(err).Write(w)
		return
	}
	err = offer.Serve(web, w, r, sdp, is.url, func() { k.served <- nil })
	if err != nil {
		k.served <- err
	}
}

// answerWeb lets the media answer the offer of k at url, and returns when it has.
func (c *Cloud) answerWeb(ctx context.Context, k *call, url string) (session.Connection, error) {
	const op = "answer"
	k.agreed <- agreed{url: url}
	var err error
	select {
	case err = <-k.served:
	case <-ctx.Done():
		err = ctx.Err()
	case <-k.done:
		select {
		case err = <-k.served: // it is over already, and stood
		default:
			return session.Connection{}, c.gone(op)
		}
	}
	if err != nil {
		c.forget(k.id)
		e := errorOf(err)
		return session.Connection{}, &session.Error{Cloud: c.name, Op: op, Status: e.Status, Code: e.Code, Message: e.Message}
	}
	return c.connected(k), nil
}
