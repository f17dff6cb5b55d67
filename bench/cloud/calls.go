package cloud

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
)

// contextBytes is how much of an incomingCallContext is noise: the real ones
// are some kilobytes long.
const contextBytes = 1500

// Ring is an incoming call.
type Ring struct {
	Script Script
	// From and To are raw ids, "8:acs:…" or "4:+1425…"; empty means new ones.
	// The script's first speaker without an ID is the caller.
	From, To string
	// DisplayName of the caller; empty means the first speaker's name.
	DisplayName string
	// EventsURL overrides the server's.
	EventsURL string
}

// Dialled is a call that the bot created.
type Dialled struct {
	Cloud            string // "acs" or "graph"
	CallID           string // callConnectionId; empty at Graph
	APIVersion       string
	Source           string   // raw id, may be empty
	Targets          []string // raw ids
	OperationContext string
	// Media is "mixed", "unmixed", or empty for none, or where the cloud is
	// not told (Graph).
	Media string
	// Kind of a Graph call: peer-to-peer, group or meeting; and by what its
	// meeting is known: the thread's id, the meeting's, or a token.
	Kind, Meeting string
}

// Callee is how the other side takes a call.
type Callee struct {
	Script Script
	// Ring is how long the callee lets it ring, before Server.Speed; 0 means
	// 200 ms.
	Ring time.Duration
	// Person: it rings for a person, who answers at the admin API, for as long
	// as Ring says, of which 0 means 30 s then. The script's first speaker has
	// no clip. It is not for meetings, which people join.
	Person bool
	// Lobby: a bot that joins a meeting waits in its lobby until Call.Admit.
	Lobby bool
	// Refuse, if set, is why nobody answers. Its subcode is the caller's
	// choice: those of refusals are not documented.
	Refuse *Result
}

func (c Callee) ring() time.Duration {
	if c.Ring <= 0 && c.Person {
		return personRing
	}
	if c.Ring <= 0 {
		return calleeDelay
	}
	return c.Ring
}

// Ring calls the bot: it makes the Event Grid handshake if that was not done
// yet, delivers the IncomingCall event, and returns once the bot's webhook has
// accepted it. The bot may answer before.
func (s *Server) Ring(ctx context.Context, r Ring) (*Call, error) {
	if err := r.Script.Validate(); err != nil {
		return nil, err
	}
	endpoint := cmp.Or(r.EventsURL, s.EventsURL)
	if endpoint == "" {
		return nil, errors.New("cloud: EventsURL is empty: there is no bot to ring")
	}
	if err := s.subscribe(ctx, endpoint); err != nil {
		return nil, err
	}
	from := r.From
	if from == "" && len(r.Script.Speakers) > 0 {
		from = r.Script.Speakers[0].ID
	}
	from = cmp.Or(from, s.newUser())
	to := cmp.Or(r.To, s.newUser())
	c := s.newACSCall(uuid.NewString(), Incoming, s.cast(r.Script, from))
	c.caller, c.bot, c.callerName, c.gridURL = identityOf(from), identityOf(to), r.DisplayName, endpoint
	if len(r.Script.Speakers) > 0 {
		c.callerName = cmp.Or(c.callerName, r.Script.Speakers[0].Name)
	}
	c.incomingToken = newContext()
	if refused := s.admit(c.Call); refused != nil {
		return nil, fmt.Errorf("cloud: ring: %w", refused)
	}
	_, err := s.notify(ctx, endpoint, "Notification", gridEvent{
		ID: uuid.NewString(), Topic: s.topic(), Subject: "/caller/" + from + "/recipient/" + to,
		Data: incomingCall{
			To: c.bot, From: c.caller, ServerCallID: c.serverCallID, CallerDisplayName: c.callerName,
			IncomingCallContext: c.incomingToken, CorrelationID: c.correlationID,
		},
		EventType: eventPrefix + "IncomingCall", DataVersion: "1.0", MetadataVersion: "1",
	})
	if err != nil {
		c.end(resultMissed)
		return nil, fmt.Errorf("cloud: ring: %w", err)
	}
	return c.Call, nil
}

// newContext returns an incomingCallContext: opaque, but in the look of a
// token without signature.
func newContext() string {
	noise := make([]byte, contextBytes)
	rand.Read(noise)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." +
		encode([]byte(`{"cc":"`+base64.StdEncoding.EncodeToString(noise)+`"}`)) + "."
}

// newUser returns the raw id of a new user of this resource.
func (s *Server) newUser() string {
	id := uuid.New()
	return fmt.Sprintf("8:acs:%s_%08x-%04x-%04x-%04x-%012x", s.audience, id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// cast gives every speaker of a script an id; the first is party, unless it
// has one.
func (s *Server) cast(script Script, party string) Script {
	script.Speakers = slices.Clone(script.Speakers)
	for i := range script.Speakers {
		sp := &script.Speakers[i]
		taken := slices.ContainsFunc(script.Speakers, func(o Speaker) bool { return o.ID == party })
		switch {
		case sp.ID != "":
		case i == 0 && !taken:
			sp.ID = party
		default:
			sp.ID = s.newUser()
		}
	}
	return script
}

// admit takes a call into the table and starts it.
func (s *Server) admit(c *Call) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != serverStarted:
		return &refusal{status: http.StatusServiceUnavailable, code: "503", message: "The service is shutting down."}
	case s.liveCalls >= cmp.Or(s.MaxCalls, 10000):
		return &refusal{status: http.StatusTooManyRequests, code: "8516", message: fmt.Sprintf("%d calls are live.", s.liveCalls), retryAfter: 1}
	}
	s.liveCalls++
	s.calls[c.id] = c
	switch side := c.side.(type) {
	case *acsCall:
		if side.incomingToken != "" {
			s.tokens[side.incomingToken] = side
		}
	case *graphCall:
		s.graphCalls[graphKey(c.id)] = side
	}
	s.wg.Go(c.run)
	return nil
}

// retire keeps an ended call for its log, and forgets the oldest one.
func (s *Server) retire(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.liveCalls--
	switch side := c.side.(type) {
	case *acsCall:
		delete(s.tokens, side.incomingToken)
	case *graphCall:
		delete(s.graphCalls, graphKey(c.id))
	}
	s.ended = append(s.ended, c.id)
	if len(s.ended) > maxEndedCalls {
		delete(s.calls, s.ended[0])
		s.ended = s.ended[1:]
	}
}

func (s *Server) newOutgoing(o order) (*acsCall, *refusal) {
	id := uuid.NewString()
	callee := s.calleeFor(o.dialled(id)).peopled()
	if err := callee.Script.Validate(); err != nil {
		return nil, &refusal{status: http.StatusInternalServerError, code: "500", message: err.Error()}
	}
	c := s.newACSCall(id, Outgoing, s.cast(callee.Script, o.targets[0].rawID()))
	c.callee, c.order, c.asked, c.state, c.gridURL = callee, o, o.media, stateConnecting, s.EventsURL
	c.prepare()
	close(c.answered)
	if refused := s.admit(c.Call); refused != nil {
		return nil, refused
	}
	return c, nil
}

func (s *Server) calleeFor(d Dialled) Callee {
	s.mu.Lock()
	preset := s.callee
	s.mu.Unlock()
	switch {
	case s.OnCreate != nil:
		return s.OnCreate(d)
	case preset != nil:
		return *preset
	}
	return Callee{Script: oneCallee(Slots(15 * time.Second))}
}

// dialled tells of the order to whoever decides how it is taken.
func (o *order) dialled(id string) Dialled {
	d := Dialled{Cloud: "acs", CallID: id, APIVersion: o.version, OperationContext: o.operationContext}
	if o.source != nil {
		d.Source = o.source.rawID()
	}
	for i := range o.targets {
		d.Targets = append(d.Targets, o.targets[i].rawID())
	}
	if o.media != nil {
		d.Media = map[bool]string{true: "mixed", false: "unmixed"}[o.media.mixed]
	}
	return d
}

// Call returns the call with that id, live or ended of late, or nil.
func (s *Server) Call(id string) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

// Calls returns the live calls and those that ended of late, in no order.
func (s *Server) Calls() []*Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]*Call, 0, len(s.calls))
	for _, c := range s.calls {
		calls = append(calls, c)
	}
	return calls
}

// live returns a call that the bot can act on, or nil.
func (s *Server) live(id string) *acsCall {
	call := s.Call(id)
	if call == nil {
		return nil
	}
	c, ok := call.side.(*acsCall)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateRinging || c.state >= stateDisconnecting {
		return nil
	}
	return c
}

// ringing returns the incoming call of that context, or nil.
func (s *Server) ringing(context string) *acsCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[context]
}
