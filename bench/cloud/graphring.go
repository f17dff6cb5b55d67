package cloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/engine/pcm"
)

// GraphRing is an incoming call at a bot.
type GraphRing struct {
	// App that is called, by its id; empty means the first.
	App    string
	Script Script
	// From is the caller's raw id, "8:orgid:…" or "4:+1425…"; empty means the
	// script's first speaker, or a new user.
	From string
	// Instance: the application instance is called, not the application.
	Instance bool
	// Meeting: the bot is invited into a meeting or group call, of which the
	// call tells chatInfo and meetingInfo.
	Meeting bool
	// Policy, if not empty, names a recording policy: the call is brought by
	// it, not by a person, and rings for 5 s. Participants under one policy
	// are one group.
	Policy string
	// APIVersion in whose shape the call is told: "beta" shows by which way it
	// came, and where its targets are. Empty means "v1.0".
	APIVersion string
}

// Errors on which a caller can act.
var (
	// ErrRedirected: the bot sent the call elsewhere by 302 or 307.
	ErrRedirected = errors.New("cloud: the call was redirected")
	// ErrFull: no call of the policy group takes one more participant.
	ErrFull = errors.New("cloud: the call takes no more participants")
)

// RingGraph calls a bot: it posts the notification to the application's
// CallbackURL, follows a redirection to another address once, and returns when
// it was accepted. The bot may answer before.
func (s *Server) RingGraph(ctx context.Context, r GraphRing) (*Call, error) {
	return s.ringGraphAt(ctx, "", r)
}

// ringGraphAt is RingGraph to another address than the app's.
func (s *Server) ringGraphAt(ctx context.Context, uri string, r GraphRing) (*Call, error) {
	if err := r.Script.Validate(); err != nil {
		return nil, err
	}
	app := s.appOf(r.App)
	switch {
	case app == nil:
		return nil, fmt.Errorf("cloud: app: %q is not registered", r.App)
	case r.APIVersion != "" && r.APIVersion != "v1.0" && r.APIVersion != "beta":
		return nil, fmt.Errorf("cloud: version: %q: want v1.0 or beta", r.APIVersion)
	case app.CallbackURL == "":
		return nil, fmt.Errorf("cloud: app %s: callback_url is empty: there is no bot to ring", app.ID)
	case r.Instance && app.InstanceID == "":
		return nil, fmt.Errorf("cloud: app %s: instance_id is empty: it has no instance to ring", app.ID)
	}
	kind := kindPeer
	switch {
	case r.Policy != "":
		kind = kindPolicy
	case r.Meeting:
		kind = kindMeeting
	}
	var first []graphParty
	if r.From != "" {
		first = append(first, partyOf(r.From, ""))
	}
	c := s.newGraphCall(app, kind, Incoming, s.castGraph(r.Script, first))
	c.source = partyOf(cmp.Or(r.From, s.firstActor(c), s.newGraphUser()), "")
	if len(c.stage.actors) > 0 {
		c.source.Name = c.stage.actors[0].Name
	}
	c.targets = []graphParty{{Kind: "application", ID: app.ID, Name: app.Name}}
	if r.Instance || kind == kindPolicy {
		c.targets[0] = graphParty{Kind: "applicationInstance", ID: cmp.Or(app.InstanceID, app.ID)}
	}
	c.policyGroup = r.Policy
	if kind == kindMeeting {
		c.order.chatInfo, c.order.meeting = s.newMeeting(app)
	}
	item := c.ringing(r.APIVersion)
	if refused := s.admit(c.Call); refused != nil {
		return nil, fmt.Errorf("cloud: ring: %w", refused)
	}
	if err := s.postRing(ctx, c, cmp.Or(uri, app.CallbackURL), item); err != nil {
		c.end(graphMissed)
		return nil, fmt.Errorf("cloud: ring: %w", err)
	}
	return c.Call, nil
}

func (s *Server) firstActor(c *graphCall) string {
	if len(c.stage.actors) == 0 {
		return ""
	}
	return c.stage.actors[0].ID
}

func (s *Server) newGraphUser() string { return "8:orgid:" + uuid.NewString() }

// castGraph gives every speaker of a script a raw id: those of parties first.
func (s *Server) castGraph(script Script, parties []graphParty) Script {
	script.Speakers = slices.Clone(script.Speakers)
	free := slices.Clone(parties)
	for i := range script.Speakers {
		sp := &script.Speakers[i]
		for sp.ID == "" && len(free) > 0 {
			p := free[0]
			free = free[1:]
			if slices.ContainsFunc(script.Speakers, func(o Speaker) bool { return o.ID == p.rawID() }) {
				continue
			}
			sp.ID, sp.Name = p.rawID(), cmp.Or(sp.Name, p.Name)
		}
		if sp.ID == "" {
			sp.ID = s.newGraphUser()
		}
	}
	return script
}

// newMeeting is a scheduled meeting of somebody in the app's tenant.
func (s *Server) newMeeting(app *GraphApp) (chat, info map[string]any) {
	organizer := graphParty{Kind: "user", ID: uuid.NewString(), Name: "Organizer", TenantID: app.TenantID}
	return map[string]any{
			"@odata.type": "#microsoft.graph.chatInfo", "threadId": "19:meeting_" + strings.ReplaceAll(uuid.NewString(), "-", "") + "@thread.v2",
			"messageId": "0", "replyChainMessageId": nil,
		}, map[string]any{
			"@odata.type": "#microsoft.graph.organizerMeetingInfo", "organizer": organizer.identity(), "allowConversationWithoutHost": true,
		}
}

// postRing delivers the notification of a call that rings. The documents say
// 302, Microsoft's own recording bot 307: both send it on.
func (s *Server) postRing(ctx context.Context, c *graphCall, uri string, item map[string]any) error {
	body := marshal(map[string]any{"@odata.type": "#microsoft.graph.commsNotifications", "value": []any{item}})
	id := uuid.NewString()
	for hops := 0; ; hops++ {
		p := posting{header: c.notificationHeader(id), bearer: c.bearer}
		copies := 1
		for _, f := range c.faultsOf("incoming") {
			switch f.Kind {
			case BadEventToken:
				p.token = &f
			case DuplicateEvent:
				copies++
			case LateEvent:
				p.late += time.Duration(f.Slots) * pcm.FrameDuration
			}
		}
		if !sleep(ctx, p.late) {
			return ctx.Err()
		}
		var resp posted
		for range copies {
			var err error
			if resp, err = s.send(ctx, uri, p.headerNow(), body); err != nil {
				return err
			}
		}
		switch {
		case resp.status/100 == 2:
			return nil
		case (resp.status == http.StatusFound || resp.status == http.StatusTemporaryRedirect) && hops == 0:
			to, err := elsewhere(uri, resp.location)
			if err != nil {
				return fmt.Errorf("HTTP %d: %w", resp.status, err)
			}
			if bad := checkGraphURI("Location", to, s.Insecure); bad != nil {
				return fmt.Errorf("HTTP %d: %s", resp.status, bad.failure.Message)
			}
			uri = to
		case hops > 0:
			return fmt.Errorf("%w to %s, which answered HTTP %d", ErrRedirected, uri, resp.status)
		default:
			return fmt.Errorf("HTTP %d", resp.status)
		}
	}
}

// elsewhere is where a response sends its client, which may be told relatively.
func elsewhere(from, location string) (string, error) {
	if location == "" {
		return "", errors.New("response without Location")
	}
	base, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	to, err := base.Parse(location)
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// ringing is the notification that the call rings: of the documents' two
// answer pages, and for a policy their third example. Called before the call
// is anybody else's.
func (c *graphCall) ringing(version string) map[string]any {
	p := c.server.Profile
	item := map[string]any{
		"@odata.type": "#microsoft.graph.commsNotification", "changeType": p.enum("created"),
		"resourceUrl": "/communications/calls/" + c.id,
	}
	if p == ProfileReal || c.kind == kindPolicy {
		item["resource"] = "/app/calls/" + c.id
	}
	call := map[string]any{
		"@odata.type": "#microsoft.graph.call", "state": p.enum("incoming"), "direction": p.enum("incoming"),
	}
	source := map[string]any{"@odata.type": "#microsoft.graph.participantInfo", "identity": c.sourceIdentity(), "region": "westus", "languageId": "en-US"}
	target := map[string]any{"@odata.type": "#microsoft.graph.invitationParticipantInfo", "identity": c.targets[0].identity()}
	if c.kind == kindPolicy {
		c.policyCall(call, source, target)
	} else {
		call["@odata.id"], call["@odata.etag"] = "/communications/calls/"+c.id, etag(5445)
		call["requestedModalities"] = []any{p.enum("audio")}
	}
	if version == "beta" && c.kind != kindPolicy {
		target["region"], target["languageId"] = "westus", "en-US"
	}
	byPhone := c.source.Kind == "phone" || c.targets[0].Kind == "applicationInstance" || version == "beta"
	if byPhone && c.app.Phone != "" && c.kind == kindPeer {
		call["callRoutes"] = []any{map[string]any{
			"@odata.type": "#microsoft.graph.callRoute", "routingType": p.enum("lookup"),
			"original": map[string]any{"phone": map[string]any{"id": c.app.Phone}}, "final": c.targets[0].identity(),
		}}
	}
	if c.kind == kindMeeting {
		call["chatInfo"], call["meetingInfo"] = c.order.chatInfo, c.order.meeting
	}
	if p == ProfileReal {
		// What captures show besides.
		call["callbackUri"], call["tenantId"], call["myParticipantId"] = c.app.CallbackURL, c.tenantID, c.myID
		call["callChainId"], call["id"] = c.chainID, c.id
		source["id"], source["endpointType"], source["region"] = uuid.NewString(), "default", "amer"
	}
	call["source"], call["targets"] = source, []any{target}
	item["resourceData"] = call
	return item
}

// sourceIdentity is the caller, encrypted for an app that has none of the
// permissions that decrypt it ("call: answer").
func (c *graphCall) sourceIdentity() map[string]any {
	if (roleSet{c.app.Roles}).any(RoleAccessMedia, RoleInitiate, RoleInitiateGroup, RoleJoin, RoleJoinAsGuest) {
		return c.source.identity()
	}
	hidden := graphParty{Kind: "encrypted", ID: uuid.NewString()}
	return hidden.identity()
}

func (c *graphCall) policyCall(call, source, target map[string]any) {
	observed := uuid.NewString()
	who := map[string]any{"@odata.type": "#microsoft.graph.identity", "id": c.source.ID, "identityProvider": "AAD"}
	if _, hidden := source["identity"].(map[string]any)["encrypted"]; !hidden {
		source["identity"] = map[string]any{"@odata.type": "#microsoft.graph.identitySet", c.source.Kind: who}
	}
	source["id"], source["endpointType"], source["region"] = observed, "default", "amer"
	delete(source, "languageId")
	instance := map[string]any{"@odata.type": "#microsoft.graph.identity", "id": c.targets[0].ID, "identityProvider": "AAD"}
	target["identity"] = map[string]any{"@odata.type": "#microsoft.graph.identitySet", "applicationInstance": instance}
	target["endpointType"], target["id"], target["region"], target["languageId"] = "default", uuid.NewString(), nil, nil
	c.order.meetingToken = c.server.joinToken(c)
	c.order.meeting = map[string]any{"@odata.type": "#microsoft.graph.tokenMeetingInfo", "token": c.order.meetingToken}
	call["meetingInfo"] = c.order.meeting
	call["tenantId"], call["myParticipantId"], call["callChainId"], call["id"] = c.tenantID, c.myID, c.chainID, c.id
	call["incomingContext"] = map[string]any{
		"@odata.type": "#microsoft.graph.incomingContext", "sourceParticipantId": observed, "observedParticipantId": observed,
	}
	other := func() map[string]any {
		return map[string]any{"id": uuid.NewString(), "participantId": uuid.NewString()}
	}
	call["applicationMetadata"] = map[string]any{"botData": map[string]any{
		"mediaHostedRegion": "USEA", "user": map[string]any{"participationMethod": "callee", "clientLocation": "US"},
		"otherSideUser": map[string]any{
			"id": uuid.NewString(), "participantId": uuid.NewString(), "tenantId": c.tenantID,
			"onBehalfOf": map[string]any{"id": uuid.NewString()}, "participationMethod": "caller", "clientLocation": "EUNO",
		},
		"inviteReasons": []any{"PolicyBasedRecording"}, "policyIdentifier": c.policyGroup,
		"pairedRecorders": []any{other()}, "otherRecorders": []any{other()},
	}}
}

// joinToken is a signed token, as the wire's are: worth nothing elsewhere.
func (s *Server) joinToken(c *graphCall) string {
	return s.issuer.sign(map[string]any{"appId": c.app.ID, "conversationController": s.url + "/conv/" + c.chainID, "exp": time.Now().Add(time.Hour).Unix()})
}
