package cloud

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	// liveEvery is how often who watches is told, and liveComment how often
	// there is a sign of life besides.
	liveEvery   = 100 * time.Millisecond
	liveComment = 15 * time.Second
	// maxStreams bounds the streams of events.
	maxStreams = 64
)

// eventStream is a stream of server-sent events.
type eventStream struct {
	w    http.ResponseWriter
	ctrl *http.ResponseController
	last []byte // of the state
}

// event sends one event. An error: nobody listens any more.
func (e *eventStream) event(name string, v any) error {
	return e.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, marshal(v)))
}

func (e *eventStream) write(text []byte) error {
	if err := e.ctrl.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(text); err != nil {
		return err
	}
	return e.ctrl.Flush()
}

// changed tells whether v is another than the last time.
func (e *eventStream) changed(v any) bool {
	text, err := json.Marshal(v)
	same := err == nil && slices.Equal(text, e.last)
	e.last = text
	return !same
}

// stream serves events: next sends what there is, ten times a second, until it
// says that this was all.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request, next func(*eventStream) (over bool, err error)) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		w.Header().Set("Retry-After", "5")
		adminError(w, http.StatusServiceUnavailable, fmt.Errorf("cloud: %d streams of events are open", maxStreams))
		return
	}
	defer s.streams.Add(-1)
	e := &eventStream{w: w, ctrl: http.NewResponseController(w)}
	// The deadline of a request is not that of its answer.
	if err := e.ctrl.SetReadDeadline(time.Time{}); err != nil {
		adminError(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	t := time.NewTicker(liveEvery)
	defer t.Stop()
	spoke := time.Now()
	for {
		if over, err := next(e); over || err != nil {
			return
		}
		if time.Since(spoke) > liveComment {
			spoke = time.Now()
			if e.write([]byte(":\n\n")) != nil {
				return
			}
		}
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
	}
}

// serveCallEvents streams a call's state.
func (s *Server) serveCallEvents(w http.ResponseWriter, r *http.Request) {
	c := s.Call(r.PathValue("id"))
	if c == nil {
		adminError(w, http.StatusNotFound, fmt.Errorf("%w: %q", errUnknownCall, r.PathValue("id")))
		return
	}
	slots := 0
	s.streamEvents(w, r, func(e *eventStream) (bool, error) {
		l := c.watch()
		if l.Ended {
			return true, e.event("end", l)
		}
		if e.changed(l.still()) {
			if err := e.event("state", l); err != nil {
				return false, err
			}
		}
		if l.Slots == slots {
			return false, nil
		}
		slots = l.Slots
		return false, e.event("levels", map[string]any{"slots": l.Slots, "levels": l.levels()})
	})
}

// overview is what there is at the emulator.
type overview struct {
	Calls   []callSummary `json:"calls"`
	Ringing []ringing     `json:"ringing"`
}

func (s *Server) overview() overview {
	o := overview{Calls: []callSummary{}, Ringing: s.people.rung()}
	for _, c := range s.Calls() {
		sum := c.summary()
		sum.Slots = 0
		o.Calls = append(o.Calls, sum)
	}
	slices.SortFunc(o.Calls, func(a, b callSummary) int { return cmp.Compare(a.ID, b.ID) })
	return o
}

// serveEvents streams what there is.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	s.streamEvents(w, r, func(e *eventStream) (bool, error) {
		o := s.overview()
		if !e.changed(o) {
			return false, nil
		}
		return false, e.event("state", o)
	})
}
