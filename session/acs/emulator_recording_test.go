package acs_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/stretchr/testify/require"
)

// TestEmulatorRecording records a call in both versions: what is downloaded is
// what was said, but for the pause.
func TestEmulatorRecording(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			speaker := cloud.Speaker{ID: "8:acs:one", PCM: noise(600*320, 1)} // no two frames alike
			p := newProduct(t, &cloud.Server{OnCreate: stays(speaker)}, version, nil)
			states := make(chan string, 16)
			p.onCall = func(c *session.Call) {
				c.OnNotice(func(n session.Notice) {
					if e, err := acs.EventOf(n); err == nil && e.Name == acs.RecordingStateChanged {
						states <- e.Recording.State
					}
				})
			}
			call, there := p.dial(acs.CallOptions{})
			start := acs.StartRecording{
				Call: acs.Locator{ServerCallID: call.Connection().GroupID}, Content: "audio", Channels: "mixed", Format: "wav",
				StateCallbackURI: p.http.URL + "/callbacks",
			}
			// The response is lost: it is one recording all the same.
			require.NoError(t, p.emulator.Break(cloud.RequestFault{Operation: "startRecording", Status: 503, Executed: true}))
			rec, err := p.client.StartRecording(ctx, start)
			require.NoError(t, err)
			require.Len(t, p.emulator.Recordings(), 1)
			require.Equal(t, "active", rec.State)
			require.Equal(t, "active", next(p, states))
			_, err = p.client.StartRecording(ctx, start)
			refused(t, err, 400, 8559)
			slots := func(n int) { // n slots more are recorded
				from := p.emulator.Recordings()[0].Slots
				eventually(t, "it is recorded", func() bool { return p.emulator.Recordings()[0].Slots >= from+n })
			}
			slots(25)
			require.NoError(t, p.client.PauseRecording(ctx, rec.ID))
			require.Equal(t, "inactive", next(p, states))
			refused(t, p.client.PauseRecording(ctx, rec.ID), 400, 8573)
			got, err := p.client.GetRecording(ctx, rec.ID)
			require.NoError(t, err)
			require.Equal(t, []string{rec.ID, "inactive"}, []string{got.ID, got.State})
			from := there.Log().Slots
			eventually(t, "time passes", func() bool { return there.Log().Slots > from+5 })
			require.NoError(t, p.client.ResumeRecording(ctx, rec.ID))
			require.Equal(t, "active", next(p, states))
			slots(25)
			require.NoError(t, p.client.StopRecording(ctx, rec.ID))
			_, err = p.client.GetRecording(ctx, rec.ID)
			refused(t, err, 404, 8522)

			file := next(p, p.recorded)
			require.Equal(t, rec.ID, file.RecordingID)
			require.Equal(t, call.Connection().GroupID, file.ServerCallID)
			require.Len(t, file.Chunks, 1)
			var wave bytes.Buffer
			n, err := p.client.DownloadRecording(ctx, file.Chunks[0].ContentLocation, 0, &wave, 1<<20)
			require.NoError(t, err)
			require.EqualValues(t, wave.Len(), n)
			samples := readWave(t, wave.Bytes())
			require.EqualValues(t, file.Duration.Milliseconds(), len(samples)/16)
			inOrder(t, samples, there.Log())
			var tail bytes.Buffer
			_, err = p.client.DownloadRecording(ctx, file.Chunks[0].ContentLocation, 100, &tail, 1<<20)
			require.NoError(t, err)
			require.Equal(t, wave.Bytes()[100:], tail.Bytes(), "the rest, from an offset")
			var about bytes.Buffer
			_, err = p.client.DownloadRecording(ctx, file.Chunks[0].MetadataLocation, 0, &about, 1<<20)
			require.NoError(t, err)
			require.Contains(t, about.String(), file.Chunks[0].DocumentID)
			require.NoError(t, p.client.DeleteRecording(ctx, file.Chunks[0].DeleteLocation))
			_, err = p.client.DownloadRecording(ctx, file.Chunks[0].ContentLocation, 0, &about, 1<<20)
			refused(t, err, 404, 8522)
		})
	}
}

// inOrder finds each frame of a recording in what was said, in its order, with
// one gap where it was paused.
func inOrder(t *testing.T, recorded []int16, log *cloud.Log) {
	t.Helper()
	said := log.ExpectedMix()
	slot, gaps := -1, 0
	for i := 0; i+pcm.FrameSamples <= len(recorded); i += pcm.FrameSamples {
		frame := recorded[i:][:pcm.FrameSamples]
		found := slot + 1
		for found*pcm.FrameSamples < len(said) && !slices.Equal(frame, said[found*pcm.FrameSamples:][:pcm.FrameSamples]) {
			found++
		}
		require.Less(t, found*pcm.FrameSamples, len(said), "frame %d was not said", i/pcm.FrameSamples)
		if slot >= 0 && found > slot+1 {
			gaps++
		}
		slot = found
	}
	require.Equal(t, 1, gaps)
	require.GreaterOrEqual(t, len(recorded), 50*pcm.FrameSamples)
}

// TestEmulatorUnmixedRecording: by callConnectionId, paused at first, with
// channels that are named; it ends with the call.
func TestEmulatorUnmixedRecording(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays(cloud.Speaker{ID: "8:acs:one"}), RecordingDir: t.TempDir()}, acs.Version2026, nil)
	call, there := p.dial(acs.CallOptions{})
	rec, err := p.client.StartRecording(ctx, acs.StartRecording{
		CallID: call.CallID(), Content: "audio", Channels: "unmixed", Format: "wav", Paused: true,
		Channel: map[string]int{"8:acs:one": 3}, Order: []string{callee},
	})
	require.NoError(t, err)
	require.Equal(t, "inactive", rec.State)
	require.NoError(t, p.client.ResumeRecording(ctx, rec.ID))
	eventually(t, "it records", func() bool { return p.emulator.Recordings()[0].Slots > 3 })
	there.HangUp()
	file := next(p, p.recorded)
	require.Equal(t, "CallEnded", file.EndReason)
	got := p.emulator.Recordings()[0]
	require.Equal(t, []string{"8:acs:one", callee}, []string{got.Participants[3], got.Participants[0]})
	require.FileExists(t, got.File)

	failing, more := p.dial(acs.CallOptions{})
	require.NoError(t, more.Inject(cloud.Fault{Kind: cloud.FailOperation, Operation: "startRecording"}))
	failed := make(chan acs.Event, 1)
	failing.OnNotice(func(n session.Notice) {
		if e, err := acs.EventOf(n); err == nil && e.Name == acs.StartRecordingFailed {
			failed <- e
		}
	})
	rec, err = p.client.StartRecording(ctx, acs.StartRecording{CallID: failing.CallID(), StateCallbackURI: p.http.URL + "/callbacks"})
	require.NoError(t, err)
	e := next(p, failed)
	require.Equal(t, []any{rec.ID, 500, 9999}, []any{e.Recording.ID, e.Result.Code, e.Result.SubCode})
}
