package cloud

import (
	"slices"
	"strconv"

	"github.com/google/uuid"
)

// maxMembers bounds a call's roster.
const maxMembers = 1024

// member is a row of a call's roster.
type member struct {
	id        string
	party     graphParty
	msi       int
	muted     bool
	lobby     bool
	sharer    bool
	speaker   int // of the script, -1: none
	recording string
	metadata  string
	removed   string // why it is none any more
	sequence  int64  // of the change that touched it last
}

// row is the member as the resource participant, in a notification.
func (c *graphCall) row(m *member) map[string]any { return m.rowAs(c.server.Profile, c) }

// rowAs is the row as a profile writes it. A response has the documents' values
// whatever the profile: PascalCase was seen in notifications, and the SDKs,
// which read responses, do not know it there.
func (m *member) rowAs(p Profile, c *graphCall) map[string]any {
	stream := func(media, direction string, add int) map[string]any {
		return map[string]any{
			"@odata.type": "#microsoft.graph.mediaStream", "mediaType": p.enum(media),
			"sourceId": strconv.Itoa(m.msi + add), "direction": p.enum(direction), "serverMuted": false,
		}
	}
	info := map[string]any{"@odata.type": "#microsoft.graph.participantInfo", "identity": m.party.identity()}
	if m.party.Kind == "user" {
		info["languageId"] = "en-US"
	}
	streams := []any{stream("audio", "sendReceive", 0)}
	if m.party.AppType != "" { // the large gallery is but a picture
		streams = []any{stream("video", "sendReceive", 1)}
	}
	if m.party.Kind == "user" {
		streams = append(streams, stream("video", "receiveOnly", 1), stream("videoBasedScreenSharing", "receiveOnly", 7))
	}
	if m.sharer {
		screen := stream("videoBasedScreenSharing", "sendOnly", 7)
		screen["label"] = "applicationsharing-video"
		streams = append(streams, screen)
	}
	r := map[string]any{
		"@odata.type": "#microsoft.graph.participant", "id": m.id, "info": info, "mediaStreams": streams,
		"isMuted": m.muted, "isInLobby": m.lobby,
	}
	if m.recording != "" {
		r["recordingInfo"] = map[string]any{
			"@odata.type": "#microsoft.graph.recordingInfo", "recordingStatus": p.enum(m.recording),
			"initiator": map[string]any{"@odata.type": "#microsoft.graph.participantInfo", "identity": m.party.identity()},
		}
	}
	if m.metadata != "" {
		r["metadata"] = m.metadata
	}
	if c.order.options.DeltaRoster {
		r["rosterSequenceNumber"] = m.sequence
	}
	if m.removed != "" {
		r["removedState"] = map[string]any{"@odata.type": "#microsoft.graph.removedState", "reason": m.removed}
	}
	return r
}

func (c *graphCall) self() string { return c.myID }

// extraMSI is the MSI of one more member who is not on stage, apart from all
// that those have or will have. Called with Call.mu held.
func (c *graphCall) extraMSI() int {
	c.extras++
	return msiOf(maxSpeakers + maxMembers + c.extras)
}

// enterRoster puts the bot and the script's speakers into it, and tells the bot
// what it may see.
func (c *graphCall) enterRoster() {
	c.changeRoster(func() {
		for i := range c.stage.actors {
			a := &c.stage.actors[i]
			c.members = append(c.members, member{
				id: uuid.NewString(), party: partyOf(a.ID, a.Name), msi: msiOf(i), speaker: i, sequence: c.sequence,
			})
		}
		if c.kind == kindGroup { // whoever was called and has no lines listens
			for _, p := range c.targets {
				if id := p.rawID(); !slices.ContainsFunc(c.stage.actors, func(a actor) bool { return a.ID == id }) {
					c.members = append(c.members, member{id: uuid.NewString(), party: p, msi: c.extraMSI(), speaker: -1, sequence: c.sequence})
				}
			}
		}
		me := member{id: c.myID, party: c.me(), msi: botMSI, speaker: -1, lobby: c.lobby, sequence: c.sequence}
		c.members = append(c.members, me)
	})
}

// firstMembers are those of a call of two that becomes one of many. Called with
// Call.mu held.
func (c *graphCall) firstMembers() []member {
	other := c.source
	if c.direction == Outgoing && len(c.targets) > 0 {
		other = c.targets[0]
	}
	var all []member
	for i := range c.stage.actors {
		a := &c.stage.actors[i]
		all = append(all, member{id: uuid.NewString(), party: partyOf(a.ID, a.Name), msi: msiOf(i), speaker: i, sequence: c.sequence})
	}
	if len(all) == 0 {
		all = append(all, member{id: uuid.NewString(), party: other, msi: c.extraMSI(), speaker: -1, sequence: c.sequence})
	}
	return append(all, member{id: c.myID, party: c.me(), msi: botMSI, speaker: -1, sequence: c.sequence})
}

// me is the bot as others see it: its application, or the guest it came as.
func (c *graphCall) me() graphParty {
	if c.direction == Outgoing {
		return c.source
	}
	if len(c.targets) > 0 {
		return c.targets[0]
	}
	return graphParty{Kind: "application", ID: c.app.ID, Name: c.app.Name}
}

// visible are the members that the bot may see: itself alone in the lobby.
// Called with Call.mu held.
func (c *graphCall) visible() []*member {
	var all []*member
	for i := range c.members {
		if !c.lobby || c.members[i].id == c.myID {
			all = append(all, &c.members[i])
		}
	}
	return all
}

// changeRoster lets fn change members, with Call.mu held, and tells the bot: by
// the whole roster, or by what changed if it asked for that. What changes later
// is told later: receivers take whole rosters as they come.
func (c *graphCall) changeRoster(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changeRosterLocked(fn)
}

// changeRosterLocked is changeRoster, called with Call.mu held.
func (c *graphCall) changeRosterLocked(fn func()) {
	c.sequence++
	inLobby := c.lobby
	fn()
	for i := range c.members {
		c.hush(&c.members[i])
	}
	if c.kind == kindPeer || c.gone {
		return
	}
	admitted := inLobby && !c.lobby
	var data any
	rows := []any{}
	for _, m := range c.visible() {
		switch {
		case c.order.options.DeltaRoster && (m.sequence == c.sequence || admitted):
			m.sequence = c.sequence
			rows = append(rows, c.row(m))
		case !c.order.options.DeltaRoster && m.removed == "":
			rows = append(rows, c.row(m))
		}
	}
	data = rows
	if c.order.options.DeltaRoster {
		data = map[string]any{
			"@odata.type": "#microsoft.graph.deltaParticipants", "sequenceNumber": c.sequence, "participants": rows,
		}
	}
	c.members = slices.DeleteFunc(c.members, func(m member) bool { return m.removed != "" })
	c.notifyLocked(notification{name: "participants", change: "updated", path: "/participants", data: data})
}

// change changes one member. It is for changeRoster.
func (c *graphCall) change(id string, fn func(*member)) bool {
	for i := range c.members {
		if graphKey(c.members[i].id) == graphKey(id) {
			fn(&c.members[i])
			c.members[i].sequence = c.sequence
			return true
		}
	}
	return false
}

// has tells whether the bot may see a member.
func (c *graphCall) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.visible(), func(m *member) bool { return graphKey(m.id) == graphKey(id) })
}

// roster are the rows that the bot may see; of a peer-to-peer call there are
// none.
func (c *graphCall) roster() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := []any{}
	if c.kind == kindPeer {
		return rows
	}
	for _, m := range c.visible() {
		rows = append(rows, m.rowAs(ProfileDocs, c))
	}
	return rows
}

// participants implements side.
func (c *graphCall) participants() (ids, rawIDs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.members {
		ids = append(ids, c.members[i].id)
		rawIDs = append(rawIDs, c.members[i].party.rawID())
	}
	return ids, rawIDs
}

// mute implements side.
func (c *graphCall) mute(id string, muted bool) (found bool) {
	if !c.has(id) {
		return false
	}
	c.changeRoster(func() {
		found = c.change(id, func(m *member) { m.muted = muted })
	})
	return found
}

// leave implements side.
func (c *graphCall) leave(id string) (found bool) {
	if !c.has(id) {
		return false
	}
	if graphKey(id) == graphKey(c.myID) {
		c.end(graphRemoved)
		return true
	}
	return c.depart(id)
}

// depart implements side.
func (c *graphCall) depart(id string) (found bool) {
	left := false
	c.changeRoster(func() {
		found = c.change(id, func(m *member) {
			m.removed = "Participant has left the meeting call."
			c.leaveStage(m.speaker)
			if c.onHold == graphKey(m.id) {
				c.onHold = ""
			}
		})
		left = !slices.ContainsFunc(c.members, func(m member) bool { return m.removed == "" && m.id != c.myID })
	})
	if left {
		c.end(graphByOthers)
	}
	return found
}

// hush keeps a member's audio from the bot who is muted, on hold or in the
// lobby. Called with
// mu held.
func (c *graphCall) hush(m *member) {
	if m.speaker < 0 {
		return
	}
	if c.mutes == nil {
		c.mutes = map[int]bool{}
	}
	c.mutes[m.speaker] = m.muted || m.lobby || c.onHold == graphKey(m.id)
}

// Hold puts the bot on hold, or takes it off. No audio flows meanwhile. It does
// nothing in calls of Communication Services, where only a bot puts others on
// hold.
func (c *Call) Hold(on bool) {
	g := graphOf(c)
	if g == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateConnected && (g.phase == "") == on && (on || g.phase == "hold") {
		c.held = on
		g.phase = map[bool]string{true: "hold"}[on]
		g.tellState(map[bool]string{true: "hold", false: "established"}[on], nil)
	}
}
