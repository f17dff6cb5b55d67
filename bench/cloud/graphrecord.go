package cloud

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
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
	files, wrong := c.server.checkPrompts(m.Prompts, 1)
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
	if m.PlayBeep == nil || *m.PlayBeep {
		files = append(files, promptSource{kind: "beep"})
	}
	t := &mediaTask{c: c, op: op, prompts: c.oneByOne(files), record: &m, base: r.base, take: &take{channels: 1}}
	return c.enqueue(r, t, m.BargeIn)
}

// seconds of an optional setting; 5 is the documents' default for each.
func seconds(value *int) int {
	if value == nil {
		return 5
	}
	return *value
}

// listen records what the speakers say in a slot, and reports whether that was
// the last.
func (t *mediaTask) listen(at moment) bool {
	c, m := t.c, t.record
	c.mu.Lock()
	mix := sum(c.voices(at.slot))
	c.mu.Unlock()
	t.take.write([][]int16{mix})
	t.quiet++
	if !silentSamples(mix) {
		t.spoke, t.quiet = true, 0
	}
	elapsed := t.take.slots / 50
	status, reason := "completed", ""
	var result Result
	switch {
	case t.stopTone(at.keys):
		reason, result = "stopToneDetected", Result{200, 8514, "Action completed, stop tone detected."}
	case !t.spoke && elapsed >= seconds(m.InitialSilence):
		status, reason, result = "failed", "initialSilenceTimeout", Result{400, 8510, "Action failed, initial silence timeout reached."}
	case t.spoke && t.quiet >= 50*seconds(m.MaxSilence):
		reason, result = "maxSilenceTimeout", Result{200, 8516, "Action completed, max silence timeout was reached."}
	case elapsed >= seconds(m.MaxRecord):
		reason, result = "maxRecordDurationReached", Result{200, 8515, "Action completed, max record duration was reached."}
	default:
		return false
	}
	location, token := c.server.keepRecording(t.base, t.take)
	c.complete(t.op, status, result, map[string]any{
		"recordingLocation": location, "recordingAccessToken": token, "completionReason": c.server.Profile.enum(reason),
	})
	return true
}

func (t *mediaTask) stopTone(keys []keyPress) bool {
	return slices.ContainsFunc(keys, func(k keyPress) bool {
		return slices.ContainsFunc(t.record.StopTones, func(want string) bool { return strings.EqualFold(want, k.tone) })
	})
}

const recordingsPath = "/recordings/"

// maxRecordings bounds those that are kept; the oldest goes first.
const maxRecordings = 64

// keepRecording returns where it can be fetched, and with which token.
func (s *Server) keepRecording(base string, t *take) (location, token string) {
	id, token := rand.Text(), rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recordings.add(id, recording{token: token, take: t}, maxRecordings)
	return base + recordingsPath + id, token
}

// recording is one that was taken by recordResponse.
type recording struct {
	token string
	take  *take
}

// serveRecording is what DownloadRecording of the clients asks for.
func (s *Server) serveRecording(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	rec, ok := s.recordings.byID[strings.TrimPrefix(r.URL.Path, recordingsPath)]
	s.mu.Unlock()
	switch {
	case !ok:
		http.Error(w, "no such recording", http.StatusNotFound)
	case r.Header.Get("Authorization") != "Bearer "+rec.token:
		http.Error(w, "the recordingAccessToken is wrong", http.StatusUnauthorized)
	default:
		file, err := rec.take.wave()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		// A peer that has gone away does not get its file.
		_, _ = w.Write(file)
	}
}
