package graph

import (
	"encoding/json"
	"fmt"
	"time"
)

// DateTime is a point in time as subscriptions and meeting events write it:
// in UTC with 7 digits of fraction, which are ticks of 100 ns.
type DateTime struct{ time.Time }

// dateTimeLayout is what is written. Decoding takes any number of digits.
const dateTimeLayout = "2006-01-02T15:04:05.0000000Z"

// MarshalJSON writes "2026-02-01T11:00:00.0000000Z".
func (d DateTime) MarshalJSON() ([]byte, error) {
	return []byte(d.UTC().Format(`"` + dateTimeLayout + `"`)), nil
}

// UnmarshalJSON reads a time of RFC 3339, one without a zone as UTC, and null
// or "" as the zero time.
func (d *DateTime) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	d.Time = time.Time{}
	if text == nil || *text == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999999", *text)
	}
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return fmt.Errorf("date %q: want one like 2026-02-01T11:00:00Z", clip(*text))
	}
	d.Time = t.UTC()
	return nil
}
