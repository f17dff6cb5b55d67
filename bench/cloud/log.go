package cloud

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

// Log is the truth about a call: what its speakers said, what the bot said and
// how much of it was heard, and what was done to both on the way. A verdict can
// be built on it without a look at the wire.
//
// Slots are 20 ms; positions and counts of samples are at 16 kHz. Slot 0 and
// position 0 are the start of the media.
type Log struct {
	ID            string `json:"id"`    // callConnectionId; the call's id at Graph
	Cloud         string `json:"cloud"` // "acs" or "graph"
	ServerCallID  string `json:"server_call_id,omitempty"`
	CorrelationID string `json:"correlation_id"` // at Graph callChainId
	// Kind of a Graph call: peer-to-peer, group, meeting or policy; what the
	// bot said of recording, and from which position on it recorded, -1 if it
	// never did; how many are in the roster; and the keys that it sent.
	Kind            string   `json:"kind,omitempty"`
	RecordingStatus string   `json:"recording_status,omitempty"`
	RecordedFrom    int64    `json:"recorded_from,omitempty"`
	Members         int      `json:"members,omitempty"`
	SentTones       []string `json:"sent_tones,omitempty"`

	Direction        Direction `json:"direction"`
	APIVersion       string    `json:"api_version,omitempty"`
	OperationContext string    `json:"operation_context,omitempty"`
	State            string    `json:"state"`
	Ended            bool      `json:"ended"`
	Result           Result    `json:"result"`
	Script           string    `json:"script,omitempty"`

	// Media is "mixed", "unmixed", or empty if the bot asked for none.
	Media      string `json:"media,omitempty"`
	SampleRate int    `json:"sample_rate,omitempty"` // on the wire, Hz
	// WireDelay is by how many samples of the wire's rate a stream lags
	// behind its timestamps: 0 at 16 kHz, the resampler's delay at 24.
	WireDelay     int  `json:"wire_delay,omitempty"`
	Bidirectional bool `json:"bidirectional,omitempty"`
	// Transport of the media is "websocket", or "webrtc", whose log tells the
	// codec, and what became of the bot's packets. MediaAsked is "unmixed" if
	// the bot asked for that: over WebRTC it gets the mix all the same.
	Transport  string    `json:"transport,omitempty"`
	Codec      string    `json:"codec,omitempty"`
	RTP        *RTPLog   `json:"rtp,omitempty"`
	MediaAsked string    `json:"media_asked,omitempty"`
	Start      time.Time `json:"start,omitzero"` // of slot 0, UTC, ms
	Slots      int       `json:"slots"`          // that have passed

	Speakers []SpeakerLog `json:"speakers"`
	// Mix is the one stream of a mixed call.
	Mix *StreamLog `json:"mix,omitempty"`
	// Connections of the media socket, one after the other.
	Connections []ConnectionLog `json:"connections"`
	Playout     PlayoutLog      `json:"playout"`
	// Prompts that the cloud played into the call at the bot's request. They
	// are heard besides what Playout tells of.
	Prompts []PromptLog `json:"prompts,omitempty"`
	// Keys are the DTMF keys that were sent.
	Keys []Key `json:"keys,omitempty"`

	Events        []EventLog     `json:"events"`
	EventsDropped int            `json:"events_dropped,omitempty"`
	Bad           map[string]int `json:"bad,omitempty"` // messages of the bot not understood, by reason
	Faults        []Fault        `json:"faults,omitempty"`
}

// SpeakerLog is what one speaker said.
type SpeakerLog struct {
	RawID string `json:"raw_id"`
	// StreamID is what names the speaker on the media's socket: RawID at ACS,
	// at Graph the media source id (MSI) in decimal.
	StreamID string `json:"stream_id"`
	Name     string `json:"name,omitempty"`
	// Clip holds the samples exactly as they should be heard: whole slots,
	// gain applied. It is said from slot Start on, and Loops times again
	// (Forever: always) with Pause slots between.
	Clip  PCM `json:"clip,omitempty"`
	Start int `json:"start"` // -1: not yet
	// Left is the slot from which on the speaker was not in the call; 0 means
	// never.
	Left  int `json:"left,omitempty"`
	Loops int `json:"loops,omitempty"`
	Pause int `json:"pause,omitempty"`
	// Muted are the slots of a mixed call in which the speaker was kept out of
	// the mix.
	Muted []Span `json:"muted,omitempty"`
	// Stream is the speaker's own in an unmixed call.
	Stream *StreamLog `json:"stream,omitempty"`
}

// StreamLog tells what became of a stream's slots; those in neither list were
// sent.
type StreamLog struct {
	Sent int `json:"sent"`
	// NotSent were silent, and the script omits silence.
	NotSent []Span `json:"not_sent,omitempty"`
	// Dropped were due and did not go out.
	Dropped []Span `json:"dropped,omitempty"`
}

// Span is a run of slots.
type Span struct {
	Slot  int   `json:"slot"`
	Slots int   `json:"slots"`
	Cause Cause `json:"cause,omitempty"`
}

// Cause says why slots were dropped.
type Cause string

// Causes.
const (
	// ByDrop: the fault Drop.
	ByDrop Cause = "drop"
	// ByReconnect: the socket was broken off by the fault Reconnect.
	ByReconnect Cause = "reconnect"
	// ByDisconnect: the socket broke off by itself, or was closed by the bot.
	ByDisconnect Cause = "disconnect"
	// ByNotStreaming: the bot has not started streaming, or has stopped it.
	ByNotStreaming Cause = "not-streaming"
	// ByMute: the speaker is muted or on hold, or the bot is.
	ByMute Cause = "mute"
	// ByDominance: others were louder, of whom the stream carries so many.
	ByDominance Cause = "dominance"
	// ByNoMedia: the media could not be connected.
	ByNoMedia Cause = "no-media"
)

// ConnectionLog is one media socket: it carried slots From to To-1.
type ConnectionLog struct {
	From int `json:"from"`
	To   int `json:"to"` // -1: it stands
	// Error says how it ended, if not in good order.
	Error string `json:"error,omitempty"`
}

// PlayoutLog is what the bot said, and what the other side heard of it.
type PlayoutLog struct {
	// PCM holds what was received, in order, up to ten minutes of it; its
	// indices are the samples' numbers.
	PCM PCM `json:"pcm,omitempty"`
	// Total samples received, kept or not.
	Total int64 `json:"total"`
	// Unheard samples were still queued when the log was taken.
	Unheard int64 `json:"unheard,omitempty"`

	Received  []Reception `json:"received,omitempty"`
	Played    []Stretch   `json:"played,omitempty"`
	Flushes   []Flush     `json:"flushes,omitempty"`
	Underruns []Underrun  `json:"underruns,omitempty"`
	// Omitted entries did not fit in these lists.
	Omitted int `json:"omitted,omitempty"`
}

// Reception is one message of audio: samples First to First+Samples-1, at a
// position.
type Reception struct {
	At      int64 `json:"at"`
	First   int64 `json:"first"`
	Samples int64 `json:"samples"`
}

// Stretch is audio that was heard without a break: samples First to
// First+Samples-1, from position At on.
type Stretch struct {
	At      int64 `json:"at"`
	First   int64 `json:"first"`
	Samples int64 `json:"samples"`
}

func (s Stretch) follows(at, first int64) bool {
	return s.At+s.Samples == at && s.First+s.Samples == first
}

// Flush is a StopAudio.
type Flush struct {
	At int64 `json:"at"`
	// Received is the number of the first sample that came after it: what is
	// heard of later ones was sent in spite of it, or anew.
	Received int64 `json:"received"`
	// Discarded samples were queued, and were not heard. Of those received
	// before, none is heard after At.
	Discarded int64 `json:"discarded"`
}

// Underrun is a hole of less than half a second in what was heard: the bot's
// audio ran out at a position, and came back Samples later.
type Underrun struct {
	At      int64 `json:"at"`
	Samples int64 `json:"samples"`
}

// EventLog is a callback, and what came of it.
type EventLog struct {
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	Time     string          `json:"time"`
	Data     json.RawMessage `json:"data"`
	Attempts int             `json:"attempts"`
	Status   int             `json:"status"`          // of the last attempt
	Error    string          `json:"error,omitempty"` // empty: delivered
}

// Expected returns what the speaker says in the first slots of a call.
func (s *SpeakerLog) Expected(slots int) []int16 {
	out := make([]int16, slots*pcm.FrameSamples)
	for slot := range slots {
		if s.Left > 0 && slot >= s.Left {
			break
		}
		offset, ok := placeIn(slot, s.Start, len(s.Clip)/pcm.FrameSamples, s.Loops, s.Pause)
		if ok {
			copy(out[slot*pcm.FrameSamples:][:pcm.FrameSamples], s.Clip[offset*pcm.FrameSamples:])
		}
	}
	return out
}

// ExpectedMix returns the sum of all speakers in all slots of the call, but for
// those in which they are muted, clipped once at the end: the stream of a mixed
// call.
func (l *Log) ExpectedMix() []int16 {
	total := make([]int32, l.Slots*pcm.FrameSamples)
	for i := range l.Speakers {
		said := l.Speakers[i].Expected(l.Slots)
		for _, span := range l.Speakers[i].Muted {
			clear(said[span.Slot*pcm.FrameSamples : min(span.Slot+span.Slots, l.Slots)*pcm.FrameSamples])
		}
		for j, s := range said {
			total[j] += int32(s)
		}
	}
	out := make([]int16, len(total))
	for i, t := range total {
		out[i] = clamp(float64(t))
	}
	return out
}

// Heard returns what the other side heard of the bot from position 0 on, with
// silence where it heard nothing. Samples that the log did not keep are silent.
func (p *PlayoutLog) Heard() []int16 {
	if len(p.Played) == 0 {
		return nil
	}
	last := p.Played[len(p.Played)-1]
	out := make([]int16, last.At+last.Samples)
	for _, s := range p.Played {
		from := min(s.First, int64(len(p.PCM)))
		to := min(s.First+s.Samples, int64(len(p.PCM)))
		copy(out[s.At:], p.PCM[from:to])
	}
	return out
}

// HeardAfter returns how many samples were heard from sample number first on:
// with Flush.Received, what was heard of what came after a StopAudio.
func (p *PlayoutLog) HeardAfter(first int64) (n int64) {
	for _, s := range p.Played {
		n += max(0, s.First+s.Samples-max(s.First, first))
	}
	return n
}

// add counts one more slot, lengthening the last span if it fits.
func add(spans []Span, slot int, cause Cause) []Span {
	if last := len(spans) - 1; last >= 0 && spans[last].Slot+spans[last].Slots == slot && spans[last].Cause == cause {
		spans[last].Slots++
		return spans
	}
	return append(spans, Span{Slot: slot, Slots: 1, Cause: cause})
}

func (s *StreamLog) clone() *StreamLog {
	return &StreamLog{Sent: s.Sent, NotSent: slices.Clone(s.NotSent), Dropped: slices.Clone(s.Dropped)}
}

// describe tells of the transport.
func (m *mediaState) describe(l *Log) {
	l.Transport = "websocket"
	if m.codec == "" {
		return
	}
	counts := m.rtp
	l.Transport, l.Codec, l.RTP = "webrtc", m.codec, &counts
	l.SentTones = append(l.SentTones, m.pressed...)
	if m.unmixedAsked {
		l.MediaAsked = "unmixed"
	}
}

// Log returns a copy of the call's log as it stands.
func (c *Call) Log() *Log { return c.log(time.Now(), true) }

func (c *Call) log(now time.Time, withPCM bool) *Log {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &Log{
		ID: c.id, Direction: c.direction, State: stateNames[c.state], Ended: c.state == stateEnded, Result: c.result, Script: c.stage.script.Name,
		Start: c.media.start, Slots: c.media.slots, Connections: slices.Clone(c.media.connections),
		Keys: slices.Clone(c.media.keys), Bad: maps.Clone(c.bad), Faults: slices.Clone(c.faults),
		Playout: c.playout.log(c.media.position(now), withPCM),
	}
	l.Prompts = promptLogs(c.prompts, c.media.position(now), withPCM)
	if c.state == stateRinging {
		l.State = "ringing"
	}
	c.side.describe(l)
	for i := range c.stage.actors {
		a := &c.stage.actors[i]
		sp := SpeakerLog{
			RawID: a.ID, StreamID: c.side.streamID(i), Name: a.Name, Start: a.start, Left: a.left, Loops: a.Loops, Pause: a.Pause,
			Muted: slices.Clone(c.media.muted[i]),
		}
		if withPCM {
			sp.Clip = slices.Clone(a.samples)
		}
		l.Speakers = append(l.Speakers, sp)
	}
	if m := c.asked; m != nil {
		l.Media, l.SampleRate, l.Bidirectional, l.WireDelay = "unmixed", m.rate, m.bidirectional, c.media.wireDelay
		if m.mixed {
			l.Media = "mixed"
		}
		c.media.describe(l)
		for i := range c.media.streams {
			if m.mixed {
				l.Mix = c.media.streams[i].clone()
			} else {
				l.Speakers[i].Stream = c.media.streams[i].clone()
			}
		}
	}
	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	l.Events, l.EventsDropped = slices.Clone(c.events.sent), c.events.dropped
	return l
}
