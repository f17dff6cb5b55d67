package cloud

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// trackedDuration is how long a repeatable request is remembered
// (learn.microsoft.com/rest/api/communication/repeatable-requests).
const trackedDuration = 5 * time.Minute

// maxTracked bounds the table of repeatable requests; the oldest goes first.
const maxTracked = 10000

// The headers of OASIS Repeatable Requests 1.0.
const (
	headerRequestID = "Repeatability-Request-ID"
	headerFirstSent = "Repeatability-First-Sent"
	headerResult    = "Repeatability-Result"
)

// repeats remembers the responses of repeatable requests. The zero value is
// ready, and safe for concurrent use.
type repeats struct {
	mu    sync.Mutex
	table map[string]*tracked
	order []*tracked // by age
}

// tracked is a request that was executed, or is being executed.
type tracked struct {
	id    string
	at    time.Time
	print [sha256.Size]byte
	// response is nil while the request is in progress. It is set once, under
	// mu.
	response *response
}

// begin decides what becomes of a request with these headers:
//
//   - execute it, and call finish with its response (t is not nil), or
//   - replay the response of an earlier one (replay is not nil), or
//   - refuse it.
//
// Without a Repeatability-Request-ID all three are nil: execute.
func (r *repeats) begin(h http.Header, print [sha256.Size]byte, now time.Time) (t *tracked, replay *response, refused *refusal) {
	id := h.Get(headerRequestID)
	if id == "" {
		return nil, nil, nil
	}
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != 36 {
		return nil, nil, badArgument(headerRequestID, "%q is not a GUID", id)
	}
	first, err := http.ParseTime(h.Get(headerFirstSent))
	if err != nil {
		return nil, nil, badArgument(headerFirstSent, "%q is not an IMF-fixdate", h.Get(headerFirstSent))
	}
	if now.Sub(first).Abs() > trackedDuration {
		return nil, nil, &refusal{
			status: http.StatusPreconditionFailed, code: "PreconditionFailed", target: headerFirstSent,
			message: "Repeatability-First-Sent header is not within 5 minutes window.",
		}
	}
	return r.look(parsed.String(), print, now)
}

// knows tells whether a request with these headers was executed, or is being.
func (r *repeats) knows(h http.Header) bool {
	id, err := uuid.Parse(h.Get(headerRequestID))
	r.mu.Lock()
	defer r.mu.Unlock()
	return err == nil && r.table[id.String()] != nil
}

func (r *repeats) look(id string, print [sha256.Size]byte, now time.Time) (*tracked, *response, *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	old := r.table[id]
	switch {
	case old == nil:
		t := &tracked{id: id, at: now, print: print}
		if r.table == nil {
			r.table = map[string]*tracked{}
		}
		r.table[id] = t
		r.order = append(r.order, t)
		return t, nil, nil
	case old.print != print:
		return nil, nil, badArgument(headerRequestID, "%q was used for a different request", id)
	case old.response == nil:
		return nil, nil, &refusal{
			status: http.StatusConflict, code: "8519", target: headerRequestID,
			message: "The original request is still in progress.",
		}
	}
	return nil, old.response, nil
}

// finish records the response of an executed request. Failures of the server
// are forgotten, so that the next attempt executes again.
func (r *repeats) finish(t *tracked, resp *response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if resp.status < 500 {
		t.response = resp
	} else if r.table[t.id] == t {
		delete(r.table, t.id)
	}
}

// forget drops what is out of the window, and the oldest of too many. A
// request in progress may go too: its repetition is then executed again.
// A First-Sent may lie ahead by one window, so entries are kept for two.
func (r *repeats) forget(now time.Time) {
	for len(r.order) > 0 && (len(r.order) >= maxTracked || now.Sub(r.order[0].at) > 2*trackedDuration) {
		if r.table[r.order[0].id] == r.order[0] {
			delete(r.table, r.order[0].id)
		}
		r.order = r.order[1:]
	}
}

// printOf tells requests apart: same method, target and body.
func printOf(method, target string, body []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(method + "\n" + target + "\n"))
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}
