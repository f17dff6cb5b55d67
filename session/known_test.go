package session

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// keptCloud is a cloud that tells a call's id with the ringing, spells it in
// two ways, keeps calls alive and knows rosters.
type keptCloud struct {
	*fakeCloud
	every  time.Duration
	refuse error // answers

	mu    sync.Mutex
	alive []string
}

func (k *keptCloud) KeepAliveEvery() time.Duration { return k.every }

func (k *keptCloud) KeepAlive(_ context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.alive = append(k.alive, id)
	if len(k.alive) == 3 {
		return k.gone("keep alive")
	}
	return nil
}

func (k *keptCloud) Participants(context.Context, string) (Roster, error) {
	return Roster{Participants: []Participant{{Identity: Identity{RawID: "8:orgid:a", Name: "Ann"}, ID: "p", SpeakerID: "77"}}, Sequence: 9}, nil
}

func (k *keptCloud) Answer(_ context.Context, in Incoming, m MediaRequest) (Connection, error) {
	k.fakeCloud.mu.Lock()
	defer k.fakeCloud.mu.Unlock()
	k.last = m
	if k.refuse != nil {
		return Connection{}, k.refuse
	}
	return Connection{CallID: in.CallID, Key: in.Key, SelfID: "me", State: StateConnecting}, nil
}

func inKeptWorld(t *testing.T, cfg Config, f func(w *world, k *keptCloud)) {
	k := &keptCloud{every: 10 * time.Minute, fakeCloud: &fakeCloud{name: "fake", calls: map[string]CallState{}, urls: map[string]string{}}}
	cfg.Clouds = []Cloud{k}
	inWorld(t, cfg, func(w *world) {
		k.media, k.tell = w.media, w.Deliver
		f(w, k)
	})
}

var knownRing = Incoming{Cloud: "fake", ID: "ab", CallID: "A-B", Key: "ab", AnswerWithin: 5 * time.Second, Policy: true}

// TestCallIsKnownFromTheRing: notices find it by the other spelling of its id,
// and its end ends the ringing.
func TestCallIsKnownFromTheRing(t *testing.T) {
	inKeptWorld(t, Config{OnIncoming: later}, func(w *world, _ *keptCloud) {
		w.Deliver(Notice{Kind: EventOther, CallID: "ab", Type: "early"})
		w.Ring(knownRing)
		synctest.Wait()
		require.Len(w, w.Incoming(), 1)
		ic := w.Incoming()[0]
		require.Equal(w, 5*time.Second, time.Until(ic.AnswerBy()))
		w.Deliver(Notice{Kind: EventDisconnected, CallID: "ab", Code: 200})
		synctest.Wait()
		require.Empty(w, w.Incoming())
		<-ic.Done()
		_, err := ic.Answer(w.Context(), Options{})
		require.ErrorIs(w, err, ErrEnded)
	})
}

func TestPolicyRingsForFiveSeconds(t *testing.T) {
	inKeptWorld(t, Config{OnIncoming: later}, func(w *world, _ *keptCloud) {
		w.Ring(knownRing)
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		require.Empty(w, w.Incoming())
		_, err := w.IncomingCall("ab")
		require.ErrorIs(w, err, ErrAnswerDeadline)
	})
}

// TestKeptAlive: every ten minutes, until the cloud knows the call no more;
// meanwhile a gap in the roster has it fetched, and speakers are known by it.
func TestKeptAlive(t *testing.T) {
	inKeptWorld(t, Config{OnIncoming: later, CallbackURLs: map[string]string{"fake": "https://bot/graph"}}, func(w *world, k *keptCloud) {
		w.Ring(knownRing)
		synctest.Wait()
		c, err := w.Incoming()[0].Answer(w.Context(), Options{ServiceHosted: true, Answer: []byte(`{"participantCapacity":2}`)})
		require.NoError(w, err)
		require.Equal(w, "A-B", c.CallID())
		require.Equal(w, MediaRequest{CallbackURL: "https://bot/graph", ServiceHosted: true, Answer: []byte(`{"participantCapacity":2}`)}, k.last)
		require.Empty(w, w.media.endpoints, "nobody is to bring media")
		var lobby []bool
		var phases []CallPhase
		var tones []byte
		c.OnLobby(func(waits bool) { lobby = append(lobby, waits) })
		c.OnPhase(func(p CallPhase) { phases = append(phases, p) })
		c.OnTone(func(tone byte) { tones = append(tones, tone) })
		w.Deliver(Notice{Kind: EventConnected, CallID: "ab"})
		w.Deliver(Notice{Kind: EventParticipants, CallID: "ab", Delta: true, Sequence: 1, Participants: []Participant{{ID: "me", InLobby: true}}})
		w.Deliver(Notice{Kind: EventPhase, Phase: PhaseHold, CallID: "ab"})
		w.Deliver(Notice{Kind: EventTone, Tone: '#', Sequence: 1, CallID: "ab"})
		synctest.Wait()
		require.True(w, c.InLobby())
		require.Equal(w, PhaseHold, c.Phase())
		require.Equal(w, PhaseHold, c.Snapshot().Phase)
		w.Deliver(Notice{Kind: EventParticipants, CallID: "ab", Delta: true, Sequence: 9})
		synctest.Wait()
		require.False(w, c.InLobby())
		require.Equal(w, "Ann", c.Name("77"), "a speaker is named by its audio's id")
		require.Equal(w, []bool{true, false}, lobby)
		require.Equal(w, []CallPhase{PhaseHold}, phases)
		require.Equal(w, []byte{'#'}, tones)

		k.fakeCloud.mu.Lock()
		k.calls["A-B"] = StateConnected // what a GET will tell
		k.fakeCloud.mu.Unlock()
		time.Sleep(29 * time.Minute)
		require.Equal(w, StateConnected, c.State(), "no media is no fault here")
		time.Sleep(2 * time.Minute)
		<-c.Done()
		require.NoError(w, c.Err())
		require.Equal(w, []string{"A-B", "A-B", "A-B"}, k.alive)
	})
}

func TestMediaThatNeverComes(t *testing.T) {
	inKeptWorld(t, Config{OnIncoming: later, MediaWithin: 7 * time.Second}, func(w *world, k *keptCloud) {
		w.Ring(knownRing)
		synctest.Wait()
		c, err := w.Incoming()[0].Answer(w.Context(), Options{Bidirectional: true})
		require.NoError(w, err)
		require.NotEmpty(w, k.last.Contexts.Source)
		require.Equal(w, k.last.Contexts, w.endpoint(c).stream.Contexts)
		w.Deliver(Notice{Kind: EventConnected, CallID: "ab"})
		time.Sleep(7*time.Second + time.Millisecond)
		<-c.Done()
		require.ErrorIs(w, c.Err(), ErrNoMedia)
	})
}
