package graph_test

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

var bothVersions = []string{graph.V1, graph.Beta}

// version has the client speak that one.
func version(v string) func(*graph.ClientConfig) {
	return func(c *graph.ClientConfig) { c.Version = v }
}

// noise is a sound of that many samples, none of which is like another's.
func noise(n, seed int) []int16 {
	out := make([]int16, n)
	x := uint32(seed)*2654435761 + 1
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = int16(x>>16)/4 | 1
	}
	return out
}

// talker is a script in which one speaker talks on and on, until the bot hangs
// up.
func talker() cloud.Script {
	return cloud.Script{HangUp: cloud.Never, Speakers: []cloud.Speaker{{Name: "Ann", PCM: noise(100*pcm.FrameSamples, 1), Loops: cloud.Forever}}}
}

// waveFile is a WAV file by the book: mono, 16 bit, 16 kHz.
func waveFile(samples []int16) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF")
	size := uint32(2 * len(samples))
	for _, v := range []any{36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(16000), uint32(32000), uint16(2), uint16(16), []byte("data"), size, samples} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// readWave returns the samples of such a file.
func readWave(t *testing.T, file []byte) []int16 {
	t.Helper()
	require.Greater(t, len(file), 44)
	require.Equal(t, "RIFF", string(file[:4]))
	require.Equal(t, uint32(16000), binary.LittleEndian.Uint32(file[24:]))
	samples := make([]int16, (len(file)-44)/2)
	require.NoError(t, binary.Read(bytes.NewReader(file[44:]), binary.LittleEndian, samples))
	return samples
}

// prompts serves sounds as WAV files, as "/{name}".
func prompts(sounds map[string][]int16) func(*http.ServeMux) {
	return func(mux *http.ServeMux) {
		for name, samples := range sounds {
			mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(waveFile(samples)) })
		}
	}
}

// find returns where part begins in whole, at a frame, or -1.
func find(whole, part []int16) int {
	for i := 0; i+len(part) <= len(whole); i += pcm.FrameSamples {
		if slices.Equal(whole[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// TestServiceHostedCall: the media of an answered call stay with the service,
// which plays, records and listens for keys when it is asked to.
func TestServiceHostedCall(t *testing.T) {
	t.Parallel()
	for _, v := range bothVersions {
		t.Run(v, func(t *testing.T) {
			sounds := map[string][]int16{"hello.wav": noise(3200, 2), "bye.wav": noise(1600, 3), "long.wav": noise(10*16000, 4)}
			h := newHost(t, &cloud.Server{}, wiring{client: version(v), mux: prompts(sounds)})
			ring, there := h.ring(cloud.GraphRing{Script: talker()})
			require.False(t, ring.Policy)
			tones := make(chan byte, 8)
			h.onCall = func(c *session.Call) { c.OnTone(func(key byte) { tones <- key }) }
			call := h.answer(ring, session.Options{ServiceHosted: true})
			require.Equal(t, v, there.Log().APIVersion)
			ctx, id := h.limit(), call.CallID()
			at := func(name string) graph.Prompt { return graph.Prompt{URI: h.http.URL + "/" + name, ResourceID: name} }

			// Prompts are heard as they are, one after the other.
			op, err := h.client.PlayPrompt(ctx, id, []graph.Prompt{at("hello.wav"), at("bye.wav")}, "greeting")
			require.NoError(t, err)
			require.Equal(t, "playPromptOperation", op.Kind)
			end, err := op.Wait(ctx)
			require.NoError(t, err)
			require.Equal(t, "greeting", end.ClientContext)
			require.EqualValues(t, 200, end.ResultInfo.Code)
			log := there.Log()
			require.Zero(t, log.Playout.Total)
			require.Len(t, log.Prompts, 2)
			heard := log.HeardPrompts("")
			for i, name := range []string{"hello.wav", "bye.wav"} {
				p := log.Prompts[i]
				require.Equal(t, sounds[name], []int16(p.PCM))
				require.Equal(t, sounds[name], heard[p.At:p.At+p.Samples])
			}
			require.GreaterOrEqual(t, log.Prompts[1].At, log.Prompts[0].At+log.Prompts[0].Samples)
			got, err := h.client.GetOperation(ctx, id, op.ID)
			require.NoError(t, err)
			require.EqualValues(t, "completed", got.Status)

			// A prompt that is no WAV file fails, typed.
			op, err = h.client.PlayPrompt(ctx, id, []graph.Prompt{at("none.wav")}, "")
			require.NoError(t, err)
			_, err = op.Wait(ctx)
			var refused *session.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 500, refused.Status)

			h.cancelled(id, at("long.wav"))
			h.recorded(id, there)

			// Keys come as tones once they are asked for.
			op, err = h.client.SubscribeToTone(ctx, id, "")
			require.NoError(t, err)
			_, err = op.Wait(ctx)
			require.NoError(t, err, "over in the response")
			for _, key := range []string{"5", "#", "d"} {
				require.NoError(t, there.DTMF(key))
			}
			var keys []byte
			for len(keys) < 3 {
				if key := next(h, tones); key != '*' { // which ended the recording
					keys = append(keys, key)
				}
			}
			require.Equal(t, "5#D", string(keys))

			// What needs the app's own media, or others, is refused.
			_, err = h.client.SendDTMFTones(ctx, id, "12", 0, "")
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 400, refused.Status)
			_, err = h.client.Mute(ctx, id, "")
			require.ErrorAs(t, err, &refused)
			require.Equal(t, 400, refused.Status)

			op, err = h.client.PlayPrompt(ctx, id, []graph.Prompt{at("long.wav")}, "")
			require.NoError(t, err)
			require.NoError(t, call.HangUp(ctx, false))
			_, err = op.Wait(ctx)
			require.ErrorIs(t, err, session.ErrEnded, "the call took its operations with it")
			require.NoError(t, h.over(call))
		})
	}
}

// cancelled: what plays and what waits fails with the documented code; the
// subscription to tones is not touched.
func (h *host) cancelled(id string, long graph.Prompt) {
	t, ctx := h.t, h.limit()
	var ops []*graph.Operation
	for range 2 {
		op, err := h.client.PlayPrompt(ctx, id, []graph.Prompt{long}, "")
		require.NoError(t, err)
		ops = append(ops, op)
	}
	op, err := h.client.RecordResponse(ctx, id, graph.RecordResponse{Prompt: long})
	require.NoError(t, err)
	ops = append(ops, op)
	done, err := h.client.CancelMediaProcessing(ctx, id, "stop")
	require.NoError(t, err)
	end, err := done.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, "stop", end.ClientContext)
	for _, op := range ops {
		end, err := op.Wait(ctx)
		var refused *session.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, 400, refused.Status)
		require.Equal(t, 8508, refused.SubCode)
		require.Equal(t, "operationCanceled", refused.Code)
		require.EqualValues(t, "failed", end.Status)
	}
}

// recorded: a recording is what the speaker said while it was taken.
func (h *host) recorded(id string, there *cloud.Call) {
	t, ctx := h.t, h.limit()
	op, err := h.client.RecordResponse(ctx, id, graph.RecordResponse{MaxRecordDuration: 1, NoBeep: true, ClientContext: "what is it?"})
	require.NoError(t, err)
	end, err := op.Wait(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 200, end.ResultInfo.Code)
	require.EqualValues(t, 8515, end.ResultInfo.Subcode, "the longest was reached")
	require.EqualValues(t, "maxRecordDurationReached", end.CompletionReason)
	var file bytes.Buffer
	n, err := h.client.DownloadRecording(ctx, end, &file, 1<<20)
	require.NoError(t, err)
	require.EqualValues(t, file.Len(), n)
	samples := readWave(t, file.Bytes())
	require.Len(t, samples, 16000)
	require.GreaterOrEqual(t, find(there.Log().ExpectedMix(), samples), 0, "what was recorded is what was said")

	forged := end
	forged.RecordingAccessToken = "another"
	_, err = h.client.DownloadRecording(ctx, forged, &file, 1<<20)
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 401, refused.Status)
	_, err = h.client.DownloadRecording(ctx, end, &file, n-1)
	require.ErrorContains(t, err, "longer than")

	op, err = h.client.RecordResponse(ctx, id, graph.RecordResponse{MaxRecordDuration: 60, StopTones: []string{"1", "*"}, NoBeep: true})
	require.NoError(t, err)
	eventually(t, "stops at the key", func() bool { // it may be pressed before the recording begins
		require.NoError(t, there.DTMF("*"))
		select {
		case <-op.Done():
			return true
		default:
			return false
		}
	})
	end, err = op.Wait(ctx)
	require.NoError(t, err)
	require.EqualValues(t, "stopToneDetected", end.CompletionReason)
}
