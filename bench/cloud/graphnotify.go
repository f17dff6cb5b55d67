package cloud

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// notification is a commsNotification on its way. name is what faults call it.
type notification struct {
	name, change string
	path         string // below the call, with a slash in front; "" is the call
	data         any    // resourceData; nil leaves it out
	answered     func(status int, body []byte)
}

// notify queues a notification.
func (c *graphCall) notify(n notification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notifyLocked(n)
}

// notifyLocked queues a notification, behind those of what happened before:
// what happened and its telling are one step under Call.mu. They are delivered
// in order, unless a fault changes that. Behind the end nothing is told.
func (c *graphCall) notifyLocked(n notification) {
	if c.gone {
		return
	}
	item := map[string]any{
		"@odata.type": "#microsoft.graph.commsNotification",
		"changeType":  c.server.Profile.enum(n.change),
		"resourceUrl": "/communications/calls/" + c.id + n.path,
	}
	if c.server.Profile == ProfileReal {
		item["resource"] = "/app/calls/" + c.id + n.path
	}
	// The documents show it in the notifications of calls that the bot
	// created, and not in those of calls that it answered.
	if c.direction == Outgoing {
		item["callbackUri"] = c.callback()
	}
	if n.data != nil {
		item["resourceData"] = n.data
	}
	c.messages++
	now := time.Now().UTC()
	id := uuid.NewString()
	c.events.add(posting{
		log: EventLog{Type: "call:" + n.name, ID: id, Time: now.Format(time.RFC3339Nano), Data: marshal(item)},
		uri: c.callback(), bearer: c.bearer, answered: n.answered, header: c.notificationHeader(id),
		body: marshal(map[string]any{"@odata.type": "#microsoft.graph.commsNotifications", "value": []any{item}}),
	}, c.befalling(n.name))
}

// notificationHeader is what captures of the service's notifications show.
func (c *graphCall) notificationHeader(id string) http.Header {
	return http.Header{
		"Accept":                                {"application/json"},
		"User-Agent":                            {"Microsoft-Skype/3.0 (Calling/1.0)"},
		"X-Microsoft-Skype-Chain-Id":            {c.chainID},
		"X-Microsoft-Skype-Message-Id":          {id},
		"X-Microsoft-Skype-Original-Message-Id": {id},
		"X-Microsoft-Skype-Caller-Region":       {"amer"},
		"Scenario-Id":                           {c.chainID},
	}
}

// callData is the call in a notification. Of calls that the bot created it has
// an id, of those that it answered an address and a tag: so the documents' two
// pages show it. Called with Call.mu held.
func (c *graphCall) callData(state string) map[string]any {
	data := map[string]any{"@odata.type": "#microsoft.graph.call", "state": c.server.Profile.enum(state)}
	if c.direction == Outgoing {
		data["id"] = c.id
		return data
	}
	data["@odata.id"] = "/communications/calls/" + c.id
	data["@odata.etag"] = etag(5445 + c.messages)
	return data
}

func etag(n int64) string { return `W/"` + strconv.FormatInt(n, 10) + `"` }

// tellState tells of a state that is not the end. Called with Call.mu held.
func (c *graphCall) tellState(state string, more map[string]any) {
	data := c.callData(state)
	if c.direction == Outgoing && (state == "establishing" || state == "established") {
		if c.order.meeting != nil {
			data["meetingInfo"] = c.order.meeting
		}
		if c.order.chatInfo != nil {
			data["chatInfo"] = c.order.chatInfo
		}
		if state == "established" && c.order.meeting == nil {
			data["direction"], data["tenantId"] = c.server.Profile.enum("outgoing"), c.tenantID
		}
	}
	for key, value := range more {
		data[key] = value
	}
	c.notifyLocked(notification{name: state, change: "updated", data: data})
}

func resultInfo(r Result) map[string]any {
	info := map[string]any{"@odata.type": "#microsoft.graph.resultInfo", "code": r.Code, "subcode": r.SubCode}
	if r.Message != "" {
		info["message"] = r.Message
	}
	return info
}

// tellEnd tells of the end, whole for a call that was redirected. Called with
// Call.mu held.
func (c *graphCall) tellEnd(r Result, whole bool) {
	data := c.callData("terminated")
	data["resultInfo"] = resultInfo(r)
	if whole {
		data["direction"], data["callbackUri"], data["id"] = c.server.Profile.enum("incoming"), c.callback(), c.id
		data["source"], data["tenantId"], data["myParticipantId"] = c.source.info("participantInfo"), c.tenantID, c.myID
		var targets []any
		for i := range c.targets {
			targets = append(targets, c.targets[i].info("invitationParticipantInfo"))
		}
		data["targets"] = targets
		if c.redirected.Kind == "phone" {
			data["answeredBy"] = map[string]any{"identity": map[string]any{"encrypted": map[string]any{"id": uuid.NewString()}}}
		}
	}
	if r == graphTransfer && c.consultative {
		data["terminationReason"] = "AppTransferred"
	}
	c.notifyLocked(notification{name: "terminated", change: "deleted", data: data})
}

// tellDeleted tells of a call that was never answered. Called with Call.mu
// held.
func (c *graphCall) tellDeleted() {
	c.notifyLocked(notification{name: "terminated", change: "deleted", data: map[string]any{
		"@odata.type": "#microsoft.graph.call", "@odata.id": "/communications/calls/" + c.id,
	}})
}

// toneNames are the values of the enumeration tone.
var toneNames = map[string]string{"*": "star", "#": "pound"}

func toneName(key string) string {
	if name, ok := toneNames[key]; ok {
		return name
	}
	if key >= "0" && key <= "9" {
		return "tone" + key
	}
	return strings.ToLower(key)
}

// tellTone tells of a key. Called with Call.mu held.
func (c *graphCall) tellTone(sequence int64, key string) {
	data := map[string]any{
		"@odata.type": "#microsoft.graph.call", "state": c.server.Profile.enum("established"),
		"toneInfo": map[string]any{
			"@odata.type": "#microsoft.graph.toneInfo", "sequenceId": sequence, "tone": c.server.Profile.enum(toneName(key)),
		},
	}
	c.notifyLocked(notification{name: "tone", change: "updated", data: data})
}

// ShareContent makes somebody begin or end to share content, which a bot hears
// of that asked for it in its callOptions.
func (c *Call) ShareContent(begin bool) {
	g := graphOf(c)
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	change, wanted := "created", g.order.options.ContentSharing
	session := uuid.NewString()
	switch n := len(g.sharing); {
	case begin && n >= maxMembers:
		wanted = false
	case begin:
		g.sharing = append(g.sharing, session)
	case n > 0:
		change, session = "deleted", g.sharing[n-1]
		g.sharing = g.sharing[:n-1]
	default:
		wanted = false
	}
	if wanted {
		g.tellSharing(change, session)
	}
}

// tellSharing has two documented shapes: of a call that was answered, the
// session's own address and no data; of one that was created, the
// collection's, and the session in an array. Called with Call.mu held.
func (c *graphCall) tellSharing(change, session string) {
	n := notification{name: "contentSharing", change: change, path: "/contentsharingsessions"}
	if c.direction == Incoming {
		n.path += "/" + session
	} else {
		n.data = []any{map[string]any{"@odata.type": "#microsoft.graph.contentSharingSession", "id": session}}
	}
	c.notifyLocked(n)
}

// decodeAnswer reads the body of a bot's response.
func decodeAnswer(body []byte, v any) bool { return len(body) > 0 && json.Unmarshal(body, v) == nil }
