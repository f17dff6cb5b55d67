package cloud

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// playRequest is PlayRequest of all versions.
type playRequest struct {
	opModel
	PlaySourceInfo *playSource   `json:"playSourceInfo"` // 2022
	PlaySources    []*playSource `json:"playSources"`
	PlayTo         []identifier  `json:"playTo"`
	PlayOptions    *struct {
		Loop *bool `json:"loop"`
	} `json:"playOptions"`
	InterruptCallMediaOperation bool `json:"interruptCallMediaOperation"` // from 2025 on
}

// playSource is a PlaySource of all versions.
type playSource struct {
	Kind              string `json:"kind"`
	PlaySourceCacheID string `json:"playSourceCacheId"`
	File              *struct {
		URI string `json:"uri"`
	} `json:"file"`
	Text *struct {
		Text      string `json:"text"`
		VoiceKind string `json:"voiceKind"`
	} `json:"text"`
	SSML *struct {
		Text string `json:"ssmlText"`
	} `json:"ssml"`

	// 2022
	SourceType   string `json:"sourceType"`
	PlaySourceID string `json:"playSourceId"`
	FileSource   *struct {
		URI string `json:"uri"`
	} `json:"fileSource"`
}

// source checks what is to be played. Text and SSML came with 2023-10-15.
func (p *playSource) source(version string) (promptSource, *refusal) {
	kinds, field := []string{"file", "text", "ssml"}, "kind"
	switch {
	case version == version2022:
		p.Kind, p.PlaySourceCacheID, p.File = p.SourceType, p.PlaySourceID, p.FileSource
		kinds, field = kinds[:1], "sourceType"
	case version < version2024:
		kinds = kinds[:1]
	}
	if bad := checkEnum(field, p.Kind, true, kinds); bad != nil {
		return promptSource{}, bad
	}
	out := promptSource{kind: strings.ToLower(p.Kind), cacheID: p.PlaySourceCacheID}
	switch {
	case out.kind == "file" && p.File == nil:
		return out, badArgument("file", "is missing")
	case out.kind == "file":
		u, err := url.Parse(p.File.URI)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return out, badArgument("file.uri", "%q: want the address of a WAV file", p.File.URI)
		}
		out.uri = p.File.URI
	case out.kind == "text" && p.Text != nil:
		if bad := checkEnum("text.voiceKind", p.Text.VoiceKind, false, []string{"male", "female"}); bad != nil {
			return out, bad
		}
		out.text = p.Text.Text
	case out.kind == "ssml" && p.SSML != nil:
		out.text = p.SSML.Text
	}
	if out.kind != "file" && strings.TrimSpace(out.text) == "" {
		return out, &refusal{status: http.StatusBadRequest, code: "8582", target: out.kind, message: "is empty"}
	}
	return out, nil
}

// maxSources bounds the prompts of one request. The service's own bound is not
// documented.
const maxSources = 20

func promptSources(version, field string, all []*playSource) (out []promptSource, bad *refusal) {
	if len(all) > maxSources {
		return nil, badArgument(field, "%d, at most %d", len(all), maxSources)
	}
	for i, p := range all {
		at := fmt.Sprintf("%s[%d]", field, i)
		if p == nil {
			return nil, badArgument(at, "is null")
		}
		source, bad := p.source(version)
		if bad != nil {
			return nil, bad.within(at)
		}
		out = append(out, source)
	}
	return out, nil
}

// playOrder is a playRequest that has been checked.
type playOrder struct {
	op        opModel
	sources   []promptSource
	to        []string
	loop      bool
	interrupt bool
}

func parsePlay(version string, body []byte, insecure bool) (o playOrder, bad *refusal) {
	var m playRequest
	if bad := decodeBody(body, &m); bad != nil {
		return o, bad
	}
	if bad := m.check(version, insecure); bad != nil {
		return o, bad
	}
	field := "playSources"
	if version == version2022 {
		field, m.PlaySources = "playSourceInfo", nil
		if m.PlaySourceInfo != nil {
			m.PlaySources = []*playSource{m.PlaySourceInfo}
		}
	}
	if len(m.PlaySources) == 0 {
		return o, badArgument(field, "is missing")
	}
	if o.sources, bad = promptSources(version, field, m.PlaySources); bad != nil {
		return o, bad
	}
	if m.PlayOptions != nil {
		if m.PlayOptions.Loop == nil {
			return o, badArgument("playOptions.loop", "is missing")
		}
		o.loop = *m.PlayOptions.Loop
	}
	for i := range m.PlayTo {
		if bad := m.PlayTo[i].normalize(fmt.Sprintf("playTo[%d]", i)); bad != nil {
			return o, bad
		}
		o.to = append(o.to, m.PlayTo[i].rawID())
	}
	o.op, o.interrupt = m.opModel, m.InterruptCallMediaOperation && version >= version2025
	return o, nil
}

func (c *acsCall) play(req *request) (*response, func()) {
	o, bad := parsePlay(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	if bad := c.present(o.to...); bad != nil {
		return refuse(bad)
	}
	leg := ""
	if len(o.to) > 0 {
		leg = o.to[0]
	}
	work := &playing{c: c, op: o.op, p: c.newPrompter(o.sources, o.to, o.loop)}
	if bad := c.mount(leg, o.interrupt, &act{name: "play", op: o.op, worker: work}); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusAccepted, nil), func() {}
}

// present refuses participants who are not in the call.
func (c *acsCall) present(ids ...string) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if c.party(id) == nil {
			return notFound(fmt.Sprintf("Participant %q", id))
		}
	}
	return nil
}

// playing is the worker of play.
type playing struct {
	c       *acsCall
	op      opModel
	p       *prompter
	started bool
}

func (w *playing) step(at moment) bool {
	over, err := w.p.step(at.slot)
	if err != nil {
		result, index := resultOf(err)
		w.c.tell("PlayFailed", w.op, result, eventData{FailedPlaySourceIndex: index})
		return true
	}
	if w.p.begun && !w.started {
		w.started = true
		w.c.tell("PlayStarted", w.op, resultDone, eventData{})
	}
	if over {
		w.c.tell("PlayCompleted", w.op, resultDone, eventData{})
	}
	return over
}

func (w *playing) fail(slot int, why Result) {
	w.p.cut(slot)
	event := "PlayFailed"
	if why == resultCanceled {
		event = "PlayCanceled"
	}
	w.c.tell(event, w.op, why, eventData{})
}

// holdRequest is HoldRequest and UnholdRequest.
type holdRequest struct {
	opModel
	TargetParticipant *identifier `json:"targetParticipant"`
	PlaySourceInfo    *playSource `json:"playSourceInfo"`
}

func parseHold(version string, body []byte, insecure bool) (m holdRequest, music []promptSource, bad *refusal) {
	if bad = decodeBody(body, &m); bad != nil {
		return m, nil, bad
	}
	if m.TargetParticipant == nil {
		return m, nil, badArgument("targetParticipant", "is missing")
	}
	if bad = m.TargetParticipant.normalize("targetParticipant"); bad != nil {
		return m, nil, bad
	}
	if bad = m.check(version, insecure); bad != nil {
		return m, nil, bad
	}
	if m.PlaySourceInfo != nil {
		music, bad = promptSources(version, "playSourceInfo", []*playSource{m.PlaySourceInfo})
	}
	return m, music, bad
}

// hold keeps a participant's audio from the call, and the call's from them.
// They hear music, over and over, if there is any.
func (c *acsCall) hold(req *request) (*response, func()) {
	m, music, bad := parseHold(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	id := m.TargetParticipant.rawID()
	if bad := c.putOnHold(id, true); bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	if c.studio.music == nil {
		c.studio.music = map[string]*act{}
	}
	c.studio.music[id] = &act{name: "hold", op: m.opModel, worker: &holding{c: c, op: m.opModel, id: id, p: c.newPrompter(music, []string{id}, true)}}
	c.mu.Unlock()
	return newResponse(http.StatusOK, nil), c.tellRoster
}

func (c *acsCall) unhold(req *request) (*response, func()) {
	m, _, bad := parseHold(req.version, req.body, c.server.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	if bad := c.putOnHold(m.TargetParticipant.rawID(), false); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusOK, nil), c.tellRoster
}

// putOnHold notes it; a participant who is in that state already is left so,
// and refused with 400/8585.
func (c *acsCall) putOnHold(id string, on bool) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.party(id)
	switch {
	case p == nil:
		return notFound(fmt.Sprintf("Participant %q", id))
	case p.held == on:
		return wrongState("The participant is %s.", map[bool]string{true: "on hold already", false: "not on hold"}[on])
	}
	p.held = on
	c.silence(p)
	if music := c.studio.music[id]; music != nil && !on {
		music.cancelled = true
	}
	return nil
}

// holding is the worker of hold: it plays the music.
type holding struct {
	c  *acsCall
	op opModel
	id string
	p  *prompter
}

func (w *holding) step(at moment) bool {
	if len(w.p.sources) == 0 {
		return true
	}
	over, err := w.p.step(at.slot)
	if err != nil {
		result, _ := resultOf(err)
		w.fail(at.slot, result)
	}
	return over
}

// fail ends the music; if it did not because of unhold, the participant is not
// on hold any more, and the bot is told.
func (w *holding) fail(slot int, why Result) {
	w.p.cut(slot)
	if why == resultCanceled {
		return
	}
	if w.c.putOnHold(w.id, false) == nil {
		w.c.tellRoster()
	}
	w.c.tell("HoldFailed", w.op, why, eventData{})
}
