package cloud

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// maxOperations bounds what a call remembers of its operations.
const maxOperations = 1024

// graphOp is a commsOperation.
type graphOp struct {
	id, kind, context string
	status            string // running, completed, failed
	result            *Result
	more              map[string]any // members of its kind
}

// begin makes an operation and remembers it. Called without Call.mu.
func (c *graphCall) begin(kind, context, status string) *graphOp {
	op := &graphOp{id: uuid.NewString(), kind: kind, context: context, status: status, more: map[string]any{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations.add(graphKey(op.id), op, maxOperations)
	return op
}

// shape is the operation as a resource. Called with Call.mu held.
func (c *graphCall) shape(op *graphOp) map[string]any {
	r := map[string]any{
		"@odata.type": "#microsoft.graph." + op.kind, "id": op.id, "status": c.server.Profile.enum(op.status),
		"clientContext": op.context, "resultInfo": nil,
	}
	if op.result != nil {
		r["resultInfo"] = resultInfo(*op.result)
	}
	for key, value := range op.more {
		r[key] = value
	}
	return r
}

// reply answers with an operation. What follows it is told by after.
func (c *graphCall) reply(r *graphRequest, op *graphOp, status int, after func()) (*response, func()) {
	c.mu.Lock()
	shape := c.shape(op)
	c.mu.Unlock()
	shape["@odata.context"] = "https://graph.microsoft.com/" + r.version + "/$metadata#" + op.kind
	resp := newResponse(status, shape)
	resp.header = http.Header{"Location": {r.base + "/" + r.version + "/communications/calls/" + c.id + "/operations/" + op.id}}
	if after == nil {
		after = func() {}
	}
	return resp, after
}

// complete ends an operation and tells the bot; the id is written as the
// documents' samples do, in upper case without dashes.
func (c *graphCall) complete(op *graphOp, status string, result Result, more map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if op.status != "running" {
		return
	}
	op.status, op.result = status, &result
	for key, value := range more {
		op.more[key] = value
	}
	shape := c.shape(op)
	c.messages++
	tag := etag(5445 + c.messages)
	path := "/operations/" + strings.ToUpper(graphKey(op.id))
	shape["@odata.id"], shape["@odata.etag"] = "/communications/calls/"+c.id+path, tag
	delete(shape, "id")
	c.notifyLocked(notification{name: "operation", change: "deleted", path: path, data: shape})
}

var actionDone = Result{200, 0, "Action completed successfully."}

// afterwards completes an operation when d has passed, or the call has ended.
func (c *graphCall) afterwards(op *graphOp, d time.Duration, then func()) func() {
	return func() {
		c.server.wg.Go(func() {
			if !sleep(c.ctx, d) {
				return
			}
			c.complete(op, "completed", actionDone, nil)
			if then != nil {
				then()
			}
		})
	}
}

// contextModel is a body that carries no more than a clientContext.
type contextModel struct {
	ClientContext string `json:"clientContext"`
}

// optionalContext reads such a body, which may be missing.
func optionalContext(body []byte) (string, *response) {
	var m contextModel
	if len(body) == 0 {
		return "", nil
	}
	if bad := decodeGraph(body, &m); bad != nil {
		return "", bad
	}
	return m.ClientContext, clientContext(m.ClientContext)
}

// groupOnly refuses what peer-to-peer calls do not have.
func (c *graphCall) groupOnly() *response {
	if c.peer() {
		return graphError(http.StatusBadRequest, "BadRequest", "The action is for group calls and meetings.")
	}
	return nil
}

// hosted refuses what is for calls whose media the other side hosts.
func (c *graphCall) hosted(app bool) *response {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.order.appHosted == app:
		return nil
	case app:
		return graphError(http.StatusBadRequest, "BadRequest", "The action is for calls with app-hosted media.")
	}
	return graphError(http.StatusBadRequest, "BadRequest", "The action is for calls with service-hosted media.")
}

// standing refuses what a call must be established for.
func (c *graphCall) standing() *response {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateConnected {
		return graphError(http.StatusBadRequest, "BadRequest", "The call is not established.")
	}
	return nil
}

// firstOf returns the first refusal there is.
func firstOf(all ...*response) *response {
	for _, r := range all {
		if r != nil {
			return r
		}
	}
	return nil
}

func (c *graphCall) muteSelf(r *graphRequest) (*response, func()) {
	return c.setMuted(r, "muteParticipantOperation", true)
}

func (c *graphCall) unmuteSelf(r *graphRequest) (*response, func()) {
	return c.setMuted(r, "unmuteParticipantOperation", false)
}

func (c *graphCall) setMuted(r *graphRequest, kind string, muted bool) (*response, func()) {
	context, bad := optionalContext(r.body)
	if bad = firstOf(bad, c.groupOnly(), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin(kind, context, "completed")
	return c.reply(r, op, http.StatusOK, func() {
		c.changeRoster(func() {
			c.deaf = muted
			c.change(c.self(), func(m *member) { m.muted = muted })
		})
	})
}

func (c *graphCall) recordingStatus(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Status string `json:"status"`
	}
	bad := decodeGraph(r.body, &m)
	if bad == nil && !slices.Contains([]string{"notrecording", "recording", "failed"}, strings.ToLower(m.Status)) {
		bad = badRequest("status", "%q: want notRecording, recording or failed", m.Status)
	}
	if bad = firstOf(bad, clientContext(m.ClientContext), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	status := map[string]string{"notrecording": "notRecording", "recording": "recording", "failed": "failed"}[strings.ToLower(m.Status)]
	c.mu.Lock()
	c.recorded = status
	if status == "recording" && c.recordedAt < 0 {
		c.recordedAt = c.media.position(time.Now())
	}
	c.mu.Unlock()
	op := c.begin("updateRecordingStatusOperation", m.ClientContext, "completed")
	return c.reply(r, op, http.StatusOK, func() {
		c.changeRoster(func() { c.change(c.self(), func(m *member) { m.recording = status }) })
	})
}

func (c *graphCall) subscribeToTone(r *graphRequest) (*response, func()) {
	context, bad := optionalContext(r.body)
	if bad = firstOf(bad, c.hosted(false), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	c.mu.Lock()
	c.toneWanted = true
	c.mu.Unlock()
	return c.reply(r, c.begin("subscribeToToneOperation", context, "completed"), http.StatusOK, nil)
}

func (c *graphCall) cancelMedia(r *graphRequest) (*response, func()) {
	context, bad := optionalContext(r.body)
	if bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("cancelMediaProcessingOperation", context, "completed")
	return c.reply(r, op, http.StatusOK, c.queue.clear())
}

// sendTones presses keys; the operation says how that went and is completed
// either way ("call: sendDtmfTones").
func (c *graphCall) sendTones(r *graphRequest) (*response, func()) {
	var m struct {
		contextModel
		Tones []string `json:"tones"`
		Delay int      `json:"delayBetweenTonesMs"`
	}
	bad := decodeGraph(r.body, &m)
	switch {
	case bad != nil:
	case len(m.Tones) == 0 || len(m.Tones) > maxKeys:
		bad = badRequest("tones", "%d: want 1 to %d", len(m.Tones), maxKeys)
	case m.Delay < 0 || m.Delay > 60000:
		bad = badRequest("delayBetweenTonesMs", "%d: want 0 to 60000", m.Delay)
	}
	var keys []string
	for i, name := range m.Tones {
		key := keyOfTone(name)
		if key == "" && bad == nil {
			bad = badRequest(fmt.Sprintf("tones[%d]", i), "%q is not one", name)
		}
		keys = append(keys, key)
	}
	if bad = firstOf(bad, clientContext(m.ClientContext), c.hosted(true), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("sendDtmfTonesOperation", m.ClientContext, "running")
	op.more["completionReason"] = c.server.Profile.enum("completedSuccessfully")
	c.mu.Lock()
	c.sentTones = append(c.sentTones, keys[:min(len(keys), maxKeys-len(c.sentTones))]...)
	c.mu.Unlock()
	return c.reply(r, op, http.StatusOK, c.afterwards(op, time.Duration(len(keys)*m.Delay)*time.Millisecond, nil))
}

// keyOfTone is the way back from the enumeration tone, "" if it is none.
func keyOfTone(name string) string {
	for _, key := range strings.Split("0123456789ABCD*#", "") {
		if strings.EqualFold(toneName(key), name) {
			return key
		}
	}
	if strings.EqualFold(name, "flash") {
		return "flash"
	}
	return ""
}

func (c *graphCall) screenSharing(r *graphRequest) (*response, func()) {
	var m struct {
		Role string `json:"role"`
	}
	bad := decodeGraph(r.body, &m)
	role := strings.ToLower(m.Role)
	if bad == nil && role != "viewer" && role != "sharer" {
		bad = badRequest("role", "%q: want viewer or sharer", m.Role)
	}
	if bad = firstOf(bad, c.groupOnly(), c.hosted(true), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	return newResponse(http.StatusAccepted, nil), func() {
		c.changeRoster(func() { c.change(c.self(), func(m *member) { m.sharer = role == "sharer" }) })
	}
}

func (c *graphCall) largeGallery(r *graphRequest) (*response, func()) {
	context, bad := optionalContext(r.body)
	if bad = firstOf(bad, c.groupOnly(), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("addLargeGalleryViewOperation", context, "running")
	return c.reply(r, op, http.StatusAccepted, c.afterwards(op, c.server.scaled(calleeDelay), func() {
		c.changeRoster(func() {
			view := graphParty{Kind: "application", ID: uuid.NewString(), Name: "LargeGallery", AppType: "LargeGallery-V2"}
			m := member{
				id: uuid.NewString(), party: view, msi: c.extraMSI(), speaker: -1, sequence: c.sequence,
				metadata: `{"audienceView":{"id":"` + view.ID + `","page":0,"status":"available","type":"lg","aspectRatio":"16:9"}}`,
			}
			c.members = append(c.members, m)
		})
	}))
}

func (c *graphCall) getOperation(r *graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := c.operations.byID[graphKey(r.ids[0])]
	if op == nil {
		return refuseGraph(graphError(http.StatusNotFound, "NotFound", "Operation not found."))
	}
	return newResponse(http.StatusOK, c.shape(op)), func() {}
}
