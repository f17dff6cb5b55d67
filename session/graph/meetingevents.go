package graph

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The resource of a meeting's call events, around the meeting's join URL.
const (
	eventsPrefix = "communications/onlineMeetings(joinWebUrl='"
	eventsSuffix = "')/meetingCallEvents"
	// legacyPrefix is the resource of 2021.
	legacyPrefix = "communications/onlineMeetings/?$filter=JoinWebUrl eq '"
)

// MeetingCallEvents is the resource of a subscription to the call events of a
// meeting, which is named by its joinWebUrl as "Get onlineMeeting" and Teams
// give it: partly percent-encoded, which is encoded once more as a whole.
// Source: "Get change notifications for Microsoft Teams meeting call updates".
func MeetingCallEvents(joinWebURL string) (string, error) {
	if err := checkJoinURL(joinWebURL); err != nil {
		return "", fmt.Errorf("graph: joinWebUrl: %w", err)
	}
	// Nothing in it is a space, which QueryEscape would write as a plus.
	return eventsPrefix + url.QueryEscape(joinWebURL) + eventsSuffix, nil
}

// checkJoinURL takes an absolute https URL of printable ASCII. Whether there is
// such a meeting only the service knows.
func checkJoinURL(joinWebURL string) error {
	if len(joinWebURL) > maxJoinURL {
		return fmt.Errorf("%d bytes: want at most %d", len(joinWebURL), maxJoinURL)
	}
	for i := range len(joinWebURL) {
		if c := joinWebURL[i]; c <= ' ' || c > '~' {
			return fmt.Errorf("byte %d is %q: want it percent-encoded", i, c)
		}
	}
	u, err := url.Parse(joinWebURL)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Scheme == "" && strings.HasPrefix(strings.ToLower(joinWebURL), "https%3a"):
		return fmt.Errorf("%q: is encoded already, want it as Teams gives it", clip(joinWebURL))
	case !strings.EqualFold(u.Scheme, "https") || u.Host == "":
		return fmt.Errorf("%q: want https://teams.microsoft.com/l/meetup-join/…", clip(joinWebURL))
	}
	return nil
}

// MeetingOf is the way back: the joinWebUrl in the resource of a meeting's call
// events, with or without a slash before it, in any case of letters, or of the
// form of 2021.
func MeetingOf(resource string) (joinWebURL string, err error) {
	text := strings.TrimPrefix(resource, "/")
	inner, ok := between(text, eventsPrefix, eventsSuffix)
	if !ok {
		inner, ok = between(text, legacyPrefix, "'")
	}
	if !ok {
		return "", fmt.Errorf("graph: resource %q: want %s…%s", clip(resource), eventsPrefix, eventsSuffix)
	}
	// PathUnescape leaves a plus alone.
	joinWebURL, err = url.PathUnescape(inner)
	if err != nil {
		return "", errors.New("graph: resource: joinWebUrl: bad percent-encoding")
	}
	if err := checkJoinURL(joinWebURL); err != nil {
		return "", fmt.Errorf("graph: resource: joinWebUrl: %w", err)
	}
	return joinWebURL, nil
}

// between cuts prefix and suffix off, whatever their case.
func between(s, prefix, suffix string) (string, bool) {
	if len(s) < len(prefix)+len(suffix) {
		return "", false
	}
	inner := s[len(prefix) : len(s)-len(suffix)]
	return inner, strings.EqualFold(s[:len(prefix)], prefix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// isMeetingCallEvents tells a resource that MeetingOf reads.
func isMeetingCallEvents(resource string) bool {
	_, err := MeetingOf(resource)
	return err == nil
}
