package acs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Types of the events of Event Grid.
const (
	typeIncoming   = "Microsoft.Communication.IncomingCall"
	typeRecorded   = "Microsoft.Communication.RecordingFileStatusUpdated"
	typeValidation = "Microsoft.EventGrid.SubscriptionValidationEvent"
)

// gridEvent is an event of the Event Grid schema, or, by its type and time, of
// the CloudEvents schema that a subscription may choose instead.
type gridEvent[D any] struct {
	ID      string `json:"id"`
	Subject string `json:"subject"`
	Data    D      `json:"data"`
}

type validationData struct {
	Code string `json:"validationCode"`
}

type incomingData struct {
	To            identifier `json:"to"`
	From          identifier `json:"from"`
	CallerName    string     `json:"callerDisplayName"`
	ServerCallID  string     `json:"serverCallId"`
	CorrelationID string     `json:"correlationId"`
	Context       string     `json:"incomingCallContext"`
}

type recordedData struct {
	Storage struct {
		Chunks []struct {
			DocumentID       string `json:"documentId"`
			Index            number `json:"index"`
			EndReason        string `json:"endReason"`
			ContentLocation  string `json:"contentLocation"`
			MetadataLocation string `json:"metadataLocation"`
			DeleteLocation   string `json:"deleteLocation"`
		} `json:"recordingChunks"`
	} `json:"recordingStorageInfo"`
	Start     stamp   `json:"recordingStartTime"`
	Duration  float64 `json:"recordingDurationMs"`
	EndReason string  `json:"sessionEndReason"`
	Kind      string  `json:"recordingKind"`
	Content   string  `json:"recordingContentType"`
	Channels  string  `json:"recordingChannelType"`
	Format    string  `json:"recordingFormatType"`
}

// RecordingFile is a recording that is ready to be downloaded, for 48 hours.
// Source: "Call Recording overview", Azure Communication Services.
type RecordingFile struct {
	// ID of the message; Event Grid may tell of it twice.
	ID string
	// ServerCallID and RecordingID stand in the subject; empty if they do not.
	ServerCallID, RecordingID string
	// Chunks in their order.
	Chunks   []RecordingChunk
	Start    time.Time
	Duration time.Duration
	// EndReason in the service's words: "CallEnded", "InitiatorLeft".
	EndReason string
	// Kind, ContentType, Channels and Format as they came, empty if not told.
	Kind, ContentType, Channels, Format string
}

// RecordingChunk is one file of a recording. Its addresses are for
// Client.DownloadRecording and Client.DeleteRecording.
type RecordingChunk struct {
	DocumentID string
	Index      int
	// EndReason in the service's words: "SessionEnded",
	// "ChunkMaximumSizeExceeded".
	EndReason                                         string
	ContentLocation, MetadataLocation, DeleteLocation string
}

// gridDelivery is what one delivery of Event Grid holds.
type gridDelivery struct {
	// Validation is the code to answer a subscription's handshake with.
	Validation string
	// Incoming calls, without the name of the cloud.
	Incoming []session.Incoming
	// Recorded files.
	Recorded []RecordingFile
	// Ignored counts events of other types, which are no business of calls.
	Ignored int
}

// parseGrid reads a delivery of Event Grid, all or nothing. It never puts an
// incomingCallContext into an error.
func parseGrid(body []byte, now time.Time) (gridDelivery, error) {
	var d gridDelivery
	raws, err := elements(body)
	if err != nil {
		return d, err
	}
	for i, raw := range raws {
		if err := d.add(raw, now); err != nil {
			return gridDelivery{}, eventError(i, err)
		}
	}
	return d, nil
}

func (d *gridDelivery) add(raw json.RawMessage, now time.Time) (err error) {
	var head struct {
		EventType string          `json:"eventType"`
		Type      string          `json:"type"`
		Data      json.RawMessage `json:"data"`
	}
	if err := rest.Unmarshal(raw, &head); err != nil {
		return err
	}
	switch eventType := first(head.EventType, head.Type); {
	case eventType == "":
		return errors.New("eventType is missing")
	case strings.EqualFold(eventType, typeIncoming):
		err = d.incoming(raw, head.Data, now)
	case strings.EqualFold(eventType, typeRecorded):
		err = d.recorded(raw)
	case strings.EqualFold(eventType, typeValidation):
		err = d.validation(raw)
	default:
		d.Ignored++
	}
	if err != nil {
		return fmt.Errorf("%s: %w", rest.Clip(first(head.EventType, head.Type)), err)
	}
	return nil
}

func (d *gridDelivery) validation(raw json.RawMessage) error {
	var e gridEvent[validationData]
	if err := rest.Unmarshal(raw, &e); err != nil {
		return err
	}
	if e.Data.Code == "" {
		return errors.New("data.validationCode is missing")
	}
	d.Validation = e.Data.Code
	return nil
}

// incoming reads a call that rings; data is kept as it came, for what else the
// service tells of the call (customContext).
func (d *gridDelivery) incoming(raw, data json.RawMessage, now time.Time) error {
	var e gridEvent[incomingData]
	if err := rest.Unmarshal(raw, &e); err != nil {
		return err
	}
	if e.Data.Context == "" {
		return errors.New("data.incomingCallContext is missing")
	}
	id := first(e.Data.CorrelationID, e.Data.ServerCallID, e.ID)
	if id == "" {
		return errors.New("data.correlationId is missing")
	}
	d.Incoming = append(d.Incoming, session.Incoming{
		ID: id, Context: e.Data.Context,
		From:    session.Identity{RawID: e.Data.From.raw(), Name: e.Data.CallerName},
		To:      session.Identity{RawID: e.Data.To.raw()},
		Arrived: now, Raw: data,
	})
	return nil
}

func (d *gridDelivery) recorded(raw json.RawMessage) error {
	var e gridEvent[recordedData]
	if err := rest.Unmarshal(raw, &e); err != nil {
		return err
	}
	x := &e.Data
	if len(x.Storage.Chunks) == 0 {
		return errors.New("data.recordingStorageInfo.recordingChunks is missing")
	}
	f := RecordingFile{
		ID: e.ID, ServerCallID: after(e.Subject, "serverCallId"), RecordingID: after(e.Subject, "recordingId"),
		Start: time.Time(x.Start), Duration: time.Duration(x.Duration) * time.Millisecond,
		EndReason: x.EndReason, Kind: x.Kind, ContentType: x.Content, Channels: x.Channels, Format: x.Format,
	}
	for _, c := range x.Storage.Chunks {
		f.Chunks = append(f.Chunks, RecordingChunk{
			c.DocumentID, int(c.Index), c.EndReason, c.ContentLocation, c.MetadataLocation, c.DeleteLocation,
		})
	}
	slices.SortStableFunc(f.Chunks, func(a, b RecordingChunk) int { return cmp.Compare(a.Index, b.Index) })
	d.Recorded = append(d.Recorded, f)
	return nil
}

// after is the part of a path that follows the part name:
// "/recording/call/{id}/serverCallId/{id}/recordingId/{id}".
func after(path, name string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts[:len(parts)-1] {
		if strings.EqualFold(part, name) {
			return parts[i+1]
		}
	}
	return ""
}
