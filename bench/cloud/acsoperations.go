package cloud

import (
	"net/http"
	"net/url"
	"strings"
)

const (
	connectionsPath   = "/calling/callConnections"
	acsRecordingsPath = "/calling/recordings"
)

// resource is what a path names.
type resource int

const (
	atCalls        resource = iota // connectionsPath
	atCall                         // …/{id}
	atParticipants                 // …/{id}/participants
	atParticipant                  // …/{id}/participants/{rawId}
	atRecordings                   // acsRecordingsPath
	atRecording                    // …/{id}
)

func (r resource) ofCall() bool { return r == atCall || r == atParticipants || r == atParticipant }

// operation is one of the REST API. Its handler returns the response, and what
// is to be done once that has been sent.
type operation struct {
	name, method, action string
	at                   resource
	since                string // the first version that has it; empty: all
	repeatable           bool
	standing             bool // the call must be established
	handle               func(*Server, *request) (*response, func())
}

// operations are those of Call Automation (SPEC 2022-04-07-preview and the
// generated clients of the later versions). None of the versions served has
// startHoldMusic and stopHoldMusic: those were previews' names of hold and
// unhold.
var operations = []operation{
	{name: "create", method: "POST", at: atCalls, repeatable: true, handle: (*Server).create},
	{name: "answer", method: "POST", at: atCalls, action: "answer", repeatable: true, handle: (*Server).answer},
	{name: "reject", method: "POST", at: atCalls, action: "reject", repeatable: true, handle: (*Server).reject},
	{name: "redirect", method: "POST", at: atCalls, action: "redirect", repeatable: true, handle: (*Server).redirect},
	{name: "connect", method: "POST", at: atCalls, action: "connect", repeatable: true, since: version2025, handle: (*Server).connect},

	{name: "get", method: "GET", at: atCall, handle: (*Server).get},
	{name: "hangup", method: "DELETE", at: atCall, handle: (*Server).hangUp},
	{name: "terminate", method: "POST", at: atCall, action: "terminate", repeatable: true, handle: (*Server).hangUp},
	{name: "transferToParticipant", method: "POST", at: atCall, action: "transferToParticipant", repeatable: true, standing: true, handle: onCall((*acsCall).transfer)},
	{name: "play", method: "POST", at: atCall, action: "play", standing: true, handle: onCall((*acsCall).play)},
	{name: "recognize", method: "POST", at: atCall, action: "recognize", standing: true, handle: onCall((*acsCall).recognize)},
	{name: "cancelAllMediaOperations", method: "POST", at: atCall, action: "cancelAllMediaOperations", standing: true, handle: onCall((*acsCall).cancelMedia)},
	{name: "startContinuousDtmfRecognition", method: "POST", at: atCall, action: "startContinuousDtmfRecognition", since: version2024, standing: true, handle: onCall((*acsCall).startTones)},
	{name: "stopContinuousDtmfRecognition", method: "POST", at: atCall, action: "stopContinuousDtmfRecognition", since: version2024, standing: true, handle: onCall((*acsCall).stopTones)},
	{name: "sendDtmfTones", method: "POST", at: atCall, action: "sendDtmfTones", since: version2024, repeatable: true, standing: true, handle: onCall((*acsCall).sendTones)},
	{name: "hold", method: "POST", at: atCall, action: "hold", since: version2025, standing: true, handle: onCall((*acsCall).hold)},
	{name: "unhold", method: "POST", at: atCall, action: "unhold", since: version2025, standing: true, handle: onCall((*acsCall).unhold)},
	{name: "startMediaStreaming", method: "POST", at: atCall, action: "startMediaStreaming", since: version2025, handle: (*Server).startStreaming},
	{name: "stopMediaStreaming", method: "POST", at: atCall, action: "stopMediaStreaming", since: version2025, handle: (*Server).stopStreaming},
	{name: "startTranscription", method: "POST", at: atCall, action: "startTranscription", since: version2025, standing: true, handle: onCall((*acsCall).startTranscription)},
	{name: "stopTranscription", method: "POST", at: atCall, action: "stopTranscription", since: version2025, standing: true, handle: onCall((*acsCall).stopTranscription)},
	{name: "updateTranscription", method: "POST", at: atCall, action: "updateTranscription", since: version2025, standing: true, handle: onCall((*acsCall).updateTranscription)},

	{name: "getParticipants", method: "GET", at: atParticipants, standing: true, handle: onCall((*acsCall).listParticipants)},
	{name: "addParticipant", method: "POST", at: atParticipants, action: "add", repeatable: true, standing: true, handle: onCall((*acsCall).addParticipant)},
	{name: "removeParticipant", method: "POST", at: atParticipants, action: "remove", repeatable: true, standing: true, handle: onCall((*acsCall).removeParticipant)},
	{name: "muteParticipants", method: "POST", at: atParticipants, action: "mute", since: version2024, repeatable: true, standing: true, handle: onCall((*acsCall).muteParticipants)},
	{name: "cancelAddParticipant", method: "POST", at: atParticipants, action: "cancelAddParticipant", since: version2024, repeatable: true, standing: true, handle: onCall((*acsCall).cancelAdd)},
	{name: "moveParticipants", method: "POST", at: atParticipants, action: "moveHere", since: version2026, repeatable: true, standing: true, handle: onCall((*acsCall).moveHere)},
	{name: "getParticipant", method: "GET", at: atParticipant, standing: true, handle: onCall((*acsCall).getParticipant)},

	{name: "startRecording", method: "POST", at: atRecordings, repeatable: true, handle: (*Server).startRecording},
	{name: "getRecording", method: "GET", at: atRecording, handle: (*Server).getRecording},
	{name: "stopRecording", method: "DELETE", at: atRecording, handle: (*Server).stopRecording},
	{name: "pauseRecording", method: "POST", at: atRecording, action: "pause", handle: (*Server).pauseRecording},
	{name: "resumeRecording", method: "POST", at: atRecording, action: "resume", handle: (*Server).resumeRecording},
}

var operationNames = []string{
	"create", "answer", "reject", "redirect", "connect", "get", "hangup", "terminate", "transferToParticipant",
	"play", "recognize", "cancelAllMediaOperations", "startContinuousDtmfRecognition", "stopContinuousDtmfRecognition",
	"sendDtmfTones", "hold", "unhold", "startMediaStreaming", "stopMediaStreaming",
	"startTranscription", "stopTranscription", "updateTranscription",
	"getParticipants", "addParticipant", "removeParticipant", "muteParticipants", "cancelAddParticipant", "moveParticipants",
	"getParticipant", "startRecording", "getRecording", "stopRecording", "pauseRecording", "resumeRecording",
}

// onCall is the handler of an operation of a live call.
func onCall(h func(*acsCall, *request) (*response, func())) func(*Server, *request) (*response, func()) {
	return func(_ *Server, req *request) (*response, func()) { return h(req.call, req) }
}

// parsePath splits an escaped path into what it names, the ids in it, and the
// action behind the ':'. Ids come percent-encoded, but for those of
// participants where a client left their ':' alone: such paths have no action.
func parsePath(path string) (at resource, ids []string, action string, ok bool) {
	rest, at := "", atCalls
	switch {
	case strings.HasPrefix(path, connectionsPath):
		rest = strings.TrimPrefix(path, connectionsPath)
	case strings.HasPrefix(path, acsRecordingsPath):
		rest, at = strings.TrimPrefix(path, acsRecordingsPath), atRecordings
	default:
		return 0, nil, "", false
	}
	parts := strings.Split(rest, "/")
	last := len(parts) - 1
	if last != 3 {
		parts[last], action, _ = strings.Cut(parts[last], ":")
	}
	for i, part := range parts[1:] {
		id, err := url.PathUnescape(part)
		if err != nil || i == 1 && id != "participants" {
			return 0, nil, "", false
		}
		if i != 1 {
			ids = append(ids, id)
		}
	}
	at += resource(last)
	if parts[0] != "" || at > atParticipant && at != atRecordings && at != atRecording || last > 1 && strings.HasPrefix(path, acsRecordingsPath) || last > 3 {
		return 0, nil, "", false
	}
	return at, ids, action, true
}

// route finds the operation by method and path. The call of the request is
// nil if there is none of that id.
func (s *Server) route(r *http.Request, version string) (*operation, *request, *refusal) {
	at, ids, action, ok := parsePath(r.URL.EscapedPath())
	known := false
	for i := range operations {
		op := &operations[i]
		if !ok || op.action != action || op.at != at || op.since > version {
			continue
		}
		known = true
		if op.method != r.Method {
			continue
		}
		req := &request{version: version, ids: ids, query: r.URL.Query(), base: baseOf(r)}
		if at.ofCall() {
			req.call = s.live(ids[0])
		}
		return op, req, nil
	}
	if known {
		return nil, nil, &refusal{status: http.StatusMethodNotAllowed, code: "8520", message: r.Method + " is not supported here."}
	}
	return nil, nil, notFound("Resource " + r.URL.Path)
}
