package cloud

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// duet is a short script: two speakers who fall into each other's words, the
// second with silence that is not sent.
func duet() Script {
	return Script{Name: "duet", HangUp: 40, Speakers: []Speaker{
		{ID: "8:acs:a", Name: "Ann", PCM: signal.Noise(20*320+7, 1, -20), Start: 3},
		{ID: "4:+1425", PCM: signal.Noise(5*320, 2, -20), Start: 10, Loops: 2, Pause: 4, Silence: SilenceOmitted, Gain: 1.5},
	}}
}

func TestUnmixedCall(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	call := b.take(duet(), "unmixed", "")
	s := b.socket()
	log := wait(t, call)
	s.wait(t)

	require.Equal(t, call.ID(), s.header.Get("x-ms-call-connection-id"))
	require.Equal(t, log.CorrelationID, s.header.Get("x-ms-call-correlation-id"))
	require.Equal(t, "AudioMetadata", s.messages[0].Kind)
	require.Equal(t, map[string]any{
		"subscriptionId": call.subscriptionID, "encoding": "PCM", "sampleRate": 16000.0, "channels": 1.0, "length": 640.0,
	}, s.messages[0].Metadata)

	require.Equal(t, 40, log.Slots)
	require.Len(t, s.frames("8:acs:a"), 40, "silence is sent")
	require.Len(t, s.frames("4:+1425"), 15, "silence is not sent")
	require.Len(t, s.frames("*"), 55)
	for i := range log.Speakers {
		sp := &log.Speakers[i]
		require.Equal(t, sp.Expected(40), timeline(t, s.frames(sp.RawID), log.Start, 40), sp.RawID)
	}
	require.Len(t, log.Speakers[0].Clip, 20*320, "whole slots")
	require.Equal(t, &StreamLog{Sent: 40}, log.Speakers[0].Stream)
	require.Equal(t, &StreamLog{Sent: 15, NotSent: []Span{{0, 10, ""}, {15, 4, ""}, {24, 4, ""}, {33, 7, ""}}}, log.Speakers[1].Stream)
	for _, m := range s.frames("*") {
		require.Less(t, len(m.text), 2048)
		require.NotNil(t, m.Audio.Silent)
		require.Equal(t, silentSamples(m.samples()), *m.Audio.Silent)
		slot := m.Audio.Timestamp.Sub(log.Start)
		early := m.Audio.Timestamp.Sub(m.arrival)
		require.Less(t, early, 2*time.Millisecond, "slot %v came before its time", slot)
	}

	events := b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "CallDisconnected")
	require.Equal(t, map[string]any{"code": 200.0, "subCode": 7000.0, "message": resultByOthers.Message}, events[3].Data["resultInformation"])
	require.Len(t, log.Events, 4)
	require.True(t, log.Ended)
	require.Equal(t, []ConnectionLog{{From: 0, To: 40}}, log.Connections)
}
