package graph

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// eventsJoinURL is the join URL of the document's sample.
const eventsJoinURL = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_ZmYwZTEyYjctZjA5MS00OTkzLWJhNzEtYzFiZDVjNGE0OGFj%40thread.v2/0?context=%7b%22Tid%22%3a%22909c6581-5130-43e9-88f3-fcb3582cde37%22%2c%22Oid%22%3a%22048c94fb-dda6-48b8-9fc8-6740ee418fb9%22%7d"

func TestMeetingCallEvents(t *testing.T) {
	var asked struct{ Resource string }
	require.NoError(t, json.Unmarshal(sample(t, "events-subscription-request"), &asked))
	got, err := MeetingCallEvents(eventsJoinURL)
	require.NoError(t, err)
	require.Equal(t, asked.Resource, got)

	for _, resource := range []string{
		got, "/" + got, strings.ToLower(got[:40]) + got[40:],
		"/communications/onlineMeetings/?$filter=JoinWebUrl eq '" + eventsJoinURL[:10] + "teams'",
	} {
		back, err := MeetingOf(resource)
		require.NoError(t, err, resource)
		require.True(t, strings.HasPrefix(back, eventsJoinURL[:10]))
	}
	back, err := MeetingOf("/" + got)
	require.NoError(t, err)
	require.Equal(t, eventsJoinURL, back, "digits of %3a keep their case")

	for want, in := range map[string]string{
		"want https":         "http://teams.microsoft.com/l/meetup-join/x",
		"is encoded already": "https%3A%2F%2Fteams.microsoft.com%2Fl",
		"percent-encoded":    "https://teams.microsoft.com/a b",
		`is '\n'`:            "https://teams.microsoft.com/\n",
		"not a URL":          "https://%zz/",
		"at most 8192":       "https://" + strings.Repeat("a", 8192),
		`""`:                 "",
	} {
		_, err := MeetingCallEvents(in)
		require.ErrorContains(t, err, "graph: joinWebUrl: ")
		require.ErrorContains(t, err, want)
	}
	for _, in := range []string{"", "/", "users/1/messages", eventsPrefix + eventsSuffix, eventsPrefix + "%" + eventsSuffix, "communications/onlineMeetings('x')/meetingCallEvents"} {
		_, err := MeetingOf(in)
		require.Error(t, err, in)
	}
	quoted, err := MeetingCallEvents("https://h/it's?a=1+2&b='")
	require.NoError(t, err)
	require.Equal(t, eventsPrefix+"https%3A%2F%2Fh%2Fit%27s%3Fa%3D1%2B2%26b%3D%27"+eventsSuffix, quoted, "a quote cannot end it")
}

func FuzzMeetingCallEvents(f *testing.F) {
	f.Add(eventsJoinURL)
	f.Add("https://h/it's?a=1+2")
	f.Add("https://teams.microsoft.com/meet/2?p=x")
	f.Add("https%3A%2F%2F")
	f.Fuzz(func(t *testing.T, in string) {
		// A join URL, or a resource: whichever it is comes back.
		resource, err := MeetingCallEvents(in)
		if err == nil {
			require.Equal(t, 2, strings.Count(resource, "'"))
			back, err := MeetingOf(resource)
			require.NoError(t, err)
			require.Equal(t, in, back)
		}
		if join, err := MeetingOf(in); err == nil {
			_, err = MeetingCallEvents(join)
			require.NoError(t, err)
		}
	})
}
