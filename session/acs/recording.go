package acs

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

const recordingsPath = "/calling/recordings"

// Recording is one that the service makes of a call.
type Recording struct {
	ID string
	// State is active or inactive, which paused and ended ones are.
	State string
	// Kind is azureCommunicationServices, teams or teamsCompliance; empty in
	// Version2022.
	Kind string
	// Start is zero but in an event.
	Start time.Time
}

type recordingModel struct {
	RecordingID string `json:"recordingId"`
	Status      string `json:"recordingState"`
	Kind        string `json:"recordingKind"`
}

func (r *recordingModel) recording() Recording {
	return Recording{ID: r.RecordingID, State: r.Status, Kind: r.Kind}
}

// StartRecording says how to record a call. What is empty is left to the
// service: mixed audio and video, mp4.
type StartRecording struct {
	// Call by its server or group call id; or CallID, its callConnectionId,
	// which Version2022 does not take.
	Call   Locator
	CallID string
	// StateCallbackURI gets RecordingStateChanged.
	StateCallbackURI string
	// Content is audio or audioVideo, Channels mixed or unmixed, Format wav,
	// mp3 or mp4. Unmixed is audio in wav.
	Content, Channels, Format string
	// Order gives the parties, by raw id, channels in an unmixed recording.
	Order []string
	// Channel gives single ones a channel, 0 to 4. Not in Version2022.
	Channel map[string]int
	// Paused begins so. Not in Version2022.
	Paused bool
	// Container is the address of a blob container of your own to record
	// into; empty means the service's storage, for 48 hours. Not in
	// Version2022.
	Container string
}

type recordingRequest struct {
	Locator       *callLocator    `json:"callLocator,omitzero"`
	CallID        string          `json:"callConnectionId,omitzero"`
	StateCallback string          `json:"recordingStateCallbackUri,omitzero"`
	Content       string          `json:"recordingContentType,omitzero"`
	Channels      string          `json:"recordingChannelType,omitzero"`
	Format        string          `json:"recordingFormatType,omitzero"`
	Order         []identifier    `json:"audioChannelParticipantOrdering,omitempty"`
	Affinity      []affinity      `json:"channelAffinity,omitempty"`
	Paused        bool            `json:"pauseOnStart,omitzero"`
	Storage       *storageRequest `json:"externalStorage,omitzero"`
}

type affinity struct {
	Channel int        `json:"channel"`
	Party   identifier `json:"participant"`
}

type storageRequest struct {
	Kind      string `json:"recordingStorageKind"`
	Container string `json:"recordingDestinationContainerUrl"`
}

// StartRecording has the service record a call: "Start Recording". That it is
// going is told by RecordingStateChanged at StateCallbackURI.
func (c *Client) StartRecording(ctx context.Context, s StartRecording) (Recording, error) {
	const op = "start recording"
	body, err := c.recordingBody(&s)
	if err != nil {
		return Recording{}, c.localError(op, err)
	}
	r := request{
		op: op, method: http.MethodPost, path: recordingsPath,
		want: []int{http.StatusOK, http.StatusAccepted}, repeatable: true,
	}
	if r.body, err = rest.Marshal(body); err != nil {
		return Recording{}, c.localError(op, err)
	}
	return c.recording(ctx, r)
}

func (c *Client) recordingBody(s *StartRecording) (body recordingRequest, err error) {
	if err := c.optionalWeb("recordingStateCallbackUri", s.StateCallbackURI); err != nil {
		return body, err
	}
	body = recordingRequest{
		CallID: s.CallID, StateCallback: s.StateCallbackURI, Content: s.Content, Channels: s.Channels, Format: s.Format, Paused: s.Paused,
	}
	switch {
	case s.CallID != "" && s.Call != (Locator{}):
		return body, &session.FieldError{Field: "callConnectionId", Value: rest.Clip(s.CallID), Want: "want it or a callLocator, not both"}
	case s.CallID == "":
		locator, err := s.Call.wire()
		if err != nil {
			return body, err
		}
		body.Locator = &locator
	}
	if body.Order, err = c.parties("audioChannelParticipantOrdering", s.Order); err != nil {
		return body, err
	}
	if err := c.recording2026(s, &body); err != nil {
		return body, err
	}
	return body, nil
}

// recording2026 adds what Version2022 has no words for, or refuses it.
func (c *Client) recording2026(s *StartRecording, body *recordingRequest) error {
	for what, asked := range map[string]bool{
		"recording by callConnectionId": s.CallID != "", "channelAffinity": len(s.Channel) > 0, "pauseOnStart": s.Paused,
		"externalStorage": s.Container != "", "recording of a room": s.Call.RoomID != "",
	} {
		if !asked {
			continue
		}
		if err := c.needs2026(what); err != nil {
			return err
		}
	}
	for _, raw := range sortedKeys(s.Channel) {
		id, err := c.party("channelAffinity.participant", raw)
		if err != nil {
			return err
		}
		if ch := s.Channel[raw]; ch < 0 || ch > 4 {
			return badNumber("channelAffinity.channel", ch, 0, 4)
		}
		body.Affinity = append(body.Affinity, affinity{s.Channel[raw], id})
	}
	if s.Container == "" {
		return nil
	}
	if err := c.webAddress("externalStorage.recordingDestinationContainerUrl", s.Container); err != nil {
		return err
	}
	body.Storage = &storageRequest{"azureBlobStorage", s.Container}
	return nil
}

// GetRecording tells the state of a recording: "Get Recording Properties".
func (c *Client) GetRecording(ctx context.Context, recordingID string) (Recording, error) {
	const op = "get recording"
	path, err := recordingPath(recordingID, "")
	if err != nil {
		return Recording{}, c.localError(op, err)
	}
	return c.recording(ctx, request{op: op, method: http.MethodGet, path: path, want: []int{http.StatusOK}})
}

func (c *Client) recording(ctx context.Context, r request) (Recording, error) {
	var told recordingModel
	if err := c.decode(ctx, r, &told); err != nil {
		return Recording{}, err
	}
	if told.RecordingID == "" {
		return Recording{}, c.badResponse(r, errors.New("response has no recordingId"))
	}
	return told.recording(), nil
}

// StopRecording ends a recording: "Stop Recording". Its file is told of by
// Event Grid: WebhookConfig.OnRecording.
func (c *Client) StopRecording(ctx context.Context, recordingID string) error {
	return c.onRecording(ctx, "stop recording", http.MethodDelete, recordingID, "", http.StatusNoContent)
}

// PauseRecording leaves out what is said from now on: "Pause Recording".
func (c *Client) PauseRecording(ctx context.Context, recordingID string) error {
	return c.onRecording(ctx, "pause recording", http.MethodPost, recordingID, ":pause", accepted)
}

// ResumeRecording is the way back: "Resume Recording".
func (c *Client) ResumeRecording(ctx context.Context, recordingID string) error {
	return c.onRecording(ctx, "resume recording", http.MethodPost, recordingID, ":resume", accepted)
}

func (c *Client) onRecording(ctx context.Context, op, method, recordingID, action string, want int) error {
	path, err := recordingPath(recordingID, action)
	if err != nil {
		return c.localError(op, err)
	}
	_, err = c.do(ctx, request{op: op, method: method, path: path, want: []int{want}})
	return err
}

// maxRecordingID bounds a recordingId, which holds an encoded document.
const maxRecordingID = 4096

func recordingPath(recordingID, then string) (string, error) {
	id, err := pathID("recording id", recordingID, maxRecordingID)
	return recordingsPath + "/" + id + then, err
}
