package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
)

const (
	frame = pcm.FrameSamples
	// placement is how far the bot's track may lie from where the emulator
	// heard it. The playout model is an estimate, good for some 20 ms; the
	// rest is for busy machines, where the figure says more than a verdict.
	placement = 200 * pcm.SampleRate / 1000
)

// verdict collects what was proven of a call and what was found wrong.
type verdict struct {
	log      *cloud.Log
	leg      *engine.LegStats
	res      record.Result
	greeting []int16
	tracks   map[string][]int16 // by label
	from     int                // sample from which on the call is recorded

	proven, problems []string
}

func (v *verdict) prove(format string, a ...any) {
	v.proven = append(v.proven, fmt.Sprintf(format, a...))
}
func (v *verdict) fail(format string, a ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, a...))
}

// judge compares what the host recorded and said with what the emulator's
// script had said and its callee heard.
func judge(log *cloud.Log, leg *engine.LegStats, res record.Result, greeting []int16) *verdict {
	v := &verdict{log: log, leg: leg, res: res, greeting: greeting, tracks: map[string][]int16{}}
	v.load()
	v.frames()
	v.from = v.announced()
	if log.Mix != nil {
		v.inbound("mixed-in", log.ExpectedMix(), log.Mix)
		v.outbound()
	} else {
		for i := range log.Speakers {
			s := &log.Speakers[i]
			v.inbound(s.StreamID, s.Expected(log.Slots), s.Stream)
		}
		v.spoken()
	}
	v.sum()
	return v
}

// load reads the recorded files.
func (v *verdict) load() {
	if v.res.State != record.StateComplete {
		v.fail("recording is %q: %v", v.res.State, v.res.Err)
	}
	for i := range v.res.Tracks {
		t := &v.res.Tracks[i]
		data, err := os.ReadFile(t.Path)
		if err != nil {
			v.fail("%s: %v", t.Path, err)
			continue
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != t.SHA256 {
			v.fail("%s: not the file whose sha256 the manifest tells", t.Path)
		}
		samples, err := readWAV(data)
		if err != nil || int64(len(samples)) != t.Samples {
			v.fail("%s: %d samples, the manifest says %d (%v)", t.Path, len(samples), t.Samples, err)
		}
		v.tracks[t.Label()] = samples
	}
}

func readWAV(data []byte) ([]int16, error) {
	r, err := wav.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return r.ReadAll()
}

// frames compares the counts of both sides.
func (v *verdict) frames() {
	var sent int64
	for _, s := range streams(v.log) {
		sent += int64(s.Sent)
	}
	in, lost := v.leg.Frames()
	if in != sent {
		v.fail("%d frames came in, %d were sent", in, sent)
	}
	if kept := dropped(v.log); lost != kept {
		v.fail("%d frames were reported lost, the script kept %d back", lost, kept)
	} else if kept > 0 {
		v.prove("the %d frames that the script kept back are reported lost, no other", kept)
	}
}

// origin is the slot of the emulator's clock that is sample 0 of the
// recordings: the first one that was sent.
func (v *verdict) origin() int {
	first := v.log.Slots
	for _, s := range streams(v.log) {
		if s.Sent > 0 {
			first = min(first, firstSent(s))
		}
	}
	return first
}

// lead is where in the recordings the first frame from the emulator lies: at
// sample 0, unless the bot spoke before, which it can only on a call on which
// it speaks at all.
func (v *verdict) lead() int {
	if v.leg.Source.Frames == 0 {
		return 0
	}
	first := int64(-1)
	for i := range v.res.Tracks {
		t := &v.res.Tracks[i]
		if (t.Kind == record.KindSpeaker || t.Kind == record.KindMixedIn) && (first < 0 || t.First < first) {
			first = t.First
		}
	}
	return int(max(first, 0))
}

// firstSent is the first slot in neither list.
func firstSent(s *cloud.StreamLog) int {
	slot := 0
	for {
		next := slot
		for _, span := range slices.Concat(s.NotSent, s.Dropped) {
			if span.Slot <= next && next < span.Slot+span.Slots {
				next = span.Slot + span.Slots
			}
		}
		if next == slot {
			return slot
		}
		slot = next
	}
}

// inbound compares a track with what was said, sample by sample. What the
// socket's outages kept back must be zeros, and told as missing.
func (v *verdict) inbound(label string, said []int16, stream *cloud.StreamLog) {
	if stream == nil || stream.Sent == 0 {
		return
	}
	var kept int64
	for _, span := range stream.Dropped {
		if span.Cause == cloud.ByReconnect || span.Cause == cloud.ByDisconnect {
			clear(said[min(span.Slot*frame, len(said)):min((span.Slot+span.Slots)*frame, len(said))])
			kept += int64(span.Slots) * frame
		}
	}
	got, ok := v.tracks[label]
	if !ok {
		v.fail("%s was never recorded", v.who(label))
		return
	}
	got = got[min(v.lead(), len(got)):]
	want := said[v.origin()*frame:]
	for _, s := range got[:min(v.from, len(got))] {
		if s != 0 {
			v.fail("%s: sound is stored from before the recording began", v.who(label))
			return
		}
	}
	got, want = got[min(v.from, len(got)):], want[min(v.from, len(want)):]
	// A track ends with its last frame; silence that was not sent may follow.
	for len(want) > len(got) && want[len(want)-1] == 0 {
		want = want[:len(want)-1]
	}
	if len(got) > len(want) {
		v.fail("%s: %d samples are recorded beyond the %d that were said", v.who(label), len(got)-len(want), len(want))
	}
	if d := signal.Compare(got, want, 0); !d.Exact() {
		v.fail("%s: %v", v.who(label), d)
		return
	}
	for i := range v.res.Tracks {
		if t := &v.res.Tracks[i]; t.Label() == label && t.Missing != kept {
			v.fail("%s: the manifest tells %d samples missing, %d were kept back", v.who(label), t.Missing, kept)
			return
		}
	}
	v.prove("%s: all %d samples in their places (%.1f s of sound)", v.who(label), len(want), float64(sounding(want))/pcm.SampleRate)
}

// who is whose track it is: by name, if one is known.
func (v *verdict) who(label string) string {
	for i := range v.log.Speakers {
		if s := &v.log.Speakers[i]; s.StreamID == label && s.Name != "" {
			return s.Name
		}
	}
	return short(label)
}

// sounding counts samples in frames that are not all zero.
func sounding(s []int16) (n int) {
	for f := range slices.Chunk(s, frame) {
		if slices.ContainsFunc(f, func(x int16) bool { return x != 0 }) {
			n += len(f)
		}
	}
	return n
}

// sum checks that the mixed track is the clamped sum of the listed ones.
func (v *verdict) sum() {
	mixed, ok := v.tracks["mixed"]
	if !ok {
		if v.leg.Channels == engine.Unmixed {
			v.fail("there is no mixed track")
		}
		return
	}
	total := make([]int32, len(mixed))
	for label, t := range v.tracks {
		if label == "mixed" {
			continue
		}
		if len(t) > len(total) {
			v.fail("mixed is shorter than %s", short(label))
			return
		}
		for i, s := range t {
			total[i] += int32(s)
		}
	}
	for i, s := range mixed {
		if want := max(-32768, min(32767, total[i])); int32(s) != want {
			v.fail("mixed: sample %d is %d, the tracks' sum is %d", i, s, want)
			return
		}
	}
	v.prove("mixed: the sum of the tracks, clipped once, %d samples", len(mixed))
}
