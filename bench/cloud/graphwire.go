package cloud

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Bounds of what a request may ask for, from the documents.
const (
	maxGroup      = 5  // targets of a group call, and of an invitation
	maxRedirects  = 25 // targets of a redirection
	maxClientText = 256
)

// graphOrder is a create or answer request.
type graphOrder struct {
	version     string
	callbackURI string // empty: the app's own
	media       *mediaOptions
	mediaConfig map[string]any // to echo
	appHosted   bool
	modalities  []string
	options     graphOptions
	capacity    int // participantCapacity; answer only

	// Create only.
	source               *graphParty
	targets              []graphParty
	subject, tenantID    string
	chatInfo, meeting    map[string]any
	thread, meetingToken string
	joinMeetingID        string
	organizerTenant      string
}

// graphOptions is callOptions.
type graphOptions struct {
	ContentSharing bool `json:"isContentSharingNotificationEnabled"`
	DeltaRoster    bool `json:"isDeltaRosterEnabled"`
}

// graphCallModel holds what create and answer send; encoding/json takes keys in
// any case. No @odata.type is required but those that tell subtypes apart.
type graphCallModel struct {
	CallbackURI         string                     `json:"callbackUri"`
	RequestedModalities []string                   `json:"requestedModalities"`
	AcceptedModalities  []string                   `json:"acceptedModalities"`
	MediaConfig         map[string]json.RawMessage `json:"mediaConfig"`
	CallOptions         graphOptions               `json:"callOptions"`
	ParticipantCapacity *int                       `json:"participantCapacity"`

	Source      *graphParty     `json:"source"`
	Targets     []graphParty    `json:"targets"`
	Subject     string          `json:"subject"`
	TenantID    string          `json:"tenantId"`
	Direction   string          `json:"direction"`
	ChatInfo    json.RawMessage `json:"chatInfo"`
	MeetingInfo json.RawMessage `json:"meetingInfo"`
}

// decodeGraph reads a body into v; a refusal names the field.
func decodeGraph(body []byte, v any) *response {
	if field, wrong := readJSON(body, v); wrong != "" {
		return badRequest(cmp.Or(field, "body"), "%s", wrong)
	}
	return nil
}

var graphModalities = []string{"audio", "video", "videoBasedScreenSharing", "data"}

// parseGraphCall reads what create and answer have in common.
func parseGraphCall(body []byte, version, modalities string, insecure bool) (o graphOrder, m graphCallModel, bad *response) {
	if bad := decodeGraph(body, &m); bad != nil {
		return o, m, bad
	}
	o = graphOrder{version: version, callbackURI: m.CallbackURI, options: m.CallOptions}
	if bad := checkGraphURI("callbackUri", m.CallbackURI, insecure); m.CallbackURI != "" && bad != nil {
		return o, m, bad
	}
	o.modalities = m.RequestedModalities
	if modalities == "acceptedModalities" {
		o.modalities = m.AcceptedModalities
	}
	if len(o.modalities) == 0 {
		return o, m, badRequest(modalities, "is missing")
	}
	for i, name := range o.modalities {
		if !slices.ContainsFunc(graphModalities, func(known string) bool { return strings.EqualFold(known, name) }) {
			return o, m, badRequest(fmt.Sprintf("%s[%d]", modalities, i), "%q is not one", name)
		}
	}
	return o, m, o.parseMedia(m.MediaConfig, insecure)
}

// checkGraphURI takes https, and http too if insecure.
func checkGraphURI(field, uri string, insecure bool) *response {
	u, err := url.Parse(uri)
	if err == nil && u.Host != "" && (u.Scheme == "https" || insecure && u.Scheme == "http") {
		return nil
	}
	return badRequest(field, "%q: want an https URL", uri)
}

// parseMedia reads mediaConfig, of which the type tells who hosts.
func (o *graphOrder) parseMedia(config map[string]json.RawMessage, insecure bool) *response {
	if config == nil {
		return badRequest("mediaConfig", "is missing")
	}
	o.mediaConfig = map[string]any{}
	var kind, blob string
	for key, value := range config {
		o.mediaConfig[key] = value
		var err error
		switch strings.ToLower(key) {
		case "@odata.type":
			err = json.Unmarshal(value, &kind)
		case "blob":
			err = json.Unmarshal(value, &blob)
		}
		if err != nil {
			return badRequest("mediaConfig."+key, "want a string")
		}
	}
	switch typeName(kind) {
	case "servicehostedmediaconfig":
		return nil
	case "apphostedmediaconfig":
		o.appHosted = true
		m, err := readBlob(blob, insecure)
		if err != nil {
			return badRequest("mediaConfig.blob", "%v", err)
		}
		o.media = m
		return nil
	}
	return badRequest("mediaConfig.@odata.type", "%q: want #microsoft.graph.serviceHostedMediaConfig or appHostedMediaConfig", kind)
}

// parseGraphCreate reads a call that is to be created.
func parseGraphCreate(body []byte, version string, insecure bool) (graphOrder, *response) {
	o, m, bad := parseGraphCall(body, version, "requestedModalities", insecure)
	if bad != nil {
		return o, bad
	}
	o.source, o.targets, o.subject, o.tenantID = m.Source, m.Targets, m.Subject, m.TenantID
	for i := range o.targets {
		if o.targets[i].ID == "" {
			return o, badRequest(fmt.Sprintf("targets[%d].identity", i), "names nobody")
		}
	}
	if m.Direction != "" && !strings.EqualFold(m.Direction, "outgoing") {
		return o, badRequest("direction", "%q: want outgoing", m.Direction)
	}
	if present(m.MeetingInfo) {
		return o, o.parseMeeting(m)
	}
	switch {
	case len(o.targets) == 0:
		return o, badRequest("targets", "is missing")
	case len(o.targets) > maxGroup:
		return o, badRequest("targets", "%d, at most %d", len(o.targets), maxGroup)
	}
	return o, nil
}

// typeName is an @odata.type in lower case, without "#microsoft.graph.".
func typeName(odataType string) string {
	return strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(odataType), "#"), "microsoft.graph.")
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// parseMeeting reads how a meeting is joined.
func (o *graphOrder) parseMeeting(m graphCallModel) *response {
	var chat struct{ ThreadID, MessageID *string }
	var info struct {
		Type          string      `json:"@odata.type"`
		Organizer     *identities `json:"organizer"`
		Token         string      `json:"token"`
		JoinMeetingID string      `json:"joinMeetingId"`
	}
	if err := json.Unmarshal(m.MeetingInfo, &info); err != nil {
		return badRequest("meetingInfo", "%v", err)
	}
	if err := json.Unmarshal(m.MeetingInfo, &o.meeting); err != nil {
		return badRequest("meetingInfo", "%v", err)
	}
	if present(m.ChatInfo) {
		if err := json.Unmarshal(m.ChatInfo, &chat); err != nil {
			return badRequest("chatInfo", "%v", err)
		}
		if err := json.Unmarshal(m.ChatInfo, &o.chatInfo); err != nil {
			return badRequest("chatInfo", "%v", err)
		}
	}
	o.meetingToken, o.joinMeetingID, o.organizerTenant = info.Token, info.JoinMeetingID, info.Organizer.party().TenantID
	kind := typeName(info.Type)
	switch {
	case len(o.targets) > 0:
		return badRequest("targets", "a meeting is joined without")
	case kind == "tokenmeetinginfo" && info.Token == "":
		return badRequest("meetingInfo.token", "is missing")
	case kind == "joinmeetingidmeetinginfo" && info.JoinMeetingID == "":
		return badRequest("meetingInfo.joinMeetingId", "is missing")
	case kind == "tokenmeetinginfo", kind == "joinmeetingidmeetinginfo":
		return nil
	case kind != "organizermeetinginfo":
		return badRequest("meetingInfo.@odata.type", "%q is not one", info.Type)
	case info.Organizer.party().ID == "":
		return badRequest("meetingInfo.organizer", "is missing")
	case chat.ThreadID == nil || *chat.ThreadID == "":
		return badRequest("chatInfo.threadId", "is missing")
	case chat.MessageID == nil:
		return badRequest("chatInfo.messageId", "is missing")
	}
	o.thread = *chat.ThreadID
	return nil
}

// parseGraphAnswer reads how a call is answered.
func parseGraphAnswer(body []byte, version string, insecure bool) (graphOrder, *response) {
	o, m, bad := parseGraphCall(body, version, "acceptedModalities", insecure)
	if bad != nil {
		return o, bad
	}
	if m.ParticipantCapacity != nil {
		o.capacity = *m.ParticipantCapacity
		if o.capacity < 1 {
			return o, badRequest("participantCapacity", "%d: want 1 or more", o.capacity)
		}
	}
	return o, nil
}

// clientContext reads the body of an action that may carry nothing else.
func clientContext(text string) *response {
	if len(text) > maxClientText {
		return badRequest("clientContext", "%d characters, at most %d", len(text), maxClientText)
	}
	return nil
}
