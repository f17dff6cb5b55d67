package cloud

import (
	"fmt"
	"slices"
)

// ChangeFaultKind says what goes wrong with a change notification.
type ChangeFaultKind string

// Faults of change notifications.
const (
	// DuplicateChange: the notification is delivered twice.
	DuplicateChange ChangeFaultKind = "duplicate-change"
	// ReorderChange: the notification is delivered after the one that follows
	// it in its subscription.
	ReorderChange ChangeFaultKind = "reorder-change"
	// BatchChange: the notification is delivered in one request with the one
	// that follows it in its subscription.
	BatchChange ChangeFaultKind = "batch-change"
	// DropChange: the notification is lost.
	DropChange ChangeFaultKind = "drop-change"
	// BadChangeSignature: dataSignature is not that of the data.
	BadChangeSignature ChangeFaultKind = "bad-change-signature"
	// BadChangeKeyID: encryptionCertificateId is one that nobody gave.
	BadChangeKeyID ChangeFaultKind = "bad-change-key-id"
	// TruncatedChange: the ciphertext ends early; its signature is right.
	TruncatedChange ChangeFaultKind = "truncated-change"
	// BadChangePadding: the padding is wrong; the signature is right.
	BadChangePadding ChangeFaultKind = "bad-change-padding"
	// BadChangeToken: the validation token has the flaw Token.
	BadChangeToken ChangeFaultKind = "bad-change-token"
	// BadClientState: clientState is not what the subscription has.
	BadClientState ChangeFaultKind = "bad-client-state"
)

// Flaws that only the tokens of change notifications can have.
const (
	FlawAppID      TokenFlaw = "appid"       // signed for another service than change tracking
	FlawTenant     TokenFlaw = "tenant"      // of a tenant that is not the notification's
	FlawNotYet     TokenFlaw = "not-yet"     // valid in an hour
	FlawAlgorithm  TokenFlaw = "algorithm"   // alg is none
	FlawUnknownKey TokenFlaw = "unknown-key" // kid is one that the issuer does not publish
)

// changeTokenFlaws are all that a validation token can have.
var changeTokenFlaws = []TokenFlaw{
	"", FlawSignature, FlawExpired, FlawAudience, FlawIssuer, FlawMissing,
	FlawAppID, FlawTenant, FlawNotYet, FlawAlgorithm, FlawUnknownKey,
}

// ChangeFault is one thing that goes wrong with the next notifications.
type ChangeFault struct {
	Kind ChangeFaultKind `json:"kind"`
	// SubscriptionID befallen; empty means every one.
	SubscriptionID string `json:"subscription_id,omitempty"`
	// Lifecycle notifications are befallen, instead of those of changes.
	Lifecycle bool `json:"lifecycle,omitempty"`
	// Count is how many notifications; 0 means one.
	Count int `json:"count,omitempty"`
	// Token is the flaw of BadChangeToken.
	Token TokenFlaw `json:"token,omitempty"`
}

// validate returns an error that begins with the wrong field's name.
func (f ChangeFault) validate() error {
	if f.Count < 0 {
		return fmt.Errorf("count: %d is negative", f.Count)
	}
	switch f.Kind {
	case DuplicateChange, DropChange, BadClientState:
		return nil
	case ReorderChange, BatchChange, BadChangeSignature, BadChangeKeyID, TruncatedChange, BadChangePadding:
	case BadChangeToken:
		if !slices.Contains(changeTokenFlaws, f.Token) {
			return fmt.Errorf("token: %q: want one of %q", f.Token, changeTokenFlaws[1:])
		}
	default:
		return fmt.Errorf("kind: %q is not one", f.Kind)
	}
	if f.Lifecycle {
		return fmt.Errorf("lifecycle: %s does not befall lifecycle notifications", f.Kind)
	}
	return nil
}

func befallen(faults []ChangeFault, kind ChangeFaultKind) bool {
	return slices.ContainsFunc(faults, func(f ChangeFault) bool { return f.Kind == kind })
}

// inject lets something go wrong with the next notifications.
func (c *changes) inject(f ChangeFault) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("cloud: change fault: %w", err)
	}
	f.Count = max(1, f.Count)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == maxFaults {
		return fmt.Errorf("cloud: change fault: %d wait already", maxFaults)
	}
	c.faults = append(c.faults, f)
	return nil
}

// takeFaults uses up one notification of every fault that befalls it, but only
// one of each kind. It must be called with mu held.
func (c *changes) takeFaults(subscription string, lifecycle bool) (taken []ChangeFault) {
	kept := c.faults[:0]
	for _, f := range c.faults {
		hit := f.Lifecycle == lifecycle && (f.SubscriptionID == "" || f.SubscriptionID == subscription) && !befallen(taken, f.Kind)
		if hit {
			taken = append(taken, f)
			f.Count--
		}
		if f.Count > 0 {
			kept = append(kept, f)
		}
	}
	clear(c.faults[len(kept):])
	c.faults = kept
	return taken
}
