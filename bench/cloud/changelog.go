package cloud

import (
	"maps"
	"slices"
	"time"
)

// maxChangeJournal is how many deliveries are remembered; the oldest go first.
const maxChangeJournal = 1024

// Why notifications were not delivered, in ChangeLog.Dropped.
const (
	dropQueue     = "queue-full"
	dropRemoved   = "removed"       // the subscription was
	dropExpired   = "expired"       // the subscription had
	dropGaveUp    = "not-accepted"  // for four hours
	dropPaused    = "unauthorized"  // delivery was paused for four hours
	dropThrottled = "endpoint-slow" // too many answers were
	dropFault     = "fault"
	dropEncrypt   = "not-encrypted"
)

// ChangeLog tells of the change notifications of all subscriptions.
type ChangeLog struct {
	Deliveries []ChangeDelivery `json:"deliveries"`
	// Omitted deliveries were forgotten, to make room for newer ones.
	Omitted int `json:"omitted,omitempty"`
	// Dropped notifications, by reason, whether or not there is a delivery
	// that tells of them.
	Dropped map[string]int `json:"dropped,omitempty"`
}

// ChangeDelivery is one request with notifications, and what came of it.
type ChangeDelivery struct {
	SubscriptionID string `json:"subscription_id"`
	URL            string `json:"url,omitempty"` // of the last attempt
	// Lifecycle says what was told of the subscription itself; empty means
	// that the notifications are of changes.
	Lifecycle LifecycleEvent `json:"lifecycle,omitempty"`
	// IDs and Events are of the notifications, mostly one.
	IDs    []string               `json:"ids,omitempty"`
	Events []MeetingCallEventType `json:"events,omitempty"`
	Faults []ChangeFaultKind      `json:"faults,omitempty"`
	Queued time.Time              `json:"queued"`

	Attempts int    `json:"attempts"`
	Slow     int    `json:"slow,omitempty"`   // attempts with an answer after more than 2.9 s, or none
	Status   int    `json:"status,omitempty"` // of the last attempt; 0: no answer
	Error    string `json:"error,omitempty"`  // of the last attempt, or why it was dropped
	// Done is set once no attempt follows; without an Error, the
	// notifications were accepted.
	Done bool `json:"done"`
}

// changeJournal is the log as it grows. It is guarded by changes.mu.
type changeJournal struct {
	entries []*ChangeDelivery
	omitted int
	dropped map[string]int
}

func (j *changeJournal) add(e *ChangeDelivery) {
	if len(j.entries) == maxChangeJournal {
		j.entries[0] = nil
		j.entries = j.entries[1:]
		j.omitted++
	}
	j.entries = append(j.entries, e)
}

// count tells of notifications that never made it into a delivery.
func (j *changeJournal) count(why string, n int) {
	if j.dropped == nil {
		j.dropped = map[string]int{}
	}
	j.dropped[why] += n
}

// drop ends a delivery without success.
func (j *changeJournal) drop(d *changeDelivery, why string) {
	j.count(why, len(d.items))
	d.entry.Done = true
	if d.entry.Error == "" {
		d.entry.Error = why
	}
}

// changeLog returns a copy of the log as it stands.
func (c *changes) changeLog() ChangeLog {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := ChangeLog{Deliveries: make([]ChangeDelivery, 0, len(c.journal.entries)), Omitted: c.journal.omitted, Dropped: maps.Clone(c.journal.dropped)}
	for _, e := range c.journal.entries {
		d := *e
		d.IDs, d.Events, d.Faults = slices.Clone(e.IDs), slices.Clone(e.Events), slices.Clone(e.Faults)
		l.Deliveries = append(l.Deliveries, d)
	}
	return l
}
