package cloud

import (
	"slices"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

const (
	// maxKept bounds the samples of the bot that a call's log keeps: ten
	// minutes. What comes later is played, and counted, but not kept.
	maxKept = 600 * pcm.SampleRate
	// maxTail bounds those that are kept beside, only to be heard: two minutes.
	maxTail = 120 * pcm.SampleRate
	// maxEntries bounds each list of the playout's log.
	maxEntries = 100000
	// pauseLength: if the bot's audio runs out for longer than this, it has
	// paused; less is an underrun.
	pauseLength = pcm.SampleRate / 2
)

// playout is what becomes of the bot's audio on its way to the callee's ear: a
// buffer that drains in real time, and that a StopAudio empties. Positions are
// samples on the call's clock, 16 kHz, and come in as arguments. Every sample
// has a number, from 0, in the order in which they were received.
type playout struct {
	// prebuffer is how many samples long audio waits before it is played, if
	// the buffer was empty.
	prebuffer int64

	kept      []int16 // the first maxKept samples received
	tail      []int16 // of those behind them the last, for who listens in a live call
	total     int64   // samples received
	end       int64   // position behind the last sample to be played
	fresh     bool    // the buffer was emptied by a flush since it last ran
	received  []Reception
	played    []Stretch
	flushes   []Flush
	underruns []Underrun
	omitted   int // entries that did not fit
}

// write takes what the bot said at a position.
func (p *playout) write(at int64, samples []int16) {
	if len(samples) == 0 {
		return
	}
	n := int64(len(samples))
	first := p.total
	p.total += n
	if room := maxKept - len(p.kept); room > 0 {
		p.kept = append(p.kept, samples[:min(room, len(samples))]...)
	}
	if beyond := p.total - int64(len(p.kept)); beyond > 0 {
		p.tail = append(p.tail, samples[max(0, n-beyond):]...)
		if len(p.tail) > 2*maxTail {
			p.tail = slices.Clone(p.tail[len(p.tail)-maxTail:])
		}
	}
	p.note(len(p.received), func() { p.received = append(p.received, Reception{At: at, First: first, Samples: n}) })

	begun := len(p.played) > 0 || len(p.flushes) > 0
	start := p.end
	if !begun || p.fresh || p.end < at {
		start = at + p.prebuffer
		if gap := start - p.end; begun && !p.fresh && gap <= pauseLength {
			p.note(len(p.underruns), func() { p.underruns = append(p.underruns, Underrun{At: p.end, Samples: gap}) })
		}
	}
	p.fresh = false
	p.end = start + n
	if last := len(p.played) - 1; last >= 0 && p.played[last].follows(start, first) {
		p.played[last].Samples += n
		return
	}
	p.note(len(p.played), func() { p.played = append(p.played, Stretch{At: start, First: first, Samples: n}) })
}

func (p *playout) note(have int, add func()) {
	if have >= maxEntries {
		p.omitted++
		return
	}
	add()
}

// pick returns samples by their numbers, as far as they are there, from the
// first that is.
func (p *playout) pick(first, n int64) (from int64, samples []int16) {
	kept := int64(len(p.kept))
	if first < kept {
		return first, p.kept[first:min(first+n, kept)]
	}
	begin := p.total - int64(len(p.tail))
	from = max(first, begin)
	if from >= first+n {
		return first, nil
	}
	return from, p.tail[from-begin : first+n-begin]
}

// flush discards what would be heard at a position or later.
func (p *playout) flush(at int64) {
	discarded := p.cut(at)
	p.note(len(p.flushes), func() {
		p.flushes = append(p.flushes, Flush{At: at, Received: p.total, Discarded: discarded})
	})
	p.fresh = true
}

// cut takes back what was placed at a position or later.
func (p *playout) cut(at int64) (discarded int64) {
	for last := len(p.played) - 1; last >= 0; last-- {
		s := &p.played[last]
		if s.At+s.Samples <= at {
			break
		}
		keep := max(0, at-s.At)
		discarded += s.Samples - keep
		s.Samples = keep
		if keep == 0 {
			p.played = p.played[:last]
		}
	}
	return discarded
}

// speaks returns the position at which the bot was first heard, -1 if it has
// not been.
func (p *playout) speaks() int64 {
	if len(p.played) == 0 {
		return -1
	}
	return p.played[0].At
}

// log returns a copy as it stands at a position: what lies ahead of it has not
// been heard.
func (p *playout) log(at int64, withPCM bool) PlayoutLog {
	heard := playout{played: slices.Clone(p.played)}
	l := PlayoutLog{
		Total: p.total, Unheard: heard.cut(at), Received: slices.Clone(p.received),
		Flushes: slices.Clone(p.flushes), Underruns: slices.Clone(p.underruns), Omitted: p.omitted,
	}
	l.Played = heard.played
	if withPCM {
		l.PCM = slices.Clone(p.kept)
	}
	return l
}

func samplesIn(d time.Duration) int64 { return pcm.Samples(d) }
