package cloud

import (
	"fmt"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Names of the scripts that Named knows.
const (
	// ThreeSpeakers: three recorded voices on an incoming call, partly at
	// once, one of which sends nothing while it is silent.
	ThreeSpeakers = "three-speakers"
	// OneCallee: the callee of an outgoing call listens, barges in on the
	// bot's greeting, and then talks on, so that an echo can be heard.
	OneCallee = "one-callee"
)

// Named scripts end with this much silence, so that what a bot says last is
// still heard.
const quietEnd = time.Second

// Named returns the script of that name, made to last d: at the end the other
// side hangs up. d is at least 1 s.
func Named(name string, d time.Duration) (Script, error) {
	if d < time.Second || Slots(d) > maxSlot {
		return Script{}, fmt.Errorf("cloud: duration: %v: want 1s to 24h", d)
	}
	switch strings.ToLower(name) {
	case ThreeSpeakers:
		return threeSpeakers(Slots(d)), nil
	case OneCallee:
		return oneCallee(Slots(d)), nil
	}
	return Script{}, fmt.Errorf("cloud: script: %q: want %q or %q", name, ThreeSpeakers, OneCallee)
}

// threeSpeakers: the first talks from the start, the second falls into his
// words, the third into both and talks last.
func threeSpeakers(n int) Script {
	end := n - min(n/10, Slots(quietEnd))
	return Script{Name: ThreeSpeakers, HangUp: n, Speakers: []Speaker{
		talk(signal.Allison, SilenceSent, n/50, end*6/10),
		talk(signal.June, SilenceOmitted, end/4, end*8/10),
		talk(signal.Carlo, SilenceSent, end/2, end),
	}}
}

func oneCallee(n int) Script {
	bargeIn := max(1, min(n/6, Slots(1500*time.Millisecond)))
	// The bot needs about a second to answer with its greeting.
	first := bargeIn + min(n/10, Slots(time.Second))
	callee := talk(signal.June, SilenceSent, first, n-min(n/10, Slots(quietEnd)))
	callee.Start, callee.AfterBot = 0, bargeIn
	return Script{Name: OneCallee, HangUp: n, Speakers: []Speaker{callee}}
}

// talk fills the slots from start to end with a voice, said again after a
// second's pause as often as it fits.
func talk(v signal.Voice, silence Silence, start, end int) Speaker {
	const pause = 50
	whole := len(signal.Speech(v)) / pcm.FrameSamples
	name := v.String()
	sp := Speaker{Name: strings.ToUpper(name[:1]) + name[1:], Voice: name, Start: start, Silence: silence}
	if room := end - start; room < whole {
		sp.Length = max(1, room)
	} else {
		sp.Loops, sp.Pause = (room-whole)/(whole+pause), pause
	}
	return sp
}
