package acs_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/stretchr/testify/require"
)

// bot is the product's side of the wire without a session: what the emulator
// sends comes out of channels.
type bot struct {
	notices chan session.Notice
	rings   chan session.Incoming
	dialled chan error // what the Verifier says of a media upgrade

	*httptest.Server
	webhook  *acs.Webhook
	verifier *acs.Verifier
}

func (b *bot) Deliver(n session.Notice) { b.notices <- n }
func (b *bot) Ring(in session.Incoming) { b.rings <- in }

// newBot starts an emulator and a bot that knows it.
func newBot(t *testing.T) (*bot, *cloud.Server) {
	emulator := &cloud.Server{Insecure: true, Speed: 20}
	require.NoError(t, emulator.Start(t.Context()))
	b := &bot{
		notices: make(chan session.Notice, 100),
		rings:   make(chan session.Incoming, 100),
		dialled: make(chan error, 100),
	}
	var err error
	b.verifier, err = acs.NewVerifier(acs.VerifierConfig{
		Audience: []string{emulator.Audience()}, OpenIDURL: emulator.OIDCURL(),
	})
	require.NoError(t, err)
	b.webhook, err = acs.NewWebhook(acs.WebhookConfig{Sink: b, Verify: b.verifier.Verify})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/", b.webhook)
	mux.HandleFunc("/media", func(w http.ResponseWriter, r *http.Request) {
		b.dialled <- b.verifier.Verify(r)
		http.Error(w, "no media here", http.StatusForbidden)
	})
	b.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		require.NoError(t, emulator.Close())
		b.Close()
		require.NoError(t, b.verifier.Close())
	})
	return b, emulator
}

func (b *bot) media(c engine.Channels) session.MediaRequest {
	return session.MediaRequest{
		URL:         "ws" + strings.TrimPrefix(b.URL, "http") + "/media",
		CallbackURL: b.URL + b.webhook.CallbackPath(),
		Channels:    c, Bidirectional: true, OperationContext: "Reminder call",
	}
}

// next waits for the next notice of a kind and skips others.
func (b *bot) next(t *testing.T, kind session.EventKind) session.Notice {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case n := <-b.notices:
			if n.Kind == kind {
				return n
			}
		case <-deadline:
			require.FailNow(t, "no such notice within 10 s", "kind %d", kind)
		}
	}
}

func (b *bot) ring(t *testing.T, emulator *cloud.Server) session.Incoming {
	t.Helper()
	script, err := cloud.Named(cloud.ThreeSpeakers, 10*time.Second)
	require.NoError(t, err)
	_, err = emulator.Ring(t.Context(), cloud.Ring{Script: script, EventsURL: b.URL + b.webhook.EventPath()})
	require.NoError(t, err)
	return <-b.rings
}

func newClient(t *testing.T, emulator *cloud.Server, version string) *acs.Client {
	c, err := acs.NewClient(acs.ClientConfig{
		ConnectionString: "endpoint=" + emulator.URL() + "/;accesskey=" + emulator.AccessKey(),
		APIVersion:       version, BaseDelay: time.Millisecond,
	})
	require.NoError(t, err)
	return c
}

// TestAgainstTheEmulator plays every operation against an independent reading
// of the same documents: its signatures, tokens, statuses and repetitions.
func TestAgainstTheEmulator(t *testing.T) {
	for _, version := range []string{acs.Version2022, acs.Version2026} {
		t.Run(version, func(t *testing.T) {
			b, emulator := newBot(t)
			c := newClient(t, emulator, version)
			t.Run("incoming", func(t *testing.T) { incoming(t, b, emulator, c) })
			t.Run("outgoing", func(t *testing.T) { outgoing(t, b, emulator, c) })
			require.Empty(t, b.webhook.Stats().Bad)
			require.Empty(t, b.verifier.Stats().Refused)
		})
	}
}

func incoming(t *testing.T, b *bot, emulator *cloud.Server, c *acs.Client) {
	ctx := t.Context()
	in := b.ring(t, emulator)
	require.NotEmpty(t, in.From.RawID)
	// Two responses are lost, though the first request took effect.
	require.NoError(t, emulator.Break(cloud.RequestFault{Operation: "answer", Status: 500, Executed: true}))
	require.NoError(t, emulator.Break(cloud.RequestFault{Operation: "answer", Status: 429}))
	conn, err := c.Answer(ctx, in, b.media(engine.Unmixed))
	require.NoError(t, err)
	require.Equal(t, conn.CallID, b.next(t, session.EventConnected).CallID)
	require.NoError(t, <-b.dialled, "the upgrade carries a token that we accept")
	require.NotEmpty(t, b.next(t, session.EventParticipants).Participants)
	require.NoError(t, c.HangUp(ctx, conn.CallID, false))
	require.Equal(t, conn.CallID, b.next(t, session.EventDisconnected).CallID)

	require.NoError(t, c.Reject(ctx, b.ring(t, emulator), "busy"))
	require.NoError(t, c.Redirect(ctx, b.ring(t, emulator), session.Identity{RawID: "4:+14250123456"}))
	in.Context = "made up"
	_, err = c.Answer(ctx, in, b.media(engine.Mixed))
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.False(t, refused.Retryable)
	require.GreaterOrEqual(t, refused.Status, 400)
}

func outgoing(t *testing.T, b *bot, emulator *cloud.Server, c *acs.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	body := `{"source":{"identifier":{"kind":"communicationUser","communicationUser":{"id":"8:acs:a_b"}}},
		"targets":[{"kind":"communicationUser","communicationUser":{"id":"8:acs:a_c"}}]}`
	if c.APIVersion() != acs.Version2022 {
		body = `{"source":{"id":"8:acs:a_b"},"targets":[{"kind":"communicationUser","rawId":"8:acs:a_c","communicationUser":{"id":"8:acs:a_c"}}]}`
	}
	require.NoError(t, emulator.Break(cloud.RequestFault{Operation: "create", Status: 503, Executed: true}))
	before := len(emulator.Calls())
	conn, err := c.Create(ctx, session.CreateRequest{Body: []byte(body), Media: b.media(engine.Mixed)})
	require.NoError(t, err)
	require.Len(t, emulator.Calls(), before+1, "the repetition made no second call")
	require.Equal(t, "8:acs:a_b", conn.Source.RawID)
	require.Equal(t, []session.Identity{{RawID: "8:acs:a_c"}}, conn.Targets)
	n := b.next(t, session.EventConnected)
	require.Equal(t, conn.CallID, n.CallID)
	require.Equal(t, "Reminder call", n.OperationContext)
	require.NoError(t, <-b.dialled)
	got, err := c.Get(ctx, conn.CallID)
	require.NoError(t, err)
	require.Equal(t, session.StateConnected, got.State)
	require.Equal(t, conn.GroupID, got.GroupID)
	require.NoError(t, c.Terminate(ctx, conn.CallID))
	require.Equal(t, conn.CallID, b.next(t, session.EventDisconnected).CallID)

	stranger, err := acs.NewClient(acs.ClientConfig{Endpoint: emulator.URL(), AccessKey: "c3RyYW5nZXI="})
	require.NoError(t, err)
	_, err = stranger.Get(ctx, conn.CallID)
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 401, refused.Status)
	_, err = c.Get(ctx, "no-such-call")
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []int{404, 8522}, []int{refused.Status, refused.SubCode})
}
