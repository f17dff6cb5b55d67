package cloud

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// objectsPath is where recordings are fetched, as at the service; its host
// there is another, which some official clients insist on.
const objectsPath = "/v1/objects/"

// maxTakes bounds the recordings that are kept; the oldest goes first, and
// with it what is in memory, but no file.
const maxTakes = 64

// keepTake notes a recording. It takes Server.mu, which nobody holds who waits
// for a call's.
func (s *Server) keepTake(t *recordingTake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes.add(t.id, t, maxTakes)
}

// end completes a recording, once, and tells the bot: by an event of the call,
// and by Event Grid once the file is there.
func (t *recordingTake) end(reason string) {
	c := t.c
	c.mu.Lock()
	if t.ended {
		c.mu.Unlock()
		return
	}
	t.ended, t.reason = true, reason
	c.takes = slices.DeleteFunc(c.takes, func(o *recordingTake) bool { return o == t })
	err := t.take.close()
	c.mu.Unlock()
	if err != nil {
		c.server.log.Error("cloud: recording not complete", "call", c.id, "error", err)
	}
	t.tell()
	if c.gridURL == "" {
		return
	}
	c.server.wg.Go(func() {
		if sleep(c.server.ctx, c.server.scaled(calleeDelay)) {
			t.tellFile()
		}
	})
}

// endTakes ends those that go on with the call.
func (c *acsCall) endTakes() {
	c.mu.Lock()
	takes := slices.Clone(c.takes)
	c.mu.Unlock()
	for _, t := range takes {
		t.end("CallEnded")
	}
}

// fileStatus is the data of Microsoft.Communication.RecordingFileStatusUpdated
// (AcsRecordingFileStatusUpdatedEventData).
type fileStatus struct {
	RecordingStorageInfo struct {
		RecordingChunks []recordingChunk `json:"recordingChunks"`
	} `json:"recordingStorageInfo"`
	RecordingStartTime   string `json:"recordingStartTime"`
	RecordingDurationMS  int64  `json:"recordingDurationMs"`
	RecordingContentType string `json:"recordingContentType"`
	RecordingChannelType string `json:"recordingChannelType"`
	RecordingFormatType  string `json:"recordingFormatType"`
	SessionEndReason     string `json:"sessionEndReason"`
}

type recordingChunk struct {
	DocumentID       string `json:"documentId"`
	ContentLocation  string `json:"contentLocation"`
	MetadataLocation string `json:"metadataLocation"`
	DeleteLocation   string `json:"deleteLocation"`
	Index            int    `json:"index"`
	EndReason        string `json:"endReason"`
}

// status describes the file. Called with Call.mu held.
func (t *recordingTake) status() fileStatus {
	object := t.c.server.url + objectsPath + t.document
	var f fileStatus
	f.RecordingStorageInfo.RecordingChunks = []recordingChunk{{
		DocumentID: t.document, ContentLocation: object + "/content/audio", MetadataLocation: object + "/content/acsmetadata",
		DeleteLocation: object, EndReason: t.reason,
	}}
	f.RecordingStartTime = graphDate(t.start)
	f.RecordingDurationMS = int64(t.take.slots) * 20
	f.RecordingContentType, f.RecordingFormatType, f.SessionEndReason = "Audio", "Wav", t.reason
	f.RecordingChannelType = strings.ToUpper(t.request.RecordingChannelType[:1]) + t.request.RecordingChannelType[1:]
	return f
}

func (t *recordingTake) tellFile() {
	s, c := t.c.server, t.c
	c.mu.Lock()
	data := t.status()
	c.mu.Unlock()
	err := s.subscribe(s.ctx, c.gridURL)
	if err == nil {
		_, err = s.notify(s.ctx, c.gridURL, "Notification", gridEvent{
			ID: uuid.NewString(), Topic: s.topic(), Data: data,
			Subject:   "/recording/call/" + c.id + "/serverCallId/" + c.serverCallID + "/recordingId/" + t.id,
			EventType: eventPrefix + "RecordingFileStatusUpdated", DataVersion: "1.0", MetadataVersion: "1",
		})
	}
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn("cloud: recording not told of", "call", c.id, "error", err)
	}
}

// takeByDocument returns the recording of a document, or nil.
func (s *Server) takeByDocument(id string) *recordingTake {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.takes.byID {
		if t.document == id {
			return t
		}
	}
	return nil
}

// serveObject serves a recording's file and what describes it, and deletes it.
// Requests are signed as those of the API are.
func (s *Server) serveObject(w http.ResponseWriter, r *http.Request) {
	if refused := s.authorize(r, nil, time.Now()); refused != nil {
		refused.response().write(w)
		return
	}
	id, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, objectsPath), "/")
	t := s.takeByDocument(id)
	if t == nil {
		notFound("Document").response().write(w)
		return
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	known := what == "" || what == "content/audio" || what == "content/video" || what == "content/acsmetadata"
	switch {
	case t.removed || !t.ended || !known:
		notFound("Document").response().write(w)
	case r.Method == http.MethodDelete && what == "":
		t.removed = true
		if err := t.take.remove(); err != nil {
			s.log.Warn("cloud: recording not deleted", "error", err)
		}
		w.WriteHeader(http.StatusOK)
	case r.Method != http.MethodGet || what == "":
		(&refusal{status: http.StatusMethodNotAllowed, code: "8520", message: r.Method + " is not supported here."}).response().write(w)
	case what == "content/acsmetadata":
		newResponse(http.StatusOK, t.status()).write(w)
	default:
		wave, err := t.take.wave()
		if err != nil {
			(&refusal{status: http.StatusInternalServerError, code: "500", message: err.Error()}).response().write(w)
			return
		}
		w.Header().Set("Content-Type", "audio/wav")
		// In parts too: the clients' DownloadOptions have a range.
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(wave))
	}
}

// Recording is one that was made by the cloud at a bot's request.
type Recording struct {
	ID     string `json:"id"`
	CallID string `json:"call_id"`
	// State is active, paused or ended.
	State string `json:"state"`
	// Channels is 1 for a mix, and else 5, of those in Participants.
	Channels     int      `json:"channels"`
	Participants []string `json:"participants,omitempty"`
	// Slots of 20 ms that were recorded, and lost because of the disk or the
	// limit of four hours.
	Slots int `json:"slots"`
	Lost  int `json:"lost,omitempty"`
	// File is where it is written, empty without Server.RecordingDir; URL is
	// where it can be fetched once it has ended.
	File string `json:"file,omitempty"`
	URL  string `json:"url"`

	take *recordingTake
}

// Recordings returns the latest recordings, in the order of their beginning.
func (s *Server) Recordings() []Recording {
	s.mu.Lock()
	var takes []*recordingTake
	for _, t := range s.takes.byID {
		takes = append(takes, t)
	}
	s.mu.Unlock()
	slices.SortFunc(takes, func(a, b *recordingTake) int { return cmp.Compare(a.start.UnixNano(), b.start.UnixNano()) })
	all := []Recording{}
	for _, t := range takes {
		t.c.mu.Lock()
		r := Recording{
			ID: t.id, CallID: t.c.id, State: t.state(), Channels: t.take.channels, Slots: t.take.slots, Lost: t.take.lost,
			File: t.take.path, URL: s.url + objectsPath + t.document + "/content/audio", take: t,
		}
		switch {
		case t.ended:
			r.State = "ended"
		case t.paused:
			r.State = "paused"
		}
		if r.Channels > 1 {
			r.Participants = slices.Clone(t.channels)
		}
		t.c.mu.Unlock()
		all = append(all, r)
	}
	return all
}

// Wave returns the recording as a WAV file, once it has ended: until then, and
// when it was deleted, an error.
func (r Recording) Wave() ([]byte, error) {
	t := r.take
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if !t.ended || t.removed {
		return nil, errors.New("cloud: recording: has not ended, or was deleted")
	}
	return t.take.wave()
}
