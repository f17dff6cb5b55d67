package acs_test

import (
	"context"
	"testing"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/stretchr/testify/require"
)

// noise is audio of which no two frames are alike.
func noise(samples int, seed uint64) []int16 { return signal.Noise(samples, seed, -20) }

// cancelled waits for an operation that is to be cancelled. Version2022 says no
// more of that than its name.
func cancelled(t *testing.T, p *product, version string, name acs.EventName) func(*acs.Operation, error) acs.Event {
	if version == acs.Version2022 {
		return fails(t, p, name, 0, 0)
	}
	return fails(t, p, name, 400, 8508)
}

// TestEmulatorPlay: what is played is heard, to the sample.
func TestEmulatorPlay(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := newProduct(t, &cloud.Server{OnCreate: stays()}, version, nil)
			call, there := p.dial(acs.CallOptions{})
			id := call.CallID()
			greeting := noise(9*320+100, 1)
			file := acs.PlaySource{File: p.file("greeting.wav", greeting), CacheID: "greeting"}
			play := func(sources ...acs.PlaySource) (*acs.Operation, error) {
				return p.client.Play(ctx, id, acs.Play{Sources: sources})
			}
			require.Equal(t, acs.PlayCompleted, done(t, p)(play(file)).Name)
			log := there.Log()
			require.Len(t, log.Prompts, 1)
			heard := log.HeardPrompts("")
			require.Equal(t, greeting, heard[log.Prompts[0].At:][:len(greeting)])
			require.Equal(t, greeting, sound(heard))

			missing := acs.PlaySource{File: p.http.URL + "/files/none.wav"}
			e := fails(t, p, acs.PlayFailed, 400, 8536)(play(missing))
			p.mu.Lock()
			p.files["text.wav"] = []byte("no wave")
			p.mu.Unlock()
			fails(t, p, acs.PlayFailed, 400, 8535)(play(acs.PlaySource{File: p.http.URL + "/files/text.wav"}))

			// Several wait for each other; all are cancelled at once.
			loop := acs.Play{Sources: []acs.PlaySource{file}, Loop: true}
			first, err := p.client.Play(ctx, id, loop)
			require.NoError(t, err)
			second, err := p.client.Play(ctx, id, loop)
			require.NoError(t, err)
			eventually(t, "it plays", func() bool { return len(there.Log().Prompts) > 2 })
			require.NoError(t, p.client.CancelAllMediaOperations(ctx, id))
			cancelled(t, p, version, acs.PlayCanceled)(first, nil)
			cancelled(t, p, version, acs.PlayCanceled)(second, nil)
			if version == acs.Version2022 {
				return
			}
			require.Zero(t, e.FailedSource)
			before := len(there.Log().Prompts)
			done(t, p)(play(acs.PlaySource{Text: "yes", Voice: "en-US-JennyNeural"}, acs.PlaySource{SSML: "<speak>no</speak>"}))
			prompts := there.Log().Prompts[before:]
			require.Len(t, prompts, 2)
			require.Equal(t, cloud.ToneSpeech("yes"), []int16(prompts[0].PCM))
			require.Equal(t, cloud.ToneSpeech("no"), []int16(prompts[1].PCM))
			e = fails(t, p, acs.PlayFailed, 400, 8536)(play(file, missing))
			require.Equal(t, 1, e.FailedSource)
			o, err := p.client.Play(ctx, id, loop)
			require.NoError(t, err)
			done(t, p)(p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{file}, Interrupt: true}))
			fails(t, p, acs.PlayCanceled, 400, 8508)(o, nil)
			done(t, p)(p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{file}, To: []string{callee}}))
			_, err = p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{file}, To: []string{"8:acs:nobody"}})
			refused(t, err, 404, 8522)
		})
	}
}

// sound is what is heard, from its first sample that is not silent to the last.
func sound(s []int16) []int16 {
	i, j := 0, len(s)
	for i < j && s[i] == 0 {
		i++
	}
	for j > i && s[j-1] == 0 {
		j--
	}
	return s[i:j]
}

// TestEmulatorRecognizeKeys: the outcomes of the recognition of keys, in both
// versions.
func TestEmulatorRecognizeKeys(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := newProduct(t, &cloud.Server{OnCreate: stays()}, version, nil)
			call, there := p.dial(acs.CallOptions{})
			listen := func(r acs.Recognize, keys string) (*acs.Operation, error) {
				r.Input, r.Party = acs.RecognizeDTMF, callee
				o, err := p.client.Recognize(ctx, call.CallID(), r)
				for _, key := range keys {
					require.NoError(t, there.Press(callee, string(key)))
				}
				return o, err
			}
			e := done(t, p)(listen(acs.Recognize{MaxTones: 3}, "5A*"))
			require.Equal(t, 8531, e.Result.SubCode)
			require.Equal(t, "5A*", acs.Keys(e.Recognition.Tones))
			e = done(t, p)(listen(acs.Recognize{MaxTones: 3, StopTones: "#"}, "1#"))
			require.Equal(t, 8514, e.Result.SubCode)
			require.Equal(t, acs.Recognition{Type: "dtmf", Tones: []string{"one"}}, e.Recognition)
			prompt := acs.PlaySource{File: p.file("prompt.wav", noise(320*3000, 1))}
			o, err := listen(acs.Recognize{MaxTones: 1, Prompts: []acs.PlaySource{prompt}, InterruptPrompt: true}, "")
			require.NoError(t, err)
			eventually(t, "the prompt plays", func() bool { return len(there.Log().Prompts) == 1 })
			require.NoError(t, there.Press(callee, "7"))
			require.Equal(t, "7", acs.Keys(done(t, p)(o, nil).Recognition.Tones))
			require.Less(t, there.Log().Prompts[0].Samples, int64(320*3000), "it was interrupted")
			fails(t, p, acs.RecognizeFailed, 400, 8532)(listen(acs.Recognize{MaxTones: 3, InterTone: 1}, "1"))
			fails(t, p, acs.RecognizeFailed, 400, 8510)(listen(acs.Recognize{InitialSilence: 1}, ""))
			o, err = listen(acs.Recognize{InitialSilence: 300}, "")
			require.NoError(t, err)
			require.NoError(t, p.client.CancelAllMediaOperations(ctx, call.CallID()))
			cancelled(t, p, version, acs.RecognizeCanceled)(o, nil)
			fails(t, p, acs.RecognizeFailed, 400, 8536)(listen(acs.Recognize{Prompts: []acs.PlaySource{{File: p.http.URL + "/files/none.wav"}}}, ""))
		})
	}
}

// TestEmulatorRecognizeSpeech: choices by phrase and by key, and free speech.
func TestEmulatorRecognizeSpeech(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
	call, there := p.dial(acs.CallOptions{})
	choices := []acs.Choice{{Label: "Confirm", Phrases: []string{"yes", "go on"}, Tone: "1"}, {Label: "Cancel", Phrases: []string{"no"}, Tone: "2"}}
	listen := func(input, says, key string) (*acs.Operation, error) {
		r := acs.Recognize{Input: input, Party: callee, EndSilence: 100, Language: "en-US"}
		if input == acs.RecognizeChoices {
			r.Choices, r.EndSilence = choices, 0
		}
		o, err := p.client.Recognize(ctx, call.CallID(), r)
		if says != "" {
			require.NoError(t, there.Speak(cloud.Speaker{ID: callee, Says: []cloud.Phrase{{Text: says, Slots: 5}}}))
		}
		if key != "" {
			require.NoError(t, there.Press(callee, key))
		}
		return o, err
	}
	e := done(t, p)(listen(acs.RecognizeChoices, "Go on!", ""))
	require.Equal(t, 8545, e.Result.SubCode)
	require.Equal(t, acs.Recognition{Type: "choices", Label: "Confirm", Phrase: "go on", Confidence: e.Recognition.Confidence}, e.Recognition)
	require.NotZero(t, e.Recognition.Confidence)
	e = done(t, p)(listen(acs.RecognizeChoices, "", "2"))
	require.Equal(t, 8533, e.Result.SubCode)
	require.Equal(t, acs.Recognition{Type: "choices", Label: "Cancel"}, e.Recognition)
	fails(t, p, acs.RecognizeFailed, 400, 8547)(listen(acs.RecognizeChoices, "perhaps", ""))
	fails(t, p, acs.RecognizeFailed, 400, 8534)(listen(acs.RecognizeChoices, "", "9"))
	e = done(t, p)(listen(acs.RecognizeSpeech, "I want a pizza.", ""))
	require.Equal(t, "I want a pizza.", e.Recognition.Speech)
	require.Equal(t, "speech", e.Recognition.Type)
	o, err := listen(acs.RecognizeSpeech, "", "")
	require.NoError(t, err)
	require.NoError(t, there.Speak(cloud.Speaker{ID: callee, PCM: noise(5*320, 1)}))
	fails(t, p, acs.RecognizeFailed, 400, 8563)(o, nil)
	e = done(t, p)(listen(acs.RecognizeSpeechOrDTMF, "hello", ""))
	require.Equal(t, "hello", e.Recognition.Speech)
}

// TestEmulatorTones: keys reach the app as they are pressed, and ours the other
// side.
func TestEmulatorTones(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := newProduct(t, &cloud.Server{OnCreate: stays(cloud.Speaker{ID: "4:+14250000002"})}, acs.Version2026, nil)
	tones := make(chan byte, 16)
	p.onCall = func(c *session.Call) { c.OnTone(func(tone byte) { tones <- tone }) }
	call, there := p.dial(acs.CallOptions{})
	id, phone := call.CallID(), "4:+14250000002"
	require.NoError(t, p.client.StartContinuousDTMF(ctx, id, phone, acs.Tracking{}))
	for _, key := range "19*#AD" {
		require.NoError(t, there.Press(callee, "7"), "who is not listened to")
		require.NoError(t, there.Press(phone, string(key)))
	}
	for _, key := range "19*#AD" {
		require.Equal(t, byte(key), next(p, tones))
	}
	e := done(t, p)(p.client.StopContinuousDTMF(ctx, id, phone, acs.Tracking{}))
	require.Equal(t, acs.ContinuousDTMFStopped, e.Name)
	require.NoError(t, there.Press(phone, "5"))

	e = done(t, p)(p.client.SendDTMF(ctx, id, phone, "12#", acs.Tracking{}))
	require.Equal(t, acs.SendDTMFTonesCompleted, e.Name)
	require.Equal(t, []string{"1", "2", "#"}, there.Log().SentTones)
	require.NoError(t, there.Inject(cloud.Fault{Kind: cloud.FailOperation, Operation: "sendDtmfTones"}))
	fails(t, p, acs.SendDTMFTonesFailed, 500, 9999)(p.client.SendDTMF(ctx, id, phone, "1", acs.Tracking{}))
	_, err := p.client.SendDTMF(ctx, id, "8:acs:nobody", "1", acs.Tracking{})
	refused(t, err, 404, 8522)
	require.Empty(t, tones, "it has stopped")

	// The operation of a call that ends is over with it.
	o, err := p.client.Recognize(ctx, id, acs.Recognize{Input: acs.RecognizeDTMF, Party: phone, InitialSilence: 300})
	require.NoError(t, err)
	there.HangUp()
	_, err = o.Wait(p.limit())
	require.ErrorIs(t, err, session.ErrEnded)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}
