package cloud

import (
	"encoding/base64"
	"net/http"
	"strings"
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

	// order is written before answered is closed, and not after.
	order order

	// Owned by the call's goroutine.
	sequence int        // of ParticipantsUpdated
	wish     streamWish // that the stream follows
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
		streaming: c.media.up,
	}
	if c.order.answeredBy != nil {
		p.answeredBy = c.order.answeredBy.ID
	}
	if c.order.media != nil {
		p.subscriptionID = c.subscriptionID
	}
	return p
}

// stands implements side.
func (c *acsCall) stands() bool {
	c.wish = streamWish{context: c.order.operationContext}
	c.emit("CallConnected", eventData{OperationContext: c.order.operationContext}, "")
	c.emit("ParticipantsUpdated", c.roster(c.parties()), "")
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
	switch {
	case connected:
	case c.direction == Incoming:
		c.emit("AnswerFailed", data, "")
	default:
		c.emit("CreateCallFailed", data, "")
	}
	c.emit("CallDisconnected", data, "")
}

// parties are all who are in the call, the bot first.
func (c *acsCall) parties() []identifier {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []identifier
	if c.direction == Incoming {
		ids = append(ids, c.order.targets...)
	} else if c.order.source != nil {
		ids = append(ids, *c.order.source)
	}
	for _, a := range c.stage.actors {
		ids = append(ids, identityOf(a.ID))
	}
	return ids
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

// pressed implements side: keys go out on the media's socket.
func (c *acsCall) pressed(string) {}

// streamID implements side.
func (c *acsCall) streamID(speaker int) string { return c.stage.actors[speaker].ID }

// describe implements side.
func (c *acsCall) describe(l *Log) {
	l.Cloud, l.ServerCallID, l.CorrelationID = "acs", c.serverCallID, c.correlationID
	l.APIVersion, l.OperationContext = c.order.version, c.order.operationContext
}

// wantStream takes a wish; the call's goroutine fulfils it.
func (c *acsCall) wantStream(on bool, r streamRequest) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != stateConnected:
		return &refusal{status: http.StatusBadRequest, code: "8501", message: "The call is not established."}
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
	data.MediaStreamingUpdate.MediaStreamingStatus = strings.ToLower(event[:1]) + event[1:]
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
