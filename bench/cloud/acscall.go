package cloud

import (
	"encoding/base64"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// acsCall is Communication Services' part in a call.
type acsCall struct {
	*Call

	// Static after construction.
	serverCallID  string
	correlationID string
	incomingToken string     // incomingCallContext; empty for outgoing calls
	caller        identifier // incoming calls
	callerName    string
	bot           identifier
	created       time.Time
	meeting       *locatorModel // that it was connected to, nil for others
	gridURL       string        // of the bot's Event Grid webhook, if it has one

	// order is written before answered is closed, and not after.
	order order

	// Owned by the call's goroutine.
	wish streamWish // that the stream follows

	rosterTurn sync.Mutex // held while a roster is told, so that they stay in order

	// Guarded by Call.mu.
	people        []*party
	sequence      int    // of ParticipantsUpdated
	phase         string // of a transfer; empty: none
	invitations   map[string]*invitation
	studio        studio
	transcription *transcriptionState
	takes         []*recordingTake
	spent         map[int]bool // faults of operations that have befallen one
	sentTones     []string
}

// streamWish is what the bot asked for by :start- or :stopMediaStreaming.
type streamWish struct {
	on           bool
	uri, context string // of the events that answer it
}

func (s *Server) newACSCall(id string, d Direction, script Script) *acsCall {
	c := &acsCall{
		Call: s.newCall(id, d, script), correlationID: uuid.NewString(),
		serverCallID: base64.RawURLEncoding.EncodeToString([]byte(s.URL() + "/conversations/" + uuid.NewString())),
		created:      time.Now(), invitations: map[string]*invitation{},
	}
	c.side = c
	return c
}

// answer takes the ringing call with o, or with o nil ends it for that reason.
func (c *acsCall) answer(o *order, why Result) *refusal {
	accept := func() {
		c.order = *o
		c.order.source, c.order.targets, c.order.displayName = &c.caller, []identifier{c.bot}, c.callerName
		if o.answeredBy == nil && c.bot.CommunicationUser != nil {
			c.order.answeredBy = c.bot.CommunicationUser
		}
		c.asked = o.media
		c.prepare()
	}
	if o == nil {
		accept = nil
	}
	if c.decide(accept, why) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateEnded {
		return notFound("Incoming call")
	}
	return wrongState("The incoming call was answered already.")
}

// properties are the call's at this moment.
func (c *acsCall) properties() properties {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := properties{
		callConnectionID: c.id, serverCallID: c.serverCallID, correlationID: c.correlationID,
		source: c.order.source, callerID: c.order.callerID, displayName: c.order.displayName,
		targets: c.order.targets, state: stateNames[c.state], callbackURI: c.order.callbackURI,
		streaming: c.media.up, transcription: c.transcription.copy(),
	}
	if c.state == stateConnected && c.phase != "" {
		p.state = c.phase
	}
	if c.direction == Incoming {
		p.answeredFor = c.bot.PhoneNumber
	}
	if c.order.answeredBy != nil {
		p.answeredBy = c.order.answeredBy.ID
	}
	if c.order.media != nil {
		p.subscriptionID = c.subscriptionID
	}
	return p
}

// prepare completes the call once its order is there. Called with Call.mu
// held, or before the call is shared.
func (c *acsCall) prepare() {
	if m := c.asked; m != nil && !m.mixed {
		m.dominant = c.server.dominant(c.stage.script.Dominant)
	}
	if o := c.order.transcription; o != nil {
		c.transcription = &transcriptionState{id: uuid.NewString(), options: *o, locale: o.locale, model: o.model}
	}
}

// standing refuses what needs a call that is established.
func (c *acsCall) standing() *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConnected {
		return &refusal{status: http.StatusBadRequest, code: "8501", message: "The call is not established."}
	}
	return nil
}

// stands implements side.
func (c *acsCall) stands() bool {
	c.wish = streamWish{context: c.order.operationContext}
	c.mu.Lock()
	c.assemble()
	c.mu.Unlock()
	c.emit("CallConnected", eventData{OperationContext: c.order.operationContext}, "")
	c.tellRoster()
	return true
}

// goodbye implements side. After CallDisconnected a call has no more events.
func (c *acsCall) goodbye(connected bool) {
	select {
	case <-c.answered:
	default: // nobody asked for events
		return
	}
	c.mu.Lock()
	result := c.result
	c.mu.Unlock()
	data := eventData{OperationContext: c.order.operationContext, ResultInformation: &result}
	c.closeStudio()
	switch {
	case connected:
	case c.meeting != nil:
		c.emit("ConnectFailed", data, "")
	case c.direction == Incoming:
		c.emit("AnswerFailed", data, "")
	default:
		c.emit("CreateCallFailed", data, "")
	}
	c.emit("CallDisconnected", data, "")
}

// upgrade implements side.
func (c *acsCall) upgrade() http.Header {
	header := http.Header{
		"X-Ms-Call-Connection-Id":  {c.id},
		"X-Ms-Call-Correlation-Id": {c.correlationID},
	}
	flaw, flawed := c.tokenFlaw(BadMediaToken)
	if token := c.server.issuer.authorization(time.Now(), mediaTokenLife, flawed, flaw); token != "" {
		header.Set("Authorization", token)
	}
	return header
}

// pressed implements side: keys go out on the media's socket, and to who
// recognizes them in played.
func (c *acsCall) pressed(string) {}

// streamID implements side.
func (c *acsCall) streamID(speaker int) string { return c.stage.actors[speaker].ID }

// describe implements side.
func (c *acsCall) describe(l *Log) {
	l.Cloud, l.ServerCallID, l.CorrelationID = "acs", c.serverCallID, c.correlationID
	l.APIVersion, l.OperationContext = c.order.version, c.order.operationContext
	l.SentTones = slices.Clone(c.sentTones)
}

// wantStream takes a wish; the call's goroutine fulfils it.
func (c *acsCall) wantStream(on bool, r streamRequest) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.asked == nil:
		return wrongState("The call has no media streaming options.")
	case c.want != nil:
		return &refusal{status: http.StatusConflict, code: "8519", message: "Another streaming operation is under way."}
	case on == c.media.wanted:
		return wrongState("Media streaming is %s already.", map[bool]string{true: "started", false: "stopped"}[on])
	}
	c.want = &streamWish{on: on, uri: r.OperationCallbackURI, context: r.OperationContext}
	return nil
}

// streaming implements side: MediaStreamingStarted, -Stopped and -Failed.
func (c *acsCall) streaming(r streamReport) {
	data := eventData{MediaStreamingUpdate: &mediaUpdate{ContentType: "Audio"}}
	if r.wish != nil {
		c.wish = *r.wish
	}
	data.OperationContext = c.wish.context
	event, result, status := "MediaStreamingFailed", Result{}, r.status
	switch r.change {
	case streamStarted:
		event, result = "MediaStreamingStarted", Result{200, 0, ""}
		data.MediaStreamingUpdate.MediaStreamingStatusDetails = "subscriptionStarted"
	case streamBack:
		event, result = "MediaStreamingStarted", Result{200, 0, ""}
		data.MediaStreamingUpdate.MediaStreamingStatusDetails = "streamConnectionReestablished"
	case streamStopped:
		event, result = "MediaStreamingStopped", Result{200, 0, ""}
		data.MediaStreamingUpdate.MediaStreamingStatusDetails = "subscriptionStopped"
	case streamNever:
		result = Result{400, 8581, "Action failed, Transport url is not valid or web socket server is not operational."}
		data.MediaStreamingUpdate.MediaStreamingStatusDetails = failureDetails(status, "initialWebSocketConnectionFailed")
	case streamLost:
		result = Result{500, 8603, "Action failed, media streaming failed."}
		data.MediaStreamingUpdate.MediaStreamingStatusDetails = failureDetails(status, "streamConnectionInterrupted")
	}
	data.ResultInformation = &result
	data.MediaStreamingUpdate.MediaStreamingStatus = lowerFirst(event)
	c.emit(event, data, c.wish.uri)
}

func failureDetails(status int, otherwise string) string {
	switch status {
	case http.StatusUnauthorized:
		return "authenticationFailure"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusBadRequest:
		return "badRequest"
	case http.StatusTooManyRequests:
		return "tooManyRequests"
	}
	return otherwise
}
