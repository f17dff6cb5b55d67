package rtp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/session"
)

func TestDTMF(t *testing.T) {
	inWorld(t, Config{}, session.Config{}, func(w *world) {
		c, err := w.Create(w.Context(), Name, []byte(`{"target":"127.0.0.1:6000","event_type":101}`), session.Options{})
		require.NoError(w, err)
		require.Equal(w, []string{"dtmf"}, c.Actions())
		start := time.Now()
		got, err := c.Act(w.Context(), "dtmf", []byte(`{"tones":"12#a","to":"rtp:127.0.0.1:6000","operation_context":"pin"}`))
		require.NoError(w, err)
		require.JSONEq(w, `{"operation_context":"pin"}`, string(got))
		require.Zero(w, time.Since(start))
		require.Equal(w, []string{"press rtp:1 1 100ms", "press rtp:1 2 100ms", "press rtp:1 # 100ms", "press rtp:1 A 100ms"}, w.media.lines()[1:])
		_, err = c.Act(w.Context(), "dtmf", []byte(`{"tones":"12#","wait":true}`))
		require.NoError(w, err)
		require.Equal(w, 600*time.Millisecond, time.Since(start))

		for body, want := range map[string]string{
			`{}`:                        `tones = ""`,
			`{"tones":"1x"}`:            `tones = "1x": want 1 to 32 of 0 to 9, *, #, A to D`,
			`{"tones":"1","to":"4:+1"}`: `to = "4:+1": want nobody, or the only other one: rtp:127.0.0.1:6000`,
			`{"tones":1}`:               `tones = "number"`,
			`{"keys":"1"}`:              "keys",
			`{"tones":"` + strings.Repeat("1", maxTones+1) + `"}`: "want 1 to 32",
			`{"tones":"\u00e9"}`:                 "tones",
			`{"tones":"1","to":"4:+1"} trailing`: "more follows",
		} {
			_, err := c.Act(w.Context(), "dtmf", []byte(body))
			require.ErrorContains(w, err, want, body)
		}
		_, err = c.Act(w.Context(), "play", []byte(`{}`))
		require.ErrorIs(w, err, session.ErrUnknownAction)

		go func() {
			time.Sleep(time.Second)
			w.cloud.Ended("rtp:1", nil)
		}()
		_, err = c.Act(w.Context(), "dtmf", []byte(`{"tones":"1234567890","wait":true}`))
		require.ErrorIs(w, err, session.ErrEnded)
		_, err = c.Act(w.Context(), "dtmf", []byte(`{"tones":"1"}`))
		require.ErrorContains(w, err, "no call")
	})
}

func TestKeysThatAreNotPressed(t *testing.T) {
	inWorld(t, Config{}, session.Config{}, func(w *world) {
		c, err := w.Create(w.Context(), Name, []byte(`{"target":"127.0.0.1:6000"}`), session.Options{})
		require.NoError(w, err)
		w.media.mu.Lock()
		w.media.fail = errors.New("the peer takes no telephone events")
		w.media.mu.Unlock()
		_, err = c.Act(w.Context(), "dtmf", []byte(`{"tones":"12"}`))
		require.ErrorContains(w, err, "0 of 2 keys are pressed: the peer takes no telephone events")
	})
}
