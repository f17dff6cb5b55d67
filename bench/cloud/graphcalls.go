package cloud

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// graphOperations are those of the calls API ("cloud communications API",
// Microsoft Graph), in both versions unless said otherwise.
var graphOperations = []graphOperation{
	{name: "graphCreate", method: "POST", path: "", handle: (*Server).graphCreate},
	{name: "logTeleconferenceDeviceQuality", method: "POST", path: "logTeleconferenceDeviceQuality", roles: []string{RoleAccessMedia}, handle: (*Server).graphLogQuality},
	{name: "graphGet", method: "GET", path: "{}", handle: ofGraphCall((*graphCall).get)},
	{name: "graphDelete", method: "DELETE", path: "{}", handle: ofGraphCall((*graphCall).delete)},
	{name: "graphAnswer", method: "POST", path: "{}/answer", roles: []string{RoleJoin, RoleJoinAsGuest}, handle: ofGraphCall((*graphCall).answer)},
	{name: "graphReject", method: "POST", path: "{}/reject", handle: ofGraphCall((*graphCall).reject)},
	{name: "graphRedirect", method: "POST", path: "{}/redirect", roles: []string{RoleInitiate}, handle: ofGraphCall((*graphCall).redirect)},
	{name: "keepAlive", method: "POST", path: "{}/keepAlive", handle: ofGraphCall((*graphCall).keepAlive)},
	{name: "mute", method: "POST", path: "{}/mute", handle: ofGraphCall((*graphCall).muteSelf)},
	{name: "unmute", method: "POST", path: "{}/unmute", handle: ofGraphCall((*graphCall).unmuteSelf)},
	{name: "playPrompt", method: "POST", path: "{}/playPrompt", handle: ofGraphCall((*graphCall).playPrompt)},
	{name: "recordResponse", method: "POST", path: "{}/recordResponse", roles: []string{RoleAccessMedia}, handle: ofGraphCall((*graphCall).recordResponse)},
	{name: "subscribeToTone", method: "POST", path: "{}/subscribeToTone", roles: []string{RoleAccessMedia}, handle: ofGraphCall((*graphCall).subscribeToTone)},
	{name: "cancelMediaProcessing", method: "POST", path: "{}/cancelMediaProcessing", handle: ofGraphCall((*graphCall).cancelMedia)},
	{name: "graphTransfer", method: "POST", path: "{}/transfer", roles: []string{RoleInitiate}, handle: ofGraphCall((*graphCall).transfer)},
	{name: "changeScreenSharingRole", method: "POST", path: "{}/changeScreenSharingRole", roles: []string{RoleAccessMedia}, handle: ofGraphCall((*graphCall).screenSharing)},
	{name: "updateRecordingStatus", method: "POST", path: "{}/updateRecordingStatus", roles: []string{RoleJoin, RoleAccessMedia}, handle: ofGraphCall((*graphCall).recordingStatus)},
	{name: "addLargeGalleryView", method: "POST", path: "{}/addLargeGalleryView", roles: []string{RoleJoin, RoleJoinAsGuest, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).largeGallery)},
	{name: "sendDtmfTones", method: "POST", path: "{}/sendDtmfTones", roles: []string{RoleInitiate, RoleAccessMedia}, handle: ofGraphCall((*graphCall).sendTones)},
	{name: "participants", method: "GET", path: "{}/participants", handle: ofGraphCall((*graphCall).listParticipants)},
	{name: "invite", method: "POST", path: "{}/participants/invite", roles: []string{RoleInitiateGroup}, handle: ofGraphCall((*graphCall).invite)},
	{name: "muteAll", method: "POST", path: "{}/participants/muteAll", beta: true, handle: ofGraphCall((*graphCall).muteAll)},
	{name: "configureMixer", method: "POST", path: "{}/participants/configureMixer", beta: true, roles: []string{RoleJoin, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).configureMixer)},
	{name: "participant", method: "GET", path: "{}/participants/{}", handle: ofGraphCall((*graphCall).getParticipant)},
	{name: "removeParticipant", method: "DELETE", path: "{}/participants/{}", handle: ofGraphCall((*graphCall).removeParticipant)},
	{name: "muteParticipant", method: "POST", path: "{}/participants/{}/mute", handle: ofGraphCall((*graphCall).muteParticipant)},
	{name: "startHoldMusic", method: "POST", path: "{}/participants/{}/startHoldMusic", handle: ofGraphCall((*graphCall).startHoldMusic)},
	{name: "stopHoldMusic", method: "POST", path: "{}/participants/{}/stopHoldMusic", handle: ofGraphCall((*graphCall).stopHoldMusic)},
	{name: "contentSharingSessions", method: "GET", path: "{}/contentSharingSessions", handle: ofGraphCall((*graphCall).listSharing)},
	{name: "contentSharingSession", method: "GET", path: "{}/contentSharingSessions/{}", handle: ofGraphCall((*graphCall).getSharing)},
	{name: "operation", method: "GET", path: "{}/operations/{}", handle: ofGraphCall((*graphCall).getOperation)},
	{name: "audioRoutingGroups", method: "GET", path: "{}/audioRoutingGroups", roles: []string{RoleJoin, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).listRouting)},
	{name: "createAudioRoutingGroup", method: "POST", path: "{}/audioRoutingGroups", roles: []string{RoleJoin, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).createRouting)},
	{name: "audioRoutingGroup", method: "GET", path: "{}/audioRoutingGroups/{}", roles: []string{RoleJoin, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).getRouting)},
	{name: "updateAudioRoutingGroup", method: "PATCH", path: "{}/audioRoutingGroups/{}", roles: []string{RoleJoin, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).updateRouting)},
	{name: "deleteAudioRoutingGroup", method: "DELETE", path: "{}/audioRoutingGroups/{}", roles: []string{RoleJoin, RoleInitiateGroup}, handle: ofGraphCall((*graphCall).deleteRouting)},
}

var graphOperationNames = func() []string {
	return []string{
		"graphCreate", "logTeleconferenceDeviceQuality", "graphGet", "graphDelete", "graphAnswer", "graphReject", "graphRedirect",
		"keepAlive", "mute", "unmute", "playPrompt", "recordResponse", "subscribeToTone", "cancelMediaProcessing", "graphTransfer",
		"changeScreenSharingRole", "updateRecordingStatus", "addLargeGalleryView", "sendDtmfTones", "participants", "invite", "muteAll",
		"configureMixer", "participant", "removeParticipant", "muteParticipant", "startHoldMusic", "stopHoldMusic",
		"contentSharingSessions", "contentSharingSession", "operation", "audioRoutingGroups", "createAudioRoutingGroup",
		"audioRoutingGroup", "updateAudioRoutingGroup", "deleteAudioRoutingGroup",
	}
}()

func ofGraphCall(h func(*graphCall, *graphRequest) (*response, func())) func(*Server, *graphRequest) (*response, func()) {
	return func(_ *Server, r *graphRequest) (*response, func()) { return h(r.call, r) }
}

// graphCreate serves POST /communications/calls.
func (s *Server) graphCreate(r *graphRequest) (*response, func()) {
	o, bad := parseGraphCreate(r.body, r.version, s.Insecure)
	if bad != nil {
		return refuseGraph(bad)
	}
	kind, bad := s.mayCreate(r, &o)
	if bad != nil {
		return refuseGraph(bad)
	}
	if o.callbackURI == "" && r.app.CallbackURL == "" {
		return refuseGraph(badRequest("callbackUri", "is missing, and the application has registered none"))
	}
	c, bad := s.newGraphOutgoing(r.app, kind, o)
	if bad != nil {
		return refuseGraph(bad)
	}
	if c.hasFault(MediaFirst) && !c.waits() { // none comes in a lobby
		select {
		case <-c.mediaTried:
		case <-c.ended:
		}
	}
	resp := newResponse(http.StatusCreated, c.resource(r.version, "app/calls"))
	resp.header = http.Header{
		"Location":     {r.base + "/" + r.version + "/communications/calls/" + c.id},
		"Content-Type": {"application/json; odata.metadata=minimal; odata.streaming=true; IEEE754Compatible=false; charset=utf-8"},
	}
	return resp, c.responseSent
}

// mayCreate checks what an app needs for a call of that kind.
func (s *Server) mayCreate(r *graphRequest, o *graphOrder) (kind string, bad *response) {
	phone := slices.ContainsFunc(o.targets, func(p graphParty) bool { return p.Kind == "phone" })
	var need []string
	switch {
	case o.meeting != nil && o.source != nil && o.source.Kind == "guest":
		kind, need = kindMeeting, []string{RoleJoinAsGuest, RoleJoin}
	case o.meeting != nil:
		kind, need = kindMeeting, []string{RoleJoin}
	case len(o.targets) > 1:
		kind, need = kindGroup, []string{RoleInitiateGroup}
	default:
		kind, need = kindPeer, []string{RoleInitiate}
	}
	switch {
	case !r.roles.any(need...), o.appHosted && !r.roles.any(RoleAccessMedia):
		return "", errPermission(need...)
	case o.tenantID != "" && !strings.EqualFold(o.tenantID, r.app.TenantID):
		return "", errTenant()
	case phone && len(o.targets) > 1:
		return "", badRequest("targets", "a telephone is called alone")
	case phone && (o.source == nil || o.source.Kind != "applicationInstance"):
		return "", badRequest("source.identity.applicationInstance", "is missing: only an application instance can call a telephone")
	case phone && (r.app.Phone == "" || !strings.EqualFold(o.source.ID, r.app.InstanceID)):
		return "", badRequest("source.identity.applicationInstance.id", "%q has no telephone number", o.source.ID)
	}
	return kind, nil
}

// newGraphOutgoing makes the call that the bot creates.
func (s *Server) newGraphOutgoing(app *GraphApp, kind string, o graphOrder) (*graphCall, *response) {
	d := Dialled{Cloud: "graph", Kind: kind, APIVersion: o.version, Meeting: o.thread}
	if o.meeting != nil && d.Meeting == "" {
		d.Meeting = o.joinMeetingID + o.meetingToken
	}
	for i := range o.targets {
		d.Targets = append(d.Targets, o.targets[i].rawID())
	}
	callee := s.calleeFor(d)
	callee.Person = callee.Person && kind != kindMeeting
	callee = callee.peopled()
	if err := callee.Script.Validate(); err != nil {
		return nil, graphError(http.StatusInternalServerError, "InternalServerError", err.Error())
	}
	c := s.newGraphCall(app, kind, Outgoing, s.castGraph(callee.Script, o.targets))
	c.callee, c.order, c.asked, c.state = callee, o, o.media, stateConnecting
	c.source = graphParty{Kind: "application", ID: app.ID, Name: app.Name}
	if o.source != nil && o.source.ID != "" {
		c.source = *o.source
	}
	c.targets, c.lobby = o.targets, callee.Lobby && kind == kindMeeting
	c.tenantID = cmp.Or(o.organizerTenant, app.TenantID)
	close(c.answered)
	if refused := s.admit(c.Call); refused != nil {
		bad := graphError(refused.status, refused.code, refused.message)
		if refused.retryAfter > 0 {
			bad = bad.with("Retry-After", strconv.Itoa(refused.retryAfter))
		}
		return nil, bad
	}
	return c, nil
}

// graphLogQuality serves POST …/logTeleconferenceDeviceQuality.
func (s *Server) graphLogQuality(r *graphRequest) (*response, func()) {
	var m struct {
		Quality *struct {
			CallChainID string `json:"callChainId"`
		} `json:"quality"`
	}
	if r.agent == "" {
		return refuseGraph(badRequest("User-Agent", "is missing"))
	}
	if bad := decodeGraph(r.body, &m); bad != nil {
		return refuseGraph(bad)
	}
	if m.Quality == nil || m.Quality.CallChainID == "" {
		return refuseGraph(badRequest("quality.callChainId", "is missing"))
	}
	return newResponse(http.StatusOK, nil), func() {}
}

func (c *graphCall) get(r *graphRequest) (*response, func()) {
	return newResponse(http.StatusOK, c.resource(r.version, "communications/calls")), func() {}
}

func (c *graphCall) delete(*graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := c.owe()
	c.endLocked(graphByBot)
	return newResponse(http.StatusNoContent, nil), sent
}

// keepAlive alone keeps a call: "At least one successful request must be made
// within 45 minutes of the previous such request, or the start of the call."
func (c *graphCall) keepAlive(*graphRequest) (*response, func()) {
	c.keep()
	resp := newResponse(http.StatusOK, nil)
	resp.header = http.Header{"Cache-Control": {"private"}, "Content-Type": {"text/plain"}}
	return resp, func() {}
}

// answer serves POST …/answer.
func (c *graphCall) answer(r *graphRequest) (*response, func()) {
	o, bad := parseGraphAnswer(r.body, r.version, c.server.Insecure)
	switch {
	case bad != nil:
		return refuseGraph(bad)
	case o.appHosted && !r.roles.any(RoleAccessMedia):
		return refuseGraph(errPermission(RoleAccessMedia))
	case o.callbackURI == "" && c.app.CallbackURL == "":
		return refuseGraph(badRequest("callbackUri", "is missing, and the application has registered none"))
	}
	accept := func() {
		o.chatInfo, o.meeting, o.meetingToken = c.order.chatInfo, c.order.meeting, c.order.meetingToken
		c.order, c.asked, c.handled = o, o.media, 1
	}
	if !c.decide(accept, Result{}) {
		return refuseGraph(c.notRinging())
	}
	if c.hasFault(MediaFirst) {
		select {
		case <-c.mediaTried:
		case <-c.ended:
		}
	}
	return newResponse(http.StatusAccepted, nil), c.responseSent
}

// decline ends the ringing call, once note was made of it, and returns what says
// that the response was sent: nil if it does not ring.
func (c *graphCall) decline(why Result, note func()) (sent func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateRinging {
		return nil
	}
	note()
	sent = c.owe()
	c.endLocked(why)
	return sent
}

func (c *graphCall) notRinging() *response {
	return graphError(http.StatusBadRequest, "BadRequest", "The call does not ring: it was answered, or has ended.")
}

// reject serves POST …/reject.
func (c *graphCall) reject(r *graphRequest) (*response, func()) {
	var m struct {
		Reason      string `json:"reason"`
		CallbackURI string `json:"callbackUri"`
	}
	if bad := decodeGraph(r.body, &m); bad != nil {
		return refuseGraph(bad)
	}
	if !slices.Contains([]string{"none", "busy", "forbidden"}, strings.ToLower(m.Reason)) {
		return refuseGraph(badRequest("reason", "%q: want none, busy or forbidden", m.Reason))
	}
	sent := c.decline(graphRejected, func() {})
	if sent == nil {
		return refuseGraph(c.notRinging())
	}
	return newResponse(http.StatusAccepted, nil), sent
}

// redirect serves POST …/redirect.
func (c *graphCall) redirect(r *graphRequest) (*response, func()) {
	var m struct {
		Targets     []graphParty `json:"targets"`
		Timeout     *json.Number `json:"timeout"`
		CallbackURI string       `json:"callbackUri"`
	}
	if bad := decodeGraph(r.body, &m); bad != nil {
		return refuseGraph(bad)
	}
	if len(m.Targets) == 0 || len(m.Targets) > maxRedirects {
		return refuseGraph(badRequest("targets", "%d: want 1 to %d", len(m.Targets), maxRedirects))
	}
	for i := range m.Targets {
		if m.Targets[i].ID == "" {
			return refuseGraph(badRequest("targets", "names nobody at %d", i))
		}
		if m.Targets[i].Kind == "phone" && !c.mayPhone() {
			return refuseGraph(errPhone())
		}
	}
	if m.Timeout != nil {
		if t, err := m.Timeout.Int64(); err != nil || t < 15 || t > 90 {
			return refuseGraph(badRequest("timeout", "%s: want 15 to 90", *m.Timeout))
		}
	}
	if m.CallbackURI != "" {
		if bad := checkGraphURI("callbackUri", m.CallbackURI, c.server.Insecure); bad != nil {
			return refuseGraph(bad)
		}
	}
	sent := c.decline(graphRedirected, func() { c.redirected, c.order.callbackURI = &m.Targets[0], m.CallbackURI })
	if sent == nil {
		return refuseGraph(c.notRinging())
	}
	return newResponse(http.StatusAccepted, nil), sent
}

// mayPhone: only a call at or from an application instance that has a number
// may be taken on to a telephone. Calls at the application itself, or with a
// join token, may not: the documents' list of what is not supported.
func (c *graphCall) mayPhone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.app.Phone == "" || c.order.meetingToken != "" {
		return false
	}
	if c.direction == Outgoing {
		return true
	}
	return len(c.targets) > 0 && (c.targets[0].Kind == "applicationInstance" || c.targets[0].Kind == "phone")
}

func errPhone() *response {
	return graphError(http.StatusForbidden, "Forbidden", "The call may not be taken to a telephone: it is not that of an application instance with a number.")
}
