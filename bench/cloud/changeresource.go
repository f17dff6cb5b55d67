package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The resource of a subscription to a meeting's call events. A slash may stand
// before it: the document has it both ways.
const (
	callEventsPrefix = "communications/onlineMeetings(joinWebUrl='"
	callEventsSuffix = "')/meetingCallEvents"
)

// callEvents is a parsed resource.
type callEvents struct {
	path    string // as it was given, but without a slash before it
	meeting string // meetingOf its joinWebUrl
	tenant  string // the organizer's, if the link tells
}

// parseCallEvents reads a resource. A joinWebUrl is percent-encoded in part by
// itself, and stands in the resource encoded once more as a whole: %3a becomes
// %253a, whatever its case.
func parseCallEvents(resource string) (c callEvents, err error) {
	path := strings.TrimPrefix(resource, "/")
	inner := len(path) - len(callEventsSuffix)
	if inner < len(callEventsPrefix) || !strings.EqualFold(path[:len(callEventsPrefix)], callEventsPrefix) ||
		!strings.EqualFold(path[inner:], callEventsSuffix) {
		return c, fmt.Errorf("want %s{joinWebUrl}%s", callEventsPrefix, callEventsSuffix)
	}
	encoded := path[len(callEventsPrefix):inner]
	if strings.ContainsAny(encoded, ":/?='") {
		return c, errors.New("joinWebUrl is not URL-encoded")
	}
	link, err := url.PathUnescape(encoded)
	if err != nil {
		return c, fmt.Errorf("joinWebUrl: %w", err)
	}
	if c.tenant, err = checkJoinLink(link); err != nil {
		return c, fmt.Errorf("joinWebUrl: %w", err)
	}
	c.path, c.meeting = path, meetingOf(link)
	return c, nil
}

// meetingOf brings the spellings of a join link to one.
func meetingOf(link string) string {
	if plain, err := url.PathUnescape(link); err == nil {
		return plain
	}
	return link
}

// joinHosts are where Teams' join links point, by cloud.
var joinHosts = map[string]bool{
	"teams.microsoft.com": true, "teams.live.com": true, "teams.microsoft.us": true,
	"gov.teams.microsoft.us": true, "dod.teams.microsoft.us": true, "teams.microsoftonline.cn": true,
}

// checkJoinLink checks that a link is one of Teams, and returns its context's
// tenant if there is one. Long links, /l/meetup-join/{thread}/{message}, have
// their thread percent-encoded; of one that has not, encoding has been lost.
func checkJoinLink(link string) (tenant string, err error) {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "https" || !joinHosts[strings.ToLower(u.Host)]:
		return "", fmt.Errorf("%.100q is no join link of Teams", link)
	case strings.HasPrefix(u.Path, "/meet/"):
		return "", nil
	}
	thread, _, long := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/l/meetup-join/"), "/")
	if !long || !strings.HasPrefix(u.Path, "/l/meetup-join/") {
		return "", fmt.Errorf("%.100q is no join link of Teams", link)
	}
	if plain, _ := url.PathUnescape(thread); plain == thread {
		return "", fmt.Errorf("thread %.100q is not percent-encoded: a joinWebUrl is encoded as it is, once more", thread)
	}
	var context struct{ Tid string }
	if text := u.Query().Get("context"); text != "" {
		if err := json.Unmarshal([]byte(text), &context); err != nil {
			return "", fmt.Errorf("context: %w", err)
		}
	}
	return context.Tid, nil
}
