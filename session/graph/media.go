package graph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// maxClientContext bounds clientContext, in bytes (commsOperation).
const maxClientContext = 256

// operate posts an action that answers with an operation. body must write a
// clientContext if it has one.
func (c *Client) operate(ctx context.Context, op, callID string, below []string, body any, want ...int) (*Operation, error) {
	path, err := callPath(callID, below...)
	if err != nil {
		return nil, c.localError(op, err)
	}
	if len(want) == 0 {
		want = []int{http.StatusOK, http.StatusAccepted}
	}
	return c.operation(ctx, request{op: op, method: http.MethodPost, path: path, body: body, want: want}, callID)
}

func (c *Client) operation(ctx context.Context, r request, callID string) (*Operation, error) {
	var told CommsOperation
	if err := c.do(ctx, r, &told); err != nil {
		return nil, err
	}
	if told.ID == "" && !told.over() {
		return nil, &session.Error{Cloud: c.config.Name, Op: r.op, Status: r.want[0], Message: "response names no operation"}
	}
	return c.config.Operations.begin(callID, told), nil
}

// checkContext checks what comes back with the operation's end, or mints it.
func checkContext(s string) (string, error) {
	if s == "" {
		return uuid.NewString(), nil
	}
	if len(s) > maxClientContext {
		return "", fmt.Errorf("clientContext of %d bytes: want at most %d", len(s), maxClientContext)
	}
	return s, nil
}

// Prompt is a mediaPrompt: a WAV file, mono, 16 bit, 16 kHz, at URI. With a
// ResourceID the service keeps it under that key.
type Prompt struct {
	URI, ResourceID string
}

type mediaPrompt struct {
	ODataType string    `json:"@odata.type"`
	MediaInfo MediaInfo `json:"mediaInfo"`
}

func (c *Client) prompts(field string, prompts []Prompt, most int) ([]mediaPrompt, error) {
	if len(prompts) > most {
		return nil, fmt.Errorf("%s: %d, want at most %d", field, len(prompts), most)
	}
	var all []mediaPrompt
	for i, p := range prompts {
		if _, err := parseURL(fmt.Sprintf("%s[%d].uri", field, i), p.URI, c.config.Insecure); err != nil {
			return nil, err
		}
		all = append(all, mediaPrompt{typeName("mediaPrompt"), MediaInfo{
			ODataType: typeName("mediaInfo"), URI: p.URI, ResourceID: p.ResourceID,
		}})
	}
	return all, nil
}

// PlayPrompt plays up to 20 files one after the other in a service-hosted
// call: "call: playPrompt". The operation ends when they were played.
func (c *Client) PlayPrompt(ctx context.Context, callID string, prompts []Prompt, clientContext string) (*Operation, error) {
	const op = "play prompt"
	all, err := c.prompts("prompts", prompts, 20)
	if err == nil && len(all) == 0 {
		err = errors.New("prompts: none")
	}
	if clientContext, err = firstError(err, clientContext); err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, []string{"playPrompt"}, struct {
		ClientContext string        `json:"clientContext"`
		Prompts       []mediaPrompt `json:"prompts"`
	}{clientContext, all})
}

// firstError checks a clientContext unless something is wrong already.
func firstError(err error, clientContext string) (string, error) {
	if err != nil {
		return "", err
	}
	return checkContext(clientContext)
}

// RecordResponse says how to record what a caller says. Zero values are the
// service's defaults: 5 s each, a beep, no prompt.
type RecordResponse struct {
	Prompt Prompt // played first, if it has a URI
	// BargeInAllowed ends queued and running prompts and records.
	BargeInAllowed bool
	// In seconds, 1 to 120.
	InitialSilenceTimeout, MaxSilenceTimeout, MaxRecordDuration int
	NoBeep                                                      bool
	// StopTones end the record: "#", "1", "*".
	StopTones     []string
	ClientContext string
}

// RecordResponse records a caller in a service-hosted call: "call:
// recordResponse". The ended operation holds the recording's address and
// token, for DownloadRecording.
func (c *Client) RecordResponse(ctx context.Context, callID string, r RecordResponse) (*Operation, error) {
	const op = "record response"
	var list []Prompt
	if r.Prompt.URI != "" {
		list = []Prompt{r.Prompt}
	}
	prompts, err := c.prompts("prompts", list, 1)
	for _, s := range []struct {
		name    string
		seconds int
	}{
		{"initialSilenceTimeoutInSeconds", r.InitialSilenceTimeout},
		{"maxSilenceTimeoutInSeconds", r.MaxSilenceTimeout},
		{"maxRecordDurationInSeconds", r.MaxRecordDuration},
	} {
		if err == nil && (s.seconds < 0 || s.seconds > 120) {
			err = fmt.Errorf("%s = %d: want 1 to 120", s.name, s.seconds)
		}
	}
	clientContext, err := firstError(err, r.ClientContext)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, []string{"recordResponse"}, struct {
		BargeInAllowed bool          `json:"bargeInAllowed"`
		ClientContext  string        `json:"clientContext"`
		Prompts        []mediaPrompt `json:"prompts,omitzero"`
		MaxRecord      int           `json:"maxRecordDurationInSeconds,omitzero"`
		InitialSilence int           `json:"initialSilenceTimeoutInSeconds,omitzero"`
		MaxSilence     int           `json:"maxSilenceTimeoutInSeconds,omitzero"`
		PlayBeep       bool          `json:"playBeep"`
		StopTones      []string      `json:"stopTones,omitzero"`
	}{r.BargeInAllowed, clientContext, prompts, r.MaxRecordDuration, r.InitialSilenceTimeout, r.MaxSilenceTimeout, !r.NoBeep, r.StopTones})
}

// DownloadRecording writes the WAV file of an ended RecordResponse to w, at
// most limit bytes of it, and returns how many. The service keeps it until
// shortly after the call. One that is longer is an error, as is one that ends
// early; what came before stands in w.
func (c *Client) DownloadRecording(ctx context.Context, ended CommsOperation, w io.Writer, limit int64) (int64, error) {
	const op = "download recording"
	u, err := c.recordingURL(ended)
	if err != nil {
		return 0, c.localError(op, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, c.localError(op, errors.New("recordingLocation is not a URL"))
	}
	req.Header.Set("Authorization", "Bearer "+ended.RecordingAccessToken)
	resp, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return 0, c.localError(op, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, &session.Error{Cloud: c.config.Name, Op: op, Status: resp.StatusCode, Message: "the recording is not there"}
	}
	n, err := io.Copy(w, io.LimitReader(resp.Body, limit))
	if err == nil && n == limit {
		if more, _ := io.ReadFull(resp.Body, make([]byte, 1)); more > 0 {
			err = fmt.Errorf("recording is longer than %d bytes", limit)
		}
	}
	if err != nil {
		return n, c.localError(op, err)
	}
	return n, nil
}

func (c *Client) recordingURL(ended CommsOperation) (*url.URL, error) {
	if ended.RecordingLocation == "" || ended.RecordingAccessToken == "" {
		return nil, errors.New("the operation has no recordingLocation or recordingAccessToken")
	}
	return parseURL("recordingLocation", ended.RecordingLocation, c.config.Insecure)
}

// contextBody is the body of actions that only carry a clientContext.
type contextBody struct {
	ClientContext string `json:"clientContext"`
}

// contextual posts such an action.
func (c *Client) contextual(ctx context.Context, op, callID, clientContext string, below ...string) (*Operation, error) {
	clientContext, err := checkContext(clientContext)
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, below, contextBody{clientContext})
}

// SubscribeToTone has key presses in a service-hosted call told as EventTone:
// "call: subscribeToTone".
func (c *Client) SubscribeToTone(ctx context.Context, callID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "subscribe to tone", callID, clientContext, "subscribeToTone")
}

// CancelMediaProcessing ends all prompts and records that run or wait: "call:
// cancelMediaProcessing". Their operations fail with 400 and subcode 8508.
func (c *Client) CancelMediaProcessing(ctx context.Context, callID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "cancel media processing", callID, clientContext, "cancelMediaProcessing")
}

// Mute has the service drop the bot's audio in a group call: "call: mute".
func (c *Client) Mute(ctx context.Context, callID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "mute", callID, clientContext, "mute")
}

// Unmute is the way back: "call: unmute".
func (c *Client) Unmute(ctx context.Context, callID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "unmute", callID, clientContext, "unmute")
}

// SendDTMFTones presses keys in an app-hosted call: "call: sendDtmfTones".
// Tones are 0 to 9, *, #, A to D and F for flash; delayMS is the pause between
// two, 0 for the service's own.
func (c *Client) SendDTMFTones(ctx context.Context, callID, tones string, delayMS int, clientContext string) (*Operation, error) {
	const op = "send DTMF tones"
	names, err := toneNames(tones)
	if err == nil && delayMS < 0 {
		err = fmt.Errorf("delayBetweenTonesMs = %d: want 0 or more", delayMS)
	}
	if clientContext, err = firstError(err, clientContext); err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, []string{"sendDtmfTones"}, struct {
		Tones         []string `json:"tones"`
		Delay         int      `json:"delayBetweenTonesMs,omitzero"`
		ClientContext string   `json:"clientContext"`
	}{names, delayMS, clientContext})
}

// AnnounceRecording implements session.Announcer: UpdateRecordingStatus, until
// the operation is over.
func (c *Client) AnnounceRecording(ctx context.Context, callID string, on bool) error {
	status := NotRecording
	if on {
		status = Recording
	}
	op, err := c.UpdateRecordingStatus(ctx, callID, status, "")
	if err != nil {
		return err
	}
	_, err = op.Wait(ctx)
	return err
}

// AddLargeGalleryView has the meeting's large gallery shown to the bot: "call:
// addLargeGalleryView".
func (c *Client) AddLargeGalleryView(ctx context.Context, callID, clientContext string) (*Operation, error) {
	return c.contextual(ctx, "add large gallery view", callID, clientContext, "addLargeGalleryView")
}

// Recording statuses.
const (
	Recording       = "recording"
	NotRecording    = "notRecording"
	RecordingFailed = "failed"
)

// UpdateRecordingStatus tells the call that it is recorded, or is not any
// more: "call: updateRecordingStatus". Nothing may be stored before Recording
// was accepted, and NotRecording only be said once nothing is.
func (c *Client) UpdateRecordingStatus(ctx context.Context, callID, status, clientContext string) (*Operation, error) {
	const op = "update recording status"
	clientContext, err := checkContext(clientContext)
	if err == nil && status != Recording && status != NotRecording && status != RecordingFailed {
		err = fmt.Errorf("status %q: want %s, %s or %s", rest.Clip(status), Recording, NotRecording, RecordingFailed)
	}
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.operate(ctx, op, callID, []string{"updateRecordingStatus"}, struct {
		ClientContext string `json:"clientContext"`
		Status        string `json:"status"`
	}{clientContext, status})
}
