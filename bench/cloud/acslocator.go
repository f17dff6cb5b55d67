package cloud

import (
	"strings"

	"github.com/google/uuid"
)

// locatorModel is a CallLocator: a group call, a room, or a call by its
// serverCallId.
type locatorModel struct {
	Kind         string `json:"kind"`
	GroupCallID  string `json:"groupCallId"`
	ServerCallID string `json:"serverCallId"`
	RoomID       string `json:"roomId"`
}

// check judges a locator. Its kind may be missing, as that of an identifier.
func (l *locatorModel) check(field string) *refusal {
	ids := map[string]string{
		"groupCallLocator": l.GroupCallID, "serverCallLocator": l.ServerCallID, "roomCallLocator": l.RoomID,
	}
	names := map[string]string{
		"groupCallLocator": "groupCallId", "serverCallLocator": "serverCallId", "roomCallLocator": "roomId",
	}
	given := ""
	for kind, id := range ids {
		switch {
		case id == "":
		case given != "":
			return badArgument(field, "names two calls at once")
		default:
			given = kind
		}
	}
	for kind := range ids {
		if strings.EqualFold(l.Kind, kind) {
			l.Kind = kind
		}
	}
	switch {
	case l.Kind != "" && names[l.Kind] == "":
		return badArgument(field+".kind", "%q: want groupCallLocator, serverCallLocator or roomCallLocator", l.Kind)
	case l.Kind != "" && ids[l.Kind] == "":
		return badArgument(field+"."+names[l.Kind], "is missing")
	case given == "":
		return badArgument(field, "names no call")
	}
	if l.Kind == "" {
		l.Kind = given
	}
	if l.Kind == "groupCallLocator" {
		if _, err := uuid.Parse(l.GroupCallID); err != nil {
			return badArgument(field+".groupCallId", "%q is not a GUID", l.GroupCallID)
		}
	}
	return nil
}

// id is what the locator finds its call by.
func (l *locatorModel) id() string {
	switch l.Kind {
	case "groupCallLocator":
		return l.GroupCallID
	case "roomCallLocator":
		return l.RoomID
	}
	return l.ServerCallID
}

// located returns the live call that a locator names, or nil. Several apps may
// be in it; the one that came first is returned.
func (s *Server) located(l *locatorModel) *acsCall {
	s.mu.Lock()
	var found []*acsCall
	for _, call := range s.calls {
		if c, ok := call.side.(*acsCall); ok && c.isAt(l) {
			found = append(found, c)
		}
	}
	s.mu.Unlock()
	var first *acsCall
	for _, c := range found {
		c.mu.Lock()
		live := c.state == stateConnecting || c.state == stateConnected
		c.mu.Unlock()
		if live && (first == nil || c.created.Before(first.created)) {
			first = c
		}
	}
	return first
}

func (c *acsCall) isAt(l *locatorModel) bool {
	if l.Kind == "serverCallLocator" {
		return c.serverCallID == l.ServerCallID
	}
	return c.meeting != nil && c.meeting.Kind == l.Kind && strings.EqualFold(c.meeting.id(), l.id())
}
