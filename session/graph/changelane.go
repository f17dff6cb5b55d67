package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/mixminus/mixminus/session/oidc"
)

// A notification goes ServeHTTP → enqueue → lane → process → OnChange.

// lane is the notifications of one name, in order. It is guarded by
// ChangeWebhook.mu.
type lane struct {
	jobs []job
	// lostID is the subscription of notifications that were lost and of
	// which Watcher does not know yet.
	lostID string
}

// job is one notification that waits.
type job struct {
	batch   *batch
	watched Watched
	item    changeItem
}

// batch is what the notifications of one request share.
type batch struct {
	// Static after construction.
	request  *http.Request // for the log; it is answered already
	tokens   []string
	received time.Time

	// Guarded by once.
	once    sync.Once
	refused string // the reason, "" if all tokens are good
}

// maxTokens bounds the validation tokens of one request: one for each pair of
// app and tenant.
const maxTokens = 64

// enqueue hands the items to their lanes. It returns false if the webhook is
// closed, and has done nothing then.
func (w *ChangeWebhook) enqueue(of *batch, b changeBatch) bool {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return false
	}
	w.stats.Requests++
	if len(b.Bad) > 0 {
		w.stats.Rejected["item"] += int64(len(b.Bad))
	}
	w.loops.Add(1) // so that Close waits for this too
	w.mu.Unlock()
	defer w.loops.Done()
	for _, item := range b.Items {
		// Asked without mu, which a callback must not be called under.
		watched, err := w.config.Watcher.Lookup(item.Notification.SubscriptionID, item.Notification.ClientState)
		if err != nil {
			w.ignore(of, err)
			continue
		}
		w.push(job{of, watched, item})
	}
	return true
}

func (w *ChangeWebhook) ignore(of *batch, err error) {
	reason := "unknown"
	if errors.Is(err, ErrClientState) {
		reason = "client_state"
	}
	w.count(func(s *ChangeStats) { s.Ignored[reason]++ })
	w.guard.Warn(of.request, "ignored:"+reason, "change notification ignored", "error", err)
}

// push puts a job at the end of its lane, which is started if it has no work.
func (w *ChangeWebhook) push(j job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.lanes[j.watched.Name]
	if l == nil {
		l = &lane{}
		w.lanes[j.watched.Name] = l
		w.loops.Go(func() { w.laneLoop(j.watched.Name, l) })
	}
	if len(l.jobs) >= w.config.Queue || w.bytes+j.item.Size > w.config.QueueBytes {
		w.stats.Dropped++
		l.lostID = j.item.Notification.SubscriptionID
		return
	}
	l.jobs = append(l.jobs, j)
	w.bytes += j.item.Size
}

// laneLoop works through a lane until it is empty, and then removes it. It
// must only be called by push.
func (w *ChangeWebhook) laneLoop(name string, l *lane) {
	for {
		w.mu.Lock()
		if len(l.jobs) == 0 {
			lost := l.lostID
			l.lostID = ""
			if lost == "" {
				delete(w.lanes, name)
				w.mu.Unlock()
				return
			}
			w.mu.Unlock()
			w.config.Watcher.Lifecycle(name, lost, LifecycleMissed)
			continue
		}
		j := l.jobs[0]
		l.jobs[0] = job{}
		l.jobs = l.jobs[1:]
		w.bytes -= j.item.Size
		w.mu.Unlock()
		if w.ctx.Err() != nil {
			w.count(func(s *ChangeStats) { s.Dropped++ })
			continue
		}
		if reason, err := w.process(&j); reason != "" {
			w.count(func(s *ChangeStats) { s.Rejected[reason]++ })
			w.guard.Warn(j.batch.request, "rejected:"+reason, "change notification refused",
				"item", j.item.Index, "name", name, "error", err)
			if reason == "token:"+oidc.RefusedUnavailable {
				w.mu.Lock()
				l.lostID = j.item.Notification.SubscriptionID
				w.mu.Unlock()
			}
		}
	}
}

// process does what is to be done after the answer, in the order that the
// documents give: tokens, key, signature, decryption. It returns why the
// notification is refused, "" if it is not.
func (w *ChangeWebhook) process(j *job) (reason string, err error) {
	n := &j.item.Notification
	if refused := w.checkTokens(j.batch, n.EncryptedContent != nil); refused != "" {
		return "token:" + refused, errors.New("validationTokens: " + refused)
	}
	if n.LifecycleEvent != "" {
		w.count(func(s *ChangeStats) { s.Lifecycle++ })
		w.config.Watcher.Lifecycle(j.watched.Name, n.SubscriptionID, lifecycleOf(n.LifecycleEvent))
		return "", nil
	}
	n.ClientState = "" // it has done its work
	change := Change{Name: j.watched.Name, Received: j.batch.received, Notification: *n, Resource: n.ResourceData}
	switch {
	case n.EncryptedContent == nil && j.watched.Rich:
		return "not_encrypted", errors.New("encryptedContent is missing")
	case n.EncryptedContent != nil && w.config.Keys == nil:
		return "no_keys", errors.New("there are no keys to decrypt with")
	case n.EncryptedContent != nil:
		if change.Resource, err = w.config.Keys.Decrypt(n.EncryptedContent); err != nil {
			return contentReason(err), err
		}
		if change.Event, err = callEventIn(n.Resource, change.Resource); err != nil {
			return "decode", fmt.Errorf("decrypted resource: %w", err)
		}
	default:
		change.Event = bareEvent(n)
	}
	w.deliver(j, change)
	return "", nil
}

func contentReason(err error) string {
	switch {
	case errors.Is(err, ErrUnknownKey):
		return "unknown_key"
	case errors.Is(err, ErrContent):
		return "content"
	}
	return "malformed"
}

// bareEvent reads the event that notifications of 2021 hold unencrypted. Those
// of today hold an id alone.
func bareEvent(n *ChangeNotification) *CallEvent {
	event, err := callEventIn(n.Resource, n.ResourceData)
	if err != nil || event == nil || event.EventType == "" {
		return nil
	}
	return event
}

func (w *ChangeWebhook) deliver(j *job, change Change) {
	defer func() {
		if p := recover(); p != nil {
			w.count(func(s *ChangeStats) { s.Panics++ })
			w.guard.Warn(j.batch.request, "panic", "OnChange panicked", "name", change.Name, "panic", p)
		}
	}()
	w.count(func(s *ChangeStats) { s.Changes++ })
	w.config.OnChange(change)
}

// checkTokens tells why the tokens of a request are refused, "" if they are
// not. One that is bad refuses all: nothing says which notifications it was
// for. Notifications without content need none.
func (w *ChangeWebhook) checkTokens(b *batch, needed bool) string {
	if w.config.Verify == nil {
		return ""
	}
	if needed && len(b.tokens) == 0 {
		return oidc.RefusedMissing
	}
	b.once.Do(func() {
		if len(b.tokens) > maxTokens {
			b.refused = oidc.RefusedMalformed
			return
		}
		for _, token := range b.tokens {
			if err := w.config.Verify(w.ctx, token); err != nil {
				b.refused = "refused"
				var told *oidc.TokenError
				if errors.As(err, &told) {
					b.refused = told.Reason
				}
				w.guard.Warn(b.request, "token:"+b.refused, "validation token refused", "error", err)
				return
			}
		}
	})
	return b.refused
}

// Close refuses what comes from now on, and waits until all that was answered
// 202 is handed on, or ctx ends: then what still waits is dropped.
func (w *ChangeWebhook) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		w.loops.Wait()
		close(done)
	}()
	select {
	case <-done:
		w.giveUp()
		return nil
	case <-ctx.Done():
		w.giveUp()
		return fmt.Errorf("graph: change webhook: close with %d notifications under way: %w", w.Stats().Queued, context.Cause(ctx))
	}
}
