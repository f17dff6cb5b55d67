package cloud

import (
	"fmt"
	"net/http"
	"strings"
)

// tonesByKey is the enumeration Tone, by key.
var tonesByKey = map[string]string{
	"0": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
	"8": "eight", "9": "nine", "A": "a", "B": "b", "C": "c", "D": "d", "#": "pound", "*": "asterisk",
}

// toneOf is a key's name, and keyOf the way back, "" if there is no such tone.
func toneOf(key string) string { return tonesByKey[strings.ToUpper(key)] }

func keyOf(name string) string {
	for key, tone := range tonesByKey {
		if strings.EqualFold(tone, name) {
			return key
		}
	}
	return ""
}

// tonesRequest is ContinuousDtmfRecognitionRequest and SendDtmfTonesRequest.
type tonesRequest struct {
	opModel
	Tones             []string    `json:"tones"`
	TargetParticipant *identifier `json:"targetParticipant"`
}

func parseTones(version string, body []byte, insecure bool) (m tonesRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if m.TargetParticipant == nil {
		return m, badArgument("targetParticipant", "is missing")
	}
	if bad := m.TargetParticipant.normalize("targetParticipant"); bad != nil {
		return m, bad
	}
	return m, m.check(version, insecure)
}

// toneWatch is the continuous recognition of somebody's tones.
type toneWatch struct {
	op       opModel
	sequence int
}

// recognition reads whose tones are to be recognized, or not any more.
func (c *acsCall) recognition(req *request) (op opModel, id string, bad *refusal) {
	m, bad := parseTones(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return op, "", bad
	}
	id = m.TargetParticipant.rawID()
	return m.opModel, id, c.present(id)
}

// startTones begins to recognize a participant's keys. Beginning anew replaces
// the context.
func (c *acsCall) startTones(req *request) (*response, func()) {
	op, id, bad := c.recognition(req)
	if bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.studio.legs[id]; old != nil {
		return refuse(incompatible("startContinuousDtmfRecognition", old.name, id))
	}
	if c.studio.tones == nil {
		c.studio.tones = map[string]*toneWatch{}
	}
	c.studio.tones[id] = &toneWatch{op: op}
	return newResponse(http.StatusOK, nil), func() {
		if why := c.failure("startContinuousDtmfRecognition"); why != nil {
			c.mu.Lock()
			delete(c.studio.tones, id)
			c.mu.Unlock()
			c.tell("ContinuousDtmfRecognitionToneFailed", op, *why, eventData{})
		}
	}
}

// stopTones ends that. Where it had not begun, it is said to have ended all
// the same.
func (c *acsCall) stopTones(req *request) (*response, func()) {
	op, id, bad := c.recognition(req)
	if bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	delete(c.studio.tones, id)
	c.mu.Unlock()
	return newResponse(http.StatusOK, nil), func() {
		c.tell("ContinuousDtmfRecognitionStopped", op, resultDone, eventData{})
	}
}

// watchTones tells of the keys of a slot.
func (c *acsCall) watchTones(at moment) {
	for _, k := range at.keys {
		c.mu.Lock()
		var watch toneWatch
		for id, w := range c.studio.tones {
			if p := c.party(id); p != nil && p.speaker == k.speaker {
				w.sequence++
				watch = *w
			}
		}
		c.mu.Unlock()
		if watch.sequence > 0 {
			c.tell("ContinuousDtmfRecognitionToneReceived", watch.op, resultDone, eventData{SequenceID: watch.sequence, Tone: toneOf(k.tone)})
		}
	}
}

// maxSentTones is how many go in one request ("Send DTMF"), and slotsPerTone
// how long each takes: 160 ms, and 80 ms of pause.
const (
	maxSentTones = 18
	slotsPerTone = 12
)

func (c *acsCall) sendTones(req *request) (*response, func()) {
	m, bad := parseTones(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	if len(m.Tones) == 0 || len(m.Tones) > maxSentTones {
		return refuse(badArgument("tones", "%d: want 1 to %d", len(m.Tones), maxSentTones))
	}
	work := &sending{c: c, op: m.opModel}
	for i, name := range m.Tones {
		key := keyOf(name)
		if key == "" {
			return refuse(badArgument(fmt.Sprintf("tones[%d]", i), "%q is not a tone", name))
		}
		work.keys = append(work.keys, key)
	}
	id := m.TargetParticipant.rawID()
	if bad := c.present(id); bad != nil {
		return refuse(bad)
	}
	if bad := c.mount(id, false, &act{name: "sendDtmfTones", op: m.opModel, worker: work}); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusAccepted, contextResponse{m.OperationContext}), func() {}
}

// sending is the worker of sendDtmfTones: the keys go out one by one.
type sending struct {
	c    *acsCall
	op   opModel
	keys []string
	wait int
}

func (w *sending) step(moment) bool {
	if w.wait > 0 {
		w.wait--
		return false
	}
	if len(w.keys) == 0 {
		w.c.tell("SendDtmfTonesCompleted", w.op, resultDone, eventData{})
		return true
	}
	w.c.mu.Lock()
	w.c.sentTones = append(w.c.sentTones, w.keys[0])
	w.c.mu.Unlock()
	w.keys, w.wait = w.keys[1:], slotsPerTone-1
	return false
}

func (w *sending) fail(_ int, why Result) {
	w.c.tell("SendDtmfTonesFailed", w.op, why, eventData{})
}
