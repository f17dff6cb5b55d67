package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Limits of prompts and recordings ("call: playPrompt", "call: recordResponse").
const (
	maxPrompts = 20
	maxQueue   = 100               // operations that wait
	recordsFor = 120 * time.Second // the longest recording
)

// mediaQueue holds the prompts and recordings of a call, which come one after
// the other: the first is being played, or is the next to be. Its zero value is
// ready, and safe for concurrent use.
type mediaQueue struct {
	mu     sync.Mutex
	tasks  []*mediaTask
	closed bool
}

// mediaTask is a prompt or a recording.
type mediaTask struct {
	// Static after construction.
	c      *graphCall
	op     *graphOp
	record *recordModel // nil: nothing is recorded
	base   string       // address of what was recorded

	// Guarded by mediaQueue.mu.
	told      bool // the response that began it was sent
	begun     bool
	cancelled bool

	// Owned by the call's goroutine.
	prompts []*prompter // that have not been heard whole
	take    *take
	spoke   bool
	quiet   int // slots since somebody spoke
}

type promptModel struct {
	MediaInfo *struct {
		URI        string `json:"uri"`
		ResourceID string `json:"resourceId"`
	} `json:"mediaInfo"`
}

// add queues a task, of which nothing happens until tell.
func (q *mediaQueue) add(t *mediaTask) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.tasks) > maxQueue {
		return false
	}
	q.tasks = append(q.tasks, t)
	return true
}

// tell says that the bot knows of a task.
func (q *mediaQueue) tell(t *mediaTask) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.told = true
}

// turn returns the task whose turn it is, nil if there is none.
func (q *mediaQueue) turn() (t *mediaTask, cancelled bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tasks) == 0 || !q.tasks[0].told {
		return nil, false
	}
	t = q.tasks[0]
	t.begun = true
	return t, t.cancelled
}

// strike takes the first task off the queue, whose turn is over.
func (q *mediaQueue) strike() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.tasks = q.tasks[1:]
	}
}

// clear takes all that waits out of the queue, and returns what cancels that and
// what runs, which ends with the next slot.
func (q *mediaQueue) clear() (cancel func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var running *mediaTask
	waiting := q.tasks
	if len(waiting) > 0 && waiting[0].begun {
		running, waiting = waiting[0], waiting[1:]
	}
	q.tasks = q.tasks[: len(q.tasks)-len(waiting) : len(q.tasks)-len(waiting)]
	return func() {
		if running != nil {
			q.mu.Lock()
			running.cancelled = true
			q.mu.Unlock()
		}
		for _, t := range waiting {
			t.fail(errCancelled)
		}
	}
}

// close drops what a call leaves unfinished: the end of the call tells so, as at
// Communication Services.
func (q *mediaQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.tasks = true, nil
}

var errCancelled = errors.New("cancelled")

func (t *mediaTask) fail(err error) {
	var which *promptError
	switch {
	case errors.Is(err, errCancelled):
		more := map[string]any{"completionReason": t.c.server.Profile.enum("operationCanceled")}
		if t.record != nil {
			more["recordingLocation"], more["recordingAccessToken"] = "", ""
		}
		t.c.complete(t.op, "failed", Result{400, 8508, "Action failed, the operation was cancelled."}, more)
		return
	case errors.As(err, &which):
		err = which.err // there are as many prompters as files
	}
	t.c.complete(t.op, "failed", Result{500, 8519, "Action failed: " + err.Error()}, nil)
}

// played implements slotWatcher.
func (c *graphCall) played(at moment) {
	t, cancelled := c.queue.turn()
	switch {
	case t == nil:
		return
	case cancelled:
		if len(t.prompts) > 0 {
			t.prompts[0].cut(at.slot)
		}
		t.fail(errCancelled)
	case !t.step(at):
		return
	}
	c.queue.strike()
}

// step does what a slot brings, and reports whether the work is over.
func (t *mediaTask) step(at moment) bool {
	for len(t.prompts) > 0 {
		p := t.prompts[0]
		over, err := p.step(at.slot)
		if err != nil {
			t.fail(err)
			return true
		}
		if !over {
			// The next one is got while this one is heard.
			if p.begun && len(t.prompts) > 1 && t.prompts[1].fetched == nil {
				t.prompts[1].fetch()
			}
			return false
		}
		t.prompts = t.prompts[1:]
	}
	if t.record != nil {
		return t.listen(at)
	}
	t.c.complete(t.op, "completed", actionDone, nil)
	return true
}

// oneByOne plays prompts so that one that cannot be got does not keep those
// before it from being heard.
func (c *graphCall) oneByOne(sources []promptSource) (all []*prompter) {
	for _, source := range sources {
		all = append(all, c.newPrompter([]promptSource{source}, nil, false))
	}
	return all
}

// checkPrompts checks what is to be played.
func (s *Server) checkPrompts(prompts []promptModel, most int) ([]promptSource, *response) {
	var files []promptSource
	if len(prompts) > most {
		return nil, badRequest("prompts", "%d, at most %d", len(prompts), most)
	}
	for i, p := range prompts {
		field := fmt.Sprintf("prompts[%d].mediaInfo.uri", i)
		if p.MediaInfo == nil || p.MediaInfo.URI == "" {
			return nil, badRequest(field, "is missing")
		}
		if bad := checkGraphURI(field, p.MediaInfo.URI, s.Insecure); bad != nil {
			return nil, bad
		}
		files = append(files, promptSource{kind: "file", uri: p.MediaInfo.URI})
	}
	return files, nil
}

func (c *graphCall) playPrompt(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Prompts []promptModel `json:"prompts"`
	}
	bad := decodeGraph(r.body, &m)
	files, wrong := c.server.checkPrompts(m.Prompts, maxPrompts)
	if bad == nil && wrong == nil && len(files) == 0 {
		bad = badRequest("prompts", "is missing")
	}
	if bad = firstOf(bad, wrong, clientContext(m.ClientContext), c.hosted(false), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("playPromptOperation", m.ClientContext, "running")
	return c.enqueue(r, &mediaTask{c: c, op: op, prompts: c.oneByOne(files)}, false)
}

// enqueue takes the next place in the queue for an operation, which begins once
// its response was sent; what it barges in on ends then.
func (c *graphCall) enqueue(r *graphRequest, t *mediaTask, bargeIn bool) (*response, func()) {
	cancel := func() {}
	if bargeIn {
		cancel = c.queue.clear()
	}
	added := c.queue.add(t)
	return c.reply(r, t.op, http.StatusOK, func() {
		cancel()
		if !added {
			t.fail(fmt.Errorf("%d operations wait already", maxQueue))
			return
		}
		c.queue.tell(t)
	})
}
