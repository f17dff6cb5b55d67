package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mixminus/mixminus/session"
)

// Act does one action of client C in a call. The body is as it came from the
// control API, and the result is JSON.
type Act[C any] func(ctx context.Context, c C, callID string, body json.RawMessage) (json.RawMessage, error)

// Acts are the actions of client C by name.
type Acts[C any] map[string]Act[C]

// ActOf is the Act whose body is a B, read strictly, and whose result is an R.
func ActOf[C, B, R any](do func(ctx context.Context, c C, callID string, b B) (R, error)) Act[C] {
	return func(ctx context.Context, c C, callID string, body json.RawMessage) (json.RawMessage, error) {
		var b B
		if err := Strict(body, &b); err != nil {
			return nil, err
		}
		result, err := do(ctx, c, callID, b)
		if err != nil {
			return nil, err
		}
		return Marshal(result)
	}
}

// Names are those of the actions, sorted.
func (a Acts[C]) Names() []string { return slices.Sorted(maps.Keys(a)) }

// Do does one of the actions, or returns session.ErrUnknownAction.
func (a Acts[C]) Do(ctx context.Context, c C, callID, action string, body json.RawMessage) (json.RawMessage, error) {
	do := a[action]
	if do == nil {
		return nil, fmt.Errorf("%w %q: want one of %s", session.ErrUnknownAction, Clip(action), strings.Join(a.Names(), ", "))
	}
	return do(ctx, c, callID, body)
}
