package cloud

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

// recordModel is the body of recordResponse.
type recordModel struct {
	contextModel
	Prompts        []promptModel `json:"prompts"`
	BargeIn        bool          `json:"bargeInAllowed"`
	InitialSilence *int          `json:"initialSilenceTimeoutInSeconds"`
	MaxSilence     *int          `json:"maxSilenceTimeoutInSeconds"`
	MaxRecord      *int          `json:"maxRecordDurationInSeconds"`
	PlayBeep       *bool         `json:"playBeep"`
	StopTones      []string      `json:"stopTones"`
}

func (c *graphCall) recordResponse(r *graphRequest) (*response, func()) {
	var m recordModel
	bad := decodeGraph(r.body, &m)
	uris, wrong := c.server.checkPrompts(m.Prompts, 1)
	for _, f := range []struct {
		name  string
		value *int
	}{
		{"initialSilenceTimeoutInSeconds", m.InitialSilence}, {"maxSilenceTimeoutInSeconds", m.MaxSilence}, {"maxRecordDurationInSeconds", m.MaxRecord},
	} {
		if bad == nil && f.value != nil && (*f.value < 1 || *f.value > int(recordsFor/time.Second)) {
			bad = badRequest(f.name, "%d: want 1 to 120", *f.value)
		}
	}
	if bad = firstOf(bad, wrong, clientContext(m.ClientContext), c.hosted(false), c.standing()); bad != nil {
		return refuseGraph(bad)
	}
	op := c.begin("recordOperation", m.ClientContext, "running")
	return c.enqueue(r, &mediaTask{c: c, op: op, prompts: uris, record: &m, base: r.base}, m.BargeIn)
}

// seconds of an optional setting; 5 is the documents' default for each.
func seconds(value *int) int {
	if value == nil {
		return 5
	}
	return *value
}

// take records what the speakers say until something ends it.
func (t *mediaTask) take() {
	c, m := t.c, t.record
	from := c.slotNow()
	first, quiet := -1, 0
	reason, result := "maxRecordDurationReached", Result{200, 8515, "Action completed, max record duration was reached."}
	t.stopTone() // what was pressed before ends nothing
	var samples []int16
	for slot := from; ; slot++ {
		mix, ok := c.spoken(t.ctx, slot)
		if !ok {
			t.fail(errCancelled)
			return
		}
		samples = append(samples, mix...)
		if silentSamples(mix) {
			quiet++
		} else {
			quiet = 0
			if first < 0 {
				first = slot
			}
		}
		elapsed := (slot - from + 1) / 50
		stop := false
		switch {
		case t.stopTone():
			reason, result, stop = "stopToneDetected", Result{200, 8514, "Action completed, stop tone detected."}, true
		case first < 0 && elapsed >= seconds(m.InitialSilence):
			reason, result, stop = "initialSilenceTimeout", Result{400, 8510, "Action failed, initial silence timeout reached."}, true
		case first >= 0 && quiet >= 50*seconds(m.MaxSilence):
			reason, result, stop = "maxSilenceTimeout", Result{200, 8516, "Action completed, max silence timeout was reached."}, true
		case elapsed >= seconds(m.MaxRecord):
			stop = true
		}
		if stop {
			break
		}
	}
	status := "completed"
	if result.Code >= 400 {
		status = "failed"
	}
	location, token := c.server.keepRecording(t.base, samples)
	c.complete(t.op, status, result, map[string]any{
		"recordingLocation": location, "recordingAccessToken": token, "completionReason": c.server.Profile.enum(reason),
	})
}

func (t *mediaTask) stopTone() bool {
	for {
		select {
		case key := <-t.keys:
			for _, want := range t.record.StopTones {
				if strings.EqualFold(want, key) {
					return true
				}
			}
		default:
			return false
		}
	}
}

// slotNow is the slot that is being played.
func (c *Call) slotNow() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.media.slots
}

// spoken returns what is heard of all speakers in a slot, once it has passed.
func (c *graphCall) spoken(ctx context.Context, slot int) ([]int16, bool) {
	for c.slotNow() <= slot {
		if !sleep(ctx, pcm.FrameDuration) {
			return nil, false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []line
	for i := range c.stage.actors {
		if !c.held && !c.mutes[i] {
			lines = append(lines, line{samples: c.stage.actors[i].at(slot)})
		}
	}
	return sum(lines), true
}

const recordingsPath = "/recordings/"

// maxRecordings bounds those that are kept; the oldest goes first.
const maxRecordings = 64

// keepRecording returns where it can be fetched, and with which token.
func (s *Server) keepRecording(base string, samples []int16) (location, token string) {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recordings[id] = recording{token: rand.Text(), wave: waveOf(samples)}
	s.recordingIDs = append(s.recordingIDs, id)
	if len(s.recordingIDs) > maxRecordings {
		delete(s.recordings, s.recordingIDs[0])
		s.recordingIDs = s.recordingIDs[1:]
	}
	return base + recordingsPath + id, s.recordings[id].token
}

// recording is one that was taken by recordResponse.
type recording struct {
	token string
	wave  []byte
}

// waveOf writes a WAV file: 44 bytes of header, and the samples.
func waveOf(samples []int16) []byte {
	var b bytes.Buffer
	data := PCM(samples).bytes()
	b.WriteString("RIFF")
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(36+len(data))))
	b.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(16000), uint32(32000), uint16(2), uint16(16)} {
		// A bytes.Buffer takes all that it is given.
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("data")
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(data))))
	b.Write(data)
	return b.Bytes()
}

// serveRecording is what DownloadRecording of the clients asks for.
func (s *Server) serveRecording(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	rec, ok := s.recordings[strings.TrimPrefix(r.URL.Path, recordingsPath)]
	s.mu.Unlock()
	switch {
	case !ok:
		http.Error(w, "no such recording", http.StatusNotFound)
	case r.Header.Get("Authorization") != "Bearer "+rec.token:
		http.Error(w, "the recordingAccessToken is wrong", http.StatusUnauthorized)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		// A peer that has gone away does not get its file.
		_, _ = w.Write(rec.wave)
	}
}
