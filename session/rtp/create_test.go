package rtp

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/transport"
)

type target = transport.Target

func TestCreate(t *testing.T) {
	inWorld(t, Config{}, session.Config{}, func(w *world) {
		for _, r := range []struct{ body, dialled string }{
			{`{"target":"127.0.0.1:6000","codec":"L16/16000","payload_type":97,"event_type":101}`, "dial rtp:1 127.0.0.1:6000 L16/16000 97 101"},
			{`{"target":"[::ffff:127.0.0.1]:6000"}`, "dial rtp:2 127.0.0.1:6000 PCMU/8000 0 0"},
			{`{"target":"[::1]:6000","codec":"opus"}`, "dial rtp:3 [::1]:6000 opus 0 0"},
		} {
			c, err := w.Create(w.Context(), Name, []byte(r.body), session.Options{Bidirectional: true})
			require.NoError(w, err)
			require.NoError(w, c.Wait(w.Context(), session.StateConnected))
			require.Equal(w, r.dialled, w.media.lines()[0])
			require.True(w, strings.HasPrefix(c.Snapshot().To.RawID, "rtp:"))
			require.NoError(w, c.HangUp(w.Context(), false))
			require.NoError(w, over(c))
			w.media.log = nil
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	inWorld(t, Config{}, session.Config{}, func(w *world) {
		for body, want := range map[string]string{
			`{}`:                                                              `request.target = "": want an IP address and a port`,
			`{"target":"localhost:80"}`:                                       `request.target = "localhost:80"`,
			`{"target":"127.0.0.1:0"}`:                                        `request.target = "127.0.0.1:0"`,
			`{"target":"0.0.0.0:6000"}`:                                       `request.target = "0.0.0.0:6000"`,
			`{"target":6000}`:                                                 `request.target = "number": want string`,
			`{"target":"127.0.0.1:6000","codec":" "}`:                         `request.codec = " "`,
			`{"target":"127.0.0.1:6000","payload_type":128}`:                  `request.payload_type = "128": want 0 to 127`,
			`{"target":"127.0.0.1:6000","payload_type":-1}`:                   `request.payload_type = "-1"`,
			`{"target":"127.0.0.1:6000","event_type":128}`:                    `request.event_type = "128"`,
			`{"target":"127.0.0.1:6000","payload_type":96,"event_type":96}`:   `request.event_type = "96": want another than payload_type`,
			`{"target":"127.0.0.1:6000","colour":"red"}`:                      `request.colour = "": is not known here`,
			`{"target":"127.0.0.1:6000"} {"target":"127.0.0.1:6000"}`:         "want a JSON object",
			`{"target":"127.0.0.1:6000","codec":"PCMU/8000","codec":{"a":1}}`: `request.codec = "object"`,
		} {
			_, err := w.Create(w.Context(), Name, []byte(body), session.Options{})
			var field *session.FieldError
			require.ErrorAs(w, err, &field, body)
			require.ErrorContains(w, err, want)
		}
		_, err := w.Create(w.Context(), Name, []byte(`{"target":"127.0.0.1:6000"}`), session.Options{ServiceHosted: true})
		require.EqualError(w, err, "RTP has no media hosted by the service")
		for _, line := range w.media.lines() {
			require.Contains(w, line, "bye ")
		}
		w.forgotten()
	})
}

func TestCreateThatCannotBeDialled(t *testing.T) {
	for _, r := range []struct {
		fail error
		want string
	}{
		{verdict(true), `session: request.codec = "PCMU/8000": m=audio: verdict true`},
		{verdict(false), "rtp: create: HTTP 400"},
		{errors.New("network is unreachable"), "rtp: create: network is unreachable"},
	} {
		inWorld(t, Config{}, session.Config{}, func(w *world) {
			w.media.fail = r.fail
			_, err := w.Create(w.Context(), Name, []byte(`{"target":"127.0.0.1:6000"}`), session.Options{})
			require.ErrorContains(w, err, r.want)
			synctest.Wait()
			w.forgotten()
		})
	}
}

func TestNobodyKnowsTheCall(t *testing.T) {
	c, err := New(Config{})
	require.NoError(t, err)
	_, err = c.Get(t.Context(), "nobody")
	require.ErrorContains(t, err, `no call "nobody"`)
	var e *session.Error
	require.ErrorAs(t, c.HangUp(t.Context(), "nobody", false), &e)
	require.Equal(t, 404, e.Status)
	_, err = c.Answer(t.Context(), session.Incoming{CallID: "nobody"}, session.MediaRequest{URL: "rtp:1"})
	require.ErrorContains(t, err, "the caller has given up")
	require.NoError(t, c.Reject(t.Context(), session.Incoming{CallID: "nobody"}, ""))
}
