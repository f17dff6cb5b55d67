package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Limits of prompts and recordings ("call: playPrompt", "call: recordResponse").
const (
	maxPrompts = 20
	maxQueue   = 100               // operations that wait
	maxPrompt  = 600 * 2 * 16000   // bytes of a file
	recordsFor = 120 * time.Second // the longest recording
)

// mediaQueue plays prompts and records, one operation after the other. Its zero
// value is ready, and safe for concurrent use.
type mediaQueue struct {
	mu      sync.Mutex
	waiting []*mediaTask
	running *mediaTask
	closed  bool
}

// mediaTask is a prompt or a recording.
type mediaTask struct {
	c       *graphCall
	op      *graphOp
	prompts []string // addresses of WAV files
	record  *recordModel
	base    string // address of what was recorded
	cancel  context.CancelFunc
	ctx     context.Context
	keys    chan string   // pressed while it runs
	told    chan struct{} // closed once the response that began it was sent
}

type promptModel struct {
	MediaInfo *struct {
		URI        string `json:"uri"`
		ResourceID string `json:"resourceId"`
	} `json:"mediaInfo"`
}

// add queues a task, and starts it if nothing runs.
func (q *mediaQueue) add(t *mediaTask) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting) >= maxQueue {
		return false
	}
	t.ctx, t.cancel = context.WithCancel(t.c.ctx)
	t.keys, t.told = make(chan string, 64), make(chan struct{})
	q.waiting = append(q.waiting, t)
	q.next()
	return true
}

// next starts what waits. Called with mu held.
func (q *mediaQueue) next() {
	if q.running != nil || len(q.waiting) == 0 || q.closed {
		return
	}
	t := q.waiting[0]
	q.waiting, q.running = q.waiting[1:], t
	t.c.server.wg.Go(func() {
		select {
		case <-t.told:
		case <-t.ctx.Done(): // the call ended
		}
		t.run()
		q.mu.Lock()
		defer q.mu.Unlock()
		q.running = nil
		q.next()
	})
}

// clear takes all that waits out of the queue, and returns what cancels that and
// what runs.
func (q *mediaQueue) clear() (cancel func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting, running := q.waiting, q.running
	q.waiting = nil
	return func() {
		if running != nil {
			running.cancel()
		}
		for _, t := range waiting {
			t.cancel()
			t.fail(errCancelled)
		}
	}
}

func (q *mediaQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.waiting = true, nil
	if q.running != nil {
		q.running.cancel()
	}
}

func (q *mediaQueue) pressed(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		select {
		case q.running.keys <- key:
		default:
		}
	}
}

var errCancelled = errors.New("cancelled")

func (t *mediaTask) fail(err error) {
	switch {
	case errors.Is(err, errCancelled):
		more := map[string]any{"completionReason": t.c.server.Profile.enum("operationCanceled")}
		if t.record != nil {
			more["recordingLocation"], more["recordingAccessToken"] = "", ""
		}
		t.c.complete(t.op, "failed", Result{400, 8508, "Action failed, the operation was cancelled."}, more)
	default:
		t.c.complete(t.op, "failed", Result{500, 8519, "Action failed: " + err.Error()}, nil)
	}
}

// run plays and records, in real time.
func (t *mediaTask) run() {
	defer t.cancel()
	for _, uri := range t.prompts {
		if err := t.play(uri); err != nil {
			t.fail(err)
			return
		}
	}
	if !t.heard() {
		t.fail(errCancelled)
		return
	}
	if t.record == nil {
		t.c.complete(t.op, "completed", actionDone, nil)
		return
	}
	if t.record.PlayBeep == nil || *t.record.PlayBeep {
		t.c.hear(beep())
		if !t.heard() {
			t.fail(errCancelled)
			return
		}
	}
	t.take()
}

// beep is a fifth of a second of 1 kHz, as loud as speech.
func beep() []int16 {
	wave := [...]int16{0, 3061, 5657, 7391, 8000, 7391, 5657, 3061, 0, -3061, -5657, -7391, -8000, -7391, -5657, -3061}
	out := make([]int16, pcm.SampleRate/5)
	for i := range out {
		out[i] = wave[i%len(wave)]
	}
	return out
}

// hear lets the other side hear samples.
func (c *graphCall) hear(samples []int16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.playout.write(c.media.position(time.Now()), samples)
}

func (t *mediaTask) play(uri string) error {
	samples, err := t.c.server.fetchPrompt(t.ctx, uri)
	if err != nil {
		if t.ctx.Err() != nil {
			return errCancelled
		}
		return err
	}
	t.c.hear(samples)
	// The next prompt comes while the end of this one waits to be heard.
	if sleep(t.ctx, time.Duration(len(samples))*time.Second/pcm.SampleRate) {
		return nil
	}
	t.hush()
	return errCancelled
}

// heard waits until all was heard that is to be, and cuts it if the operation
// is cancelled before.
func (t *mediaTask) heard() bool {
	t.c.mu.Lock()
	left := t.c.playout.left(t.c.media.position(time.Now()))
	t.c.mu.Unlock()
	if left == 0 || sleep(t.ctx, time.Duration(left)*time.Second/pcm.SampleRate) {
		return true
	}
	t.hush()
	return false
}

// hush cuts what is heard.
func (t *mediaTask) hush() {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.playout.flush(t.c.media.position(time.Now()))
}

// fetchPrompt gets a WAV file, which must be mono, 16 bit, 16 kHz: the
// documents' rule for mediaInfo.
func (s *Server) fetchPrompt(ctx context.Context, uri string) ([]int16, error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %d for the prompt", resp.StatusCode)
	}
	reader, err := wav.NewReader(io.LimitReader(resp.Body, maxPrompt))
	if err != nil {
		return nil, err
	}
	if reader.SampleRate() != pcm.SampleRate {
		return nil, fmt.Errorf("the prompt has %d Hz: want 16000", reader.SampleRate())
	}
	var samples []int16
	chunk := make([]int16, 16000)
	for {
		n, err := reader.Read(chunk)
		samples = append(samples, chunk[:n]...)
		switch {
		case errors.Is(err, io.EOF):
			return samples, nil
		case err != nil:
			return nil, err
		}
	}
}

// prompts checks what is to be played.
func (s *Server) checkPrompts(prompts []promptModel, most int) ([]string, *response) {
	var uris []string
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
		uris = append(uris, p.MediaInfo.URI)
	}
	return uris, nil
}

func (c *graphCall) playPrompt(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Prompts []promptModel `json:"prompts"`
	}
	bad := decodeGraph(r.body, &m)
	uris, wrong := c.server.checkPrompts(m.Prompts, maxPrompts)
	if bad == nil && wrong == nil && len(uris) == 0 {
		bad = badRequest("prompts", "is missing")
	}
	if bad = firstOf(bad, wrong, clientContext(m.ClientContext), c.hosted(false), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("playPromptOperation", m.ClientContext, "running")
	return c.enqueue(r, &mediaTask{c: c, op: op, prompts: uris}, false)
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
		close(t.told)
	})
}
