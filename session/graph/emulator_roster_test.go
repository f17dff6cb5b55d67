package graph_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// fast is a clock that runs that many times faster than the wall's.
func fast(times int) session.Clock {
	start := time.Now()
	return session.Clock{
		Now: func() time.Time { return start.Add(time.Since(start) * time.Duration(times)) },
		NewTimer: func(d time.Duration) (<-chan time.Time, func() bool) {
			t := time.NewTimer(d / time.Duration(times))
			return t.C, t.Stop
		},
	}
}

func clocked(times int) func(*session.Config) {
	return func(c *session.Config) { c.Clock = fast(times) }
}

// loses has some of the notifications of rosters get lost: those of which
// numbers tells so, counted from 1.
func loses(numbers ...int) func(http.Handler) http.Handler {
	var mu sync.Mutex
	seen := 0
	lost := func() bool {
		mu.Lock()
		defer mu.Unlock()
		seen++
		for _, n := range numbers {
			if n == seen {
				return true
			}
		}
		return false
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || strings.Contains(string(body), `/participants"`) && lost() {
				w.WriteHeader(http.StatusAccepted)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
}

const deltaOptions = `{"@odata.type":"#microsoft.graph.outgoingCallOptions","isDeltaRosterEnabled":true}`

// TestRostersComeRight: with whole rosters and with changes, in calls that were
// created and answered, and whatever is lost, told twice, late or in the wrong
// order, the manager's roster is in the end the service's.
func TestRostersComeRight(t *testing.T) {
	roster := func(kind cloud.FaultKind, slots int) []cloud.Fault {
		return []cloud.Fault{{Kind: kind, Event: "participants", Slots: slots}}
	}
	for _, c := range []struct {
		name   string
		deltas bool
		faults []cloud.Fault
		lost   []int
	}{
		{name: "whole, in good order"},
		{name: "whole, twice", faults: roster(cloud.DuplicateEvent, 0)},
		{name: "whole, in the wrong order", faults: roster(cloud.DelayEvent, 0)},
		{name: "changes, in good order", deltas: true},
		{name: "changes, twice", deltas: true, faults: roster(cloud.DuplicateEvent, 0)},
		{name: "changes, in the wrong order", deltas: true, faults: roster(cloud.DelayEvent, 0)},
		{name: "changes, late", deltas: true, faults: roster(cloud.LateEvent, 3)},
		{name: "changes, twice, late and in the wrong order", deltas: true, faults: append(roster(cloud.DelayEvent, 0), append(roster(cloud.DuplicateEvent, 0), roster(cloud.LateEvent, 1)...)...)},
		{name: "changes, some lost", deltas: true, lost: []int{2, 4, 5}},
		{name: "changes, the first lost", deltas: true, lost: []int{1}},
	} {
		for _, incoming := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", answered", false: ", created"}[incoming], func(t *testing.T) {
				t.Parallel()
				script := talkers()
				script.Faults = c.faults
				h := newHost(t, &cloud.Server{OnCreate: takes(script)}, wiring{session: clocked(10), through: loses(c.lost...)})
				o := serviceHosted
				var call *session.Call
				var there *cloud.Call
				if incoming {
					var ring *session.IncomingCall
					ring, there = h.ring(cloud.GraphRing{Script: script, Meeting: true})
					if c.deltas {
						o.Answer = json.RawMessage(`{"callOptions":` + deltaOptions + `}`)
					}
					call = h.answer(ring, o)
				} else {
					body := without(t, seed(t, "create-ex5-request"), "mediaConfig", "callbackUri")
					if c.deltas {
						body = append(bytes.TrimSuffix(bytes.TrimSpace(body), []byte("}")), []byte(`,"callOptions":`+deltaOptions+"}")...)
					}
					call, there = h.dial(body, o)
				}
				eventually(t, "the emulator's roster", func() bool { ids, _ := there.Participants(); return len(ids) == 3 })
				h.stirRoster(call, there)
				h.sameRoster(call)
				require.Zero(t, h.webhook.Stats().BadItems)
			})
		}
	}
}

// stirRoster changes all that can change in a roster.
func (h *host) stirRoster(call *session.Call, there *cloud.Call) {
	t, ctx, id := h.t, h.limit(), call.CallID()
	ids, _ := there.Participants()
	require.True(t, there.Mute(ids[0], true))
	require.True(t, there.Mute(ids[1], true))
	require.True(t, there.Mute(ids[0], false))
	h.done(h.client.UpdateRecordingStatus(ctx, id, graph.Recording, ""))
	h.done(h.client.InviteParticipants(ctx, id, []graph.InvitationParticipantInfo{invitee(userSet(testGuest))}, ""))
	eventually(t, "one more", func() bool { ids, _ := there.Participants(); return len(ids) == 4 })
	require.True(t, there.Leave(ids[1]))
	h.done(h.client.Mute(ctx, id, ""))
	there.Hold(true) // another notification: what is delayed goes after it
	there.Hold(false)
}

// sameRoster waits until the manager knows what the service tells.
func (h *host) sameRoster(call *session.Call) {
	h.t.Helper()
	var want []session.Participant
	ctx := h.limit()
	eventually(h.t, "the roster comes right", func() bool {
		all, err := h.client.ListParticipants(ctx, call.CallID())
		if err != nil {
			return false
		}
		want = graph.Rows(all)
		got := call.Participants()
		if len(got) != len(want) {
			return false
		}
		for _, p := range got {
			found := false
			for _, q := range want {
				q.Sequence = p.Sequence // a resync may know the row of earlier
				found = found || p == q
			}
			if !found {
				return false
			}
		}
		return true
	})
	require.Len(h.t, want, 3)
}
