package cloud

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// transcriptionModel is WebSocketTranscriptionOptions.
type transcriptionModel struct {
	TransportType             string `json:"transportType"`
	TransportURL              string `json:"transportUrl"`
	Locale                    string `json:"locale"`
	SpeechModelEndpointID     string `json:"speechModelEndpointId"`
	StartTranscription        bool   `json:"startTranscription"`
	EnableIntermediateResults bool   `json:"enableIntermediateResults"`
}

// transcriptionOptions say what transcription the bot asked for.
type transcriptionOptions struct {
	url, locale, model string
	start              bool
	intermediate       bool
}

func (m *transcriptionModel) options(insecure bool) (*transcriptionOptions, *refusal) {
	u, err := url.Parse(m.TransportURL)
	if err != nil || u.Host == "" || (u.Scheme != "wss" && !(insecure && u.Scheme == "ws")) {
		return nil, badArgument("transportUrl", "%q: want a wss URL", m.TransportURL)
	}
	if bad := checkEnum("transportType", m.TransportType, true, []string{"websocket"}); bad != nil {
		return nil, bad
	}
	if m.Locale == "" {
		return nil, badArgument("locale", "is missing")
	}
	return &transcriptionOptions{
		url: m.TransportURL, locale: m.Locale, model: m.SpeechModelEndpointID,
		start: m.StartTranscription, intermediate: m.EnableIntermediateResults,
	}, nil
}

// transcriptionState is a call's transcription. It is guarded by Call.mu, but
// for conn and dial, which the call's goroutine owns.
type transcriptionState struct {
	id      string
	options transcriptionOptions
	locale  string
	model   string
	wanted  bool
	active  bool
	op      opModel // that started it
	wishes  []transcriptionWish

	shared bool       // it goes over the media's socket
	conn   *mediaConn // its own
	dial   chan dialledSocket
}

// transcriptionWish is a start, stop or update.
type transcriptionWish struct {
	name          string // of the operation
	op            opModel
	locale, model string
}

// copy returns what properties tell of t, which may be nil.
func (t *transcriptionState) copy() *transcriptionState {
	if t == nil {
		return nil
	}
	return &transcriptionState{id: t.id, options: t.options, locale: t.locale, active: t.active}
}

func (t *transcriptionState) results() []string {
	if t.options.intermediate {
		return []string{"final", "intermediate"}
	}
	return []string{"final"}
}

// transcriptionRequest is Start-, Stop- and UpdateTranscriptionRequest.
type transcriptionRequest struct {
	opModel
	Locale                string `json:"locale"`
	SpeechModelEndpointID string `json:"speechModelEndpointId"`
}

func parseTranscription(version string, body []byte, insecure, update bool) (m transcriptionRequest, bad *refusal) {
	if len(body) > 0 {
		if bad := decodeBody(body, &m); bad != nil {
			return m, bad
		}
	}
	if update && m.Locale == "" {
		return m, badArgument("locale", "is missing")
	}
	return m, m.check(version, insecure)
}

func (c *acsCall) startTranscription(req *request) (*response, func()) {
	return c.wantTranscription(req, "startTranscription")
}

func (c *acsCall) stopTranscription(req *request) (*response, func()) {
	return c.wantTranscription(req, "stopTranscription")
}

func (c *acsCall) updateTranscription(req *request) (*response, func()) {
	return c.wantTranscription(req, "updateTranscription")
}

func (c *acsCall) wantTranscription(req *request, name string) (*response, func()) {
	m, bad := parseTranscription(req.version, req.body, c.server.Insecure, name == "updateTranscription")
	if bad != nil {
		return refuse(bad)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.transcription
	switch {
	case t == nil:
		return refuse(wrongState("The call has no transcription options."))
	case name == "startTranscription" && t.wanted:
		return refuse(wrongState("Transcription is started already."))
	case name != "startTranscription" && !t.wanted:
		return refuse(wrongState("Transcription is not started."))
	}
	if name != "updateTranscription" {
		t.wanted = name == "startTranscription"
	}
	t.wishes = append(t.wishes, transcriptionWish{name: name, op: m.opModel, locale: m.Locale, model: m.SpeechModelEndpointID})
	return newResponse(http.StatusAccepted, nil), func() {}
}

// transcribe does a slot's transcription.
func (c *acsCall) transcribe(at moment) {
	t := c.transcription
	if t == nil {
		return
	}
	c.mu.Lock()
	if at.slot == 0 && t.options.start && !t.wanted {
		t.wanted = true
		t.wishes = append(t.wishes, transcriptionWish{name: "startTranscription", op: opModel{OperationContext: c.order.operationContext}})
	}
	wishes := t.wishes
	t.wishes = nil
	c.mu.Unlock()
	for _, w := range wishes {
		c.obeyTranscription(w, at.stream)
	}
	if t.dial != nil {
		select {
		case d := <-t.dial:
			t.dial = nil
			c.settleTranscription(d)
		default:
		}
	}
	if t.conn != nil && c.hasFaultAt(BreakTranscription, at.slot) {
		c.server.wg.Go(t.conn.breakOff)
		t.conn = nil
		c.loseTranscription("streamConnectionInterrupted")
	}
	if t.conn != nil && isClosed(t.conn.gone) {
		c.loseTranscription("streamConnectionInterrupted")
	}
	if !t.active {
		return
	}
	for i := range at.lines {
		c.transcribeLine(&at.lines[i], at)
	}
}

func (c *acsCall) obeyTranscription(w transcriptionWish, s *stream) {
	t := c.transcription
	if why := c.failure(w.name); why != nil {
		c.mu.Lock()
		t.wanted = t.active
		c.mu.Unlock()
		c.tellTranscription("TranscriptionFailed", "unspecifiedError", w.op, *why)
		return
	}
	c.mu.Lock()
	if w.locale != "" {
		t.locale = w.locale
	}
	if w.model != "" {
		t.model = w.model
	}
	c.mu.Unlock()
	switch w.name {
	case "updateTranscription":
		c.tellTranscription("TranscriptionUpdated", "transcriptionLocaleUpdated", w.op, resultDone)
	case "stopTranscription":
		c.endTranscription()
		c.tellTranscription("TranscriptionStopped", "subscriptionStopped", w.op, resultDone)
	default:
		t.op = w.op
		if conn, ok := s.conn.(*mediaConn); ok && t.options.url == c.asked.url {
			t.shared = true
			c.settleTranscription(dialledSocket{conn: conn})
			return
		}
		t.shared, t.dial = false, make(chan dialledSocket, 1)
		out := t.dial
		c.server.wg.Go(func() {
			conn, _, err := c.dialSocket(c.ctx, t.options.url)
			out <- dialledSocket{conn, err}
		})
	}
}

// settleTranscription takes the socket that the transcription goes over.
func (c *acsCall) settleTranscription(d dialledSocket) {
	t := c.transcription
	if d.err == nil && !t.shared {
		t.conn = d.conn
		c.server.wg.Go(d.conn.discardLoop)
	}
	if d.err == nil {
		d.err = d.conn.write(c.ctx, appendTranscriptionMetadata(nil, t, c.id, c.correlationID))
	}
	if d.err != nil {
		c.server.log.Warn("cloud: transcription not connected", "call", c.id, "error", d.err)
		c.loseTranscription("streamConnectionUnsuccessful")
		return
	}
	c.mu.Lock()
	t.active = t.wanted
	c.mu.Unlock()
	c.tellTranscription("TranscriptionStarted", "subscriptionStarted", t.op, resultDone)
}

// loseTranscription ends what has no socket. It is not dialled again: what the
// service does then is not documented.
func (c *acsCall) loseTranscription(details string) {
	c.endTranscription()
	result := Result{400, 8581, "Action failed, Transport url is not valid or web socket server is not operational."}
	if details == "streamConnectionInterrupted" {
		result = Result{500, 8578, "Action failed, transcription failed."}
	}
	c.tellTranscription("TranscriptionFailed", details, c.transcription.op, result)
}

func (c *acsCall) tellTranscription(event, details string, op opModel, result Result) {
	c.tell(event, op, result, eventData{TranscriptionUpdate: &transcriptionUpdate{
		TranscriptionStatus: lowerFirst(event), TranscriptionStatusDetails: details,
	}})
}

// endTranscription closes its socket, beside.
func (c *acsCall) endTranscription() {
	t := c.transcription
	if t == nil {
		return
	}
	c.mu.Lock()
	t.active, t.wanted = false, false
	c.mu.Unlock()
	if conn := t.conn; conn != nil {
		t.conn = nil
		c.server.wg.Go(conn.hangUp)
	}
	if dial := t.dial; dial != nil {
		t.dial = nil
		c.server.wg.Go(func() {
			if d := <-dial; d.conn != nil {
				_ = d.conn.ws.Close()
			}
		})
	}
}

// ticksPerSlot counts 100 ns, the unit of offsets; those are counted from the
// start of the call's media, which the documents leave open.
const ticksPerSlot = int64(20 * time.Millisecond / 100)

// transcribeLine sends what a speaker has said, and with intermediate results
// the first half of what is being said, in the middle of it.
func (c *acsCall) transcribeLine(l *line, at moment) {
	if c.hushedSpeaker(l.speaker) {
		return
	}
	c.mu.Lock()
	id := c.streamID(l.speaker)
	c.mu.Unlock()
	if u := l.saying; u != nil && c.transcription.options.intermediate && at.slot == u.from+u.slots/2 {
		if words := strings.Fields(u.text); len(words) > 1 {
			half := *u
			half.text, half.slots = strings.Join(words[:len(words)/2], " "), u.slots/2
			c.sendTranscript(half, id, "Intermediate", at)
		}
	}
	for _, u := range l.said {
		c.sendTranscript(u, id, "Final", at)
	}
}

func (c *acsCall) sendTranscript(u utterance, id, status string, at moment) {
	t := c.transcription
	conn := t.conn
	if t.shared {
		conn, _ = at.stream.conn.(*mediaConn)
	}
	if conn == nil {
		if t.active {
			c.loseTranscription("streamConnectionInterrupted")
		}
		return
	}
	if err := conn.write(c.ctx, appendTranscript(nil, u, id, status)); err != nil {
		c.loseTranscription("streamConnectionInterrupted")
	}
}

// hasFaultAt tells of a fault that befalls a slot.
func (c *Call) hasFaultAt(kind FaultKind, slot int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.faults, func(f Fault) bool { return f.Kind == kind && f.Slot == slot })
}

// hushedSpeaker tells whether somebody is muted or on hold.
func (c *Call) hushedSpeaker(speaker int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mutes[speaker]
}

// discardLoop reads and forgets what the bot sends on a socket on which it has
// nothing to say.
func (m *mediaConn) discardLoop() {
	defer close(m.gone)
	for {
		m.wait(context.Background(), m.left)
		if _, _, err := m.ws.ReadMessage(); err != nil {
			m.err = err
			return
		}
	}
}

type transcriptionMetadata struct {
	SubscriptionID                   string `json:"subscriptionId"`
	Locale                           string `json:"locale"`
	CallConnectionID                 string `json:"callConnectionId"`
	CorrelationID                    string `json:"correlationId"`
	SpeechRecognitionModelEndpointID string `json:"speechRecognitionModelEndpointId,omitempty"`
}

// appendTranscriptionMetadata appends the first message of a transcription.
func appendTranscriptionMetadata(b []byte, t *transcriptionState, call, correlation string) []byte {
	b = append(b, `{"kind":"TranscriptionMetadata","transcriptionMetadata":`...)
	b = append(b, marshal(transcriptionMetadata{t.id, t.locale, call, correlation, t.model})...)
	return append(b, '}')
}

type transcriptModel struct {
	Text             string           `json:"text"`
	Format           string           `json:"format"`
	Confidence       float64          `json:"confidence"`
	Offset           int64            `json:"offset"`
	Duration         int64            `json:"duration"`
	Words            []transcriptWord `json:"words"`
	ParticipantRawID string           `json:"participantRawID"`
	ResultStatus     string           `json:"resultStatus"`
}

type transcriptWord struct {
	Text     string `json:"text"`
	Offset   int64  `json:"offset"`
	Duration int64  `json:"duration"`
}

// appendTranscript appends a TranscriptionData. Its words share its time
// evenly, and are spelt without punctuation, as the documents' sample has
// them.
func appendTranscript(b []byte, u utterance, id, status string) []byte {
	words := strings.Fields(u.text)
	from, length := int64(u.from)*ticksPerSlot, int64(u.slots)*ticksPerSlot
	m := transcriptModel{
		Text: u.text, Format: "display", Confidence: scriptConfidence, Offset: from, Duration: length,
		Words: []transcriptWord{}, ParticipantRawID: id, ResultStatus: status,
	}
	n := int64(len(words))
	for i, word := range words {
		m.Words = append(m.Words, transcriptWord{
			Text: strings.ToLower(strings.Trim(word, ".,;:!?\"")), Offset: from + length*int64(i)/n, Duration: length / n,
		})
	}
	b = append(b, `{"kind":"TranscriptionData","transcriptionData":`...)
	b = append(b, marshal(m)...)
	return append(b, '}')
}
