package cloud

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func TestContentFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		for kind, want := range map[ChangeFaultKind]error{
			BadChangeSignature: errSignature, TruncatedChange: errData, BadChangePadding: errPadding, BadChangeKeyID: nil, BadClientState: nil,
		} {
			require.NoError(t, b.c.inject(ChangeFault{Kind: kind, SubscriptionID: id}))
			for _, wrong := range []bool{true, false} {
				require.Equal(t, 1, b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted}))
				synctest.Wait()
				item := b.posts()[0].items()[0]
				_, err := decryptChange(t, item)
				if wrong {
					require.ErrorIs(t, err, want, kind)
				} else {
					require.NoError(t, err, kind)
				}
				require.Equal(t, wrong && kind == BadChangeKeyID, item["encryptedContent"].(map[string]any)["encryptionCertificateId"] != "first", kind)
				require.Equal(t, wrong && kind == BadClientState, item["clientState"] != "secret", kind)
			}
			log := b.c.changeLog().Deliveries
			require.Equal(t, []ChangeFaultKind{kind}, log[len(log)-2].Faults)
		}
	})
}

// order returns the types of the events that came, by request.
func (b *changeBot) order(t *testing.T) (out [][]string) {
	t.Helper()
	synctest.Wait()
	for _, p := range b.posts() {
		var types []string
		for _, item := range p.items() {
			plain, err := decryptChange(t, item)
			require.NoError(t, err)
			types = append(types, plain["eventType"].(string))
		}
		out = append(out, types)
	}
	return out
}

func TestDeliveryFaults(t *testing.T) {
	for kind, want := range map[ChangeFaultKind][][]string{
		DuplicateChange: {{"callStarted"}, {"callStarted"}, {"rosterUpdated"}, {"callEnded"}},
		ReorderChange:   {{"rosterUpdated"}, {"callStarted"}, {"callEnded"}},
		BatchChange:     {{"callStarted", "rosterUpdated"}, {"callEnded"}},
		DropChange:      {{"rosterUpdated"}, {"callEnded"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newChangeBot(t, nil)
			defer b.close()
			b.subscribe(nil)
			require.NoError(t, b.c.inject(ChangeFault{Kind: kind}))
			for _, e := range []MeetingCallEventType{CallStarted, RosterUpdated, CallEnded} {
				b.c.event(changeMeeting, MeetingCallEvent{Type: e})
			}
			require.Equal(t, want, b.order(t), kind)
			sent := 0
			for _, d := range b.c.changeLog().Deliveries {
				require.True(t, d.Done && d.Error == "", kind)
				sent += len(d.IDs)
			}
			require.Equal(t, map[bool]int{true: 4, false: 3 - b.c.changeLog().Dropped[dropFault]}[kind == DuplicateChange], sent)
		})
	}
}

// What is held waits for a notification of a change, and goes with its
// subscription.
func TestHeldChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		require.NoError(t, b.c.inject(ChangeFault{Kind: ReorderChange}))
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		require.NoError(t, b.c.lifecycle(id, Missed))
		synctest.Wait()
		require.Equal(t, 1, b.told(Missed))
		require.NoError(t, b.c.lifecycle(id, SubscriptionRemoved))
		synctest.Wait()
		require.Equal(t, 1, b.told(SubscriptionRemoved))
		require.Equal(t, map[string]int{dropRemoved: 1}, b.c.changeLog().Dropped)
	})
}

func TestLifecycleFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		id := b.subscribe(nil)
		require.NoError(t, b.c.inject(ChangeFault{Kind: DuplicateChange, Lifecycle: true}))
		require.NoError(t, b.c.inject(ChangeFault{Kind: BadClientState, Lifecycle: true}))
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		synctest.Wait()
		require.Equal(t, "secret", b.posts()[0].items()[0]["clientState"], "not befallen")
		require.NoError(t, b.c.lifecycle(id, Missed))
		synctest.Wait()
		posts := b.posts()
		require.Len(t, posts, 2)
		require.NotEqual(t, "secret", posts[1].items()[0]["clientState"])
		require.NoError(t, b.c.inject(ChangeFault{Kind: DropChange, Lifecycle: true}))
		require.NoError(t, b.c.lifecycle(id, Missed))
		synctest.Wait()
		require.Zero(t, b.told(Missed))
	})
}

func TestChangeFaultsAreChecked(t *testing.T) {
	b := newChangeBot(t, nil)
	defer b.close()
	for text, f := range map[string]ChangeFault{
		"kind":      {Kind: "explode"},
		"count":     {Kind: DropChange, Count: -1},
		"token":     {Kind: BadChangeToken, Token: "blue"},
		"lifecycle": {Kind: BadChangePadding, Lifecycle: true},
	} {
		require.ErrorContains(t, b.c.inject(f), "cloud: change fault: "+text)
	}
	for range maxFaults {
		require.NoError(t, b.c.inject(ChangeFault{Kind: DropChange, Count: 2}))
	}
	require.ErrorContains(t, b.c.inject(ChangeFault{Kind: DropChange}), "wait already")
}

// judge does what the documents tell a receiver to do with a token.
func judge(t *testing.T, b *changeBot, tokens any) string {
	t.Helper()
	list, _ := tokens.([]any)
	if len(list) == 0 {
		return "missing"
	}
	keys, err := keyfunc.NewJWKSetJSON(b.c.issuer.jwks)
	require.NoError(t, err)
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(list[0].(string), claims, keys.Keyfunc, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(),
		jwt.WithAudience(b.app.ID))
	switch {
	case err != nil:
		return err.Error()
	case claims["iss"] != "https://sts.windows.net/"+claims["tid"].(string)+"/":
		return "issuer"
	case claims["tid"] != changeTenant:
		return "tenant"
	case claims["appid"] != "0bf30f3b-4a52-48df-9a82-234910c4a086":
		return "appid"
	}
	return ""
}

func TestValidationTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, nil)
		defer b.close()
		b.subscribe(nil)
		for flaw, want := range map[TokenFlaw]string{
			"": "signature is invalid", FlawSignature: "signature is invalid", FlawExpired: "token is expired", FlawAudience: "invalid audience",
			FlawIssuer: "issuer", FlawMissing: "missing", FlawAppID: "appid", FlawTenant: "tenant", FlawNotYet: "not valid yet",
			FlawAlgorithm: "signing method none is invalid", FlawUnknownKey: "key not found",
		} {
			require.Contains(t, changeTokenFlaws, flaw)
			require.NoError(t, b.c.inject(ChangeFault{Kind: BadChangeToken, Token: flaw}))
			b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
			b.c.event(changeMeeting, MeetingCallEvent{Type: CallEnded})
			synctest.Wait()
			posts := b.posts()
			require.Contains(t, judge(t, b, posts[0].body["validationTokens"]), want, flaw)
			require.Empty(t, judge(t, b, posts[1].body["validationTokens"]), flaw)
		}
		require.Equal(t, "https://sts.windows.net/{tenantid}/", b.c.discovery("http://x")["issuer"])
		require.Equal(t, "http://x"+changeKeysPath, b.c.discovery("http://x")["jwks_uri"])
	})
}

// Scaled time is for protocol timers: a token is as old as it is.
func TestTokensKeepRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newChangeBot(t, func(cfg *changesConfig) {
			cfg.now = func() time.Time { return time.Now().Add(240 * time.Hour) }
		})
		defer b.close()
		b.subscribe(map[string]any{"expirationDateTime": graphDate(b.c.now().Add(time.Hour))})
		b.c.event(changeMeeting, MeetingCallEvent{Type: CallStarted})
		synctest.Wait()
		require.Empty(t, judge(t, b, b.posts()[0].body["validationTokens"]))
	})
}
