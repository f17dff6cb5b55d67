package cloud

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// The table of "Repeatable requests", ACS REST reference.
func TestRepeatabilityTable(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const id = "cc1e48a4-f9bc-45da-9444-af61e3694857"
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		name, id, first string
		status          int // 0: accepted
	}{
		{"both absent", "", "", 0},
		{"first sent alone", "", "garbage", 0},
		{"valid", id, date(0), 0},
		{"window's end", id, date(-trackedDuration), 0},
		{"valid, malformed", id, "yesterday", 400},
		{"valid, absent", id, "", 400},
		{"malformed, valid", "1234", date(0), 400},
		{"malformed braces", "{" + id + "}", date(0), 400},
		{"malformed, malformed", "1234", "yesterday", 400},
		{"too old", id, date(-trackedDuration - time.Second), 412},
		{"too new", id, date(trackedDuration + time.Second), 412},
	} {
		var r repeats
		h := http.Header{}
		if tt.id != "" {
			h.Set(headerRequestID, tt.id)
		}
		if tt.first != "" {
			h.Set(headerFirstSent, tt.first)
		}
		tracked, replay, refused := r.begin(h, printOf("POST", "/x", nil), now)
		require.Nil(t, replay, tt.name)
		if tt.status == 0 {
			require.Nil(t, refused, tt.name)
			require.Equal(t, tt.id != "", tracked != nil, tt.name)
			continue
		}
		require.NotNil(t, refused, tt.name)
		require.Equal(t, tt.status, refused.status, tt.name)
	}
}

func TestRepeatedRequests(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	h := http.Header{}
	h.Set(headerRequestID, "cc1e48a4-f9bc-45da-9444-af61e3694857")
	h.Set(headerFirstSent, now.Format(http.TimeFormat))
	one, other := printOf("POST", "/x", []byte("1")), printOf("POST", "/x", []byte("2"))
	require.NotEqual(t, one, printOf("POST", "/x?", []byte("1")))

	var r repeats
	first, _, _ := r.begin(h, one, now)
	require.NotNil(t, first)
	_, _, refused := r.begin(h, one, now)
	require.Equal(t, 409, refused.status, "in progress")
	r.finish(first, &response{status: 503})
	again, _, _ := r.begin(h, one, now)
	require.NotNil(t, again, "a failure of the server is executed again")
	r.finish(again, &response{status: 201, body: []byte("x")})
	_, replay, refused := r.begin(h, one, now.Add(4*time.Minute))
	require.Nil(t, refused)
	require.Equal(t, "x", string(replay.body))
	_, _, refused = r.begin(h, other, now)
	require.Equal(t, 400, refused.status, "another request")

	// Memory is bounded, by number and by age.
	for i := range 2 * maxTracked {
		h.Set(headerRequestID, uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)).String())
		t1, _, _ := r.begin(h, one, now)
		require.NotNil(t, t1)
		r.finish(t1, &response{status: 200})
	}
	require.LessOrEqual(t, len(r.table), maxTracked)
	require.Equal(t, len(r.table), len(r.order))
	r.mu.Lock()
	r.forget(now.Add(time.Hour))
	r.mu.Unlock()
	require.Empty(t, r.table)
	require.Empty(t, r.order)
}

func TestCreateIsExecutedOnce(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	body := `{"targets":[{"rawId":"4:+1425","phoneNumber":{"value":"+1425"}}],"callbackUri":"` + b.http.URL + `/callbacks"}`
	headers := []string{headerRequestID, uuid.NewString(), headerFirstSent, time.Now().UTC().Format(http.TimeFormat)}
	const target = "/calling/callConnections?api-version=2026-03-12"

	require.NoError(t, b.srv.Break(RequestFault{Operation: "create", Status: 503, RetryAfter: 1, Count: 2}))
	require.NoError(t, b.srv.Break(RequestFault{Status: 500, Executed: true}))
	for range 2 {
		status, v, h := b.do("POST", target, body, headers...)
		require.Equal(t, 503, status, v)
		require.Equal(t, "1", h.Get("Retry-After"))
	}
	require.Empty(t, b.srv.Calls(), "not executed")
	status, _, _ := b.do("POST", target, body, headers...)
	require.Equal(t, 500, status)
	require.Len(t, b.srv.Calls(), 1, "executed, the response is lost")
	id := b.srv.Calls()[0].ID()
	for range 2 {
		status, v, h := b.do("POST", target, body, headers...)
		require.Equal(t, 201, status)
		require.Equal(t, id, v["callConnectionId"])
		require.Equal(t, "accepted", h.Get(headerResult))
	}
	require.Len(t, b.srv.Calls(), 1)
	status, _, h := b.do("POST", target, body+" ", headers...)
	require.Equal(t, 400, status)
	require.Equal(t, "rejected", h.Get(headerResult))
	status, _, h = b.do("POST", target, body, headerRequestID, "x", headerFirstSent, headers[3])
	require.Equal(t, 400, status)
	require.Equal(t, "rejected", h.Get(headerResult))
	status, _, _ = b.do("POST", target, body, headerRequestID, uuid.NewString(), headerFirstSent, vectorDate)
	require.Equal(t, 412, status)

	// Hanging up is not repeatable: the headers mean nothing.
	status, _, h = b.do("DELETE", "/calling/callConnections/"+id+"?api-version=2026-03-12", "", headerRequestID, "x")
	require.Equal(t, 204, status)
	require.Empty(t, h.Get(headerResult))
}
