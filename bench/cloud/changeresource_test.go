package cloud

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	changeTenant  = "909c6581-5130-43e9-88f3-fcb3582cde37" // of the documents' meeting
	changeMeeting = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_ZmYwZTEyYjctZjA5MS00OTkzLWJhNzEtYzFiZDVjNGE0OGFj%40thread.v2/0?context=%7b%22Tid%22%3a%22909c6581-5130-43e9-88f3-fcb3582cde37%22%2c%22Oid%22%3a%22048c94fb-dda6-48b8-9fc8-6740ee418fb9%22%7d"
)

// The document shows the link of a meeting, and how it stands in a resource.
func TestResourceOfTheDocument(t *testing.T) {
	const path = "communications/onlineMeetings(joinWebUrl='https%3A%2F%2Fteams.microsoft.com%2Fl%2Fmeetup-join%2F19%253ameeting_ZmYwZTEyYjctZjA5MS00OTkzLWJhNzEtYzFiZDVjNGE0OGFj%2540thread.v2%2F0%3Fcontext%3D%257b%2522Tid%2522%253a%2522909c6581-5130-43e9-88f3-fcb3582cde37%2522%252c%2522Oid%2522%253a%2522048c94fb-dda6-48b8-9fc8-6740ee418fb9%2522%257d')/meetingCallEvents"
	want := callEvents{path: path, meeting: meetingOf(changeMeeting), tenant: changeTenant}
	for _, resource := range []string{path, "/" + path} {
		got, err := parseCallEvents(resource)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, want.meeting, meetingOf(want.meeting), "a link that is decoded stays")
	require.Equal(t, "100%", meetingOf("100%"))
}

func FuzzCallEvents(f *testing.F) {
	f.Add("communications/onlineMeetings(joinWebUrl='" + url.QueryEscape(changeMeeting) + "')/meetingCallEvents")
	f.Add("/communications/onlineMeetings(joinWebUrl='https%3A%2F%2Fteams.microsoft.com%2Fmeet%2F1')/meetingCallEvents")
	f.Add("communications/onlineMeetings(joinWebUrl='')/meetingCallEvents")
	f.Fuzz(func(t *testing.T, resource string) {
		c, err := parseCallEvents(resource)
		if err != nil {
			return
		}
		again, err := parseCallEvents("/" + c.path)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
