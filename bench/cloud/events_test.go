package cloud

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// verifyToken checks a token as the how-to "Secure webhook endpoint" tells, with the
// keys that the emulator publishes.
func verifyToken(t *testing.T, srv *Server, authorization string) (jwt.MapClaims, error) {
	t.Helper()
	resp, err := http.Get(srv.OIDCURL())
	require.NoError(t, err)
	defer resp.Body.Close()
	var discovery struct {
		Issuer string
		Keys   string `json:"jwks_uri"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&discovery))
	require.Equal(t, srv.TokenIssuer(), discovery.Issuer)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{discovery.Keys})
	require.NoError(t, err)
	text, ok := strings.CutPrefix(authorization, "Bearer ")
	require.True(t, ok, authorization)
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(text, claims, keys.Keyfunc, jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(srv.TokenIssuer()), jwt.WithAudience(srv.Audience()), jwt.WithExpirationRequired())
	return claims, err
}

func TestEventShapes(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Issuer: "https://acscallautomation.communication.azure.com", ResourceID: "b9614373-fd0b-480c-8fd2-cb58b70eab9f"})
	call := b.take(Script{HangUp: 3, Speakers: []Speaker{{ID: "8:acs:a"}, {ID: "4:+1425"}}}, "mixed", "")
	log := wait(t, call)
	events := b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "CallDisconnected")
	common := func(more map[string]any) map[string]any {
		m := map[string]any{
			"eventSource": "calling/callConnections/" + call.ID(), "callConnectionId": call.ID(),
			"serverCallId": log.ServerCallID, "correlationId": log.CorrelationID,
		}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	bot := call.side.(*acsCall).properties().targets[0].RawID
	user := func(id string) map[string]any {
		return map[string]any{"kind": "communicationUser", "rawId": id, "communicationUser": map[string]any{"id": id}}
	}
	phone := map[string]any{"kind": "phoneNumber", "rawId": "4:+1425", "phoneNumber": map[string]any{"value": "+1425"}}
	row := func(id any) map[string]any {
		return map[string]any{"identifier": id, "isMuted": false, "isOnHold": false}
	}
	require.Equal(t, common(nil), events[0].Data)
	require.Equal(t, common(map[string]any{
		"sequenceNumber": 1.0, "participants": []any{row(user(bot)), row(user("8:acs:a")), row(phone)},
	}), events[1].Data)
	require.Equal(t, common(map[string]any{
		"resultInformation": map[string]any{"code": 200.0, "subCode": 0.0, "message": ""},
		"mediaStreamingUpdate": map[string]any{
			"contentType": "Audio", "mediaStreamingStatus": "mediaStreamingStarted", "mediaStreamingStatusDetails": "subscriptionStarted",
		},
	}), events[2].Data)
	ids := map[string]bool{}
	for i, e := range events {
		require.Equal(t, "calling/callConnections/"+call.ID(), e.Source)
		require.Equal(t, e.Source, e.Subject)
		require.Regexp(t, regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00$`), e.Time)
		require.Equal(t, "application/json; charset=utf-8", e.contentType)
		ids[e.ID] = true
		claims, err := verifyToken(t, b.srv, e.auth)
		require.NoError(t, err)
		require.Equal(t, 300.0, claims["exp"].(float64)-claims["iat"].(float64))
		require.Equal(t, "b9614373-fd0b-480c-8fd2-cb58b70eab9f", claims["aud"])
		require.Equal(t, "https://acscallautomation.communication.azure.com", claims["iss"])
		if i > 0 {
			require.NotEqual(t, events[i-1].auth, e.auth, "a new token for each event")
		}
	}
	require.Len(t, ids, len(events))
	s := b.socket().wait(t)
	claims, err := verifyToken(t, b.srv, s.header.Get("Authorization"))
	require.NoError(t, err)
	require.Equal(t, 86400.0, claims["exp"].(float64)-claims["iat"].(float64))
}

func TestEventShapes2022(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{OnCreate: func(Dialled) Callee { return Callee{Script: Script{HangUp: 3, Speakers: []Speaker{{}}}} }})
	call, _ := b.place("mixed")
	log := wait(t, call)
	events := b.expect("CallConnected", "ParticipantsUpdated", "CallDisconnected")
	user := func(id string) map[string]any {
		return map[string]any{"kind": "communicationUser", "rawId": id, "communicationUser": map[string]any{"id": id}}
	}
	for i, want := range []map[string]any{
		{"type": "callConnected", "operationContext": "Reminder call"},
		{"type": "participantsUpdated", "participants": []any{user("8:acs:bot"), user("8:acs:callee")}},
		{"type": "callDisconnected", "operationContext": "Reminder call"},
	} {
		want["callConnectionId"], want["serverCallId"], want["correlationId"] = call.ID(), log.ServerCallID, log.CorrelationID
		require.Equal(t, want, events[i].Data)
		require.Equal(t, "calling/callConnections/"+call.ID()+"/"+events[i].name(), events[i].Source)
	}
}

func TestCallbacksAreRetriedInOrder(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 100})
	refused := 0
	b.refuse = func(r *http.Request) int {
		if r.URL.Path == "/callbacks" && refused < eventAttempts+1 {
			refused++
			return 500
		}
		return 0
	}
	call := b.take(Script{HangUp: 3, Speakers: []Speaker{{}}}, "mixed", "")
	log := wait(t, call)
	// The first event was given up; the second came at the second attempt.
	b.expect("ParticipantsUpdated", "MediaStreamingStarted", "CallDisconnected")
	require.Len(t, log.Events, 4)
	require.Equal(t, eventAttempts, log.Events[0].Attempts)
	require.Equal(t, 500, log.Events[0].Status)
	require.NotEmpty(t, log.Events[0].Error)
	require.Equal(t, 2, log.Events[1].Attempts)
	require.Equal(t, 200, log.Events[1].Status)
	require.Empty(t, log.Events[1].Error)
}

func TestEventFaults(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 100})
	script := Script{HangUp: 3, Speakers: []Speaker{{}}, Faults: []Fault{
		{Kind: DuplicateEvent, Event: "CallConnected"},
		{Kind: DelayEvent, Event: "Microsoft.Communication.ParticipantsUpdated"},
	}}
	wait(t, b.take(script, "mixed", ""))
	events := b.expect("CallConnected", "CallConnected", "MediaStreamingStarted", "ParticipantsUpdated", "CallDisconnected")
	require.Equal(t, events[0].ID, events[1].ID)

	script.Faults = []Fault{{Kind: DelayEvent, Event: "CallDisconnected"}}
	wait(t, b.take(script, "mixed", ""))
	b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "CallDisconnected")
}

func TestBadEventTokens(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 100})
	for _, flaw := range []TokenFlaw{"", FlawSignature, FlawExpired, FlawAudience, FlawIssuer, FlawMissing} {
		script := Script{HangUp: 2, Speakers: []Speaker{{}}, Faults: []Fault{{Kind: BadEventToken, Event: "CallConnected", Token: flaw}}}
		wait(t, b.take(script, "mixed", ""))
		events := b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "CallDisconnected")
		if flaw == FlawMissing {
			require.Empty(t, events[0].auth)
		} else {
			_, err := verifyToken(t, b.srv, events[0].auth)
			require.Error(t, err, flaw)
		}
		_, err := verifyToken(t, b.srv, events[1].auth)
		require.NoError(t, err, flaw)
	}
}

// The response of answer comes late; whether events and media wait for it is
// the script's choice.
func TestWhatComesBeforeTheResponse(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{Speed: 100})
	answer := func(faults ...Fault) (call *Call, early []string) {
		script := listener()
		script.Faults = faults
		call, incoming := b.ring(script)
		require.NoError(t, b.srv.Break(RequestFault{Operation: "answer", Delay: 500 * time.Millisecond}))
		body := `{"incomingCallContext":"` + incoming + `","callbackUri":"` + b.http.URL + `/callbacks",` + b.mediaJSON("mixed", "") + `}`
		soonest := time.Now().Add(500 * time.Millisecond)
		status, _, _ := b.do("POST", "/calling/callConnections:answer"+v2026, body)
		require.Equal(t, 200, status)
		for _, e := range b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted") {
			if e.arrival.Before(soonest) {
				early = append(early, e.name())
			}
		}
		if b.socket().opened.Before(soonest) {
			early = append(early, "media")
		}
		return call, early
	}
	finish := func(call *Call) {
		call.HangUp()
		wait(t, call)
		b.expect("CallDisconnected")
	}
	call, early := answer()
	require.Empty(t, early)
	finish(call)
	call, early = answer(Fault{Kind: MediaFirst})
	require.Equal(t, []string{"media"}, early)
	finish(call)
	call, early = answer(Fault{Kind: MediaFirst}, Fault{Kind: EventsFirst})
	require.Equal(t, []string{"CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "media"}, early)
	finish(call)
}

func TestEventQueueIsBounded(t *testing.T) {
	q := newEventQueue()
	for range maxEvents + 5 {
		q.add(posting{}, nil)
	}
	require.Len(t, q.waiting, maxEvents)
	require.Equal(t, 5, q.dropped)
	q.close()
	q.add(posting{}, nil)
	require.Equal(t, 6, q.dropped)
	for range maxEvents {
		_, ok := q.next(context.Background())
		require.True(t, ok)
	}
	_, ok := q.next(context.Background())
	require.False(t, ok)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, ok = newEventQueue().next(cancelled)
	require.False(t, ok)
}
