package cloud

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// kindsOf are the kinds of all notifications of a call that has ended.
func (b *graphBot) kindsOf(log *Log) (kinds []string, notes []note) {
	b.t.Helper()
	for range log.Events {
		n := receive(b.t, b.notes)
		kinds, notes = append(kinds, n.kind()), append(notes, n)
	}
	require.Empty(b.t, b.notes)
	return kinds, notes
}

// TestNotificationFaults: late, twice, in another order, or not at all.
func TestNotificationFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault   Fault
		want    []string
		dropped int
	}{
		"none":             {Fault{Kind: Drop}, []string{"establishing", "established", "participants", "terminating", "terminated"}, 0},
		"reordered":        {Fault{Kind: DelayEvent, Event: "establishing"}, []string{"established", "establishing", "participants", "terminating", "terminated"}, 0},
		"reordered at end": {Fault{Kind: DelayEvent, Event: "terminating"}, []string{"establishing", "established", "participants", "terminated", "terminating"}, 0},
		"twice":            {Fault{Kind: DuplicateEvent, Event: "participants"}, []string{"establishing", "established", "participants", "participants", "terminating", "terminated"}, 0},
		"dropped":          {Fault{Kind: DropEvent, Event: "established"}, []string{"establishing", "participants", "terminating", "terminated"}, 1},
		"late":             {Fault{Kind: LateEvent, Event: "established", Slots: 10}, []string{"establishing", "established", "participants", "terminating", "terminated"}, 0},
		"all twice":        {Fault{Kind: DuplicateEvent}, []string{"establishing", "establishing", "established", "established", "participants", "participants", "terminating", "terminating", "terminated", "terminated"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := Script{HangUp: 3, Speakers: make([]Speaker, 1), Faults: []Fault{tt.fault}}
			b := newGraphBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: script} }})
			r := b.do("POST", v1Calls, b.order(serviceHosted, theMeeting))
			require.Equal(t, 201, r.status)
			log := wait(t, b.srv.Call(r.id()))
			kinds, notes := b.kindsOf(log)
			require.Equal(t, tt.want, kinds)
			require.Equal(t, tt.dropped, log.EventsDropped)
			ids := map[string]int{}
			for _, n := range notes {
				id := n.header.Get("X-Microsoft-Skype-Message-ID")
				require.Equal(t, id, n.header.Get("X-Microsoft-Skype-Original-Message-ID"))
				require.Equal(t, log.CorrelationID, n.header.Get("X-Microsoft-Skype-Chain-ID"))
				ids[id]++
			}
			if name == "twice" {
				require.Equal(t, 2, ids[notes[2].header.Get("X-Microsoft-Skype-Message-ID")], "the same message")
			}
			if name == "late" {
				require.GreaterOrEqual(t, notes[1].arrival.Sub(notes[0].arrival), 200*time.Millisecond)
			}
		})
	}
}

// TestRingFaults: what rings may come twice, late, or with a bad token.
func TestRingFaults(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	script := quietScript(1)
	script.Faults = []Fault{{Kind: DuplicateEvent, Event: "incoming"}}
	call, first := b.ring(GraphRing{Script: script})
	second := receive(t, b.rings)
	require.Equal(t, first.item, second.item)
	require.Equal(t, first.header.Get("X-Microsoft-Skype-Message-ID"), second.header.Get("X-Microsoft-Skype-Message-ID"))
	call.HangUp()

	script.Faults = []Fault{{Kind: LateEvent, Event: "incoming", Slots: 5}}
	began := time.Now()
	call, first = b.ring(GraphRing{Script: script})
	require.GreaterOrEqual(t, first.arrival.Sub(began), 100*time.Millisecond)
	call.HangUp()
}

// TestBadNotificationTokens: each flaw is one that a check by the documents
// finds, and befalls what it names alone.
func TestBadNotificationTokens(t *testing.T) {
	t.Parallel()
	for _, flaw := range []TokenFlaw{"", FlawSignature, FlawExpired, FlawAudience, FlawIssuer, FlawMissing} {
		t.Run(string(flaw), func(t *testing.T) {
			t.Parallel()
			script := Script{HangUp: 2, Speakers: make([]Speaker, 1), Faults: []Fault{
				{Kind: BadEventToken, Event: "established", Token: flaw}, {Kind: BadEventToken, Event: "incoming", Token: flaw}, {Kind: BadMediaToken, Token: flaw},
			}}
			b := newGraphBot(t, &Server{})
			call, ring := b.ring(GraphRing{Script: script})
			require.Equal(t, 202, b.act(call, "answer", b.acceptance(b.blob(), "")).status)
			s := receive(t, b.sockets)
			log := wait(t, call)
			_, notes := b.kindsOf(log)
			for i, n := range append(notes[:2:2], ring, note{header: s.header}) {
				if i > 0 && flaw == FlawMissing {
					require.Empty(t, n.header.Values("Authorization"))
					continue
				}
				claims, err := b.verifyCallback(n)
				if i > 0 {
					require.Error(t, err, "%s: %d", flaw, i)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, b.srv.GraphApps()[0].TenantID, claims["tid"], "required by the documents")
			}
		})
	}
}

// TestGraphRequestFaults: 429 and 503 with Retry-After, before or after the
// request took effect.
func TestGraphRequestFaults(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{})
	body := b.order(serviceHosted, `"targets":[`+oneUser+`]`)
	for _, status := range []int{429, 503} {
		require.NoError(t, b.srv.Break(RequestFault{Operation: "graphCreate", Status: status, RetryAfter: 7, Count: 2}))
		for range 2 {
			r := b.do("POST", v1Calls, body)
			require.Equal(t, []any{status, "7"}, []any{r.status, r.header.Get("Retry-After")})
			require.NotEmpty(t, r.code())
			require.NotEmpty(t, r.header.Get("request-id"))
		}
	}
	require.Empty(t, b.srv.Calls())
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	require.NoError(t, b.srv.Break(RequestFault{Operation: "keepAlive", Status: 503, RetryAfter: 1}))
	require.Equal(t, 200, b.do("GET", v1Calls+"/"+call.ID(), "").status, "another operation")
	require.Equal(t, 503, b.act(call, "keepAlive", "").status)
	require.Equal(t, 200, b.act(call, "keepAlive", "").status)
	require.NoError(t, b.srv.Break(RequestFault{Operation: "graphDelete", Status: 504, Executed: true}))
	require.Equal(t, 504, b.do("DELETE", v1Calls+"/"+call.ID(), "").status)
	b.expect("terminating", "terminated")
	wait(t, call)

	require.NoError(t, b.srv.Break(RequestFault{Operation: "graphCreate", Status: 503, Executed: true}))
	require.Equal(t, 503, b.do("POST", v1Calls, body).status)
	b.expect("establishing", "established")

	named := map[string]bool{}
	for _, op := range graphOperations {
		require.NoError(t, RequestFault{Operation: op.name}.validate())
		named[op.name] = true
	}
	for _, name := range graphOperationNames {
		require.True(t, named[name] || name == "subscriptions", name)
	}
}

// TestTooManyGraphCalls: 429 says when to come back.
func TestTooManyGraphCalls(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{MaxCalls: 1})
	call := b.create(serviceHosted, `"targets":[`+oneUser+`]`)
	r := b.do("POST", v1Calls, b.order(serviceHosted, `"targets":[`+oneUser+`]`))
	require.Equal(t, []any{429, "1"}, []any{r.status, r.header.Get("Retry-After")})
	b.finish(call)
}

// TestNotificationsAreTriedAgain, in order, with a token of their own each time.
func TestNotificationsAreTriedAgain(t *testing.T) {
	t.Parallel()
	b := newGraphBot(t, &Server{Speed: 100})
	refused := 0
	b.answerNotes(func(n note, w http.ResponseWriter) bool {
		if n.kind() != "establishing" || refused == 2 {
			return false
		}
		refused++
		w.WriteHeader(500)
		return true
	})
	r := b.do("POST", v1Calls, b.order(serviceHosted, `"targets":[`+oneUser+`]`))
	require.Equal(t, 201, r.status)
	b.expect("establishing", "establishing", "establishing", "established")
	log := b.finish(b.srv.Call(r.id()))
	require.Equal(t, []int{3, 202}, []int{log.Events[0].Attempts, log.Events[0].Status})
}
