package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/mixminus/mixminus/session/rest"
)

// maxJoinURL bounds a Teams join link, in bytes.
const maxJoinURL = 8 << 10

// Meeting is how a meeting is joined. Use ParseJoinURL, or fill it from "Get
// onlineMeeting".
type Meeting struct {
	ChatInfo    ChatInfo
	MeetingInfo MeetingInfo
	// TenantID of the organizer.
	TenantID string
}

// ParseJoinURL reads a Teams join link,
// "https://teams.microsoft.com/l/meetup-join/19%3ameeting_…%40thread.v2/0?context={"Tid":…,"Oid":…}",
// encoded once, twice or not at all. Links of the short kind
// ("https://teams.microsoft.com/meet/<id>?p=…") hold no more than a meeting id
// and a passcode, and give a Meeting of these.
func ParseJoinURL(link string) (Meeting, error) {
	if len(link) > maxJoinURL {
		return Meeting{}, fmt.Errorf("graph: join URL of %d bytes: want at most %d", len(link), maxJoinURL)
	}
	u, err := url.Parse(strings.TrimSpace(link))
	switch {
	case err != nil:
		return Meeting{}, errors.New("graph: join URL is not a URL")
	case u.Scheme != "https" || !teamsHost(u.Hostname()):
		return Meeting{}, fmt.Errorf("graph: join URL: host %q: want https://teams.microsoft.com", rest.Clip(u.Host))
	}
	path, err := unescaped(u.EscapedPath())
	if err != nil {
		return Meeting{}, fmt.Errorf("graph: join URL: path: %w", err)
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) == 2 && parts[0] == "meet" {
		return meetingByID(parts[1], u.Query().Get("p"))
	}
	if len(parts) != 4 || parts[0] != "l" || parts[1] != "meetup-join" {
		return Meeting{}, errors.New("graph: join URL: path: want /l/meetup-join/<thread>/<message>")
	}
	return meetingOf(parts[2], parts[3], u.RawQuery)
}

// teamsHost tells the hosts of Teams, national clouds' too.
func teamsHost(host string) bool {
	host = strings.ToLower(host)
	for _, known := range []string{"teams.microsoft.com", "teams.live.com", "teams.microsoft.us", "teams.cloud.microsoft"} {
		if host == known || strings.HasSuffix(host, "."+known) {
			return true
		}
	}
	return false
}

// unescaped undoes percent-encoding until there is none, three times at most.
func unescaped(s string) (string, error) {
	for range 3 {
		plain, err := url.PathUnescape(s)
		if err != nil {
			return "", errors.New("bad percent-encoding")
		}
		if plain == s {
			break
		}
		s = plain
	}
	return s, nil
}

func meetingByID(id, passcode string) (Meeting, error) {
	if id == "" {
		return Meeting{}, errors.New("graph: join URL: meeting id is empty")
	}
	return Meeting{MeetingInfo: MeetingInfo{
		ODataType: typeName("joinMeetingIdMeetingInfo"), JoinMeetingID: id, Passcode: passcode,
	}}, nil
}

func meetingOf(thread, message, query string) (Meeting, error) {
	var context struct{ Tid, Oid, MessageID string }
	raw, err := contextIn(query)
	if err != nil {
		return Meeting{}, fmt.Errorf("graph: join URL: context: %w", err)
	}
	if err := rest.Unmarshal([]byte(raw), &context); err != nil {
		return Meeting{}, fmt.Errorf("graph: join URL: context: %w", err)
	}
	switch {
	case !strings.Contains(thread, "@"):
		return Meeting{}, fmt.Errorf("graph: join URL: thread %q: want 19:…@thread.v2", rest.Clip(thread))
	case message == "":
		return Meeting{}, errors.New("graph: join URL: message id is empty")
	case context.Tid == "":
		return Meeting{}, errors.New("graph: join URL: context.Tid is missing")
	case context.Oid == "":
		return Meeting{}, errors.New("graph: join URL: context.Oid is missing")
	}
	return Meeting{
		ChatInfo: ChatInfo{
			ODataType: typeName("chatInfo"), ThreadID: thread, MessageID: message, ReplyChainMessageID: context.MessageID,
		},
		MeetingInfo: MeetingInfo{
			ODataType: typeName("organizerMeetingInfo"),
			Organizer: &IdentitySet{
				ODataType: typeName("identitySet"),
				User:      &Identity{ODataType: typeName("identity"), ID: context.Oid, TenantID: context.Tid},
			},
			AllowConversationWithoutHost: true,
		},
		TenantID: context.Tid,
	}, nil
}

// contextIn finds the JSON of the parameter context, which links leave
// unencoded, encode once, or twice.
func contextIn(query string) (string, error) {
	for part := range strings.SplitSeq(query, "&") {
		value, ok := strings.CutPrefix(part, "context=")
		if !ok {
			continue
		}
		value, err := unescaped(value)
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(value, "{") {
			return "", errors.New("want a JSON object")
		}
		return value, nil
	}
	return "", errors.New("is missing")
}

// Join is the create request that joins a meeting: a call, for
// session.Manager.Create, which adds callback address and media. With a
// guestName the bot joins as a guest of that name, whose id is one of its own
// choice; guests may have to wait in the lobby.
func (m Meeting) Join(guestName, guestID string) (json.RawMessage, error) {
	c := Call{
		ODataType: typeName("call"), RequestedModalities: []Enum{"audio"},
		MeetingInfo: &m.MeetingInfo, TenantID: m.TenantID,
	}
	if m.ChatInfo.ThreadID != "" {
		c.ChatInfo = &m.ChatInfo
	}
	switch {
	case m.MeetingInfo.Organizer == nil && m.MeetingInfo.JoinMeetingID == "" && m.MeetingInfo.Token == "":
		return nil, errors.New("graph: meetingInfo: names neither organizer, joinMeetingId nor token")
	case m.MeetingInfo.Organizer != nil && c.ChatInfo == nil:
		return nil, errors.New("graph: chatInfo.threadId is empty")
	case (guestName == "") != (guestID == ""):
		return nil, errors.New("graph: a guest needs a name and an id")
	case guestName != "":
		c.Source = infoOf(IdentitySet{Guest: &Identity{ODataType: typeName("identity"), DisplayName: guestName, ID: guestID}})
	}
	return rest.Marshal(c)
}

func infoOf(set IdentitySet) *ParticipantInfo {
	set.ODataType = typeName("identitySet")
	return &ParticipantInfo{ODataType: typeName("participantInfo"), Identity: &set}
}

// maxGroup is how many a group call can be begun with.
const maxGroup = 5

// Invite is the create request of a call to others: one makes a peer-to-peer
// call, two to five a group call with that subject. Users have raw ids
// "8:orgid:GUID". Telephones ("4:+14255550100", one at a time) need an
// instance: the id of an application instance that has a number.
func Invite(targets []IdentitySet, subject, instance string) (json.RawMessage, error) {
	c := Call{ODataType: typeName("call"), Direction: "outgoing", Subject: subject, RequestedModalities: []Enum{"audio"}}
	if len(targets) == 0 || len(targets) > maxGroup {
		return nil, fmt.Errorf("graph: targets: %d, want 1 to %d", len(targets), maxGroup)
	}
	for i, set := range targets {
		if set.RawID() == "" {
			return nil, fmt.Errorf("graph: targets[%d].identity: names nobody", i)
		}
		if set.Phone != nil && (len(targets) > 1 || instance == "") {
			return nil, fmt.Errorf("graph: targets[%d].identity.phone: want it alone, and an application instance that calls", i)
		}
		if set.Phone != nil && !strings.HasPrefix(set.Phone.ID, "+") {
			return nil, fmt.Errorf("graph: targets[%d].identity.phone.id %q: want a number in E.164, +14255550100", i, rest.Clip(set.Phone.ID))
		}
		set.ODataType = typeName("identitySet")
		c.Targets = append(c.Targets, InvitationParticipantInfo{ODataType: typeName("invitationParticipantInfo"), Identity: &set})
	}
	if instance != "" {
		c.Source = infoOf(IdentitySet{ApplicationInstance: &Identity{ODataType: typeName("identity"), ID: instance}})
	}
	return rest.Marshal(c)
}
