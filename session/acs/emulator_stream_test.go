package acs_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// turn is what OnMedia tells.
type turn struct {
	up  bool
	err error
}

// watch has the product's calls tell of their media, and of the reasons that
// the cloud gives.
func (p *product) watch() (turns chan turn, reasons chan string) {
	turns, reasons = make(chan turn, 64), make(chan string, 64)
	p.onCall = func(c *session.Call) {
		c.OnMedia(func(up bool, err error) { turns <- turn{up, err} })
		c.OnNotice(func(n session.Notice) {
			if n.Reason != "" {
				reasons <- n.Reason
			}
		})
	}
	return turns, reasons
}

// until skips what OnMedia told before.
func (p *product) until(turns chan turn, ok func(turn) bool) turn {
	p.t.Helper()
	for {
		if v := next(p, turns); ok(v) {
			return v
		}
	}
}

func isUp(v turn) bool   { return v.up }
func isDown(v turn) bool { return !v.up }

// TestEmulatorStreaming: the media is stopped and started, and the app told.
func TestEmulatorStreaming(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays(cloud.Speaker{ID: "8:acs:one", PCM: noise(50*320, 1), Loops: cloud.Forever})}, acs.Version2026, nil)
	turns, reasons := p.watch()
	call, there := p.dial(acs.CallOptions{})
	id := call.CallID()
	p.until(turns, isUp)
	require.Equal(t, "subscriptionStarted", next(p, reasons))
	got, err := p.client.Properties(ctx, id)
	require.NoError(t, err)
	require.Equal(t, "active", got.Media.State)
	require.Equal(t, []string{"audio"}, got.Media.Types)

	e := done(t, p)(p.client.StopMediaStreaming(ctx, id, acs.Tracking{}))
	require.Equal(t, acs.MediaStreamingStopped, e.Name)
	require.Equal(t, acs.StreamUpdate{ContentType: "Audio", Status: "mediaStreamingStopped", Details: "subscriptionStopped"}, e.Media)
	require.NoError(t, p.until(turns, isDown).err, "in good order")
	_, err = p.client.StopMediaStreaming(ctx, id, acs.Tracking{})
	refused(t, err, 400, 8585)
	e = done(t, p)(p.client.StartMediaStreaming(ctx, id, acs.Tracking{}))
	require.Equal(t, acs.MediaStreamingStarted, e.Name)
	p.until(turns, isUp)
	require.Len(t, there.Log().Connections, 2)
	frames := func() (n int64) {
		for _, r := range call.Leg().Stats().Renders {
			n += r.Frames
		}
		return n
	}
	before := frames()
	eventually(t, "the leg carries sound again", func() bool { return frames() > before })
}

// TestEmulatorMediaFails: a stream that cannot be connected, and one that is
// lost, reach the app with the cloud's words.
func TestEmulatorMediaFails(t *testing.T) {
	t.Parallel()
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		for status, details := range map[int]string{401: "authenticationFailure", 403: "forbidden", 503: "initialWebSocketConnectionFailed"} {
			p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
			p.refuse = status
			turns, _ := p.watch()
			call, _ := p.dial(acs.CallOptions{})
			var failure *session.Error
			require.ErrorAs(t, p.until(turns, isDown).err, &failure)
			require.Equal(t, []any{400, 8581, details}, []any{failure.Status, failure.SubCode, failure.Code})
			_, err := call.Media()
			require.Equal(t, failure, err)
			require.Equal(t, session.StateConnected, call.State(), "the call goes on")
			p.mu.Lock()
			p.refuse = 0
			p.mu.Unlock()
			done(t, p)(p.client.StartMediaStreaming(t.Context(), call.CallID(), acs.Tracking{}))
			p.until(turns, isUp)
		}
	})
	t.Run("reestablished", func(t *testing.T) {
		t.Parallel()
		p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
		turns, reasons := p.watch()
		_, there := p.dial(acs.CallOptions{})
		p.until(turns, isUp)
		require.NoError(t, there.Inject(cloud.Fault{Kind: cloud.Reconnect, Slot: there.Log().Slots + 10, Slots: 5}))
		require.Error(t, p.until(turns, isDown).err, "it broke off")
		p.until(turns, isUp)
		require.Equal(t, "subscriptionStarted", next(p, reasons))
		require.Equal(t, "streamConnectionReestablished", next(p, reasons))
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
		turns, _ := p.watch()
		call, there := p.dial(acs.CallOptions{})
		p.until(turns, isUp)
		p.mu.Lock()
		p.refuse = http.StatusBadGateway
		p.mu.Unlock()
		require.NoError(t, there.Inject(cloud.Fault{Kind: cloud.Reconnect, Slot: there.Log().Slots + 10}))
		var failure *session.Error
		p.until(turns, func(v turn) bool {
			failure, _ = v.err.(*session.Error)
			return failure != nil
		})
		require.Equal(t, []any{500, 8603, "streamConnectionInterrupted"}, []any{failure.Status, failure.SubCode, failure.Code})
		require.Equal(t, session.StateConnected, call.State())
	})
}

// TestEmulatorTranscription goes over the media's own connection.
func TestEmulatorTranscription(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
	heard := make(chan transport.Transcript, 16)
	p.onCall = func(c *session.Call) { c.OnTranscript(func(tr transport.Transcript) { heard <- tr }) }
	call, there := p.dial(acs.CallOptions{Transcription: &acs.TranscriptionOptions{Locale: "en-US", Intermediate: true}})
	id := call.CallID()
	_, err := p.client.StopTranscription(ctx, id, acs.Tracking{})
	refused(t, err, 400, 8585)
	e := done(t, p)(p.client.StartTranscription(ctx, id, "", "", acs.Tracking{}))
	require.Equal(t, acs.TranscriptionStarted, e.Name)
	require.Equal(t, acs.StreamUpdate{Status: "transcriptionStarted", Details: "subscriptionStarted"}, e.Transcription)
	require.NoError(t, there.Speak(cloud.Speaker{ID: callee, Says: []cloud.Phrase{{Text: "Hello dear everyone, bye.", Slots: 10}}}))
	half, whole := next(p, heard), next(p, heard)
	require.Equal(t, []any{callee, "Hello dear", "en-US", false}, []any{half.Speaker, half.Text, half.Locale, half.Final})
	require.Equal(t, []any{callee, "Hello dear everyone, bye.", "en-US", true}, []any{whole.Speaker, whole.Text, whole.Locale, whole.Final})
	require.EqualValues(t, 200*time.Millisecond/100, whole.Duration)
	require.NotZero(t, whole.Confidence)
	require.Zero(t, whole.Offset%int64(20*time.Millisecond/100))

	e = done(t, p)(p.client.UpdateTranscription(ctx, id, "de-DE", "", acs.Tracking{}))
	require.Equal(t, acs.TranscriptionUpdated, e.Name)
	got, err := p.client.Properties(ctx, id)
	require.NoError(t, err)
	require.Equal(t, []string{"active", "de-DE"}, []string{got.Transcription.State, got.Transcription.Locale})
	require.Equal(t, []string{"final", "intermediate"}, got.Transcription.Types)
	e = done(t, p)(p.client.StopTranscription(ctx, id, acs.Tracking{}))
	require.Equal(t, acs.TranscriptionStopped, e.Name)
	require.NoError(t, there.Inject(cloud.Fault{Kind: cloud.FailOperation, Operation: "startTranscription", Result: &cloud.Result{Code: 500, SubCode: 8578}}))
	fails(t, p, acs.TranscriptionFailed, 500, 8578)(p.client.StartTranscription(ctx, id, "", "", acs.Tracking{}))
	require.Empty(t, heard)
	up, _ := call.Media()
	require.True(t, up, "the media did not stop")
}

// TestEmulatorAnswersWithTranscription: an incoming call is transcribed from
// its start.
func TestEmulatorAnswersWithTranscription(t *testing.T) {
	t.Parallel()
	p := newProduct(t, &cloud.Server{}, acs.Version2026, nil)
	heard := make(chan transport.Transcript, 16)
	p.onCall = func(c *session.Call) { c.OnTranscript(func(tr transport.Transcript) { heard <- tr }) }
	_, err := p.emulator.Ring(t.Context(), cloud.Ring{Script: cloud.Script{
		HangUp: cloud.Never, Speakers: []cloud.Speaker{{ID: "4:+14250000001", Says: []cloud.Phrase{{Slot: 10, Slots: 5, Text: "Hi."}}}},
	}})
	require.NoError(t, err)
	answer, err := p.client.AnswerOptions(botUser, acs.CallOptions{Transcription: &acs.TranscriptionOptions{Locale: "en-US", Start: true}})
	require.NoError(t, err)
	rings := p.manager.Incoming()
	require.Len(t, rings, 1)
	call, err := rings[0].Answer(p.limit(), session.Options{Channels: engine.Unmixed, Answer: answer})
	require.NoError(t, err)
	tr := next(p, heard)
	require.Equal(t, []any{"4:+14250000001", "Hi.", true}, []any{tr.Speaker, tr.Text, tr.Final})
	got, err := p.client.Properties(t.Context(), call.CallID())
	require.NoError(t, err)
	require.Equal(t, botUser, got.AnsweredBy)
}
