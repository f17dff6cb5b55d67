package acs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/acs"
	"github.com/stretchr/testify/require"
)

// TestEmulatorEventFaults: an operation ends once, with its own event, however
// the events come.
func TestEmulatorEventFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]cloud.Fault{
		"duplicate": {Kind: cloud.DuplicateEvent}, "delay": {Kind: cloud.DelayEvent},
		"late": {Kind: cloud.LateEvent, Slots: 5}, "first": {Kind: cloud.EventsFirst},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			p := newProduct(t, &cloud.Server{OnCreate: func(d cloud.Dialled) cloud.Callee {
				c := stays(cloud.Speaker{ID: "8:acs:one"})(d)
				c.Script.Faults = []cloud.Fault{fault}
				return c
			}}, acs.Version2026, nil)
			call, there := p.dial(acs.CallOptions{})
			id := call.CallID()
			short, long := p.file("short.wav", noise(2*320, 1)), p.file("long.wav", noise(20*320, 2))
			same := acs.Tracking{OperationContext: "the same"}
			var all []*acs.Operation
			for _, file := range []string{short, long} {
				o, err := p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{{File: file}}, Tracking: same})
				require.NoError(t, err)
				all = append(all, o)
			}
			// An operation of another kind with the same context is not
			// confused with them.
			o, err := p.client.SendDTMF(ctx, id, callee, "1", same)
			require.NoError(t, err)
			first := done(t, p)(all[0], nil)
			second := done(t, p)(all[1], nil)
			require.Equal(t, []acs.EventName{acs.PlayCompleted, acs.PlayCompleted}, []acs.EventName{first.Name, second.Name})
			require.NotEqual(t, first.ID, second.ID, "one event ends one operation")
			// What is delayed comes with the next event.
			require.True(t, there.SetMuted(callee, true))
			require.Equal(t, acs.SendDTMFTonesCompleted, done(t, p)(o, nil).Name)
			eventually(t, "the roster comes through", func() bool { who, _ := row(call, callee); return who.Muted || name == "delay" })
			require.NoError(t, call.HangUp(p.limit(), false))
			waiting, dropped := p.client.Operations().Waiting()
			require.Zero(t, waiting)
			require.Zero(t, dropped)
		})
	}
}

// TestEmulatorDroppedEvent: who waits for an event that never comes waits to
// the end of the call, and no longer.
func TestEmulatorDroppedEvent(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*product, *session.Call, *cloud.Call){
		"they hang up": func(_ *product, _ *session.Call, there *cloud.Call) { there.HangUp() },
		"we hang up":   func(p *product, call *session.Call, _ *cloud.Call) { _ = call.HangUp(p.limit(), false) },
		"for everyone": func(p *product, call *session.Call, _ *cloud.Call) { _ = call.HangUp(p.limit(), true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProduct(t, &cloud.Server{OnCreate: stays()}, acs.Version2026, nil)
			call, there := p.dial(acs.CallOptions{})
			require.NoError(t, there.Inject(cloud.Fault{Kind: cloud.DropEvent, Event: "PlayCompleted"}))
			o, err := p.client.Play(t.Context(), call.CallID(), acs.Play{Sources: []acs.PlaySource{{File: p.file("a.wav", noise(320, 1))}}})
			require.NoError(t, err)
			eventually(t, "it was played", func() bool { return there.Log().EventsDropped > 0 })
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err = o.Wait(ctx)
			require.ErrorIs(t, err, context.Canceled)
			end(p, call, there)
			_, err = o.Wait(p.limit())
			require.ErrorIs(t, err, session.ErrEnded)
		})
	}
}

// TestEmulatorRetries: a request whose response is lost takes effect once, by
// its Repeatability headers; one that has none is not sent again.
func TestEmulatorRetries(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var rung atomic.Int32
	p := newProduct(t, &cloud.Server{OnCreate: stays(), OnAdd: func(cloud.Added) cloud.Callee {
		rung.Add(1)
		return cloud.Callee{}
	}}, acs.Version2026, nil)
	call, there := p.dial(acs.CallOptions{})
	id := call.CallID()
	lost := func(operation string, status int) {
		require.NoError(t, p.emulator.Break(cloud.RequestFault{Operation: operation, Status: status, Executed: true, Count: 2}))
	}
	lost("addParticipant", 503)
	in, err := p.client.AddParticipant(ctx, id, acs.AddParticipant{Party: "8:acs:added"})
	require.NoError(t, err)
	done(t, p)(in.Operation, nil)
	require.EqualValues(t, 1, rung.Load())
	lost("sendDtmfTones", 500)
	done(t, p)(p.client.SendDTMF(ctx, id, callee, "12", acs.Tracking{}))
	require.Equal(t, []string{"1", "2"}, there.Log().SentTones)
	lost("removeParticipant", 502)
	done(t, p)(p.client.RemoveParticipant(ctx, id, "8:acs:added", acs.Tracking{}))

	lost("play", 503)
	_, err = p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{{File: p.file("a.wav", noise(320, 1))}}})
	var failure *session.Error
	require.ErrorAs(t, err, &failure)
	require.Equal(t, []any{503, true}, []any{failure.Status, failure.Retryable}, "the caller decides")
	eventually(t, "it was played, once", func() bool { return len(there.Log().Prompts) == 1 })
	waiting, _ := p.client.Operations().Waiting()
	require.Zero(t, waiting, "it is not waited for")
	// The other of the two faults is still to be had.
	_, err = p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{{File: p.file("a.wav", noise(320, 1))}}})
	require.Error(t, err)

	// Throttling is waited out as long as the service says.
	require.NoError(t, p.emulator.Break(cloud.RequestFault{Operation: "getParticipants", Status: 429, RetryAfter: 1}))
	began := time.Now()
	_, err = p.client.Participants(ctx, id)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), time.Second)
	require.NoError(t, p.emulator.Break(cloud.RequestFault{Operation: "play", Status: 429}))
	done(t, p)(p.client.Play(ctx, id, acs.Play{Sources: []acs.PlaySource{{File: p.file("a.wav", noise(320, 1))}}}))
}

// entra is the sign-in of an app.
type entra struct {
	token  func() (string, error)
	scopes chan []string
}

func (e entra) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	e.scopes <- o.Scopes
	token, err := e.token()
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(time.Hour)}, err
}

// TestEmulatorSignIn: by key over http, by token over https, and what is
// refused of either.
func TestEmulatorSignIn(t *testing.T) {
	t.Parallel()
	emulator := &cloud.Server{OnCreate: stays()}
	var e entra
	var bad atomic.Bool
	e.scopes = make(chan []string, 64)
	e.token = func() (string, error) {
		if bad.Load() {
			return "no.token.atall", nil
		}
		return emulator.ACSToken("")
	}
	p := newProduct(t, emulator, acs.Version2026, func(c *acs.ClientConfig) {
		roots := x509.NewCertPool()
		require.True(t, roots.AppendCertsFromPEM(emulator.CA()))
		c.Endpoint, c.AccessKey, c.Credential = emulator.TLSURL(), "", e
		c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
		t.Cleanup(c.HTTPClient.CloseIdleConnections)
	})
	call, _ := p.dial(acs.CallOptions{})
	require.Equal(t, []string{acs.Scope}, next(p, e.scopes))
	done(t, p)(p.client.Play(t.Context(), call.CallID(), acs.Play{Sources: []acs.PlaySource{{File: p.file("a.wav", noise(320, 1))}}}))
	bad.Store(true)
	_, err := p.client.Get(t.Context(), call.CallID())
	refused(t, err, 401, 7501)
	require.NotContains(t, err.Error(), "no.token.atall")
	bad.Store(false)

	for name, edit := range map[string]func(*acs.ClientConfig){
		"right":     func(*acs.ClientConfig) {},
		"a minute":  func(c *acs.ClientConfig) { c.Now = func() time.Time { return time.Now().Add(time.Minute) } },
		"wrong key": func(c *acs.ClientConfig) { c.AccessKey = "c3RyYW5nZXI=" },
		"fast":      func(c *acs.ClientConfig) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } },
		"slow":      func(c *acs.ClientConfig) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } },
	} {
		config := acs.ClientConfig{Endpoint: emulator.URL(), AccessKey: emulator.AccessKey()}
		edit(&config)
		c, err := acs.NewClient(config)
		require.NoError(t, err)
		_, err = c.Get(t.Context(), call.CallID())
		if name == "right" || name == "a minute" {
			require.NoError(t, err, name)
			continue
		}
		refused(t, err, 401, 7509)
	}
}
