package graph

import (
	"errors"
	"time"
)

// WatchEventKind says what became of a watch.
type WatchEventKind int

// The kinds.
const (
	// WatchUp: a subscription stands. After a WatchDown, changes between the
	// two were lost.
	WatchUp WatchEventKind = iota
	// WatchRenewed: it was renewed, or got another certificate.
	WatchRenewed
	// WatchReauthorized: it goes on, but could not be renewed at this time.
	WatchReauthorized
	// WatchDown: it expired or was removed; another one is created.
	WatchDown
	// WatchMissed: changes were lost while it stood.
	WatchMissed
	// WatchFailed: a request failed with Err, and will be tried again.
	WatchFailed
)

var watchEventNames = [...]string{"up", "renewed", "reauthorized", "down", "missed", "failed"}

func (k WatchEventKind) String() string {
	if k < 0 || int(k) >= len(watchEventNames) {
		return "unknown"
	}
	return watchEventNames[k]
}

// WatchEvent tells what became of a watch.
type WatchEvent struct {
	Kind WatchEventKind
	// Name of the Watch, and ID of the subscription, "" if none stands.
	Name, ID string
	// Expires is when the subscription would expire, unless renewed.
	Expires time.Time
	// Err of a WatchFailed, a *session.Error, and why a watch is down.
	Err error
}

// Why a watch is down: WatchEvent.Err.
var (
	ErrExpired = errors.New("graph: keeper: subscription expired before it could be renewed")
	ErrRemoved = errors.New("graph: keeper: the service removed the subscription")
)

// WatchStatus is how a Watch stands.
type WatchStatus struct {
	Name     string `json:"name"`
	Resource string `json:"resource"`
	// ID of the subscription that stands, "" if none does.
	ID      string    `json:"id,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	// CertificateID is the key that the service encrypts for.
	CertificateID string `json:"certificate_id,omitempty"`
	Created       int    `json:"created"`
	Renewed       int    `json:"renewed"`
	// Err is why the last request failed, "" if it did not.
	Err string `json:"error,omitempty"`
}

// status must be called with Keeper.mu held.
func (w *watch) status() WatchStatus {
	s := WatchStatus{
		Name: w.want.Name, Resource: w.want.Resource, ID: w.id,
		Created: w.created, Renewed: w.renewed,
	}
	if w.id != "" {
		s.Expires, s.CertificateID = w.expires, w.certificateID
	}
	if w.err != nil {
		s.Err = w.err.Error()
	}
	return s
}
