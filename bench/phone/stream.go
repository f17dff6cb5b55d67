package phone

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Stream is what came of one SSRC, seen from the end of the call.
type Stream struct {
	SSRC uint32         `json:"ssrc"`
	From netip.AddrPort `json:"from"` // of the first packet
	// At is where its first sample lies on the phone's clock, for whoever
	// waits for no packet longer than for the fastest.
	At time.Duration `json:"at_ns"`

	// Packets came: Audio of the call's codec, EventPackets, Foreign ones of
	// other payload types, and Duplicates, which count as nothing else.
	Packets      int `json:"packets"`
	Audio        int `json:"audio"`
	EventPackets int `json:"event_packets"`
	Foreign      int `json:"foreign"`
	Duplicates   int `json:"duplicates"`
	// Missing sequence numbers never came; Reordered packets came behind a
	// later one.
	Missing   int `json:"missing"`
	Reordered int `json:"reordered"`

	Pacing Pacing  `json:"pacing"`
	Events []Event `json:"events,omitempty"`

	pcm []int16
}

// Pacing is how audio was sent: what the packets say of it, and when they came.
type Pacing struct {
	// Silences are jumps of the timestamp where no packet is missing, no key was
	// pressed and nothing foreign sent. Marked packets have the marker bit.
	Silences int `json:"silences"`
	Marked   int `json:"marked"`
	// These should be 0. BadLength: payloads that are not 20 ms. BadStep:
	// timestamps that do not go on by what the packet before holds, and do not
	// jump forward either. Unmarked: packets after a silence without marker, and
	// MarkedMidway ones with it where there is no silence. Misplaced: timestamps
	// far from any time of the call.
	BadLength    int `json:"bad_length"`
	BadStep      int `json:"bad_step"`
	Unmarked     int `json:"unmarked"`
	MarkedMidway int `json:"marked_midway"`
	Misplaced    int `json:"misplaced"`

	// Interval between the arrivals of packets that follow one another without
	// silence, in ms: 20 each, were it not for the network and the machines.
	Interval Spread `json:"interval_ms"`
	// Behind is by how much packets came later than their timestamps say,
	// against the fastest one, in ms: how well timestamps follow the time,
	// through silences too.
	Behind Spread `json:"behind_ms"`
	// JitterMS as in RFC 3550, section 6.4.1, at the end; DriftPPM is by how
	// much the sender's clock ran faster than the phone's, which says little of
	// a call of seconds.
	JitterMS float64 `json:"jitter_ms"`
	DriftPPM float64 `json:"drift_ppm"`
}

// Spread describes a distribution.
type Spread struct {
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Event is a key that was heard (RFC 4733).
type Event struct {
	Tone string `json:"tone"`
	// At is its beginning on the phone's clock, by its timestamp, and Duration
	// how long it was held.
	At       time.Duration `json:"at_ns"`
	Duration time.Duration `json:"duration_ns"`
	Packets  int           `json:"packets"`
	Ends     int           `json:"ends"` // packets with the end bit
	// Marked: the first packet had the marker bit, and no other. Grows: no
	// packet was shorter than one before.
	Marked bool `json:"marked"`
	Grows  bool `json:"grows"`

	timestamp int64
}

// Samples returns what came at 16 kHz from At on: payloads decoded in the order
// of their sequence numbers and placed by their timestamps, silence where
// nothing came.
func (s *Stream) Samples() []int16 { return s.pcm }

func (s *Stream) position() int64 { return int64(s.At) * pcm.SampleRate / int64(time.Second) }

// Faults says in words what its sender did wrong.
func (s *Stream) Faults() (faults []string) {
	note := func(n int, what string) {
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, what))
		}
	}
	note(s.Foreign, "packets are of a payload type that was not agreed on")
	note(s.Pacing.BadLength, "payloads are not 20 ms")
	note(s.Pacing.BadStep, "timestamps do not follow the packet before")
	note(s.Pacing.Unmarked, "packets after a silence are not marked (RFC 3551, section 4.1)")
	note(s.Pacing.MarkedMidway, "packets are marked without a silence before (RFC 3551, section 4.1)")
	note(s.Pacing.Misplaced, "timestamps are far from the time of the call")
	if s.Missing > 0 {
		return faults // what an event looks like with packets lost is no fault
	}
	for _, e := range s.Events {
		switch {
		case !e.Marked:
			faults = append(faults, fmt.Sprintf("key %s: want its first packet marked, and no other (RFC 4733, section 2.5.1.2)", e.Tone))
		case !e.Grows:
			faults = append(faults, fmt.Sprintf("key %s: its duration shrinks (RFC 4733, section 2.3.5)", e.Tone))
		case e.Ends != 1+endCopies:
			faults = append(faults, fmt.Sprintf("key %s: its end came %d times, want %d (RFC 4733, section 2.5.1.4)", e.Tone, e.Ends, 1+endCopies))
		}
	}
	return faults
}

// item is a packet in its place in the stream.
type item struct {
	arrival
	sequence  int64 // extended by its cycles
	timestamp int64 // from the first packet's on
	missing   bool  // at least one packet before it never came
}

// newStream judges the packets of one SSRC, given in the order of their arrival.
func newStream(arrivals []arrival, cfg Config, row codec.Codec) (*Stream, error) {
	s := &Stream{SSRC: arrivals[0].header.SSRC, From: arrivals[0].from, Packets: len(arrivals)}
	items := s.order(arrivals)
	audio := s.sort(items, cfg)
	s.steps(items, cfg, row)
	s.times(audio, row.ClockRate)
	s.events(items, cfg, row.ClockRate)
	return s, s.decode(audio, row)
}

// order sorts by sequence number and leaves duplicates out.
func (s *Stream) order(arrivals []arrival) []item {
	items := make([]item, 0, len(arrivals))
	seen := map[int64]bool{}
	highest := int64(arrivals[0].header.SequenceNumber)
	for i, a := range arrivals {
		q := extend(highest, a.header.SequenceNumber)
		switch {
		case seen[q]:
			s.Duplicates++
			continue
		case i > 0 && q < highest:
			s.Reordered++
		}
		seen[q] = true
		highest = max(highest, q)
		items = append(items, item{arrival: a, sequence: q})
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.sequence, b.sequence) })
	for i := 1; i < len(items); i++ {
		before := items[i-1]
		items[i].timestamp = before.timestamp + int64(int32(items[i].header.Timestamp-before.header.Timestamp))
		if gap := int(items[i].sequence - before.sequence - 1); gap > 0 {
			s.Missing += gap
			items[i].missing = true
		}
	}
	return items
}

// sort counts what there is, and returns the audio.
func (s *Stream) sort(items []item, cfg Config) (audio []item) {
	for _, it := range items {
		switch it.header.PayloadType {
		case cfg.PayloadType:
			s.Audio++
			audio = append(audio, it)
		case cfg.EventType:
			s.EventPackets++
		default:
			s.Foreign++
		}
	}
	return audio
}

// steps checks timestamps and markers of audio that follows audio. Behind an
// event, or comfort noise, the timestamp jumps too, and no document says whether
// that is marked.
func (s *Stream) steps(items []item, cfg Config, row codec.Codec) {
	other, missing := false, false
	var before *item
	length := int64(0) // of the packet before
	p := &s.Pacing
	for i := range items {
		it := &items[i]
		missing = missing || it.missing
		if it.header.PayloadType != cfg.PayloadType {
			other = true
			continue
		}
		if it.header.Marker {
			p.Marked++
		}
		if before != nil && !missing {
			s.step(it.timestamp-before.timestamp-length, it.header.Marker, other)
		}
		samples := row.Samples(it.payload)
		if samples != row.SampleRate/50 {
			p.BadLength++
		}
		length = int64(samples) * int64(row.ClockRate) / int64(row.SampleRate)
		before, other, missing = it, false, false
	}
}

// step judges a timestamp that lies so far behind the end of the packet before.
func (s *Stream) step(jump int64, marked, other bool) {
	p := &s.Pacing
	switch {
	case jump < 0:
		p.BadStep++
	case jump == 0 && marked && !other:
		p.MarkedMidway++
	case jump > 0 && !other:
		p.Silences++
		if !marked {
			p.Unmarked++
		}
	}
}

// times measures when audio came, and places the stream on the phone's clock.
func (s *Stream) times(audio []item, clockRate int) {
	if len(audio) == 0 {
		return
	}
	ms := func(units int64) float64 { return float64(units) * 1000 / float64(clockRate) }
	fastest := math.Inf(1)
	var intervals, behind []float64
	for i, it := range audio {
		late := float64(it.at)/1e6 - ms(it.timestamp)
		fastest = min(fastest, late)
		behind = append(behind, late)
		if i > 0 && it.sequence == audio[i-1].sequence+1 && it.timestamp-audio[i-1].timestamp == int64(clockRate/50) {
			intervals = append(intervals, float64(it.at-audio[i-1].at)/1e6)
		}
	}
	for i := range behind {
		behind[i] -= fastest
	}
	s.At = time.Duration(fastest * float64(time.Millisecond))
	s.Pacing.DriftPPM = drift(audio, clockRate)
	s.Pacing.Behind, s.Pacing.Interval = spread(behind), spread(intervals)
	byArrival := slices.Clone(audio)
	slices.SortStableFunc(byArrival, func(a, b item) int { return cmp.Compare(a.at, b.at) })
	var r reception
	for _, it := range byArrival {
		r.time(it.at-byArrival[0].at, it.header.Timestamp, clockRate)
	}
	s.Pacing.JitterMS = r.jitter * 1000 / float64(clockRate)
}

// drift is the slope of the arrivals over the timestamps, by least squares, less
// one.
func drift(audio []item, clockRate int) float64 {
	var x, y, xx, xy float64
	n := float64(len(audio))
	for _, it := range audio {
		t, a := float64(it.timestamp)/float64(clockRate), float64(it.at-audio[0].at)/1e9
		x, y, xx, xy = x+t, y+a, xx+t*t, xy+t*a
	}
	if d := n*xx - x*x; d > 0 {
		return (1 - (n*xy-x*y)/d) * 1e6
	}
	return 0
}

func spread(x []float64) Spread {
	if len(x) == 0 {
		return Spread{}
	}
	slices.Sort(x)
	at := func(part float64) float64 { return x[int(part*float64(len(x)-1))] }
	return Spread{Min: x[0], P50: at(0.5), P99: at(0.99), Max: x[len(x)-1]}
}

// events gathers the packets of each key by their timestamp.
func (s *Stream) events(items []item, cfg Config, clockRate int) {
	longest := -1
	for _, it := range items {
		if it.header.PayloadType != cfg.EventType || len(it.payload) < 4 || int(it.payload[0]) >= len(tones) {
			continue
		}
		lasted := int(binary.BigEndian.Uint16(it.payload[2:]))
		last := len(s.Events) - 1
		if last < 0 || s.Events[last].timestamp != it.timestamp {
			s.Events = append(s.Events, Event{
				Tone: tones[it.payload[0]:][:1], Marked: it.header.Marker, Grows: true, timestamp: it.timestamp,
				At: s.At + time.Duration(it.timestamp*int64(time.Second)/int64(clockRate)),
			})
			last, longest = last+1, -1
		}
		e := &s.Events[last]
		if e.Packets > 0 && it.header.Marker {
			e.Marked = false
		}
		if lasted < longest {
			e.Grows = false
		}
		longest = max(longest, lasted)
		e.Duration = time.Duration(longest) * time.Second / time.Duration(clockRate)
		e.Packets++
		if it.payload[1]&endBit != 0 {
			e.Ends++
		}
	}
}
