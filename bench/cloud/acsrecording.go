package cloud

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// recordingRequest is StartCallRecordingRequest of all versions.
type recordingRequest struct {
	CallLocator                     *locatorModel `json:"callLocator"`
	CallConnectionID                string        `json:"callConnectionId"` // from 2025 on
	RecordingStateCallbackURI       string        `json:"recordingStateCallbackUri"`
	RecordingContentType            string        `json:"recordingContentType"`
	RecordingChannelType            string        `json:"recordingChannelType"`
	RecordingFormatType             string        `json:"recordingFormatType"`
	AudioChannelParticipantOrdering []identifier  `json:"audioChannelParticipantOrdering"`
	ChannelAffinity                 []struct {
		Channel     *int        `json:"channel"`
		Participant *identifier `json:"participant"`
	} `json:"channelAffinity"`
	PauseOnStart    bool `json:"pauseOnStart"` // from 2024 on
	ExternalStorage *struct {
		RecordingStorageKind             string `json:"recordingStorageKind"`
		RecordingDestinationContainerURL string `json:"recordingDestinationContainerUrl"`
	} `json:"externalStorage"`
}

// recordingChannels is how many channels an unmixed recording has: those that
// channelAffinity can name, 0 to 4.
const recordingChannels = 5

func parseRecording(version string, body []byte, insecure bool) (m recordingRequest, bad *refusal) {
	if bad := decodeBody(body, &m); bad != nil {
		return m, bad
	}
	if version < version2025 {
		m.CallConnectionID = ""
	}
	if version < version2024 {
		m.PauseOnStart, m.ExternalStorage = false, nil
	}
	switch {
	case m.CallLocator == nil && m.CallConnectionID == "":
		return m, badArgument("callLocator", "is missing")
	case m.CallLocator != nil:
		if bad := m.CallLocator.check("callLocator"); bad != nil {
			return m, bad
		}
	}
	if m.RecordingStateCallbackURI != "" {
		if bad := checkCallback("recordingStateCallbackUri", m.RecordingStateCallbackURI, insecure); bad != nil {
			return m, bad
		}
	}
	if bad := m.checkFormat(); bad != nil {
		return m, bad
	}
	return m, m.checkChannels()
}

// checkFormat completes and judges what is to be recorded: video is mp4, audio
// mp3 or wav, and unmixed audio wav ("Call Recording overview").
func (m *recordingRequest) checkFormat() *refusal {
	for _, e := range []struct {
		field string
		value *string
		want  []string
	}{
		{"recordingContentType", &m.RecordingContentType, []string{"audioVideo", "audio"}},
		{"recordingChannelType", &m.RecordingChannelType, []string{"mixed", "unmixed"}},
		{"recordingFormatType", &m.RecordingFormatType, []string{"mp4", "mp3", "wav"}},
	} {
		if bad := checkEnum(e.field, *e.value, false, e.want); bad != nil {
			return bad
		}
		for _, name := range e.want {
			if strings.EqualFold(name, *e.value) {
				*e.value = name
			}
		}
	}
	if m.RecordingContentType == "" {
		m.RecordingContentType = "audioVideo"
		if m.RecordingFormatType == "wav" || m.RecordingFormatType == "mp3" || m.RecordingChannelType == "unmixed" {
			m.RecordingContentType = "audio"
		}
	}
	if m.RecordingChannelType == "" {
		m.RecordingChannelType = "mixed"
	}
	video, unmixed, format := m.RecordingContentType == "audioVideo", m.RecordingChannelType == "unmixed", m.RecordingFormatType
	wrong := func(code, field, why string) *refusal {
		return &refusal{status: http.StatusBadRequest, code: code, target: field, message: why}
	}
	switch {
	case video && unmixed:
		return wrong("8562", "recordingChannelType", "only audio can be recorded unmixed")
	case video && format != "" && format != "mp4", !video && format == "mp4":
		return wrong("8557", "recordingFormatType", fmt.Sprintf("%q does not fit %s", format, m.RecordingContentType))
	case unmixed && format != "" && format != "wav":
		return wrong("8557", "recordingFormatType", fmt.Sprintf("%q: unmixed recordings are wav", format))
	}
	return nil
}

func (m *recordingRequest) checkChannels() *refusal {
	for i := range m.AudioChannelParticipantOrdering {
		if bad := m.AudioChannelParticipantOrdering[i].normalize(fmt.Sprintf("audioChannelParticipantOrdering[%d]", i)); bad != nil {
			return bad
		}
	}
	taken := map[int]bool{}
	for i, a := range m.ChannelAffinity {
		field := fmt.Sprintf("channelAffinity[%d].", i)
		switch {
		case a.Participant == nil:
			return badArgument(field+"participant", "is missing")
		case a.Channel == nil:
		case *a.Channel < 0 || *a.Channel >= recordingChannels:
			return badArgument(field+"channel", "%d: want 0 to %d", *a.Channel, recordingChannels-1)
		case taken[*a.Channel]:
			return badArgument(field+"channel", "%d is another's", *a.Channel)
		default:
			taken[*a.Channel] = true
		}
		if bad := a.Participant.normalize(field + "participant"); bad != nil {
			return bad
		}
	}
	if s := m.ExternalStorage; s != nil {
		if bad := checkEnum("externalStorage.recordingStorageKind", s.RecordingStorageKind, true, []string{"azureCommunicationServices", "azureBlobStorage"}); bad != nil {
			return bad
		}
		if strings.EqualFold(s.RecordingStorageKind, "azureBlobStorage") && s.RecordingDestinationContainerURL == "" {
			return badArgument("externalStorage.recordingDestinationContainerUrl", "is missing")
		}
	}
	return nil
}

// recordingTake is a recording of a call. It is guarded by the call's mu.
type recordingTake struct {
	// Static after construction.
	id, document string
	c            *acsCall
	request      recordingRequest
	version      string
	from         int // slot
	start        time.Time

	take     *take
	channels []string // whose each is, of an unmixed one
	paused   bool
	ended    bool
	removed  bool
	reason   string // why it ended
}

// recordingState is RecordingStateResponse.
type recordingState struct {
	RecordingID    string `json:"recordingId"`
	RecordingState string `json:"recordingState"`
	RecordingKind  string `json:"recordingKind,omitempty"` // from 2024 on
}

func (t *recordingTake) state() string {
	if t.paused || t.ended {
		return "inactive"
	}
	return "active"
}

func (t *recordingTake) model(version string) recordingState {
	m := recordingState{RecordingID: t.id, RecordingState: t.state()}
	if version >= version2024 {
		m.RecordingKind = "azureCommunicationServices"
	}
	return m
}

func newRecordingID() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"PlatformEndpointId":%q,"ResourceSpecificId":%q}`, uuid.NewString(), uuid.NewString()))
}

// startRecording begins to record a call: its mix, or its first five parties
// each on a channel of their own. Whatever format is asked for, the file is a
// WAV: the emulator has no encoder.
func (s *Server) startRecording(req *request) (*response, func()) {
	m, bad := parseRecording(req.version, req.body, s.Insecure)
	if bad != nil {
		return refuse(bad)
	}
	c := s.live(m.CallConnectionID)
	if m.CallLocator != nil {
		c = s.located(m.CallLocator)
	}
	if c == nil {
		return refuse(notFound("Call"))
	}
	if bad := c.standing(); bad != nil {
		return refuse(bad)
	}
	t := &recordingTake{
		id: newRecordingID(), document: "0-" + uuid.NewString(), c: c, request: m, version: req.version,
		start: time.Now(), paused: m.PauseOnStart, channels: make([]string, recordingChannels),
	}
	if why := c.failure("startRecording"); why != nil {
		if req.version < version2025 {
			return refuse(&refusal{status: http.StatusInternalServerError, code: fmt.Sprint(why.SubCode), message: why.Message})
		}
		t.ended = true
		return newResponse(http.StatusAccepted, t.model(req.version)), func() {
			c.emit("StartRecordingFailed", eventData{RecordingID: t.id, ResultInformation: why}, m.RecordingStateCallbackURI)
		}
	}
	if bad := s.beginTake(t); bad != nil {
		return refuse(bad)
	}
	return newResponse(http.StatusOK, t.model(req.version)), t.tell
}

// beginTake puts a recording to work.
func (s *Server) beginTake(t *recordingTake) *refusal {
	channels := 1
	if t.request.RecordingChannelType == "unmixed" {
		channels = recordingChannels
	}
	for _, a := range t.request.ChannelAffinity {
		if a.Channel != nil {
			t.channels[*a.Channel] = a.Participant.rawID()
		}
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if len(t.c.takes) > 0 {
		return &refusal{status: http.StatusBadRequest, code: "8559", message: "The call is recorded already."}
	}
	file, err := newTake(s.RecordingDir, t.document+".wav", channels)
	if err != nil {
		return &refusal{status: http.StatusInternalServerError, code: "500", message: err.Error()}
	}
	t.take, t.from = file, t.c.media.slots
	t.c.takes = append(t.c.takes, t)
	s.keepTake(t)
	return nil
}

// tell says how a recording is.
func (t *recordingTake) tell() {
	t.c.mu.Lock()
	data := eventData{
		RecordingID: t.id, State: t.state(), StartDateTime: t.start.UTC().Format(eventTime),
		RecordingKind: "azureCommunicationServices", ResultInformation: &Result{200, 0, "Action completed successfully."},
	}
	t.c.mu.Unlock()
	t.c.emit("RecordingStateChanged", data, t.request.RecordingStateCallbackURI)
}

// takeOf returns a recording that has not ended, or nil.
func (s *Server) takeOf(id string) *recordingTake {
	s.mu.Lock()
	t := s.takes.byID[id]
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.ended {
		return nil
	}
	return t
}

func (s *Server) getRecording(req *request) (*response, func()) {
	t := s.takeOf(req.ids[0])
	if t == nil {
		return refuse(notFound("Recording"))
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return newResponse(http.StatusOK, t.model(req.version)), func() {}
}

func (s *Server) stopRecording(req *request) (*response, func()) {
	t := s.takeOf(req.ids[0])
	if t == nil {
		return refuse(notFound("Recording"))
	}
	return newResponse(http.StatusNoContent, nil), func() { t.end("SessionStopped") }
}

func (s *Server) pauseRecording(req *request) (*response, func())  { return s.pause(req, true) }
func (s *Server) resumeRecording(req *request) (*response, func()) { return s.pause(req, false) }

// pause stops a recording for a while: what is said meanwhile is not in the
// file, which goes on without a gap.
func (s *Server) pause(req *request, on bool) (*response, func()) {
	t := s.takeOf(req.ids[0])
	if t == nil {
		return refuse(notFound("Recording"))
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.paused == on {
		return refuse(&refusal{
			status: http.StatusBadRequest, code: "8573",
			message: "The recording is " + map[bool]string{true: "paused already.", false: "not paused."}[on],
		})
	}
	t.paused = on
	return newResponse(http.StatusAccepted, nil), t.tell
}

// record writes a slot that has passed into the call's recordings.
func (c *acsCall) record(slot int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.takes {
		if t.ended || t.paused || slot < t.from {
			continue
		}
		t.from = slot + 1
		t.take.write(t.compose(slot))
	}
}

// compose is what was said in a slot, by channel. Called with Call.mu held.
func (t *recordingTake) compose(slot int) [][]int16 {
	c := t.c
	lines := append([]line{{speaker: -1, samples: c.heardIn(slot)}}, c.voices(slot)...)
	if t.take.channels == 1 {
		return [][]int16{sum(lines)}
	}
	t.assign()
	out := make([][]int16, recordingChannels)
	for _, l := range lines {
		id := c.botID()
		if l.speaker >= 0 {
			id = c.stage.actors[l.speaker].ID
		}
		if i := slices.Index(t.channels, id); i >= 0 {
			out[i] = l.samples
		}
	}
	return out
}

// assign gives the parties who have none a channel, while there are any: first
// those whom the bot named, then the others in the order of the roster, and
// the bot itself last. Called with Call.mu held.
func (t *recordingTake) assign() {
	var ids []string
	for _, a := range t.request.ChannelAffinity {
		ids = append(ids, a.Participant.rawID())
	}
	for i := range t.request.AudioChannelParticipantOrdering {
		ids = append(ids, t.request.AudioChannelParticipantOrdering[i].rawID())
	}
	for _, p := range t.c.others() {
		ids = append(ids, p.id.rawID())
	}
	for _, id := range append(ids, t.c.botID()) {
		free := slices.Index(t.channels, "")
		if free >= 0 && !slices.Contains(t.channels, id) {
			t.channels[free] = id
		}
	}
}

// botID is the bot's raw id, or a word for it if it has none. Called with
// Call.mu held.
func (c *acsCall) botID() string {
	if all := c.others(); len(all) < len(c.people) {
		return c.people[0].id.rawID()
	}
	return "bot"
}
