package acs

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// pages serves a list of participants, one a page, with links made by link.
func pages(n int, link func(r *http.Request, next int) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at := 0
		fmt.Sscan(r.URL.Query().Get("skip"), &at)
		next := ""
		if at+1 < n {
			next = fmt.Sprintf(`,"nextLink":%q`, link(r, at+1))
		}
		fmt.Fprintf(w, `{"value":[{"identifier":{"rawId":"4:+%d"},"isMuted":true,"isOnHold":true}]%s}`, at, next)
	}
}

func TestPagesOfParticipants(t *testing.T) {
	for name, link := range map[string]func(*http.Request, int) string{
		"absolute": func(r *http.Request, next int) string {
			return fmt.Sprintf("http://%s%s?skip=%d&api-version=2020-01-01", r.Host, r.URL.EscapedPath(), next)
		},
		"relative": func(r *http.Request, next int) string { return fmt.Sprintf("%s?skip=%d", r.URL.Path, next) },
	} {
		f := newFakeService(t, pages(5, link))
		c := newTestClient(t, f, ClientConfig{})
		roster, err := c.Participants(t.Context(), "a:b/c")
		require.NoError(t, err, name)
		require.Len(t, roster.Participants, 5, name)
		require.Equal(t, session.Participant{Identity: session.Identity{RawID: "4:+4"}, Muted: true, OnHold: true}, roster.Participants[4])
		for _, r := range f.requests() {
			require.Contains(t, r.target, "api-version="+Version2026)
			verifySignature(t, r)
		}

		got := 0
		for _, err := range c.ListParticipants(t.Context(), "a:b/c") {
			require.NoError(t, err)
			if got++; got == 2 {
				break
			}
		}
		require.Len(t, f.requests(), 5+2, "%s: pages come as they are asked for", name)
	}
}

func TestLinksThatAreNotFollowed(t *testing.T) {
	for link, want := range map[string]string{
		"http://evil.example/calling/callConnections/c/participants?skip=1": "nextLink leads to evil.example",
		"/calling/recordings?skip=1":                                        "another resource",
		"string":                                                            "another resource",
		"/calling/callConnections/c/participants":                           "the same page",
		"/calling/callConnections/c/participants?api-version=1":             "the same page",
		"%zz": "not a URL",
	} {
		f := newFakeService(t, pages(2, func(*http.Request, int) string { return link }))
		c := newTestClient(t, f, ClientConfig{})
		_, err := c.Participants(t.Context(), "c")
		require.ErrorContains(t, err, want, link)
		require.Len(t, f.requests(), 1)
	}
	f := newFakeService(t, pages(1000, func(_ *http.Request, next int) string {
		return fmt.Sprintf("/calling/callConnections/c/participants?skip=%d", next)
	}))
	_, err := newTestClient(t, f, ClientConfig{}).Participants(t.Context(), "c")
	require.ErrorContains(t, err, "more than 100 pages")
}

func TestParticipantResponses(t *testing.T) {
	c := func(body string) *testClient {
		return newTestClient(t, newFakeService(t, reply(200, body)), ClientConfig{})
	}
	_, err := c(`{}`).GetParticipant(t.Context(), "c", "4:+1")
	require.ErrorContains(t, err, "no identifier")
	_, err = c(`nonsense`).GetParticipant(t.Context(), "c", "4:+1")
	require.ErrorContains(t, err, "response: invalid character")
	roster, err := c(`{"value":null}`).Participants(t.Context(), "c")
	require.NoError(t, err)
	require.NotNil(t, roster.Participants)
	_, err = c(`{}`).GetRecording(t.Context(), "r")
	require.ErrorContains(t, err, "no recordingId")
}
