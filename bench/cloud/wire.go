package cloud

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// order is a create or answer request, whatever its version.
type order struct {
	version          string
	callbackURI      string
	operationContext string

	// Create only.
	source      *identifier
	callerID    *phoneModel
	displayName string
	targets     []identifier

	// Answer only.
	incomingContext string
	answeredBy      *userModel

	locator *locatorModel // connect only

	media         *mediaOptions
	transcription *transcriptionOptions
}

// mediaOptions say what media the bot asked for.
type mediaOptions struct {
	url           string
	mixed         bool
	start         bool
	bidirectional bool
	dtmf          bool
	rate          int // Hz
	// dominant is how many speakers an unmixed stream carries at most; 0
	// means all.
	dominant int
	// byPeer: mixed is what the peer says when it is dialled.
	byPeer bool
	header http.Header // of the dial, besides the cloud's own
}

// callRequest holds CreateCallRequest, AnswerCallRequest and ConnectRequest of
// all versions; encoding/json takes keys in any case, as ACS does.
type callRequest struct {
	CallbackURI      string `json:"callbackUri"`
	OperationContext string `json:"operationContext"`

	Source              json.RawMessage `json:"source"`
	SourceCallerID      *phoneModel     `json:"sourceCallerIdNumber"`
	SourceDisplayName   string          `json:"sourceDisplayName"`
	Targets             []identifier    `json:"targets"`
	IncomingCallContext string          `json:"incomingCallContext"`
	AnsweredBy          *userModel      `json:"answeredBy"`

	CallLocator *locatorModel `json:"callLocator"`

	MediaStreamingConfiguration *mediaModel         `json:"mediaStreamingConfiguration"` // 2022
	MediaStreamingOptions       *mediaModel         `json:"mediaStreamingOptions"`       // from 2025 on
	TranscriptionOptions        *transcriptionModel `json:"transcriptionOptions"`        // from 2025 on
}

type mediaModel struct {
	TransportURL        string `json:"transportUrl"`
	TransportType       string `json:"transportType"`
	ContentType         string `json:"contentType"`
	AudioChannelType    string `json:"audioChannelType"`
	StartMediaStreaming bool   `json:"startMediaStreaming"`
	EnableBidirectional bool   `json:"enableBidirectional"`
	EnableDtmfTones     bool   `json:"enableDtmfTones"`
	AudioFormat         string `json:"audioFormat"`
}

// callSource is who calls, in 2022-04-07-preview.
type callSource struct {
	CallerID    *phoneModel `json:"callerId,omitempty"`
	DisplayName string      `json:"displayName,omitempty"`
	Identifier  *identifier `json:"identifier,omitempty"`
}

// readJSON reads a request's JSON into v, or says how it is wrong, and which
// field of it; that is empty if all of it has the wrong type.
func readJSON(body []byte, v any) (field, wrong string) {
	if len(body) == 0 {
		return "body", "is empty"
	}
	err := json.Unmarshal(body, v)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, &wrongType):
		return wrongType.Field, "is a JSON " + wrongType.Value
	}
	return "body", "is not JSON: " + err.Error()
}

// decodeBody reads a request's JSON into v; an error names the field.
func decodeBody(body []byte, v any) *refusal {
	if field, wrong := readJSON(body, v); wrong != "" {
		return badArgument(field, "%s", wrong)
	}
	return nil
}

func parseCreate(version string, body []byte, insecure bool) (order, *refusal) {
	o, req, bad := parseCall(version, body, insecure)
	if bad != nil {
		return o, bad
	}
	if len(req.Targets) == 0 {
		return o, badArgument("targets", "is missing")
	}
	for i := range req.Targets {
		if bad := req.Targets[i].normalize("targets"); bad != nil {
			return o, bad
		}
	}
	o.targets, o.callerID, o.displayName = req.Targets, req.SourceCallerID, req.SourceDisplayName
	return o, o.parseSource(req.Source)
}

// parseSource reads the flat user of later versions, optional, or the
// CallSource of 2022.
func (o *order) parseSource(text json.RawMessage) *refusal {
	missing := len(text) == 0 || string(text) == "null"
	if o.version != version2022 {
		if missing {
			return nil
		}
		var user userModel
		if bad := decodeBody(text, &user); bad != nil {
			return bad.within("source")
		}
		if user.ID == "" {
			return badArgument("source.id", "is missing")
		}
		id := identityOf(user.ID)
		o.source = &id
		return nil
	}
	var source callSource
	if missing {
		return badArgument("source", "is missing")
	}
	if bad := decodeBody(text, &source); bad != nil {
		return bad.within("source")
	}
	if source.Identifier == nil {
		return badArgument("source.identifier", "is missing")
	}
	o.source, o.callerID, o.displayName = source.Identifier, source.CallerID, source.DisplayName
	return source.Identifier.normalize("source.identifier")
}

func parseAnswer(version string, body []byte, insecure bool) (order, *refusal) {
	o, req, bad := parseCall(version, body, insecure)
	if bad != nil {
		return o, bad
	}
	if req.IncomingCallContext == "" {
		return o, badArgument("incomingCallContext", "is missing")
	}
	o.incomingContext, o.answeredBy = req.IncomingCallContext, req.AnsweredBy
	return o, nil
}

// parseConnect reads a ConnectRequest.
func parseConnect(version string, body []byte, insecure bool) (order, *refusal) {
	o, req, bad := parseCall(version, body, insecure)
	if bad != nil {
		return o, bad
	}
	if req.CallLocator == nil {
		return o, badArgument("callLocator", "is missing")
	}
	o.locator = req.CallLocator
	return o, req.CallLocator.check("callLocator")
}

// parseCall reads what create, answer and connect have in common.
func parseCall(version string, body []byte, insecure bool) (o order, req callRequest, bad *refusal) {
	if bad := decodeBody(body, &req); bad != nil {
		return o, req, bad
	}
	o = order{version: version, callbackURI: req.CallbackURI, operationContext: req.OperationContext}
	if bad := checkCallback("callbackUri", req.CallbackURI, insecure); bad != nil {
		return o, req, bad
	}
	field, m := "mediaStreamingOptions", req.MediaStreamingOptions
	switch {
	case version == version2022:
		field, m = "mediaStreamingConfiguration", req.MediaStreamingConfiguration
	case version < version2025:
		m = nil // neither property is known, and unknown ones are ignored
	}
	if m != nil {
		if o.media, bad = m.options(version, insecure); bad != nil {
			return o, req, bad.within(field)
		}
	}
	if t := req.TranscriptionOptions; t != nil && version >= version2025 {
		if o.transcription, bad = t.options(insecure); bad != nil {
			return o, req, bad.within("transcriptionOptions")
		}
	}
	return o, req, nil
}

func checkCallback(field, uri string, insecure bool) *refusal {
	u, err := url.Parse(uri)
	if uri != "" && err == nil && u.Host != "" && (u.Scheme == "https" || insecure && u.Scheme == "http") {
		return nil
	}
	// The service's own words (DOCS troubleshooting-codes).
	return badArgument(field, "The field CallbackUri is invalid: %q, want an https URL", uri)
}

func (m *mediaModel) options(version string, insecure bool) (*mediaOptions, *refusal) {
	u, err := url.Parse(m.TransportURL)
	if err != nil || u.Host == "" || (u.Scheme != "wss" && !(insecure && u.Scheme == "ws")) {
		return nil, badArgument("transportUrl", "%q: want a wss URL", m.TransportURL)
	}
	legacy := version == version2022
	for _, e := range []struct {
		field, value string
		required     bool
		want         []string
	}{
		{"transportType", m.TransportType, true, []string{"websocket"}},
		{"contentType", m.ContentType, legacy, []string{"audio"}},
		{"audioChannelType", m.AudioChannelType, true, []string{"mixed", "unmixed"}},
		{"audioFormat", m.AudioFormat, false, []string{"pcm16KMono", "pcm24KMono"}},
	} {
		if bad := checkEnum(e.field, e.value, e.required, e.want); bad != nil {
			return nil, bad
		}
	}
	o := &mediaOptions{
		url: m.TransportURL, mixed: strings.EqualFold(m.AudioChannelType, "mixed"), rate: 16000,
		start: m.StartMediaStreaming, bidirectional: m.EnableBidirectional, dtmf: m.EnableDtmfTones,
	}
	if legacy {
		// That version can neither start streaming later nor ask for less.
		o.start, o.bidirectional = true, true
		return o, nil
	}
	if strings.EqualFold(m.AudioFormat, "pcm24KMono") {
		o.rate = 24000
	}
	return o, nil
}

// checkEnum takes values in any case: official samples send "Pcm24KMono".
func checkEnum(field, value string, required bool, want []string) *refusal {
	if value == "" && !required {
		return nil
	}
	for _, w := range want {
		if strings.EqualFold(value, w) {
			return nil
		}
	}
	return badArgument(field, "%q: want %s", value, strings.Join(want, " or "))
}

// contextRequest is RejectCallRequest and RedirectCallRequest of all versions.
type contextRequest struct {
	IncomingCallContext string      `json:"incomingCallContext"`
	CallRejectReason    string      `json:"callRejectReason"`
	Target              *identifier `json:"target"`
}

func parseReject(body []byte) (contextRequest, *refusal) {
	req, bad := parseContext(body)
	if bad != nil {
		return req, bad
	}
	return req, checkEnum("callRejectReason", req.CallRejectReason, false, []string{"none", "busy", "forbidden"})
}

func parseRedirect(body []byte) (contextRequest, *refusal) {
	req, bad := parseContext(body)
	switch {
	case bad != nil:
		return req, bad
	case req.Target == nil:
		return req, badArgument("target", "is missing")
	}
	return req, req.Target.normalize("target")
}

func parseContext(body []byte) (req contextRequest, bad *refusal) {
	if bad := decodeBody(body, &req); bad != nil {
		return req, bad
	}
	if req.IncomingCallContext == "" {
		return req, badArgument("incomingCallContext", "is missing")
	}
	return req, nil
}

// opModel is what the requests of asynchronous operations have in common.
type opModel struct {
	OperationContext     string `json:"operationContext"`
	OperationCallbackURI string `json:"operationCallbackUri"`
}

// check judges the callback URI, which versions before 2023-10-15 did not know.
func (m *opModel) check(version string, insecure bool) *refusal {
	if version < version2024 {
		m.OperationCallbackURI = ""
	}
	if m.OperationCallbackURI != "" {
		return checkCallback("operationCallbackUri", m.OperationCallbackURI, insecure)
	}
	return nil
}

// streamRequest is Start- and StopMediaStreamingRequest.
type streamRequest struct {
	OperationCallbackURI string `json:"operationCallbackUri"`
	OperationContext     string `json:"operationContext"`
}

func parseStream(body []byte, insecure bool) (req streamRequest, bad *refusal) {
	if len(body) == 0 {
		return req, nil
	}
	if bad := decodeBody(body, &req); bad != nil {
		return req, bad
	}
	if req.OperationCallbackURI != "" {
		return req, checkCallback("operationCallbackUri", req.OperationCallbackURI, insecure)
	}
	return req, nil
}
