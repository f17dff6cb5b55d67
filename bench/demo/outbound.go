package demo

import (
	"slices"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
)

// outbound judges what the callee heard of the bot: the greeting up to the
// barge-in, then the echo.
func (v *verdict) outbound() {
	p := &v.log.Playout
	if len(p.Flushes) != 1 {
		v.fail("the callee barged in once, %d StopAudio came", len(p.Flushes))
		return
	}
	if p.Omitted > 0 || p.Total != int64(len(p.PCM)) {
		v.fail("the emulator's log of %d samples is not whole", p.Total)
		return
	}
	cut := p.Flushes[0]
	v.heardGreeting(p, cut)
	v.heardEcho(p.PCM[cut.Received:], int(cut.At)/frame)
	v.botTrack(p, cut)
}

// heardGreeting: exact up to the cut, without a hole, and at most one frame
// of it after the flush.
func (v *verdict) heardGreeting(p *cloud.PlayoutLog, cut cloud.Flush) {
	sent := p.PCM[:cut.Received]
	if len(sent) > len(v.greeting) || !slices.Equal(sent, v.greeting[:len(sent)]) {
		v.fail("greeting: what was sent is not its beginning: %v", signal.Compare(v.greeting, sent, 0))
		return
	}
	var heard, after int64
	for i, s := range p.Played {
		if s.First >= cut.Received {
			break
		}
		if i > 0 || s.First != 0 {
			v.fail("greeting: a hole before sample %d", s.First)
			return
		}
		heard = min(s.Samples, cut.Received-s.First)
		after = max(0, s.At+heard-cut.At)
	}
	switch {
	case heard == 0:
		v.fail("greeting: nothing of it was heard")
	case after > frame:
		v.fail("greeting: %d samples were heard after StopAudio, at most %d may be", after, frame)
	case cut.Discarded == 0:
		v.fail("greeting: nothing was queued when it was flushed")
	default:
		v.prove("greeting: %d samples heard, each in its place, %d after StopAudio, %d flushed unheard", heard, after, cut.Discarded)
	}
}

// echoDelay is how many slots after the flush the echo may begin: the bot
// waits for its greeting's goroutine, which on a busy machine takes its time.
const echoDelay = 25

// heardEcho: from the flush on, what was said to the bot, each sample once, to
// the end of the callee's speech.
func (v *verdict) heardEcho(echo []int16, flushed int) {
	said := v.log.ExpectedMix()
	start := -1
	for k := 0; k+len(echo) <= len(said); k += frame {
		if slices.Equal(said[k:k+len(echo)], echo) && sounding(echo) > 0 {
			start = k
			break
		}
	}
	if start < 0 {
		v.fail("echo: %d samples are not what the callee said", len(echo))
		return
	}
	if late := start/frame - flushed; late > echoDelay {
		v.fail("echo: its first %d slots after the flush are missing", late)
		return
	}
	last := len(said)
	for last > 0 && said[last-1] == 0 {
		last--
	}
	if start+len(echo) < last {
		v.fail("echo: ends at sample %d, the callee spoke up to %d", start+len(echo), last)
		return
	}
	v.prove("echo: %d samples from slot %d on, equal to what was said (%d underruns)", len(echo), start/frame, len(v.log.Playout.Underruns))
}

// botTrack compares the recording of the bot with what was sent: the content
// exactly, the position within what the playout model is good for.
func (v *verdict) botTrack(p *cloud.PlayoutLog, cut cloud.Flush) {
	track, ok := v.tracks["bot"]
	if !ok {
		v.fail("the bot was never recorded")
		return
	}
	origin := int64(v.origin()*frame - v.lead()) // of the track, on the emulator's clock
	at := slices.IndexFunc(track, func(s int16) bool { return s != 0 })
	lead := slices.IndexFunc(v.greeting, func(s int16) bool { return s != 0 })
	begin := at - lead
	if at < 0 || begin < 0 {
		v.fail("bot: the track is silent")
		return
	}
	heard := p.Played[0].Samples
	n := 0 // samples of the greeting in the track
	for n < len(v.greeting) && begin+n < len(track) && track[begin+n] == v.greeting[n] {
		n++
	}
	n -= trailingZeros(v.greeting[:n])
	if off := int64(n) - heard; max(off, -off) > placement {
		v.fail("bot: the track holds %d samples of the greeting, %d were heard", n, heard)
	}
	if off := int64(begin) + origin - p.Played[0].At + buffered(p); max(off, -off) > placement {
		v.fail("bot: the greeting lies %d samples from where it was heard", off)
	}
	v.echoTrack(track[begin+n:], int64(begin+n)+origin, p, cut)
}

// echoTrack finds each frame that was sent in the track, in order, with
// nothing but silence between.
func (v *verdict) echoTrack(track []int16, base int64, p *cloud.PlayoutLog, cut cloud.Flush) {
	pos, worst := 0, int64(0)
	for _, r := range p.Received {
		if r.First < cut.Received {
			continue
		}
		f := p.PCM[r.First : r.First+r.Samples]
		if sounding(f) == 0 {
			continue
		}
		at, ok := v.next(track, pos, f)
		if !ok {
			return
		}
		pos = at
		if pos+len(f) > len(track) {
			v.fail("bot: samples %d on, which were sent, are not in the track", r.First)
			return
		}
		if heard, ok := heardAt(p, r.First); ok {
			off := base + int64(pos) - heard + buffered(p)
			worst = max(worst, max(off, -off))
		}
		pos += len(f)
	}
	if i := slices.IndexFunc(track[pos:], func(s int16) bool { return s != 0 }); i >= 0 {
		v.fail("bot: sample %d of the track was never sent", pos+i)
		return
	}
	if worst > placement {
		v.fail("bot: the track lies up to %d samples from where it was heard, %d are allowed", worst, placement)
		return
	}
	v.prove("bot: the track holds what was sent, its place estimated to %.1f ms", float64(worst)/16)
}

// next finds where in the track a frame that was sent begins, at pos or behind
// silence; a frame that the end cuts off is found too. What is neither was never
// sent.
func (v *verdict) next(track []int16, pos int, f []int16) (at int, ok bool) {
	for pos < len(track) {
		n := min(len(f), len(track)-pos)
		if slices.Equal(track[pos:pos+n], f[:n]) {
			return pos, true
		}
		if track[pos] != 0 {
			v.fail("bot: sample %d of the track was never sent", pos)
			return pos, false
		}
		pos++
	}
	return pos, true
}

// buffered is how long the emulator's jitter buffer keeps audio back that comes
// after a pause: nobody's estimate knows of it.
func buffered(p *cloud.PlayoutLog) int64 { return p.Played[0].At - p.Received[0].At }

// heardAt is the position at which a sample was heard.
func heardAt(p *cloud.PlayoutLog, sample int64) (int64, bool) {
	for _, s := range p.Played {
		if sample >= s.First && sample < s.First+s.Samples {
			return s.At + sample - s.First, true
		}
	}
	return 0, false
}

func trailingZeros(s []int16) (n int) {
	for n < len(s) && s[len(s)-1-n] == 0 {
		n++
	}
	return n
}
