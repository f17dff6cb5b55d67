package dsp

import "github.com/mixminus/mixminus/engine/pcm"

const (
	// dominanceSmooth is the weight of a new frame in a speaker's level: half
	// of a step is taken within 140 ms.
	dominanceSmooth = 0.1
	// dominanceLead is by how much a challenger must be louder, in dB, and
	// dominanceFrames for how many of its frames, to take over from somebody
	// who still speaks: 600 ms, so that a cough or a "yes" does not.
	dominanceLead   = 3
	dominanceFrames = 30
	// dominanceIdle is after what time without speech nobody dominates, in
	// samples: 2 s.
	dominanceIdle = 2 * pcm.SampleRate
)

// Nobody is the dominant speaker while nobody speaks.
const Nobody = -1

// Dominance tells who of several speakers dominates a conversation: whoever
// began to speak while nobody did, until they pause and somebody else speaks,
// or somebody else is clearly louder for longer than an interjection. Its zero
// value is ready. It allocates when a speaker is heard for the first time.
type Dominance struct {
	voices  []dominanceVoice
	current int   // index + 1; 0 is Nobody
	spoke   int64 // position at which somebody was heard to speak last
}

type dominanceVoice struct {
	vad     VAD
	level   float64 // smoothed, in dB above Floor
	voiced  bool
	heard   int64 // position of the last frame
	leading int   // frames for which it leads the current one
}

// Hear takes 20 ms of a speaker, numbered from 0, that end at a position in
// samples on the clock that all share, and returns who dominates then: an index
// or Nobody.
func (d *Dominance) Hear(speaker int, samples *[pcm.FrameSamples]int16, end int64) int {
	for len(d.voices) <= speaker {
		d.voices = append(d.voices, dominanceVoice{})
	}
	v := &d.voices[speaker]
	v.level += dominanceSmooth * (Measure(samples[:]).RMS - Floor - v.level)
	v.voiced, v.heard = v.vad.Voice(samples), end
	if !v.voiced {
		v.leading = 0
		if end-d.spoke > dominanceIdle {
			d.current = 0
		}
		return d.current - 1
	}
	d.spoke = max(d.spoke, end)
	switch {
	case d.current == speaker+1:
	case !d.speaks(end):
		d.take(speaker)
	case v.level > d.voices[d.current-1].level+dominanceLead:
		if v.leading++; v.leading >= dominanceFrames {
			d.take(speaker)
		}
	default:
		v.leading = 0
	}
	return d.current - 1
}

// speaks tells whether the current one still does: a stream in which silence
// is not sent just ends.
func (d *Dominance) speaks(now int64) bool {
	if d.current == 0 {
		return false
	}
	v := &d.voices[d.current-1]
	return v.voiced && now-v.heard < vadHangover*pcm.FrameSamples
}

func (d *Dominance) take(speaker int) {
	d.current = speaker + 1
	for i := range d.voices {
		d.voices[i].leading = 0
	}
}
