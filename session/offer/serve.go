package offer

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/mixminus/mixminus/transport"
)

// Media carries legs to peers who offer by HTTP: transport/rtc.Server. Its
// methods are safe for concurrent use.
type Media interface {
	// Open mints an endpoint, which takes offers at its URL.
	transport.Transport
	// CheckOffer tells of an offer, before anything is done for it, whether its
	// peer would hear and speak. Its error may say by NotAcceptable() bool
	// whether the offer is well-formed and nothing in it can be carried (true),
	// or malformed.
	CheckOffer(offer []byte) (hears, speaks bool, err error)
	// ServeOffer answers a request that posts an offer, for the endpoint at url:
	// with 201, the answer and where the session is, or an error.
	ServeOffer(w http.ResponseWriter, r *http.Request, url string)
}

// Check is Media.CheckOffer with errors that have a status.
func Check(m Media, offer []byte) (hears, speaks bool, err error) {
	hears, speaks, err = m.CheckOffer(offer)
	if refused := Judged(err); refused != nil {
		err = refused
	}
	return hears, speaks, err
}

// Serve has the media answer r, whose body was read already, for the endpoint at
// url, and returns nil if that was a success, else the *Error that the peer got.
// taken, if not nil, is called before the peer is told of a success, so that
// whatever it does then finds everything in place.
func Serve(m Media, w http.ResponseWriter, r *http.Request, offer []byte, url string, taken func()) error {
	again := r.Clone(r.Context())
	again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(offer)), int64(len(offer))
	rec := &recorder{ResponseWriter: w, taken: taken}
	m.ServeOffer(rec, again, url)
	switch {
	case rec.status == http.StatusCreated:
		return nil
	case rec.status == 0 && r.Context().Err() != nil:
		return context.Cause(r.Context())
	case rec.status < http.StatusBadRequest:
		rec.status = http.StatusInternalServerError
	}
	return &Error{Status: rec.status, Code: "not_answered", Message: "the offer was refused: " + strings.TrimSpace(rec.words.String())}
}

// recorder notes what is answered.
type recorder struct {
	http.ResponseWriter
	taken  func()
	status int
	words  strings.Builder // of an error, the beginning
}

// maxWords of an error are kept, in bytes.
const maxWords = 512

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		if status == http.StatusCreated && r.taken != nil {
			r.taken()
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if r.status != http.StatusCreated {
		r.words.Write(b[:min(len(b), maxWords-r.words.Len())])
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
