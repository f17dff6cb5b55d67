package cloud

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Times of the service, which Server.Speed scales.
const (
	graphRing      = 15 * time.Second // for an application to answer in
	graphRingShort = 5 * time.Second  // what a policy brings
	keepAliveLimit = 45 * time.Minute
	lobbyLimit     = 30 * time.Minute
)

// Results of Graph's calls ("Delete call", end reasons).
var (
	graphByBot      = Result{200, 5001, "Call is ended by the application."}
	graphByOthers   = Result{200, 5002, "All other participants have left the call."}
	graphOtherLeft  = Result{200, 4521, "The other participant has left the call."}
	graphMissed     = Result{408, 10057, "The application did not answer in time."}
	graphRejected   = Result{200, 0, "The call was rejected."}
	graphRedirected = Result{200, 0, "The call was redirected."}
	graphSilent     = Result{408, 8537, "The call was not kept alive."}
	graphRemoved    = Result{200, 5300, "The application was removed from the call."}
	graphLobby      = Result{200, 5855, "The application was not admitted from the lobby."}
	graphNoMedia    = Result{500, 7112, "MediaControllerConversationAddParticipantFailed"}
	graphMediaLost  = Result{410, 301005, "Media connectivity failed."}
	graphTransfer   = Result{0, 7015, "GracefulTransferCompleted"}
)

// Kinds of Graph's calls.
const (
	kindPeer    = "peer-to-peer"
	kindGroup   = "group"
	kindMeeting = "meeting"
	kindPolicy  = "policy"
)

// graphCall is Graph's part in a call.
type graphCall struct {
	*Call

	// Static after construction.
	app         *GraphApp
	chainID     string // callChainId
	myID        string // myParticipantId
	source      graphParty
	targets     []graphParty
	tenantID    string
	stepped     chan struct{} // closed when the bot may step out of the lobby
	policyGroup string

	// order is written before answered is closed, and not after: by whoever
	// answers, with Call.mu held.
	order graphOrder

	// Guarded by Call.mu.
	kind       string // an invitation makes a group of two
	lobby      bool   // the bot waits in it
	gone       bool   // the end was told: no request may name the call any more
	owed       []chan struct{}
	phase      string
	since      time.Time // when it was established
	members    []member
	extras     int   // members without a speaker that ever were
	sequence   int64 // of the roster
	messages   int64
	tones      int64 // told so far
	toneWanted bool
	recorded   string           // recordingStatus
	handled    int              // participants of the policy group that this call takes
	operations latest[*graphOp] // by graphKey
	sharing    []string
	groups     map[string]map[string]any // audio routing groups
	routing    []string                  // their ids in order
	queue      mediaQueue
	alive      *time.Timer
	redirected *graphParty

	recordedAt   int64    // position of the first "recording", -1: never
	sentTones    []string // by sendDtmfTones
	consultative bool     // the transfer replaces a call
	onHold       string   // participant that hears hold music
}

// newGraphCall makes a call of an app.
func (s *Server) newGraphCall(app *GraphApp, kind string, d Direction, script Script) *graphCall {
	id := uuid.NewString()
	c := &graphCall{
		Call: s.newCall(id, d, script), app: app, kind: kind, chainID: uuid.NewString(), myID: uuid.NewString(),
		tenantID: app.TenantID, stepped: make(chan struct{}),
		groups: map[string]map[string]any{}, recorded: "notRecording", recordedAt: -1,
	}
	c.side = c
	c.ringFor = graphRing
	c.missed, c.hungUp = graphMissed, graphByOthers
	switch kind {
	case kindPolicy:
		c.ringFor = graphRingShort
	case kindPeer:
		c.hungUp = graphOtherLeft
	}
	return c
}

// peer tells a call of two.
func (c *graphCall) peer() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kind == kindPeer
}

// owe notes that a response is due before the end is told, and returns what
// says that it was sent. Called with Call.mu held.
func (c *graphCall) owe() (sent func()) {
	due := make(chan struct{})
	c.owed = append(c.owed, due)
	return sync.OnceFunc(func() { close(due) })
}

// await waits for the responses that are owed.
func (c *graphCall) await() {
	c.mu.Lock()
	owed := c.owed
	c.mu.Unlock()
	if c.hasFault(EventsFirst) {
		return
	}
	for _, due := range owed {
		select {
		case <-due:
		case <-c.server.ctx.Done():
		}
	}
}

// keep notes that the bot still wants the call.
func (c *graphCall) keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive != nil && !c.gone {
		c.alive.Reset(c.server.scaled(keepAliveLimit))
	}
}

// watch ends the call if nothing is heard of the bot for 45 min.
func (c *graphCall) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alive = time.AfterFunc(c.server.scaled(keepAliveLimit), func() { c.end(graphSilent) })
}

// stands implements side: the states, the lobby, the roster.
func (c *graphCall) stands() bool {
	c.watch()
	c.mu.Lock()
	c.since = time.Now()
	c.tellState("establishing", nil)
	c.tellState("established", nil)
	c.mu.Unlock()
	if c.peer() {
		return true
	}
	c.enterRoster()
	if !c.waits() {
		return true
	}
	select {
	case <-c.stepped:
	case <-c.ctx.Done():
		return false
	case <-time.After(c.server.scaled(lobbyLimit)):
		c.end(graphLobby)
		return false
	}
	c.changeRoster(func() {
		c.lobby = false
		c.change(c.self(), func(m *member) { m.lobby = false })
	})
	return true
}

func (c *graphCall) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lobby
}

// streaming implements side: a media controller that cannot connect ends the
// call.
func (c *graphCall) streaming(r streamReport) {
	switch r.change {
	case streamNever:
		c.end(graphNoMedia)
	case streamLost:
		c.end(graphMediaLost)
	}
}

// goodbye implements side.
func (c *graphCall) goodbye(connected bool) {
	c.await()
	c.queue.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alive != nil {
		c.alive.Stop()
	}
	switch {
	case connected:
		c.tellState("terminating", nil)
		c.tellEnd(c.result, false)
	case c.redirected != nil:
		c.tellEnd(c.result, true)
	case c.direction == Incoming && !isClosed(c.answered): // rejected or missed
		c.tellDeleted()
	default:
		c.tellEnd(c.result, false)
	}
	c.gone = true
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// upgrade implements side.
func (c *graphCall) upgrade() http.Header {
	header := c.asked.header.Clone()
	flaw, flawed := c.tokenFlaw(BadMediaToken)
	if token := c.bearer(time.Now(), mediaTokenLife, flawed, flaw); token != "" {
		header.Set("Authorization", token)
	}
	return header
}

// bearer is the Authorization of what the service sends to the bot.
func (c *graphCall) bearer(now time.Time, life time.Duration, flawed bool, flaw TokenFlaw) string {
	return c.server.issuer.bearer(map[string]any{
		"iss": callbackIssuer, "aud": c.app.ID, "tid": c.app.TenantID, "oid": c.app.ID,
	}, now, life, flawed, flaw)
}

// Media source ids: every participant has one for each of three media.
const (
	firstMSI = 101
	botMSI   = 10
)

func msiOf(speaker int) int { return firstMSI + 10*speaker }

// streamID implements side: the MSI of the speaker's audio, in decimal.
func (c *graphCall) streamID(speaker int) string { return strconv.Itoa(msiOf(speaker)) }

// pressed implements side: a key is told to a bot that subscribed.
func (c *graphCall) pressed(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.toneWanted {
		c.tones++
		c.tellTone(c.tones, key)
	}
}

// describe implements side.
func (c *graphCall) describe(l *Log) {
	l.Cloud, l.CorrelationID, l.APIVersion = "graph", c.chainID, c.order.version
	l.Kind, l.RecordingStatus, l.RecordedFrom, l.Members = c.kind, c.recorded, c.recordedAt, len(c.members)
	l.SentTones = slices.Clone(c.sentTones)
}

// resource is the call as it is at this moment, in the shape of the resource
// call: what the documents' samples of "Create call" and "Get call" show.
func (c *graphCall) resource(version, context string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.order
	r := map[string]any{
		"@odata.type": "#microsoft.graph.call", "@odata.context": "https://graph.microsoft.com/" + version + "/$metadata#" + context + "/$entity",
		"id": c.id, "state": c.stateName(), "direction": string(c.direction), "callbackUri": c.callback(),
		"callRoutes": []any{}, "source": c.source.info("participantInfo"), "targets": []any{},
		"requestedModalities": o.modalities, "activeModalities": []any{}, "mediaConfig": o.mediaConfig,
		"routingPolicies": []any{}, "tenantId": c.tenantID, "myParticipantId": c.myID, "callChainId": c.chainID,
		"chatInfo": nil, "meetingInfo": nil, "subject": nil, "transcription": nil,
	}
	for _, key := range []string{
		"terminationReason", "ringingTimeoutInSeconds", "mediaState", "resultInfo", "answeredBy", "meetingCapability", "toneInfo",
	} {
		r[key] = nil
	}
	var targets []any
	for i := range c.targets {
		targets = append(targets, c.targets[i].info("invitationParticipantInfo"))
	}
	if targets != nil {
		r["targets"] = targets
	}
	if o.subject != "" {
		r["subject"] = o.subject
	}
	if o.chatInfo != nil {
		chat := map[string]any{"replyChainMessageId": nil}
		for key, value := range o.chatInfo {
			chat[key] = value
		}
		r["chatInfo"] = chat
	}
	if o.meeting != nil {
		r["meetingInfo"] = o.meeting
	}
	if c.direction == Incoming {
		r["source"].(map[string]any)["identity"] = c.sourceIdentity()
	}
	if c.state == stateConnected && !c.since.IsZero() {
		r["mediaState"] = map[string]any{"@odata.type": "#microsoft.graph.callMediaState", "audio": "active"}
		r["transcription"] = map[string]any{
			"@odata.type": "#microsoft.graph.callTranscriptionInfo", "state": "inactive",
			"lastModifiedDateTime": graphDate(c.since),
		}
	}
	return r
}

// stateName is the call's callState. Called with Call.mu held.
func (c *graphCall) stateName() string {
	if c.state == stateConnected && c.phase != "" {
		return c.phase
	}
	return [...]string{"incoming", "establishing", "established", "terminating", "terminated"}[c.state]
}

// callback is where the call tells of itself. Called with Call.mu held.
func (c *graphCall) callback() string {
	if c.order.callbackURI != "" {
		return c.order.callbackURI
	}
	return c.app.CallbackURL
}

// graphOf returns the graph side of c, or nil.
func graphOf(c *Call) *graphCall {
	g, _ := c.side.(*graphCall)
	return g
}

// Admit lets the bot in from a meeting's lobby. It does nothing where it does
// not wait there.
func (c *Call) Admit() {
	g := graphOf(c)
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !isClosed(g.stepped) {
		close(g.stepped)
	}
}
