package cloud

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// pair is two speakers who talk all the time, with faults.
func pair(slots int, faults ...Fault) Script {
	return Script{HangUp: slots, Faults: faults, Speakers: []Speaker{
		{ID: "8:acs:a", PCM: signal.Noise(slots*320, 1, -20)},
		{ID: "8:acs:b", PCM: signal.Noise(slots*320, 2, -20)},
	}}
}

// heard plays a script to a bot and returns what came, and the truth.
func heard(t *testing.T, script Script, channels string) (*socket, *Log) {
	t.Helper()
	b := newBot(t, &Server{})
	call := b.take(script, channels, "")
	s := b.socket()
	log := wait(t, call)
	return s.wait(t), log
}

func TestAudioFaults(t *testing.T) {
	t.Parallel()
	const slots = 20
	for name, tt := range map[string]struct {
		faults []Fault
		// change makes of the truth what should have come.
		change  func(a, b []int16)
		frames  int
		dropped []Span
	}{
		"none":       {frames: slots},
		"drop":       {faults: []Fault{{Kind: Drop, Slot: 5}}, frames: slots - 1, dropped: []Span{{5, 1, ByDrop}}, change: func(a, b []int16) { clear(a[5*320 : 6*320]) }},
		"drop three": {faults: []Fault{{Kind: Drop, Slot: 5, Slots: 3}}, frames: slots - 3, dropped: []Span{{5, 3, ByDrop}}, change: func(a, b []int16) { clear(a[5*320 : 8*320]) }},
		"duplicate":  {faults: []Fault{{Kind: Duplicate, Slot: 7}}, frames: slots + 1},
		"shift":      {faults: []Fault{{Kind: Shift, Slot: 6}}, frames: slots, change: func(a, b []int16) { copy(a[6*320+1:], a[6*320:]); a[6*320] = 0 }},
		"click":      {faults: []Fault{{Kind: Click, Slot: 9, Sample: 17}}, frames: slots, change: func(a, b []int16) { a[9*320+17] ^= 0x4000 }},
		"swap": {faults: []Fault{{Kind: Swap, Slot: 4, Speaker: 0, Other: 1}}, frames: slots, change: func(a, b []int16) {
			old := slices.Clone(a)
			copy(a[4*320:], b[4*320:])
			copy(b[4*320:], old[4*320:])
		}},
		"swap back": {faults: []Fault{{Kind: Swap, Slot: 4, Slots: 2, Speaker: 1, Other: 0}}, frames: slots, change: func(a, b []int16) {
			old := slices.Clone(a)
			copy(a[4*320:6*320], b[4*320:6*320])
			copy(b[4*320:6*320], old[4*320:6*320])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := heard(t, pair(slots, tt.faults...), "unmixed")
			a, b := log.Speakers[0].Expected(slots), log.Speakers[1].Expected(slots)
			require.Equal(t, []int16(pair(slots).Speakers[0].PCM), a, "the truth stays")
			if tt.change != nil {
				tt.change(a, b)
			}
			require.Len(t, s.frames("8:acs:a"), tt.frames)
			require.Len(t, s.frames("8:acs:b"), slots)
			require.Equal(t, a, timeline(t, s.frames("8:acs:a"), log.Start, slots))
			require.Equal(t, b, timeline(t, s.frames("8:acs:b"), log.Start, slots))
			require.Equal(t, tt.dropped, log.Speakers[0].Stream.Dropped)
			require.Equal(t, tt.faults, log.Faults)
		})
	}
}

func TestAudioFaultsOfAMixedCall(t *testing.T) {
	t.Parallel()
	s, log := heard(t, pair(20, Fault{Kind: Click, Speaker: 1, Slot: 3}, Fault{Kind: Drop, Speaker: 1, Slot: 5}), "mixed")
	want := log.ExpectedMix()
	want[3*320] ^= 0x4000
	clear(want[5*320 : 6*320])
	require.Equal(t, want, timeline(t, s.frames(""), log.Start, 20))
	require.Equal(t, &StreamLog{Sent: 19, Dropped: []Span{{5, 1, ByDrop}}}, log.Mix)
}

func TestReconnectByScript(t *testing.T) {
	t.Parallel()
	const slots = 160 // a busy machine may take most of a second to dial anew
	b := newBot(t, &Server{})
	call := b.take(pair(slots, Fault{Kind: Reconnect, Slot: 10, Slots: 8}, Fault{Kind: Reconnect, Slot: 100}), "unmixed", "")
	var sockets []*socket
	for range 3 {
		sockets = append(sockets, b.socket())
	}
	log := wait(t, call)
	var frames []wireMessage
	for i, s := range sockets {
		s.wait(t)
		require.Equal(t, "AudioMetadata", s.messages[0].Kind, "socket %d", i)
		require.Equal(t, call.subscriptionID, s.messages[0].Metadata["subscriptionId"])
		frames = append(frames, s.frames("8:acs:a")...)
		if i > 0 {
			require.NotEqual(t, sockets[i-1].header.Get("Authorization"), s.header.Get("Authorization"))
		}
	}
	require.ErrorContains(t, sockets[0].err, "EOF", "no close frame")
	require.ErrorContains(t, sockets[2].err, "1000")
	require.Len(t, sockets[0].frames("8:acs:a"), 10, "all before the break arrived")

	want := log.Speakers[0].Expected(slots)
	dropped := log.Speakers[0].Stream.Dropped
	require.Len(t, dropped, 2)
	require.Equal(t, 10, dropped[0].Slot)
	require.GreaterOrEqual(t, dropped[0].Slots, 8)
	require.Equal(t, 100, dropped[1].Slot)
	lost := 0
	for _, d := range dropped {
		require.Equal(t, ByReconnect, d.Cause)
		clear(want[d.Slot*320 : (d.Slot+d.Slots)*320])
		lost += d.Slots
	}
	require.Equal(t, want, timeline(t, frames, log.Start, slots))
	require.Equal(t, slots, lost+log.Speakers[0].Stream.Sent)
	require.Len(t, log.Connections, 3)
	require.Equal(t, ConnectionLog{From: 0, To: 10}, log.Connections[0])
	require.Equal(t, dropped[0].Slot+dropped[0].Slots, log.Connections[1].From)

	events := b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "MediaStreamingStarted", "MediaStreamingStarted", "CallDisconnected")
	for i, details := range []string{"subscriptionStarted", "streamConnectionReestablished", "streamConnectionReestablished"} {
		require.Equal(t, details, events[2+i].Data["mediaStreamingUpdate"].(map[string]any)["mediaStreamingStatusDetails"])
	}
}

// What was sent before the break arrives, even if the bot is slow to read it
// and has said what the emulator did not read.
func TestNothingSentIsLostByABreak(t *testing.T) {
	t.Parallel()
	const speakers, slots = 60, 15
	b := newBot(t, &Server{})
	b.onSocket = func(s *socket) {
		_ = s.ws.NetConn().(*net.TCPConn).SetReadBuffer(32 << 10)
		s.say(make([]int16, 320))
		time.Sleep(50 * time.Millisecond)
		s.say(make([]int16, 320))
		s.say(make([]int16, 320))
		time.Sleep(400 * time.Millisecond)
	}
	script := Script{HangUp: slots + 1, Dominant: -1, Faults: []Fault{{Kind: Stall, Slots: 1000}, {Kind: Reconnect, Slot: slots, Slots: 1000}}}
	for i := range speakers {
		script.Speakers = append(script.Speakers, Speaker{PCM: signal.Noise(slots*320, uint64(i), -20)})
	}
	call := b.take(script, "unmixed", "")
	s := b.socket()
	wait(t, call)
	require.Len(t, s.wait(t).frames("*"), speakers*slots)
}

func TestBotDropsTheSocket(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	b.onMessage = func(s *socket, m wireMessage) {
		if m.Audio != nil {
			s.ws.Close()
		}
	}
	const slots = 200 // longer than any machine needs to dial again
	call := b.take(pair(slots), "unmixed", "")
	b.socket().wait(t)
	b.mu.Lock()
	b.onMessage = nil
	b.mu.Unlock()
	second := b.socket()
	log := wait(t, call)
	second.wait(t)
	require.NotEmpty(t, second.frames("8:acs:a"))
	for _, sp := range log.Speakers {
		require.Len(t, sp.Stream.Dropped, 1)
		require.Equal(t, ByDisconnect, sp.Stream.Dropped[0].Cause)
		require.Equal(t, slots, sp.Stream.Sent+sp.Stream.Dropped[0].Slots)
	}
	require.NotEmpty(t, log.Connections[0].Error)
	b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted", "MediaStreamingStarted", "CallDisconnected")
}

func TestStall(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{JitterBuffer: -1})
	said := false
	b.onMessage = func(s *socket, m wireMessage) {
		if m.Audio == nil {
			return
		}
		if !said {
			said = true
			s.say(make([]int16, 320)) // the message that the reader waits for
		}
		s.say(make([]int16, 320))
	}
	script := listener()
	script.HangUp, script.Faults = 50, []Fault{{Kind: Stall, Slot: 5, Slots: 30}}
	log := wait(t, b.take(script, "mixed", `,"enableBidirectional":true`))
	between := 0
	for _, r := range log.Playout.Received {
		if r.At > 15*320 && r.At < 35*320 {
			between++
		}
	}
	require.Zero(t, between, "%v", log.Playout.Received)
	require.Greater(t, log.Playout.Total, int64(45*320), "nothing is lost by it")
}

func TestBadMediaToken(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	script := pair(3, Fault{Kind: BadMediaToken, Token: FlawAudience})
	wait(t, b.take(script, "unmixed", ""))
	_, err := verifyToken(t, b.srv, b.socket().wait(t).header.Get("Authorization"))
	require.ErrorContains(t, err, "aud")
	script.Faults[0].Token = FlawMissing
	wait(t, b.take(script, "unmixed", ""))
	require.Empty(t, b.socket().wait(t).header.Get("Authorization"))
}

func TestInject(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	call := b.take(pair(25), "unmixed", "")
	require.NoError(t, call.Inject(Fault{Kind: Drop, Speaker: 1, Slot: 20}))
	for field, f := range map[string]Fault{
		"kind":    {Kind: "explode"},
		"speaker": {Kind: Drop, Speaker: 2},
		"other":   {Kind: Swap, Speaker: 1, Other: 1},
		"slot":    {Kind: Drop, Slot: -1},
		"slots":   {Kind: Drop, Slots: -1},
		"sample":  {Kind: Click, Sample: 320},
		"token":   {Kind: BadMediaToken, Token: "stale"},
	} {
		require.ErrorContains(t, call.Inject(f), "cloud: fault: "+field+":")
	}
	log := wait(t, call)
	require.Equal(t, []Span{{20, 1, ByDrop}}, log.Speakers[1].Stream.Dropped)
	b.socket().wait(t)
}

// A frame that is late is sent late, not left out, and no other moves.
func TestPaceIsAbsolute(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	blocked := false
	b.onMessage = func(_ *socket, m wireMessage) {
		if m.Audio != nil && !blocked {
			blocked = true
			time.Sleep(100 * time.Millisecond) // the bot is slow, the schedule is not
		}
	}
	call := b.take(pair(25), "unmixed", "")
	s := b.socket()
	log := wait(t, call)
	s.wait(t)
	frames := s.frames("8:acs:a")
	require.Len(t, frames, 25)
	require.Equal(t, log.Speakers[0].Expected(25), timeline(t, frames, log.Start, 25))
}
