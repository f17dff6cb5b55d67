// Package acs is Azure Communication Services Call Automation for the session
// layer: the REST client of every operation, the webhook that takes its events
// and ties them to the operations that they end, and the check of the tokens it
// signs them with.
//
// It never touches media, keeps no call state and decides nothing: events go
// to a Sink as they come, and what the service refused comes back as a
// *session.Error.
//
// The wire is JSON over HTTPS, in one of two api-versions:
//
//	                 2022-04-07-preview             2026-03-12
//	media asked in   mediaStreamingConfiguration    mediaStreamingOptions
//	  its words      transportUrl, transportType,   the same and startMediaStreaming,
//	                 contentType, audioChannelType  enableBidirectional, audioFormat,
//	                                                enableDtmfTones
//	source answered  {identifier, callerId,         a flat identifier, beside it
//	                 displayName}                   sourceCallerIdNumber, sourceDisplayName
//	participants     values; added and removed      value; singly
//	                 by lists
//	play             playSourceInfo, sourceType     playSources, kind
//	transfer         transfereeCallerId,            sourceCallerIdNumber,
//	                 userToUserInformation          customCallingContext
//	an event's own   -                              operationCallbackUri
//	  address
//
// Below /calling, R is repeatable, 2026 is what 2022-04-07-preview lacks:
//
//	POST   /callConnections                    201 R   create
//	POST   /callConnections:connect            200 R   connect                  2026
//	POST   /callConnections:answer             200 R   answer
//	POST   /callConnections:redirect, :reject  204 R   redirect, reject
//	GET    /callConnections/{id}               200     get
//	DELETE /callConnections/{id}               204     hang up
//	POST   /callConnections/{id}:terminate     204 R   terminate
//	POST   …{id}:transferToParticipant         202 R   transfer
//	GET    …{id}/participants[/{rawId}]        200     list, get
//	POST   …{id}/participants:add, :remove     202 R   add, remove
//	POST   …{id}/participants:mute             200 R   mute                     2026
//	POST   …{id}/participants:cancelAddParticipant,
//	           :moveHere                       202 R   cancel add, move         2026
//	POST   …{id}:play, :recognize,
//	           :cancelAllMediaOperations       202     play, recognize, cancel
//	POST   …{id}:sendDtmfTones                 202 R   send DTMF                2026
//	POST   …{id}:startContinuousDtmfRecognition,
//	           :stopContinuousDtmfRecognition  200     continuous DTMF          2026
//	POST   …{id}:hold, :unhold                 200     hold, unhold             2026
//	POST   …{id}:startMediaStreaming,
//	           :stopMediaStreaming             202     media streaming          2026
//	POST   …{id}:startTranscription, :stop…,
//	           :updateTranscription            202     transcription            2026
//	POST   /recordings                         200 R   start recording
//	GET    /recordings/{id}                    200     its state
//	DELETE /recordings/{id}                    204     stop recording
//	POST   /recordings/{id}:pause, :resume     202     pause, resume
//
// How an operation of status 202 ended is told by a callback with its
// operationContext: see Operation.
//
// Decoding ignores the case of keys and of enumerated values, and unknown
// keys. Source: azure-rest-api-specs,
// specification/communication/data-plane/CallAutomation.
package acs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Versions of the service's API that Client speaks.
const (
	// Version2022 is the first one that streams media. It has no words for
	// bidirectional media, sample rate and DTMF.
	Version2022 = "2022-04-07-preview"
	// Version2026 is the newest stable one.
	Version2026 = "2026-03-12"
)

// cloudName is the default name of the cloud.
const cloudName = "acs"

// mediaConfiguration is MediaStreamingConfiguration of 2022-04-07-preview.
type mediaConfiguration struct {
	TransportURL  string `json:"transportUrl"`
	TransportType string `json:"transportType"`
	ContentType   string `json:"contentType"`
	ChannelType   string `json:"audioChannelType"`
}

// mediaOptions is WebSocketMediaStreamingOptions of 2026-03-12, in the order
// of the official client. The booleans are always written: the service's
// defaults differ between its documents.
type mediaOptions struct {
	TransportType string `json:"transportType"`
	ChannelType   string `json:"audioChannelType"`
	TransportURL  string `json:"transportUrl"`
	ContentType   string `json:"contentType"`
	Start         bool   `json:"startMediaStreaming"`
	Bidirectional bool   `json:"enableBidirectional"`
	AudioFormat   string `json:"audioFormat"`
	DTMF          bool   `json:"enableDtmfTones"`
}

// mediaKey is the property of create and answer that asks for media.
func mediaKey(version string) string {
	if version == Version2022 {
		return "mediaStreamingConfiguration"
	}
	return "mediaStreamingOptions"
}

// mediaProperty builds the value of mediaKey. What Version2022 has no word for
// is left out, but a sample rate other than its own is an error, since the
// audio would come in another format than the one asked for.
func mediaProperty(version string, m session.MediaRequest) (any, error) {
	channels := m.Channels.String()
	if channels != "mixed" && channels != "unmixed" {
		return nil, fmt.Errorf("media channels %s: want mixed or unmixed", channels)
	}
	var format string
	switch m.SampleRate {
	case 0, 16000:
		format = "pcm16KMono"
	case 24000:
		format = "pcm24KMono"
	default:
		return nil, fmt.Errorf("media sample rate %d: want 16000 or 24000", m.SampleRate)
	}
	if version != Version2022 {
		return mediaOptions{
			TransportType: "websocket", ChannelType: channels, TransportURL: m.URL, ContentType: "audio",
			Start: true, Bidirectional: m.Bidirectional, AudioFormat: format, DTMF: m.DTMF,
		}, nil
	}
	if m.SampleRate == 24000 {
		return nil, fmt.Errorf("media sample rate 24000: api-version %s streams 16000 only", version)
	}
	return mediaConfiguration{
		TransportURL: m.URL, TransportType: "websocket", ContentType: "audio", ChannelType: channels,
	}, nil
}

// createBody adds to body what it does not say itself: operationContext,
// callbackUri and the media property, as far as m has them.
func createBody(version string, body json.RawMessage, m session.MediaRequest) ([]byte, error) {
	var add []rest.Member
	if m.OperationContext != "" {
		add = append(add, rest.Member{Key: "operationContext", Value: m.OperationContext})
	}
	if m.CallbackURL != "" {
		add = append(add, rest.Member{Key: "callbackUri", Value: m.CallbackURL})
	}
	if m.URL != "" {
		media, err := mediaProperty(version, m)
		if err != nil {
			return nil, err
		}
		add = append(add, rest.Member{Key: mediaKey(version), Value: media})
	}
	body, err := sharedSocket(body, m.URL)
	if err != nil {
		return nil, err
	}
	return rest.Splice(body, add)
}

// answerBody is AnswerCallRequest. Version2022 has no operationContext there.
func answerBody(version string, in session.Incoming, m session.MediaRequest) ([]byte, error) {
	if in.Context == "" {
		return nil, errors.New("incomingCallContext is empty")
	}
	told := m.Answer
	if len(told) == 0 {
		told = json.RawMessage("{}")
	}
	told, err := sharedSocket(told, m.URL)
	if err != nil {
		return nil, err
	}
	body, err := rest.Splice(told, []rest.Member{{Key: "incomingCallContext", Value: in.Context}})
	if err != nil {
		return nil, err
	}
	if version == Version2022 {
		m.OperationContext = ""
	}
	return createBody(version, body, m)
}

// rejectBody is RejectCallRequest; an empty reason leaves it to the service.
func rejectBody(in session.Incoming, reason string) ([]byte, error) {
	if in.Context == "" {
		return nil, errors.New("incomingCallContext is empty")
	}
	switch reason {
	case "", "none", "busy", "forbidden":
	default:
		return nil, fmt.Errorf("callRejectReason %q: want none, busy or forbidden", rest.Clip(reason))
	}
	return rest.Marshal(struct {
		Context string `json:"incomingCallContext"`
		Reason  string `json:"callRejectReason,omitempty"`
	}{in.Context, reason})
}

// redirectBody is RedirectCallRequest.
func redirectBody(version string, in session.Incoming, target session.Identity) ([]byte, error) {
	if in.Context == "" {
		return nil, errors.New("incomingCallContext is empty")
	}
	if target.RawID == "" {
		return nil, errors.New("redirect target's raw id is empty")
	}
	return rest.Marshal(struct {
		Context string     `json:"incomingCallContext"`
		Target  identifier `json:"target"`
	}{in.Context, identifierOf(version, target.RawID)})
}

// callProperties is CallConnectionProperties of both versions.
type callProperties struct {
	CallConnectionID string       `json:"callConnectionId"`
	ServerCallID     string       `json:"serverCallId"`
	CorrelationID    string       `json:"correlationId"`
	State            string       `json:"callConnectionState"`
	Source           callSource   `json:"source"`
	SourceNumber     phoneNumber  `json:"sourceCallerIdNumber"`
	SourceName       string       `json:"sourceDisplayName"`
	Targets          []identifier `json:"targets"`

	CallbackURI   string       `json:"callbackUri"`
	MediaID       string       `json:"mediaSubscriptionId"` // 2022-04-07-preview
	Media         subscription `json:"mediaStreamingSubscription"`
	Transcription subscription `json:"transcriptionSubscription"`
	AnsweredBy    userID       `json:"answeredBy"`
	AnsweredFor   phoneNumber  `json:"answeredFor"`
}

// callSource is CallSource (2022) and, its embedded part, the flat identifier
// that took its place.
type callSource struct {
	identifier
	Identifier  identifier  `json:"identifier"`
	CallerID    phoneNumber `json:"callerId"`
	DisplayName string      `json:"displayName"`
	// ID is the flat form of requests, which some emulators echo.
	ID string `json:"id"`
}

// parseConnection reads what session needs of the answer of create, answer and
// get.
func parseConnection(body []byte) (session.Connection, error) {
	p, err := parseProperties(body)
	return p.Connection, err
}

// parseProperties reads all of it.
func parseProperties(body []byte) (Properties, error) {
	var p callProperties
	if err := rest.Unmarshal(body, &p); err != nil {
		return Properties{}, fmt.Errorf("call properties: %w", err)
	}
	if p.CallConnectionID == "" {
		return Properties{}, errors.New("call properties: callConnectionId is missing")
	}
	all := Properties{
		Connection: p.connection(), CallbackURI: p.CallbackURI, Media: p.Media.of(), Transcription: p.Transcription.of(),
		AnsweredBy: p.AnsweredBy.ID, AnsweredFor: p.AnsweredFor.Value,
	}
	all.Media.ID = first(all.Media.ID, p.MediaID)
	return all, nil
}

func (p *callProperties) connection() session.Connection {
	c := session.Connection{
		CallID:        p.CallConnectionID,
		GroupID:       p.ServerCallID,
		CorrelationID: p.CorrelationID,
		State:         callState(p.State),
		Phase:         callPhase(p.State),
		Source: session.Identity{
			RawID: first(p.Source.Identifier.raw(), p.Source.raw(), p.Source.ID,
				p.Source.CallerID.raw(), p.SourceNumber.raw()),
			Name: first(p.Source.DisplayName, p.SourceName),
		},
	}
	for _, t := range p.Targets {
		c.Targets = append(c.Targets, session.Identity{RawID: t.raw()})
	}
	return c
}

// callState translates CallConnectionStateModel. A call in transfer is still
// connected; an unknown state ranks lowest, so that it never ends a call.
func callState(s string) session.CallState {
	switch strings.ToLower(s) {
	case "connecting":
		return session.StateConnecting
	case "connected", "transferring", "transferaccepted":
		return session.StateConnected
	case "disconnecting":
		return session.StateDisconnecting
	case "disconnected":
		return session.StateDisconnected
	}
	return session.StateNew
}

// callPhase is what a connected call does, by CallConnectionStateModel.
func callPhase(s string) session.CallPhase {
	switch strings.ToLower(s) {
	case "transferring":
		return session.PhaseTransferring
	case "transferaccepted":
		return session.PhaseTransferAccepted
	}
	return session.PhaseActive
}

// communicationError is CommunicationError.
type communicationError struct {
	Code    text                 `json:"code"`
	SubCode number               `json:"subCode"`
	Message string               `json:"message"`
	Details []communicationError `json:"details"`
	Inner   *communicationError  `json:"innererror"`
}

// parseError reads CommunicationErrorResponse. A body that is none gives a
// message that says so and an empty code.
func parseError(body []byte) (code string, subCode int, message string) {
	if len(bytes.TrimSpace(body)) == 0 {
		return "", 0, "no error body"
	}
	var r struct {
		Error *communicationError `json:"error"`
	}
	if err := rest.Unmarshal(body, &r); err != nil || r.Error == nil {
		return "", 0, "error body is not a CommunicationErrorResponse"
	}
	return string(r.Error.Code), r.Error.subCode(), r.Error.Message
}

// subCode finds the number that the service's troubleshooting tables list
// ("8522"). Where the service puts it is not written down: it may be a
// property, the code itself, an inner error's, or stand in the message.
func (e *communicationError) subCode() int {
	if e.SubCode != 0 {
		return int(e.SubCode)
	}
	if n, err := strconv.Atoi(string(e.Code)); err == nil {
		return n
	}
	if e.Inner != nil {
		if n := e.Inner.subCode(); n != 0 {
			return n
		}
	}
	for i := range e.Details {
		if n := e.Details[i].subCode(); n != 0 {
			return n
		}
	}
	return subCodeIn(e.Message)
}

// subCodeIn reads the number behind the word "subcode" in a message, as in
// "SubCode: 8522".
func subCodeIn(message string) int {
	i := strings.Index(strings.ToLower(message), "subcode")
	if i < 0 || i+len("subcode") > len(message) {
		return 0
	}
	rest := strings.TrimLeft(message[i+len("subcode"):], " :=#'\"")
	end := 0
	for end < len(rest) && end < 6 && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(rest[:end])
	return n
}
