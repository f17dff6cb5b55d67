package cloud

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// echo is a bot that greets, stops when it hears the callee, and then echoes.
type echo struct {
	mu       sync.Mutex
	greeting []int16
	echoed   []int16
	stopped  bool
}

func (e *echo) onSocket(s *socket) { s.say(e.greeting) }

func (e *echo) onMessage(s *socket, m wireMessage) {
	if m.Audio == nil || *m.Audio.Silent {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stopped {
		e.stopped = true
		s.stop()
	}
	s.say(m.samples())
	e.echoed = append(e.echoed, m.samples()...)
}

func TestOutgoingCallBargeInAndEcho(t *testing.T) {
	t.Parallel()
	dialled := make(chan Dialled, 1)
	clip := signal.Noise(25*320, 3, -12)
	b := newBot(t, &Server{OnCreate: func(d Dialled) Callee {
		dialled <- d
		return Callee{Script: Script{HangUp: 70, Speakers: []Speaker{
			{PCM: clip, AfterBot: 15},
			{ID: "8:acs:other", PCM: signal.Noise(25*320, 4, -3), Start: 30},
			{ID: "8:acs:third", PCM: signal.Noise(25*320, 5, -3), Start: 30},
		}}}
	}})
	e := &echo{greeting: signal.Noise(50*320, 9, -20)}
	b.onSocket, b.onMessage = e.onSocket, e.onMessage
	call, body := b.place("mixed")
	require.Equal(t, Dialled{
		Cloud: "acs", CallID: call.ID(), APIVersion: version2022, Source: "8:acs:bot", Targets: []string{"8:acs:callee"},
		OperationContext: "Reminder call", Media: "mixed",
	}, <-dialled)
	require.Equal(t, "connecting", body["callConnectionState"])
	s := b.socket()
	log := wait(t, call)
	s.wait(t)

	require.Equal(t, 70, log.Slots)
	require.Equal(t, "8:acs:callee", log.Speakers[0].RawID)
	start := log.Speakers[0].Start
	require.GreaterOrEqual(t, start, 15)
	require.Less(t, start, 35, "the bot spoke at once")

	// What the bot hears: the sum of all others, clipped, without the bot.
	require.Empty(t, s.frames("8:acs:callee"))
	require.Len(t, s.frames(""), 70)
	require.Equal(t, log.ExpectedMix(), timeline(t, s.frames(""), log.Start, 70))
	require.Equal(t, &StreamLog{Sent: 70}, log.Mix)
	require.Nil(t, log.Speakers[0].Stream)
	require.Contains(t, log.ExpectedMix(), int16(32767), "the sum clips")

	// What the callee hears: the greeting up to the cut, then the echo.
	p := log.Playout
	require.Len(t, p.Flushes, 1)
	flush := p.Flushes[0]
	require.Equal(t, int64(50*320), flush.Received)
	heard := p.Heard()
	greeted := int(int64(50*320) - flush.Discarded)
	require.Positive(t, greeted)
	first := int(p.Played[0].At)
	require.Equal(t, e.greeting[:greeted], heard[first:first+greeted])
	require.Equal(t, flush.At, int64(first+greeted), "the cut is where StopAudio found it")
	require.Greater(t, int(flush.At), start*320)
	require.Less(t, int(flush.At), (start+10)*320)
	require.Equal(t, e.echoed, []int16(p.PCM[flush.Received:]), "all of the echo was received")
	require.Equal(t, int64(len(e.echoed))-p.Unheard, p.HeardAfter(flush.Received))
	require.Equal(t, p.Total, int64(len(p.PCM)))
	for _, st := range p.Played[1:] {
		require.GreaterOrEqual(t, st.At, flush.At)
		require.Equal(t, []int16(p.PCM[st.First:st.First+st.Samples]), heard[st.At:st.At+st.Samples])
	}
	b.expect("CallConnected", "ParticipantsUpdated", "CallDisconnected")
}

func TestOneCalleeFitsItsDuration(t *testing.T) {
	for _, d := range []string{"1s", "2s", "15s", "1m", "1h"} {
		d, err := duration("d", d, 0)
		require.NoError(t, err)
		s, err := Named(OneCallee, d)
		require.NoError(t, err)
		require.NoError(t, s.Validate())
		p := newPerformance(s)
		heard, last := 0, 0
		for slot := 0; ; slot++ {
			lines, over := p.step(0)
			if over {
				require.Equal(t, Slots(d), slot)
				break
			}
			if !silentSamples(lines[0].samples) {
				heard, last = heard+1, slot
			}
		}
		require.Greater(t, heard, Slots(d)/4, "%v", d)
		require.LessOrEqual(t, last, Slots(d)-min(Slots(d)/10, 50), "%v: the end is quiet", d)
	}
}

func TestPlayout(t *testing.T) {
	ramp := func(n int) []int16 { return signal.Ramp(n, 1) }
	p := playout{prebuffer: 640}
	require.Equal(t, int64(-1), p.speaks())
	p.write(100, nil)
	p.flush(50)
	p.write(100, ramp(320)) // 740..1060
	require.Equal(t, int64(740), p.speaks())
	p.write(300, ramp(320))  // ..1380: in time
	p.write(1400, ramp(320)) // 20 late: 2040..2360
	p.write(1500, ramp(1000))
	p.flush(2400) // 960 of 1000 discarded
	p.write(2400, ramp(320))
	p.write(20000, ramp(320)) // a pause, no underrun
	l := p.log(20700, true)
	require.Equal(t, []Stretch{{740, 0, 640}, {2040, 640, 360}, {3040, 1960, 320}, {20640, 2280, 60}}, l.Played)
	require.Equal(t, []Flush{{50, 0, 0}, {2400, 1960, 960}}, l.Flushes)
	require.Equal(t, []Underrun{{1380, 660}}, l.Underruns)
	require.Equal(t, int64(260), l.Unheard)
	require.Equal(t, int64(2600), l.Total)
	require.Equal(t, int64(380), l.HeardAfter(1960))
	require.Equal(t, int64(1380), l.HeardAfter(0))
	require.Len(t, l.Heard(), 20700)
	require.Equal(t, ramp(320), l.Heard()[740:1060])
	l = p.log(1<<40, false)
	require.Equal(t, int64(2600-960), l.HeardAfter(0))
	require.Nil(t, l.PCM)

	// Flushing where nothing is queued leaves what was heard as it is.
	q := playout{}
	q.write(0, ramp(320))
	q.flush(500)
	q.flush(600)
	require.Equal(t, []Stretch{{0, 0, 320}}, q.played)
	q.flush(0)
	require.Empty(t, q.played)
}

func TestPlayoutIsBounded(t *testing.T) {
	p := playout{}
	block := make([]int16, maxKept/2+1)
	for i := range 3 {
		p.write(int64(i), block)
	}
	require.Len(t, p.kept, maxKept)
	require.Equal(t, int64(3*len(block)), p.total)
	for i := range maxEntries + 10 {
		p.flush(int64(i))
	}
	require.Len(t, p.flushes, maxEntries)
	require.Equal(t, 10, p.omitted)
}
