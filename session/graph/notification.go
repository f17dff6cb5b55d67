package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mixminus/mixminus/session"
)

// How long a call rings. Source: "call: answer", Microsoft Graph v1.0.
const (
	answerWithin       = 15 * time.Second
	answerPolicyWithin = 5 * time.Second
)

// notification is commsNotification. Which resource it is about stands in
// ResourceURL, in notifications of the older kind in Resource, and in
// ResourceData, which may be an object, an array, or missing.
type notification struct {
	ChangeType     string          `json:"changeType"`
	Resource       string          `json:"resource"`
	ResourceURL    string          `json:"resourceUrl"`
	ResourceData   json.RawMessage `json:"resourceData"`
	SubscriptionID string          `json:"subscriptionId"`
}

// delivery is what one POST holds.
type delivery struct {
	Items []item // those understood, in their order
	Bad   []error
	// Legacy: a notification is one of the legacy protocol.
	Legacy bool
}

// item is what one notification says.
type item struct {
	Index     int // in the envelope
	Notices   []session.Notice
	Incoming  *session.Incoming
	Operation *CommsOperation
	CallKey   string // of Operation
	Joining   *Joining
}

// refer notes what stands below the callback address in all notices.
func (d *delivery) refer(ref string) {
	if len(ref) > maxEcho {
		return
	}
	for i := range d.Items {
		for j := range d.Items[i].Notices {
			d.Items[i].Notices[j].Ref = ref
		}
	}
}

// parseDelivery reads an envelope, commsNotifications. A notification that
// cannot be read is reported by itself; an error means that it is no envelope.
// Errors name the notification and the field and hold no value that could be
// a secret.
func parseDelivery(body []byte, cloud string, now time.Time) (delivery, error) {
	var envelope struct {
		Value *[]json.RawMessage `json:"value"`
	}
	if err := unmarshal(body, &envelope); err != nil {
		return delivery{}, fmt.Errorf("body: %w", err)
	}
	if envelope.Value == nil {
		return delivery{}, errors.New("body: value is missing")
	}
	var d delivery
	p := parser{cloud: cloud, now: now.UTC()}
	for i, raw := range *envelope.Value {
		it, legacy, err := p.parse(raw)
		if err != nil {
			d.Bad = append(d.Bad, fmt.Errorf("value[%d]: %w", i, err))
			continue
		}
		it.Index = i
		d.Items = append(d.Items, it)
		d.Legacy = d.Legacy || legacy
	}
	return d, nil
}
