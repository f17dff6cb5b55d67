package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/phone"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
)

// What the phone's network does, as a poor mobile one.
const (
	phoneSeed   = 7
	phoneLoss   = 20 // one packet in so many
	phoneDelay  = 20 * time.Millisecond
	phoneJitter = 60 * time.Millisecond
	phoneKey    = "5"

	// mostDelay is that of the host's jitter buffer, and a turn. echoTime is what
	// else an echo may take: turns of the host's, and the bot's queue.
	mostDelay = 320 * time.Millisecond
	echoTime  = 100 * time.Millisecond
	// fewFrames may be under way when the call ends.
	fewFrames = 25

	// Of the blocks of 200 ms as many are to be alike what the phone said: all
	// but some where the jitter buffer changes the delay, and some for each
	// packet that did not come in time, which may have held the beginning of a
	// sound. On a busy machine many come late.
	unalike    = 0.10
	perMissing = 4
	leastAlike = 0.25
)

// phone lets a scripted phone call the bot over RTP, through a network that
// loses one packet in twenty and delays the others by up to 60 ms.
func (d *Demo) phone(ctx context.Context, host Host) error {
	log, err := phone.Call(ctx, phone.Config{
		Target: host.RTP, Codec: "PCMU", Seed: phoneSeed,
		Voice: slices.Concat(signal.Speech(signal.June), signal.Speech(signal.Allison)), Loops: phone.Forever,
		Keys: []phone.Key{{Slot: 60, Tone: phoneKey}},
		Drop: keptBack(phone.Slots(d.cfg.Duration)),
		Net:  netem.Config{Seed: phoneSeed, Delay: phoneDelay, Jitter: phoneJitter},
		Bye:  true, ReportEvery: 2 * time.Second, Duration: d.cfg.Duration,
	})
	if err != nil {
		return fmt.Errorf("demo: phone: %w", err)
	}
	for _, w := range d.calls() {
		if w.call.Cloud() == "rtp" {
			d.mu.Lock()
			w.phone = log
			d.mu.Unlock()
			return d.settle(ctx, w.call.CallID())
		}
	}
	return errors.New("demo: the host took no call of the phone")
}

// keptBack chooses the packets that the script keeps back, not the first and
// not the last: that those were sent nobody can know who did not get them.
func keptBack(packets int) (drop []int) {
	r := rand.New(rand.NewPCG(phoneSeed, phoneSeed))
	for i := range packets {
		if i > 5 && i < packets-5 && r.IntN(phoneLoss) == 0 {
			drop = append(drop, i)
		}
	}
	return drop
}

// judgePhone compares what the host counted, recorded and said with what the
// phone sent and heard.
func (d *Demo) judgePhone(w *watched, res record.Result) (CallReport, *verdict) {
	v := &verdict{leg: w.leg, res: res, tracks: map[string][]int16{}}
	v.load()
	log := w.phone
	in, lost := w.leg.Frames()
	c := CallReport{FramesIn: in, FramesLost: lost, FramesDroppedByScript: int64(log.DroppedByScript), RTP: w.rtp}
	if lost != c.FramesDroppedByScript {
		v.fail("%d packets were reported lost, the script kept %d back", lost, log.DroppedByScript)
	} else {
		v.prove("the %d packets that the script kept back are reported lost, no other", lost)
	}
	if w.leg.DTMF != 1 {
		v.fail("%d keys were heard, the phone pressed one", w.leg.DTMF)
	}
	share := v.network(log)
	heard := log.Heard()
	if l, ok := v.recorded("mixed-in", log.Said(), share); ok {
		v.placed("mixed-in", l, log.Late+mostDelay)
	}
	v.placed("echo", v.alike("echo", log.Said(), heard, share), log.Late+phoneDelay+phoneJitter+mostDelay+echoTime)
	v.recorded("bot", heard, share)
	v.paced(log)
	v.sum()
	return c, v
}

// recorded judges a track by what it should hold; ok is false if there is none.
func (v *verdict) recorded(label string, said []int16, share float64) (l signal.Likeness, ok bool) {
	track, ok := v.tracks[label]
	if !ok {
		v.fail("%s was never recorded", label)
		return l, false
	}
	return v.alike(label, said, track, share), true
}

// placed judges where most of it lies.
func (v *verdict) placed(what string, l signal.Likeness, within time.Duration) {
	at := time.Duration(l.At) * time.Second / pcm.SampleRate
	if at < -within || at > within {
		v.fail("%s: it lies %v from where it was said, at most %v are allowed", what, at.Round(time.Millisecond), within)
	}
}

// network judges what the host tells of the network, and returns which share of
// the sound can be expected to be alike. Packets that the machine made late, as
// the phone knows and the host counts, are as good as missing.
func (v *verdict) network(log *phone.Log) (share float64) {
	var frames, concealed, late int64
	for _, r := range v.leg.Renders {
		frames, concealed, late = frames+r.Frames, concealed+r.Concealed, late+r.Late
	}
	if concealed == 0 {
		v.fail("nothing was concealed of %d packets that did not come", log.DroppedByScript)
	}
	v.prove("%d frames of %d hold something made up, for packets that were kept back or late (%d; the phone itself was late with %d)",
		concealed, log.Slots, late, log.LateSlots)
	skipped := max(0, int64(log.Slots)-frames-fewFrames) // turns that came too late to be made up for
	missing := float64(int64(log.DroppedByScript+log.LateSlots)+late+skipped) / float64(max(1, log.Slots))
	return max(leastAlike, 1-unalike-perMissing*missing)
}

// alike judges audio that was coded, lost in part and made up.
func (v *verdict) alike(what string, said, got []int16, share float64) signal.Likeness {
	l := signal.Liken(said, got)
	if l.Share() < share {
		v.fail("%s: %v; at least %.0f %% are wanted", what, l, 100*share)
	} else {
		v.prove("%s: %v", what, l)
	}
	return l
}

// paced judges the packets that the phone got.
func (v *verdict) paced(log *phone.Log) {
	for _, fault := range log.Faults() {
		v.fail("phone: %s", fault)
	}
	if len(log.Streams) != 1 {
		v.fail("phone: %d streams came, one was wanted", len(log.Streams))
		return
	}
	s := &log.Streams[0]
	reports := 0
	for _, r := range log.Reports {
		if r.About != nil {
			reports++
		}
	}
	v.prove("phone: %d packets came, each 20 ms after the last by its timestamp, spaced %.1f to %.1f ms; %d reports",
		s.Packets, s.Pacing.Interval.Min, s.Pacing.Interval.Max, reports)
	if got, want := int64(s.Packets), v.leg.Source.Frames; got > want || got < want-fewFrames {
		v.fail("phone: %d packets came, the bot said %d frames", got, want)
	}
}
