package graph

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// sinkLog is a Sink that remembers.
type sinkLog struct {
	mu      sync.Mutex
	notices []session.Notice
	rung    []session.Incoming
}

func (s *sinkLog) Deliver(n session.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = append(s.notices, n)
}

func (s *sinkLog) Ring(in session.Incoming) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rung = append(s.rung, in)
}

func newTestWebhook(t *testing.T, change func(*WebhookConfig)) (*Webhook, *sinkLog) {
	t.Helper()
	sink := &sinkLog{}
	config := WebhookConfig{Sink: sink, Insecure: true, Now: func() time.Time { return noticeTime }}
	if change != nil {
		change(&config)
	}
	w, err := NewWebhook(config)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, w.Close(ctx))
	})
	return w, sink
}

func post(w http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/graph/callbacks", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

func envelope(items ...string) string {
	return `{"@odata.type":"#microsoft.graph.commsNotifications","value":[` + strings.Join(items, ",") + `]}`
}

const established = `{"changeType":"Updated","resourceUrl":"/communications/calls/57DAB8B1894C409AB240BD8BEAE78896",` +
	`"resourceData":{"@odata.type":"#microsoft.graph.call","state":"Established"}}`

// about is a notification of that change of that path, with that data.
func about(change, path, data string) string {
	if data != "" {
		data = `,"resourceData":` + data
	}
	return `{"changeType":"` + change + `","resourceUrl":"` + path + `"` + data + `}`
}

// TestDocumentedNotifications hands in every notification of the documents.
func TestDocumentedNotifications(t *testing.T) {
	const answered, created = "57dab8b1894c409ab240bd8beae78896", "2e1a0b002db440229570243709c565ab"
	for name, want := range map[string]struct {
		kind session.EventKind
		call string
	}{
		"answer-v1-ex1-establishing": {session.EventConnecting, answered}, "answer-v1-ex1-established": {session.EventConnected, answered},
		"answer-v1-ex2-establishing": {session.EventConnecting, answered}, "answer-v1-ex2-established": {session.EventConnected, answered},
		"answer-v1-ex2-content-sharing-started":   {session.EventContentSharing, "421f4c0044364c3a9d9ac4924cf98e67"},
		"answer-v1-ex2-content-sharing-ended":     {session.EventContentSharing, "421f4c0044364c3a9d9ac4924cf98e67"},
		"answer-beta-ex1-establishing":            {session.EventConnecting, answered},
		"answer-beta-ex1-established":             {session.EventConnected, answered},
		"answer-beta-ex2-establishing":            {session.EventConnecting, answered},
		"answer-beta-ex2-established":             {session.EventConnected, answered},
		"answer-beta-ex2-content-sharing-started": {session.EventContentSharing, "421f4c0044364c3a9d9ac4924cf98e67"},
		"answer-beta-ex2-content-sharing-ended":   {session.EventContentSharing, "421f4c0044364c3a9d9ac4924cf98e67"},
		"create-ex1-establishing":                 {session.EventConnecting, created},
		"create-ex1-established":                  {session.EventConnected, ""},
		"create-ex5-establishing":                 {session.EventConnecting, ""},
		"create-ex5-established":                  {session.EventConnected, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, sink := newTestWebhook(t, nil)
			rec := post(w, string(sample(t, name)), "client-request-id", "c", "Scenario-Id", "s")
			require.Equal(t, http.StatusAccepted, rec.Code, rec.Body)
			require.Equal(t, "c", rec.Header().Get("client-request-id"))
			require.Equal(t, "s", rec.Header().Get("scenario-id"))
			require.Empty(t, sink.rung)
			require.Len(t, sink.notices, 1)
			require.Equal(t, want.kind, sink.notices[0].Kind)
			if want.call != "" {
				require.Equal(t, want.call, sink.notices[0].CallID)
			}
			require.Len(t, sink.notices[0].CallID, 32)
		})
	}
}

func TestDocumentedRosters(t *testing.T) {
	w, sink := newTestWebhook(t, nil)
	require.Equal(t, http.StatusAccepted, post(w, string(sample(t, "create-ex5-roster"))).Code)
	require.Equal(t, http.StatusAccepted, post(w, string(sample(t, "create-ex8-roster"))).Code)
	require.Len(t, sink.notices, 2)
	require.Equal(t, session.EventParticipants, sink.notices[0].Kind)
	require.Equal(t, "05491616-385f-44a8-9974-18cc5f9933c1", sink.notices[0].Participants[1].ID, "the bot's own row")
	require.Len(t, sink.notices[0].Participants, 2)
	for _, p := range sink.notices[0].Participants {
		require.NotEmpty(t, p.RawID)
		require.NotEmpty(t, p.SpeakerID)
		require.False(t, p.InLobby)
	}
	require.Equal(t, []session.Participant{{
		Identity: session.Identity{RawID: "8:teamsvisitor:d7a3b999-17ac-4bca-9e77-e6a730d2ec2e", Name: "Guest User"},
		ID:       "05491616-385f-44a8-9974-18cc5f9933c1", SpeakerID: "10", InLobby: true,
	}}, sink.notices[1].Participants, "in the lobby it sees itself alone")
}

func TestDocumentedRings(t *testing.T) {
	for name, want := range map[string]struct {
		key, from, to string
		policy        bool
	}{
		"answer-v1-ex1-incoming":   {"57dab8b1894c409ab240bd8beae78896", "8:orgid:", "28:", false},
		"answer-v1-ex2-incoming":   {"57dab8b1894c409ab240bd8beae78896", "8:orgid:", "28:", false},
		"answer-beta-ex1-incoming": {"57dab8b1894c409ab240bd8beae78896", "8:orgid:", "28:", false},
		"answer-beta-ex2-incoming": {"57dab8b1894c409ab240bd8beae78896", "8:orgid:", "28:", false},
		"answer-v1-ex3-incoming":   {"e71f03009c1f4d99b5f42722e877d497", "8:orgid:8a34a46b-3d17-4adc-8dce-dc4e7d572698", "28:832899f8-2ea1-4604-8413-27bd2892079f", true},
		"answer-beta-ex3-incoming": {"e71f03009c1f4d99b5f42722e877d497", "8:orgid:8a34a46b-3d17-4adc-8dce-dc4e7d572698", "28:832899f8-2ea1-4604-8413-27bd2892079f", true},
	} {
		t.Run(name, func(t *testing.T) {
			w, sink := newTestWebhook(t, nil)
			require.Equal(t, http.StatusAccepted, post(w, string(sample(t, name))).Code)
			require.Empty(t, sink.notices)
			require.Len(t, sink.rung, 1)
			in := sink.rung[0]
			require.Equal(t, "graph", in.Cloud)
			require.Equal(t, want.key, in.Key)
			require.Equal(t, want.key, Key(in.CallID))
			require.True(t, strings.HasPrefix(in.From.RawID, want.from), in.From)
			require.True(t, strings.HasPrefix(in.To.RawID, want.to), in.To)
			require.Equal(t, want.policy, in.Policy)
			require.Equal(t, map[bool]time.Duration{false: 15 * time.Second, true: 5 * time.Second}[want.policy], in.AnswerWithin)
			require.Equal(t, noticeTime, in.Arrived)
			require.True(t, json.Valid(in.Raw))
		})
	}
}

// TestWhatTheDocumentsOnlyDescribe: the other resources, in spellings that are
// seen on the wire.
func TestWhatTheDocumentsOnlyDescribe(t *testing.T) {
	const call = "/communications/calls/AB-cd"
	for _, c := range []struct {
		name, in string
		want     session.Notice
	}{
		{"deleted", about("Deleted", call, `{"@odata.type":"#microsoft.graph.call","state":"Terminated","resultInfo":{"code":"200","subCode":"5001","message":"m"}}`),
			session.Notice{Kind: session.EventDisconnected, Type: "deleted:call", Code: 200, SubCode: 5001, Message: "m"}},
		{"deleted without a state", about("deleted", call, `{"@odata.type":"#microsoft.graph.call"}`), session.Notice{Kind: session.EventDisconnected, Type: "deleted:call"}},
		{"deleted without data", about("deleted", call, ""), session.Notice{Kind: session.EventDisconnected, Type: "deleted:call"}},
		{"legacy path", `{"changeType":"updated","resource":"/app/calls/AB-cd","resourceData":{"state":"hold"}}`,
			session.Notice{Kind: session.EventPhase, Phase: session.PhaseHold, Type: "updated:call"}},
		{"new path first", `{"changeType":"updated","resource":"/app/calls/other","resourceUrl":"communications/calls/AB-cd","resourceData":{"state":"Transferring"}}`,
			session.Notice{Kind: session.EventPhase, Phase: session.PhaseTransferring, Type: "updated:call"}},
		{"transfer accepted", about("updated", call, `{"state":"transferAccepted"}`), session.Notice{Kind: session.EventPhase, Phase: session.PhaseTransferAccepted, Type: "updated:call"}},
		{"back", about("updated", call, `{"state":"established"}`), session.Notice{Kind: session.EventConnected, Type: "updated:call"}},
		{"terminating", about("updated", call, `{"state":"terminating"}`), session.Notice{Kind: session.EventDisconnecting, Type: "updated:call"}},
		{"unknown state", about("updated", call, `{"state":"dancing"}`), session.Notice{Type: "updated:call"}},
		{"unknown resource", about("updated", call+"/dances/1", `{"@odata.type":"#microsoft.graph.dance"}`), session.Notice{Type: "updated:dances"}},
		{"delta roster", about("updated", call+"/participants", `{"@odata.type":"#microsoft.graph.deltaParticipants","sequenceNumber":7,"participants":[{"id":"p","info":{"identity":{"phone":{"id":"+1"}}},"rosterSequenceNumber":7,"removedState":{"reason":"gone"}}]}`),
			session.Notice{Kind: session.EventParticipants, Type: "updated:participants", Delta: true, Sequence: 7, Participants: []session.Participant{
				{ID: "p", Identity: session.Identity{RawID: "4:+1"}, Sequence: 7, Removed: "gone"}}}},
		{"recording status", about("updated", call+"/participants", `[{"id":"p","recordingInfo":{"recordingStatus":"Recording"}}]`),
			session.Notice{Kind: session.EventParticipants, Type: "updated:participants", Participants: []session.Participant{{ID: "p", Recording: "recording"}}}},
		{"content sharing as a list", about("created", call+"/contentSharingSessions", `[{"@odata.type":"#microsoft.graph.contentSharingSession","id":"1"}]`),
			session.Notice{Kind: session.EventContentSharing, Type: "created:contentsharingsessions"}},
		{"operation", about("deleted", call+"/operations/77", `{"@odata.type":"#microsoft.graph.playPromptOperation","status":"Completed","clientContext":"ctx","resultInfo":{"code":200}}`),
			session.Notice{Kind: session.EventOperation, Type: "deleted:operations:playPromptOperation:completed", OperationContext: "ctx", Code: 200}},
		{"operation elsewhere", about("deleted", call+"/operations/participants", `{"@odata.type":"#microsoft.graph.inviteParticipantsOperation","id":null,"status":"failed"}`),
			session.Notice{Kind: session.EventOperation, Type: "deleted:operations:inviteParticipantsOperation:failed"}},
		{"participant left", about("updated", call, `{"@odata.type":"#microsoft.graph.participantLeftNotification","participantId":"p"}`),
			session.Notice{Kind: session.EventParticipantLeft, Type: "updated:call"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, sink := newTestWebhook(t, nil)
			rec := post(w, envelope(c.in))
			require.Equal(t, http.StatusAccepted, rec.Code, rec.Body)
			require.Len(t, sink.notices, 1)
			got := sink.notices[0]
			require.JSONEq(t, c.in, string(got.Raw))
			c.want.CallID, c.want.CallName, c.want.Time, got.Raw = "abcd", "AB-cd", noticeTime, nil
			require.Equal(t, c.want, got)
		})
	}
}

func TestTones(t *testing.T) {
	w, sink := newTestWebhook(t, nil)
	post(w, envelope(about("updated", "/communications/calls/1", `{"state":"established","toneInfo":{"sequenceId":3,"tone":"Pound"}}`)))
	require.Len(t, sink.notices, 2, "the state too")
	require.Equal(t, session.EventConnected, sink.notices[0].Kind)
	require.Equal(t, session.EventTone, sink.notices[1].Kind)
	require.Equal(t, byte('#'), sink.notices[1].Tone)
	require.Equal(t, int64(3), sink.notices[1].Sequence)
}

func TestOperationsAreTold(t *testing.T) {
	ops := new(Operations)
	w, sink := newTestWebhook(t, func(c *WebhookConfig) { c.Operations = ops })
	op := ops.begin("A-1", CommsOperation{ID: "0fe0623f-d628-42ed-b4bd-8ac290072cc5", Status: "running"})
	post(w, envelope(about("deleted", "communications/calls/a1/operations/0FE0623FD62842EDB4BD8AC290072CC5", `{"@odata.type":"#microsoft.graph.startHoldMusicOperation","status":"completed"}`)))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := op.Wait(ctx)
	require.NoError(t, err)
	require.Len(t, sink.notices, 1)
	require.Equal(t, int64(1), w.Stats().Operations)
}

// TestBatch: one bad item loses no other, and the order stays.
func TestBatch(t *testing.T) {
	w, sink := newTestWebhook(t, nil)
	rec := post(w, envelope(
		about("updated", "/communications/calls/1", `{"state":"establishing"}`),
		`7`, about("updated", "/elsewhere", `{}`), about("updated", "/communications/calls/1/participants", `[{"id":7}]`), about("updated", "/communications/calls/1", `"x"`),
		about("updated", "/communications/calls/1", `{"toneInfo":{"tone":"bang"}}`),
		established,
	), "X-Microsoft-Skype-Message-ID", "m")
	require.Equal(t, http.StatusAccepted, rec.Code)
	require.Len(t, sink.notices, 2)
	require.Equal(t, []string{"m#0.0", "m#6.0"}, []string{sink.notices[0].ID, sink.notices[1].ID})
	require.Equal(t, int64(5), w.Stats().BadItems)

	rec = post(w, envelope(`7`))
	require.Equal(t, http.StatusBadRequest, rec.Code)
	require.Contains(t, rec.Body.String(), "value[0]")
}

func TestBadRequests(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 8<<20))
	_ = z.Close()
	for want, c := range map[string]struct {
		body   string
		header []string
		status int
	}{
		"not JSON":    {`{"value":[`, nil, 400},
		"no value":    {`{}`, nil, 400},
		"media type":  {`{}`, []string{"Content-Type", "text/plain"}, 415},
		"encoding":    {`{}`, []string{"Content-Encoding", "br"}, 415},
		"too large":   {strings.Repeat(" ", 5<<20), nil, 413},
		"gzip bomb":   {packed.String(), []string{"Content-Encoding", "gzip"}, 413},
		"gzip broken": {"xx", []string{"Content-Encoding", "gzip"}, 400},
	} {
		w, sink := newTestWebhook(t, nil)
		require.Equal(t, c.status, post(w, c.body, c.header...).Code, want)
		require.Empty(t, sink.notices)
		require.Len(t, w.Stats().Bad, 1, want)
	}
	w, _ := newTestWebhook(t, nil)
	r := httptest.NewRequest(http.MethodGet, "/graph/callbacks", nil)
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
	rec = httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/graph/callbacksx", nil))
	require.Equal(t, http.StatusNotFound, rec.Code)
}

func TestPackedNotifications(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(envelope(established)))
	require.NoError(t, z.Close())
	w, sink := newTestWebhook(t, nil)
	require.Equal(t, http.StatusAccepted, post(w, packed.String(), "Content-Encoding", "gzip").Code)
	require.Len(t, sink.notices, 1)
}

func TestRedirectsAndLegacy(t *testing.T) {
	incoming := string(sample(t, "answer-v1-ex3-incoming"))
	w, sink := newTestWebhook(t, func(c *WebhookConfig) {
		c.OnIncomingRedirect = func(in session.Incoming) string { return "https://eu.example/callbacks" }
	})
	rec := post(w, incoming)
	require.Equal(t, http.StatusTemporaryRedirect, rec.Code)
	require.Equal(t, "https://eu.example/callbacks", rec.Header().Get("Location"))
	require.Empty(t, sink.rung)
	require.Equal(t, http.StatusAccepted, post(w, envelope(established)).Code, "what does not ring stays")

	for _, f := range []func(session.Incoming) string{
		func(session.Incoming) string { return "ftp://x" }, func(session.Incoming) string { panic("x") }, func(session.Incoming) string { return "" },
	} {
		w, sink = newTestWebhook(t, func(c *WebhookConfig) { c.OnIncomingRedirect = f })
		require.Equal(t, http.StatusAccepted, post(w, incoming).Code)
		require.Len(t, sink.rung, 1)
	}

	const legacy = `{"subscriptionId":"2887CEE8","changeType":"updated","resource":"/app/calls/8A93","resourceData":{"@odata.type":"#microsoft.graph.call","state":"Established"}}`
	w, sink = newTestWebhook(t, nil)
	require.Equal(t, http.StatusAccepted, post(w, envelope(legacy)).Code)
	require.Len(t, sink.notices, 1)
	w, sink = newTestWebhook(t, func(c *WebhookConfig) { c.RefuseLegacy = true })
	require.Equal(t, http.StatusNoContent, post(w, envelope(legacy)).Code)
	require.Empty(t, sink.notices)
}

const joiningNotice = `{"changeType":"created","resourceUrl":"/communications/calls/E7-1","resourceData":{` +
	`"@odata.type":"#microsoft.graph.participantJoiningNotification","call":{"source":{"identity":{"user":{"id":"Z"}}}}}}`

func TestJoining(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		decide func(context.Context, Joining) JoinDecision
		want   string
		why    string
	}{
		"accept":   {func(context.Context, Joining) JoinDecision { return JoinDecision{} }, `{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`, ""},
		"reject":   {func(context.Context, Joining) JoinDecision { return JoinDecision{Reject: "Busy"} }, `{"@odata.type":"#microsoft.graph.rejectJoinResponse","reason":"busy"}`, ""},
		"invite":   {func(context.Context, Joining) JoinDecision { return JoinDecision{InviteURI: "https://b/"} }, `{"@odata.type":"#microsoft.graph.inviteNewBotResponse","inviteUri":"https://b/"}`, ""},
		"nobody":   {nil, `{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`, "unset"},
		"panic":    {func(context.Context, Joining) JoinDecision { panic("x") }, `{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`, "panic"},
		"invalid":  {func(context.Context, Joining) JoinDecision { return JoinDecision{Reject: "later"} }, `{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`, "invalid"},
		"deadline": {func(ctx context.Context, _ Joining) JoinDecision { <-ctx.Done(); return JoinDecision{Reject: "none"} }, `{"@odata.type":"#microsoft.graph.acceptJoinResponse"}`, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked Joining
			w, sink := newTestWebhook(t, func(config *WebhookConfig) {
				config.JoinDeadline = 20 * time.Millisecond
				if name != "deadline" {
					config.JoinDeadline = 10 * time.Second
				}
				if c.decide != nil {
					config.OnJoining = func(ctx context.Context, j Joining) JoinDecision {
						asked = j
						return c.decide(ctx, j)
					}
				}
			})
			rec := post(w, envelope(joiningNotice))
			require.Equal(t, http.StatusOK, rec.Code)
			require.JSONEq(t, c.want, rec.Body.String())
			require.Empty(t, sink.rung)
			if c.why != "" {
				require.Equal(t, map[string]int64{c.why: 1}, w.Stats().JoinDefaults)
			} else {
				require.Equal(t, "e71", asked.Key)
				require.Equal(t, "8:orgid:z", asked.From.RawID)
			}
		})
	}
}

func FuzzDelivery(f *testing.F) {
	f.Add([]byte(envelope(established, joiningNotice)))
	f.Add([]byte(envelope(about("updated", "/app/calls('x')/participants('y')", `[{"id":"a"}]`), `{"resourceData":[]}`, `null`)))
	for _, name := range []string{"answer-v1-ex3-incoming", "create-ex5-roster", "answer-beta-ex2-content-sharing-ended"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseDelivery(body, "graph", noticeTime)
		if err != nil {
			return
		}
		for _, it := range d.Items {
			for _, n := range it.Notices {
				require.NotEmpty(t, n.CallID)
			}
			if it.Incoming != nil {
				require.NotEmpty(t, it.Incoming.Key)
			}
		}
	})
}
