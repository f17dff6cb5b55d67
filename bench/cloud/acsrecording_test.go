package cloud

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// channelsOf reads a WAV file by hand.
func channelsOf(t *testing.T, wave []byte) [][]int16 {
	t.Helper()
	require.Equal(t, "RIFF", string(wave[:4]))
	require.Equal(t, "WAVEfmt ", string(wave[8:16]))
	require.Equal(t, uint32(len(wave)-8), binary.LittleEndian.Uint32(wave[4:]))
	require.Equal(t, uint32(16000), binary.LittleEndian.Uint32(wave[24:]))
	require.Equal(t, uint32(len(wave)-44), binary.LittleEndian.Uint32(wave[40:]))
	n := int(binary.LittleEndian.Uint16(wave[22:]))
	out := make([][]int16, n)
	for i, s := range samplesOf(wave[44:]) {
		out[i%n] = append(out[i%n], s)
	}
	return out
}

// findIn returns where a piece begins in what was recorded, -1 if it does not.
func findIn(all, piece []int16) int {
	for at := 0; at+len(piece) <= len(all); at++ {
		match := true
		for i := 0; match && i < len(piece); i++ {
			match = all[at+i] == piece[i]
		}
		if match {
			return at
		}
	}
	return -1
}

func (b *bot) record(c *Call, version, more string) (int, map[string]any) {
	b.t.Helper()
	status, v, _ := b.do("POST", acsRecordingsPath+"?api-version="+version,
		`{"callLocator":{"kind":"serverCallLocator","serverCallId":"`+c.Log().ServerCallID+`"}`+more+`}`)
	return status, v
}

func TestRecordingIsWhatWasSaid(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ann, bob := signal.Noise(30*320, 1, -20), signal.Noise(30*320, 2, -20)
	b := newBot(t, &Server{RecordingDir: folder, JitterBuffer: -1, OnCreate: talker(
		Speaker{ID: "8:acs:ann", PCM: ann, AfterBot: 1}, Speaker{ID: "4:+1425", PCM: bob, AfterBot: 10},
	)})
	for _, unmixed := range []bool{false, true} {
		c := b.dial(version2026, ","+b.mediaJSON("mixed", `,"enableBidirectional":true`))
		b.until("MediaStreamingStarted")
		more := `,"recordingContentType":"audio","recordingFormatType":"wav"`
		if unmixed {
			more += `,"recordingChannelType":"unmixed","channelAffinity":[{"channel":3,"participant":{"phoneNumber":{"value":"+1425"}}}]`
		}
		status, v := b.record(c, version2026, more)
		require.Equal(t, 200, status, v)
		require.Equal(t, map[string]any{"recordingId": v["recordingId"], "recordingState": "active", "recordingKind": "azureCommunicationServices"}, v)
		id := v["recordingId"].(string)
		e := b.expect("RecordingStateChanged")[0]
		require.Equal(t, "active", e.Data["state"])
		require.Equal(t, id, e.Data["recordingId"])
		said := signal.Noise(5*320, 3, -20)
		begun := c.Log().Slots
		require.Eventually(t, func() bool { return c.Log().Slots > begun+1 }, deadline, time.Millisecond, "it begins with the next slot")
		b.socket().say(said)
		require.Eventually(t, func() bool { return c.Log().Speakers[1].Start > 0 }, deadline, 5*time.Millisecond)
		until := c.Log().Speakers[1].Start + 32
		require.Eventually(t, func() bool { return c.Log().Slots > until }, deadline, 5*time.Millisecond)
		status, _, _ = b.do("DELETE", acsRecordingsPath+"/"+id+v2026, "")
		require.Equal(t, 204, status)
		require.Equal(t, "inactive", b.expect("RecordingStateChanged")[0].Data["state"])
		file := receive(t, b.incoming)
		c.HangUp()
		log := wait(t, c)
		b.expect("CallDisconnected")

		all := b.srv.Recordings()
		rec := all[len(all)-1]
		wave, err := rec.Wave()
		require.NoError(t, err)
		onDisk, err := os.ReadFile(rec.File)
		require.NoError(t, err)
		require.Equal(t, wave, onDisk)
		require.Equal(t, folder, filepath.Dir(rec.File))
		channels := channelsOf(t, wave)
		require.Len(t, channels[0], rec.Slots*320)
		require.Equal(t, float64(rec.Slots*20), file["recordingDurationMs"])
		chunk := file["recordingStorageInfo"].(map[string]any)["recordingChunks"].([]any)[0].(map[string]any)
		require.Equal(t, rec.URL, chunk["contentLocation"])
		status, text, h := request0(t, b.srv, "GET", chunk["contentLocation"].(string)[len(b.srv.URL()):], "")
		require.Equal(t, 200, status)
		require.Equal(t, wave, text)
		require.Equal(t, "audio/wav", h.Get("Content-Type"))

		a, p := log.Speakers[0].Start, log.Speakers[1].Start
		if unmixed {
			require.Equal(t, []string{"8:acs:ann", "8:acs:bot", "", "4:+1425", ""}, rec.Participants)
			at := findIn(channels[0], ann)
			require.GreaterOrEqual(t, at, 0)
			require.Equal(t, at+(p-a)*320, findIn(channels[3], bob), "in time with each other")
			require.Equal(t, at+int(log.Playout.Played[0].At)-a*320, findIn(channels[1], said))
			require.True(t, silentSamples(channels[2]))
			continue
		}
		mix := make([]int16, 60*320)
		add := func(at int, samples []int16) {
			for i := 0; i < len(samples) && at+i < len(mix); i++ {
				mix[at+i] = clamp(float64(mix[at+i]) + float64(samples[i]))
			}
		}
		base := int(log.Playout.Played[0].At)
		add(0, said)
		add(a*320-base, ann)
		add(p*320-base, bob)
		require.GreaterOrEqual(t, findIn(channels[0], mix[:(p-a+30)*320]), 0, "the mix of all, the bot included")
	}
}

func TestRecordingStates(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker(Speaker{PCM: signal.Noise(320, 1, -20), Loops: Forever})})
	for _, version := range []string{version2022, version2023, version2026} {
		query := "?api-version=" + version
		c := b.dial(version, "")
		more, state := `,"recordingStateCallbackUri":"`+b.http.URL+`/callbacks"`, "active"
		if version == version2026 {
			more, state = more+`,"pauseOnStart":true`, "inactive"
		}
		status, v := b.record(c, version, more)
		require.Equal(t, 200, status, v)
		_, ok := v["recordingKind"]
		require.Equal(t, version >= version2024, ok)
		require.Equal(t, state, v["recordingState"])
		id := acsRecordingsPath + "/" + v["recordingId"].(string)
		e := b.expect("RecordingStateChanged")[0]
		require.Equal(t, state, e.Data["state"])
		_, ok = e.Data["recordingKind"]
		require.Equal(t, version >= version2024, ok)
		if version == version2022 {
			require.Equal(t, "calling/recordings/"+c.Log().ServerCallID+"/recordingId/"+v["recordingId"].(string)+"/RecordingStateChanged", e.Source)
		}
		status, v = b.record(c, version, "")
		require.Equal(t, 400, status)
		require.Equal(t, "8559", v["error"].(map[string]any)["code"])
		paused := state == "inactive"
		for range 3 {
			wrong, right, next := ":resume", ":pause", "inactive"
			if paused {
				wrong, right, next = right, wrong, "active"
			}
			status, v, _ = b.do("POST", id+wrong+query, "")
			require.Equal(t, 400, status)
			require.Equal(t, "8573", v["error"].(map[string]any)["code"])
			status, _, _ = b.do("POST", id+right+query, "")
			require.Equal(t, 202, status)
			require.Equal(t, next, b.expect("RecordingStateChanged")[0].Data["state"])
			_, v, _ = b.do("GET", id+query, "")
			require.Equal(t, next, v["recordingState"])
			paused = !paused
		}
		status, _, _ = b.do("POST", id+query, "")
		require.Equal(t, 405, status)
		c.HangUp() // and the recording ends with it
		require.Equal(t, "inactive", b.expect("RecordingStateChanged", "CallDisconnected")[0].Data["state"])
		wait(t, c)
		file := receive(t, b.incoming)
		require.Equal(t, "CallEnded", file["sessionEndReason"])
		for _, method := range []string{"GET", "DELETE"} {
			status, _, _ = b.do(method, id+query, "")
			require.Equal(t, 404, status)
		}
	}
	rec := b.srv.Recordings()[0]
	require.Equal(t, "ended", rec.State)
	object := rec.URL[len(b.srv.URL()):]
	object = object[:len(object)-len("/content/audio")]
	status, v, _ := b.do("GET", object+"/content/acsmetadata", "")
	require.Equal(t, 200, status)
	require.Equal(t, "Wav", v["recordingFormatType"])
	status, _, _ = b.do("GET", object, "")
	require.Equal(t, 405, status)
	status, _, _ = b.do("DELETE", object, "")
	require.Equal(t, 200, status)
	status, _, _ = b.do("GET", object+"/content/audio", "")
	require.Equal(t, 404, status)
	_, err := rec.Wave()
	require.Error(t, err)
}

func TestRecordingRefusals(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: talker()})
	c := b.dial(version2026, "")
	for _, tt := range []struct {
		body   string
		status int
		code   string
	}{
		{`{}`, 400, "8523"},
		{`{"callLocator":{"kind":"serverCallLocator","serverCallId":"x"}}`, 404, "8522"},
		{`{"callConnectionId":"x"}`, 404, "8522"},
		{`{"callConnectionId":"` + c.ID() + `","recordingContentType":"film"}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","recordingStateCallbackUri":"ftp://x/y"}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","recordingContentType":"audioVideo","recordingFormatType":"wav"}`, 400, "8557"},
		{`{"callConnectionId":"` + c.ID() + `","recordingContentType":"audio","recordingFormatType":"mp4"}`, 400, "8557"},
		{`{"callConnectionId":"` + c.ID() + `","recordingContentType":"audio","recordingChannelType":"unmixed","recordingFormatType":"mp3"}`, 400, "8557"},
		{`{"callConnectionId":"` + c.ID() + `","recordingContentType":"audioVideo","recordingChannelType":"unmixed"}`, 400, "8562"},
		{`{"callConnectionId":"` + c.ID() + `","channelAffinity":[{"channel":5,"participant":` + callee + `}]}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","channelAffinity":[{"channel":1}]}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","channelAffinity":[{"channel":1,"participant":` + callee + `},{"channel":1,"participant":` + callee + `}]}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","audioChannelParticipantOrdering":[{}]}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","externalStorage":{}}`, 400, "8523"},
		{`{"callConnectionId":"` + c.ID() + `","externalStorage":{"recordingStorageKind":"azureBlobStorage"}}`, 400, "8523"},
	} {
		status, v, _ := b.do("POST", acsRecordingsPath+v2026, tt.body)
		require.Equal(t, tt.status, status, "%s: %v", tt.body, v)
		require.Equal(t, tt.code, v["error"].(map[string]any)["code"], tt.body)
	}
	require.NoError(t, c.Inject(Fault{Kind: FailOperation, Operation: "startRecording", Result: &Result{500, 8571, "no"}}))
	status, v := b.record(c, version2026, "")
	require.Equal(t, 202, status)
	e := b.expect("StartRecordingFailed")[0]
	require.Equal(t, v["recordingId"], e.Data["recordingId"])
	require.Empty(t, b.srv.Recordings())
	c.HangUp()
	wait(t, c)

	lost := newBot(t, &Server{RecordingDir: "/nowhere/at/all", OnCreate: talker()})
	c = lost.dial(version2023, "")
	status, _ = lost.record(c, version2023, "")
	require.Equal(t, 500, status)
	c.HangUp()
	wait(t, c)
}
