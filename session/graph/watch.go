package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
)

// maxFormer bounds the ids that a watch had before, whose late notifications
// are still taken.
const maxFormer = 4

// watch is a Watch that is kept.
type watch struct {
	// Static after construction.
	want        Watch
	clientState string
	wake        chan struct{} // capacity 1
	done        chan struct{} // closed when the loop has ended
	ctx         context.Context
	cancel      context.CancelFunc

	// Owned by keepLoop; by withdraw after it has ended.
	failures int       // in a row
	retryAt  time.Time // no request before that
	granted  time.Time // when the lifetime began
	doubtful bool      // one may stand of which we do not know

	// Guarded by Keeper.mu.
	started       bool
	creating      bool
	id            string
	former        []string // Keys of the ids before, the latest last
	expires       time.Time
	certificateID string
	reauthorizeID string // Key of the subscription that asks for it
	removedID     string // Key of the subscription that was removed
	missed        bool
	created       int
	renewed       int
	err           error
}

// kick makes the loop look at its watch.
func (w *watch) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// keepLoop keeps a watch until it is cancelled.
func (k *Keeper) keepLoop(w *watch) {
	defer close(w.done)
	for w.ctx.Err() == nil {
		wait := k.step(w)
		if wait <= 0 {
			continue
		}
		c, stop := k.config.Clock.NewTimer(wait)
		select {
		case <-w.ctx.Done():
		case <-w.wake:
		case <-c:
		}
		stop()
	}
}

// step does what is due and returns how long nothing else will be, unless the
// watch is kicked.
func (k *Keeper) step(w *watch) time.Duration {
	now := k.config.Clock.Now()
	k.mu.Lock()
	id, expires, missed := w.id, w.expires, w.missed
	w.missed = false
	removed := id != "" && w.removedID == Key(id)
	reauthorize := id != "" && w.reauthorizeID == Key(id)
	rotate := id != "" && k.config.Keys != nil && w.certificateID != k.config.Keys.Current().ID
	k.mu.Unlock()
	if missed {
		k.tell(w, WatchMissed, nil)
	}
	pause := w.retryAt.Sub(now)
	due := w.due(expires, k.config.RenewBefore)
	switch {
	case removed:
		return k.lose(w, ErrRemoved)
	case id != "" && !now.Before(expires):
		return k.lose(w, ErrExpired)
	case id == "" && pause > 0:
		return pause
	case id == "":
		return k.create(w)
	case reauthorize || rotate || !now.Before(due):
		if pause > 0 {
			return min(pause, expires.Sub(now))
		}
		return k.renew(w, id, reauthorize)
	}
	return due.Sub(now)
}

// due is when the subscription is to be renewed.
func (w *watch) due(expires time.Time, before time.Duration) time.Time {
	half := w.granted.Add(expires.Sub(w.granted) / 2)
	if at := expires.Add(-before); at.After(half) {
		return at
	}
	return half
}

// create makes a subscription. If one of the same resource stands already, of
// a run before this one or of a request whose response was lost, it is deleted
// first: its client state is unknown.
func (k *Keeper) create(w *watch) time.Duration {
	now := k.config.Clock.Now()
	if w.doubtful {
		if err := k.sweep(w.ctx, w); err != nil {
			return k.fail(w, err)
		}
	}
	s, err := k.post(w, now)
	if statusOf(err) == http.StatusConflict {
		if err := k.sweep(w.ctx, w); err != nil {
			return k.fail(w, err)
		}
		s, err = k.post(w, now)
	}
	if err != nil {
		return k.fail(w, err)
	}
	w.granted = now
	k.mu.Lock()
	w.id, w.err = s.ID, nil
	w.created++
	w.expires = expiryOr(s, now.Add(k.config.Lifetime))
	if k.watches[w.want.Name] == w { // not removed meanwhile
		k.byID[Key(s.ID)] = w
	}
	k.mu.Unlock()
	k.tell(w, WatchUp, nil)
	return 0
}

// post asks for a subscription. Meanwhile notifications are known by their
// client state alone.
func (k *Keeper) post(w *watch, now time.Time) (*Subscription, error) {
	s := Subscription{
		ChangeType: w.want.ChangeType, Resource: w.want.Resource, ClientState: w.clientState,
		NotificationURL: k.config.NotificationURL, LifecycleNotificationURL: k.config.LifecycleURL,
		ExpirationDateTime: DateTime{now.Add(k.config.Lifetime)},
	}
	if k.config.Keys != nil {
		key := k.config.Keys.Current()
		s.IncludeResourceData = true
		s.EncryptionCertificate = base64.StdEncoding.EncodeToString(key.Certificate)
		s.EncryptionCertificateID = key.ID
	}
	if !k.acquire(w.ctx) {
		return nil, context.Cause(w.ctx)
	}
	defer k.release()
	k.mu.Lock()
	w.creating = true
	k.mu.Unlock()
	got, err := k.config.Client.CreateSubscription(w.ctx, s)
	w.doubtful = err != nil && mayStand(w.ctx, err)
	k.mu.Lock()
	defer k.mu.Unlock()
	w.creating = false
	if err == nil {
		w.certificateID = s.EncryptionCertificateID
	}
	return got, err
}

// sweep deletes subscriptions that are ours by resource and address, and not
// by their id.
func (k *Keeper) sweep(ctx context.Context, w *watch) error {
	if !k.acquire(ctx) {
		return context.Cause(ctx)
	}
	defer k.release()
	all, err := k.config.Client.ListSubscriptions(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		s := &all[i]
		k.mu.RLock()
		known := k.byID[Key(s.ID)] != nil && k.byID[Key(s.ID)].id == s.ID
		k.mu.RUnlock()
		if known || !sameResource(s.Resource, w.want.Resource) || s.NotificationURL != k.config.NotificationURL {
			continue
		}
		if err := k.config.Client.DeleteSubscription(ctx, s.ID); err != nil && statusOf(err) != http.StatusNotFound {
			return err
		}
	}
	w.doubtful = false
	return nil
}

// sameResource compares resources as the service does: the slash before them
// does not count.
func sameResource(a, b string) bool {
	return strings.EqualFold(strings.TrimPrefix(a, "/"), strings.TrimPrefix(b, "/"))
}

// renew lengthens a subscription's life, which also reauthorizes it, and gives
// it the current key. Where that is refused, it is at least reauthorized.
func (k *Keeper) renew(w *watch, id string, reauthorize bool) time.Duration {
	now := k.config.Clock.Now()
	change := SubscriptionChange{ExpirationDateTime: DateTime{now.Add(k.config.Lifetime)}}
	k.mu.Lock()
	w.reauthorizeID = ""
	had := w.certificateID
	k.mu.Unlock()
	if k.config.Keys != nil {
		if key := k.config.Keys.Current(); key.ID != had {
			change.EncryptionCertificate = base64.StdEncoding.EncodeToString(key.Certificate)
			change.EncryptionCertificateID, had = key.ID, key.ID
		}
	}
	if !k.acquire(w.ctx) {
		return 0
	}
	defer k.release()
	s, err := k.config.Client.UpdateSubscription(w.ctx, id, change)
	if statusOf(err) == http.StatusNotFound {
		return k.lose(w, ErrRemoved)
	}
	if err != nil {
		return k.patchUp(w, id, reauthorize, err)
	}
	w.failures, w.retryAt, w.granted = 0, time.Time{}, now
	k.mu.Lock()
	w.expires, w.certificateID, w.err = expiryOr(s, change.ExpirationDateTime.Time), had, nil
	w.renewed++
	k.mu.Unlock()
	k.tell(w, WatchRenewed, nil)
	return 0
}

// patchUp reauthorizes a subscription that could not be renewed, if that was
// asked for.
func (k *Keeper) patchUp(w *watch, id string, reauthorize bool, failure error) time.Duration {
	if reauthorize && k.config.Client.ReauthorizeSubscription(w.ctx, id) == nil {
		k.tell(w, WatchReauthorized, nil)
	} else if reauthorize {
		k.mu.Lock()
		if w.reauthorizeID == "" {
			w.reauthorizeID = Key(id)
		}
		k.mu.Unlock()
	}
	return k.fail(w, failure)
}

// lose gives up the watch's subscription. If it did not stand long, the next
// one is not hurried.
func (k *Keeper) lose(w *watch, why error) time.Duration {
	now := k.config.Clock.Now()
	k.tell(w, WatchDown, why)
	k.mu.Lock()
	w.former = append(w.former, Key(w.id))
	if len(w.former) > maxFormer {
		if k.byID[w.former[0]] == w {
			delete(k.byID, w.former[0])
		}
		w.former = w.former[1:]
	}
	w.id, w.removedID, w.reauthorizeID = "", "", ""
	k.mu.Unlock()
	if now.Sub(w.granted) < k.config.MaxRetry {
		w.retryAt = now.Add(k.backoff(w))
	} else {
		w.failures, w.retryAt = 0, time.Time{}
	}
	return 0
}

// fail notes that a request failed. The next one waits.
func (k *Keeper) fail(w *watch, err error) time.Duration {
	if w.ctx.Err() != nil {
		return 0 // that is why
	}
	w.retryAt = k.config.Clock.Now().Add(k.backoff(w))
	k.mu.Lock()
	w.err = err
	k.mu.Unlock()
	k.config.Logger.Warn("graph: keeper: request failed", "watch", w.want.Name, "error", err)
	k.tell(w, WatchFailed, err)
	return 0
}

// backoff is the pause after one more failure, less up to half at random.
func (k *Keeper) backoff(w *watch) time.Duration {
	d := k.config.MinRetry
	for i := 0; i < w.failures && d < k.config.MaxRetry; i++ {
		d *= 2
	}
	w.failures++
	d = min(d, k.config.MaxRetry)
	return d - time.Duration(rand.Float64()*float64(d)/2)
}

// tell hands an event to the app, whose panic is its own.
func (k *Keeper) tell(w *watch, kind WatchEventKind, err error) {
	k.mu.RLock()
	e := WatchEvent{Kind: kind, Name: w.want.Name, ID: w.id, Err: err}
	if w.id != "" {
		e.Expires = w.expires
	}
	k.mu.RUnlock()
	defer func() {
		if p := recover(); p != nil {
			k.config.Logger.Error("graph: keeper: OnEvent panicked", "watch", e.Name, "panic", p)
		}
	}()
	k.config.OnEvent(e)
}

// forgetLocked makes the notifications of a watch unknown. mu must be held.
func (k *Keeper) forgetLocked(w *watch) {
	for _, id := range append([]string{Key(w.id)}, w.former...) {
		if k.byID[id] == w {
			delete(k.byID, id)
		}
	}
}

// withdraw deletes what a watch has at the service. The loop must have ended.
func (k *Keeper) withdraw(ctx context.Context, w *watch) error {
	k.mu.Lock()
	id := w.id
	k.forgetLocked(w)
	k.mu.Unlock()
	if w.doubtful {
		if err := k.sweep(ctx, w); err != nil {
			return err
		}
	}
	if id == "" {
		return nil
	}
	if !k.acquire(ctx) {
		return context.Cause(ctx)
	}
	defer k.release()
	if err := k.config.Client.DeleteSubscription(ctx, id); err != nil && statusOf(err) != http.StatusNotFound {
		return err
	}
	return nil
}

// acquire takes a turn to send a request. False means that ctx has ended.
func (k *Keeper) acquire(ctx context.Context) bool {
	select {
	case k.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (k *Keeper) release() { <-k.slots }

// mayStand tells whether the request that failed so may have taken effect.
func mayStand(ctx context.Context, err error) bool {
	var e *session.Error
	if ctx.Err() != nil || !errors.As(err, &e) {
		return true
	}
	return e.Status >= 500 || e.Status == 0 && e.Retryable || e.Status/100 == 2
}

// statusOf is the HTTP status of a refusal, 0 if err is none.
func statusOf(err error) int {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func expiryOr(s *Subscription, asked time.Time) time.Time {
	if s.ExpirationDateTime.IsZero() {
		return asked
	}
	return s.ExpirationDateTime.Time
}
