package acsws

import (
	"errors"
	"strconv"
)

// Reason says why a message could not be used: a small number, to count by.
type Reason uint8

// The reasons. Their names (String) are the keys of transport.Stats.BadMessages.
const (
	ReasonNone        Reason = iota
	ReasonBadJSON            // not valid JSON, or not an object
	ReasonUnknownKind        // a kind we do not know, or none that can be guessed
	ReasonMissingData        // the body, or the one field the kind lives by, is absent or null
	ReasonBadField           // a field has the wrong JSON type or is out of range
	ReasonBadBase64          // the audio is not base64 (RFC 4648 section 4, padded, no line breaks)
	ReasonOddBytes           // the audio is not whole 16 bit samples
	ReasonTooLong            // the audio is more than the caller has room for

	// NumReasons sizes an array of counters that is indexed by Reason.
	NumReasons
)

var reasonNames = [NumReasons]string{
	"none", "bad_json", "unknown_kind", "missing_data", "bad_field",
	"bad_base64", "odd_bytes", "too_long",
}

func (r Reason) String() string {
	if r >= NumReasons {
		return "Reason(" + strconv.Itoa(int(r)) + ")"
	}
	return reasonNames[r]
}

// WireError is a message that could not be used.
type WireError struct {
	Reason Reason
	// Field is the path of the offending field as the cloud spells it:
	// "audioData.data"; empty for the message as a whole.
	Field string
	// Value is the offending value, shortened; what the peer sent, so not to
	// be trusted. Empty if there is none.
	Value string
	// Err is the cause, nil if the reason tells all.
	Err error
}

func (e *WireError) Error() string {
	s := "acsws: " + e.Reason.String()
	if e.Field != "" {
		s += ": " + e.Field
	}
	if e.Value != "" {
		s += ": " + strconv.Quote(e.Value)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *WireError) Unwrap() error { return e.Err }

// ReasonOf returns the reason of an error of this package's wire, ReasonNone
// for any other error and for nil.
func ReasonOf(err error) Reason {
	if e, ok := err.(*WireError); ok { // the usual case, without reflection
		return e.Reason
	}
	var e *WireError
	if errors.As(err, &e) {
		return e.Reason
	}
	return ReasonNone
}

// maxValue is how much of an offending value an error keeps, in bytes.
const maxValue = 32

// shorten copies the beginning of an offending value.
func shorten(b []byte) string {
	if len(b) <= maxValue {
		return string(b)
	}
	return string(b[:maxValue]) + "…"
}
