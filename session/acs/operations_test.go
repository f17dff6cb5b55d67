package acs

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mixminus/mixminus/session"
	"github.com/stretchr/testify/require"
)

// ended is the callback that ends an operation.
func ended(name EventName, callID, operationContext, more string) string {
	return fmt.Sprintf(`[{"id":"%s-%s","type":"Microsoft.Communication.%s","data":{"callConnectionId":"%s","operationContext":"%s"%s}}]`,
		name, operationContext, name, callID, operationContext, more)
}

func wav() Play { return Play{Sources: []PlaySource{{File: sampleWAV}}} }

// following is a client and a webhook of the same operations.
func following(t *testing.T, f *fakeService, version string) (*testClient, *Webhook) {
	c := newTestClient(t, f, ClientConfig{APIVersion: version})
	w, _ := newTestWebhook(t, func(wc *WebhookConfig) { wc.Operations = c.Operations() })
	return c, w
}

func TestPlayThatCompletes(t *testing.T) {
	f := newFakeService(t, reply(202, ""))
	c, w := following(t, f, Version2026)
	op, err := c.Play(t.Context(), "c1", wav())
	require.NoError(t, err)
	require.Equal(t, "play", op.Name)
	require.NotEmpty(t, op.OperationContext, "minted")
	require.Contains(t, string(f.requests()[0].body), op.OperationContext)

	for _, body := range []string{
		ended(PlayCompleted, "c2", op.OperationContext, ""), ended(PlayCompleted, "c1", "other", ""),
		ended(RecognizeCompleted, "c1", op.OperationContext, ""), ended(PlayStarted, "c1", op.OperationContext, ""),
	} {
		require.Equal(t, http.StatusOK, post(w, "/callbacks", body).Code)
		select {
		case <-op.Done():
			t.Fatal("ended by the event of something else", body)
		default:
		}
	}
	post(w, "/callbacks", ended(PlayCompleted, "c1", op.OperationContext, `,"resultInformation":{"code":200,"subCode":0,"message":"done"}`))
	end, err := op.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, PlayCompleted, end.Name)
	require.Equal(t, Result{Code: 200, Message: "done"}, end.Result)
	waiting, dropped := c.Operations().Waiting()
	require.Zero(t, waiting)
	require.Zero(t, dropped)
}

func TestEndThatOvertakesTheResponse(t *testing.T) {
	var w *Webhook
	f := newFakeService(t, func(rw http.ResponseWriter, r *http.Request) {
		post(w, "/callbacks", ended(PlayFailed, "c1", "mine", `,"resultInformation":{"code":400,"subCode":8536,"message":"no file"},"failedPlaySourceIndex":0`))
		rw.WriteHeader(202)
	})
	var c *testClient
	c, w = following(t, f, Version2026)
	p := wav()
	p.OperationContext = "mine"
	op, err := c.Play(t.Context(), "c1", p)
	require.NoError(t, err)
	end, err := op.Wait(t.Context())
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, session.Error{Cloud: "acs", Op: "play", Status: 400, Code: "PlayFailed", SubCode: 8536, Message: "no file"}, *refused)
	require.Zero(t, end.FailedSource)
	require.Equal(t, PlayFailed, end.Name)
}

func TestEndThatNeverComes(t *testing.T) {
	f := newFakeService(t, reply(202, ""))
	c, w := following(t, f, Version2026)
	op, err := c.Play(t.Context(), "c1", wav())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = op.Wait(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "acs: play of call c1")

	other, err := c.Play(t.Context(), "c2", wav())
	require.NoError(t, err)
	post(w, "/callbacks", ended(CallDisconnected, "c1", "", ""))
	_, err = op.Wait(t.Context())
	require.ErrorIs(t, err, session.ErrEnded)
	select {
	case <-other.Done():
		t.Fatal("another call ended")
	default:
	}
}

// TestEndsOfTheCall: each way in which a client learns that a call is over
// ends the waits.
func TestEndsOfTheCall(t *testing.T) {
	for name, end := range map[string]func(*testClient) error{
		"hang up":   func(c *testClient) error { return c.HangUp(t.Context(), "c1", false) },
		"terminate": func(c *testClient) error { return c.HangUp(t.Context(), "c1", true) },
		"gone": func(c *testClient) error {
			_, err := c.Get(t.Context(), "c1")
			if err == nil {
				return fmt.Errorf("call is there")
			}
			return nil
		},
	} {
		f := newFakeService(t, reply(202, ""), func(w http.ResponseWriter, r *http.Request) {
			status := 204
			if r.Method == http.MethodGet {
				status = 404
			}
			w.WriteHeader(status)
		})
		c, _ := following(t, f, Version2026)
		op, err := c.Play(t.Context(), "c1", wav())
		require.NoError(t, err, name)
		require.NoError(t, end(c), name)
		_, err = op.Wait(t.Context())
		require.ErrorIs(t, err, session.ErrEnded, name)
	}
}

// TestRepeatedEnd: a callback that the service repeats ends nothing else, also
// where the app gives two operations one name.
func TestRepeatedEnd(t *testing.T) {
	f := newFakeService(t, reply(202, ""))
	c, w := following(t, f, Version2026)
	play := func() *Operation {
		p := wav()
		p.OperationContext = "greeting"
		op, err := c.Play(t.Context(), "c1", p)
		require.NoError(t, err)
		return op
	}
	a, b := play(), play()
	body := ended(PlayCompleted, "c1", "greeting", "")
	post(w, "/callbacks", body)
	post(w, "/callbacks", body)
	_, err := a.Wait(t.Context())
	require.NoError(t, err, "the older one ends first")
	select {
	case <-b.Done():
		t.Fatal("ended by a repetition")
	default:
	}
	post(w, "/callbacks", strings.Replace(body, `"id":"`, `"id":"2-`, 1))
	_, err = b.Wait(t.Context())
	require.NoError(t, err)
}

// TestEveryEndOfEveryOperation: the events of the documents end the operations
// that they belong to, in the spelling of both versions.
func TestEveryEndOfEveryOperation(t *testing.T) {
	begin := map[kind]func(c *Client) (*Operation, error){
		kindPlay: func(c *Client) (*Operation, error) { return c.Play(t.Context(), "c", wav()) },
		kindRecognize: func(c *Client) (*Operation, error) {
			return c.Recognize(t.Context(), "c", Recognize{Input: "dtmf", Party: partyA})
		},
		kindStopDTMF:    func(c *Client) (*Operation, error) { return c.StopContinuousDTMF(t.Context(), "c", partyA, Tracking{}) },
		kindSendDTMF:    func(c *Client) (*Operation, error) { return c.SendDTMF(t.Context(), "c", partyA, "1", Tracking{}) },
		kindTransfer:    func(c *Client) (*Operation, error) { return c.Transfer(t.Context(), "c", Transfer{Target: partyA}) },
		kindRemove:      func(c *Client) (*Operation, error) { return c.RemoveParticipant(t.Context(), "c", partyA, Tracking{}) },
		kindCancelAdd:   func(c *Client) (*Operation, error) { return c.CancelAddParticipant(t.Context(), "c", "i", Tracking{}) },
		kindStartMedia:  func(c *Client) (*Operation, error) { return c.StartMediaStreaming(t.Context(), "c", Tracking{}) },
		kindStopMedia:   func(c *Client) (*Operation, error) { return c.StopMediaStreaming(t.Context(), "c", Tracking{}) },
		kindStartScript: func(c *Client) (*Operation, error) { return c.StartTranscription(t.Context(), "c", "", "", Tracking{}) },
		kindStopScript:  func(c *Client) (*Operation, error) { return c.StopTranscription(t.Context(), "c", Tracking{}) },
		kindUpdateScript: func(c *Client) (*Operation, error) {
			return c.UpdateTranscription(t.Context(), "c", "de-DE", "", Tracking{})
		},
		kindAdd: func(c *Client) (*Operation, error) {
			in, err := c.AddParticipant(t.Context(), "c", AddParticipant{Party: partyA, CallerID: "+1"})
			return in.Operation, err
		},
		kindMove: func(c *Client) (*Operation, error) {
			all, err := c.MoveParticipants(t.Context(), "c", "d", []string{partyA}, Tracking{})
			return all[0], err
		},
	}
	ends := 0
	for _, row := range eventTable {
		for _, k := range row.ends {
			ends++
			status := 202
			if k == kindStopDTMF {
				status = 200
			}
			f := newFakeService(t, reply(status, "{}"))
			c, w := following(t, f, Version2026)
			op, err := begin[k](c.Client)
			require.NoError(t, err, k)
			post(w, "/callbacks", ended(row.name, "c", op.OperationContext, `,"participant":{"rawId":"`+partyA+`"}`))
			end, err := op.Wait(t.Context())
			require.Equal(t, row.name, end.Name)
			require.Equal(t, row.name.failure(), err != nil, "%s: %v", row.name, err)
		}
	}
	require.Equal(t, 29, ends)

	f := newFakeService(t, reply(202, `{}`))
	c, w := following(t, f, Version2022)
	op, err := begin[kindAdd](c.Client)
	require.NoError(t, err)
	post(w, "/callbacks", ended("AddParticipantsFailed", "c", op.OperationContext, `,"participants":[{"rawId":"4:+1"}]`))
	end, err := op.Wait(t.Context())
	require.Error(t, err)
	require.Equal(t, AddParticipantFailed, end.Name)
	require.Equal(t, "4:+1", end.Participants[0].RawID)
	op, err = begin[kindRemove](c.Client)
	require.NoError(t, err)
	_, err = op.Wait(t.Context())
	require.NoError(t, err, "2022 tells no end")
}

func TestMoveOfSeveral(t *testing.T) {
	f := newFakeService(t, reply(202, "{}"))
	c, w := following(t, f, Version2026)
	all, err := c.MoveParticipants(t.Context(), "c", "d", []string{partyA, partyD}, Tracking{})
	require.NoError(t, err)
	require.Len(t, all, 2)
	body := func(name EventName, party string) string {
		return strings.Replace(ended(name, "c", all[0].OperationContext, `,"participant":{"rawId":"`+party+`"}`), `"id":"`, `"id":"`+party, 1)
	}
	post(w, "/callbacks", body(MoveParticipantFailed, partyD))
	_, err = all[1].Wait(t.Context())
	require.Error(t, err)
	post(w, "/callbacks", body(MoveParticipantSucceeded, partyA))
	_, err = all[0].Wait(t.Context())
	require.NoError(t, err)
}

func TestRefusedOperationIsNotWaitedFor(t *testing.T) {
	f := newFakeService(t, reply(400, `{"error":{"code":"8501","message":"not established"}}`))
	c, _ := following(t, f, Version2026)
	op, err := c.Play(t.Context(), "c1", wav())
	require.Nil(t, op)
	var refused *session.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 8501, refused.SubCode)
	waiting, _ := c.Operations().Waiting()
	require.Zero(t, waiting)
}

// TestWaitOnVirtualTime is a play with a deadline on virtual time.
func TestWaitOnVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClient(ClientConfig{Endpoint: "https://x", AccessKey: testKey, HTTPClient: &http.Client{Transport: taken{}}})
		require.NoError(t, err)
		op, err := c.Play(t.Context(), "c1", wav())
		require.NoError(t, err)
		go func() {
			time.Sleep(time.Minute)
			c.Operations().Complete(Event{Name: PlayCompleted, CallID: "c1", OperationContext: op.OperationContext})
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = op.Wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = op.Wait(t.Context())
		require.NoError(t, err)
	})
}

// taken is a service that takes everything.
type taken struct{}

func (taken) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 202, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}
