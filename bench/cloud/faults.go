package cloud

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

// FaultKind says what goes wrong.
type FaultKind string

// Faults of the audio on the wire. The log's truth is not touched by them: it
// says what should be heard. In a mixed call they befall the one stream,
// whatever Speaker is.
const (
	// Drop: the speaker's frames of Slots slots (0: one) are not sent.
	Drop FaultKind = "drop"
	// Duplicate: the frame is sent twice.
	Duplicate FaultKind = "duplicate"
	// Shift: from Slot on, everything comes one sample late.
	Shift FaultKind = "shift"
	// Swap: from Slot on, for Slots slots (0: to the end), Speaker and Other
	// bear each other's names. Unmixed calls only.
	Swap FaultKind = "swap"
	// Click: sample number Sample of the frame is wrong.
	Click FaultKind = "click"
)

// Faults of the media socket.
const (
	// Reconnect: the socket breaks off before Slot is sent, without a close
	// frame or over WebRTC as by a pulled cable, and is dialled again after Slots slots. What was due meanwhile
	// is lost. All that was sent before still arrives.
	Reconnect FaultKind = "reconnect"
	// Disconnect is Reconnect in good order: by a close frame, or over WebRTC
	// by DELETE.
	Disconnect FaultKind = "disconnect"
	// HalfOpen: over WebRTC the media is offered, and nothing follows. As it
	// never connects, the call ends.
	HalfOpen FaultKind = "half-open"
	// BreakTranscription: the socket of a transcription that has one of its
	// own breaks off before Slot.
	BreakTranscription FaultKind = "break-transcription"
	// Stall: from Slot on, for Slots slots (0: one), nothing is read from the
	// socket.
	Stall FaultKind = "stall"
	// MediaFirst: the media is dialled, and audio may flow, before create or
	// answer has its response.
	MediaFirst FaultKind = "media-first"
	// BadMediaToken: the upgrade carries a token with the flaw Token.
	BadMediaToken FaultKind = "bad-media-token"
)

// Faults of the callbacks. Event is the event's name, "CallConnected"; empty
// means every event. At Graph it is the state that is told, as "established", or
// "participants", "operation", "tone", "contentSharing", "joining", "left", and
// "incoming" for what rings, which can only be late, twice, or with a bad token.
const (
	// EventsFirst: callbacks do not wait for the response of create or
	// answer.
	EventsFirst FaultKind = "events-first"
	// DuplicateEvent: the event is delivered twice, with the same id.
	DuplicateEvent FaultKind = "duplicate-event"
	// DelayEvent: the event is delivered after the one that follows it.
	DelayEvent FaultKind = "delay-event"
	// LateEvent: the event, and with it those behind it, is delivered Slots
	// slots later.
	LateEvent FaultKind = "late-event"
	// DropEvent: the event is never delivered.
	DropEvent FaultKind = "drop-event"
	// FailTransfer: a transfer of a Graph call fails, with 500/7000 or, if
	// it is consultative, 500/7700.
	FailTransfer FaultKind = "fail-transfer"
	// FailOperation: the next asynchronous operation of a call of Communication
	// Services that Operation names, by the names of RequestFault, fails with
	// Result; empty means any one, and no Result 500/9999. Each such fault
	// befalls one operation.
	FailOperation FaultKind = "fail-operation"
	// BadEventToken: the callback carries a token with the flaw Token.
	BadEventToken FaultKind = "bad-event-token"
)

// TokenFlaw is what is wrong with a token.
type TokenFlaw string

// Flaws. The empty one stands for FlawSignature.
const (
	FlawSignature TokenFlaw = "signature"
	FlawExpired   TokenFlaw = "expired"
	FlawAudience  TokenFlaw = "audience"
	FlawIssuer    TokenFlaw = "issuer"
	FlawMissing   TokenFlaw = "missing" // no token at all
)

// Fault is one thing that goes wrong in a call, by script or by Call.Inject.
type Fault struct {
	Kind    FaultKind `json:"kind"`
	Speaker int       `json:"speaker,omitempty"` // index in the script
	Other   int       `json:"other,omitempty"`
	Slot    int       `json:"slot,omitempty"`
	Slots   int       `json:"slots,omitempty"`
	Sample  int       `json:"sample,omitempty"`
	Event   string    `json:"event,omitempty"`
	Token   TokenFlaw `json:"token,omitempty"`
	// Operation and Result are FailOperation's.
	Operation string  `json:"operation,omitempty"`
	Result    *Result `json:"result,omitempty"`
}

// validate returns an error that begins with the wrong field's name.
func (f Fault) validate(speakers int) error {
	switch {
	case f.Slot < 0 || f.Slot > maxSlot:
		return fmt.Errorf("slot: %d: want 0 to %d", f.Slot, maxSlot)
	case f.Slots < 0 || f.Slots > maxSlot:
		return fmt.Errorf("slots: %d: want 0 to %d", f.Slots, maxSlot)
	}
	switch f.Kind {
	case Drop, Duplicate, Shift, Swap, Click:
		return f.validateAudio(speakers)
	case BadMediaToken, BadEventToken:
		switch f.Token {
		case "", FlawSignature, FlawExpired, FlawAudience, FlawIssuer, FlawMissing:
			return nil
		}
		return fmt.Errorf("token: %q: want signature, expired, audience, issuer or missing", f.Token)
	case FailOperation:
		if f.Operation != "" && !slices.Contains(operationNames, f.Operation) {
			return fmt.Errorf("operation: %q is not one", f.Operation)
		}
		return nil
	case Reconnect, Disconnect, HalfOpen, Stall, BreakTranscription, MediaFirst, EventsFirst, DuplicateEvent, DelayEvent, LateEvent, DropEvent, FailTransfer:
		return nil
	}
	return fmt.Errorf("kind: %q is not one", f.Kind)
}

func (f Fault) validateAudio(speakers int) error {
	switch {
	case f.Speaker < 0 || f.Speaker >= speakers:
		return fmt.Errorf("speaker: %d: the script has %d", f.Speaker, speakers)
	case f.Kind == Swap && (f.Other < 0 || f.Other >= speakers || f.Other == f.Speaker):
		return fmt.Errorf("other: %d: want another of the script's %d speakers", f.Other, speakers)
	case f.Kind == Click && (f.Sample < 0 || f.Sample >= pcm.FrameSamples):
		return fmt.Errorf("sample: %d: a frame has %d", f.Sample, pcm.FrameSamples)
	}
	return nil
}

// befalls reports whether f is about this event. Names are taken with and
// without "Microsoft.Communication.".
func (f Fault) befalls(event string) bool {
	return f.Event == "" || strings.EqualFold(strings.TrimPrefix(f.Event, eventPrefix), event)
}

// outbound is a frame on its way to the wire.
type outbound struct {
	stream  int // whose: index of the speaker, 0 for the mix
	name    int // whose name it bears
	samples []int16
	omit    bool  // if it is silent
	cause   Cause // why it does not go out, if it does not
	copies  int   // 1, unless a fault befell it
}

// audioFaults disturbs a call's frames. It is owned by the call's goroutine.
type audioFaults struct {
	pending []Fault
	shifted map[int]int16 // by stream: the sample that comes late
}

// apply disturbs the frames of a slot in place.
func (a *audioFaults) apply(slot int, frames []outbound, mixed bool) {
	for _, f := range a.pending {
		if mixed {
			f.Speaker = 0
		}
		for i := range frames {
			a.befall(f, slot, &frames[i])
		}
	}
	for i := range frames {
		fr := &frames[i]
		late, ok := a.shifted[fr.stream]
		if !ok {
			continue
		}
		out := append(make([]int16, 0, len(fr.samples)), late)
		a.shifted[fr.stream] = fr.samples[len(fr.samples)-1]
		fr.samples = append(out, fr.samples[:len(fr.samples)-1]...)
	}
}

func (a *audioFaults) befall(f Fault, slot int, fr *outbound) {
	if f.Kind == Swap && slot >= f.Slot && (f.Slots == 0 || slot < f.Slot+f.Slots) {
		switch fr.stream {
		case f.Speaker:
			fr.name = f.Other
		case f.Other:
			fr.name = f.Speaker
		}
		return
	}
	if fr.stream != f.Speaker {
		return
	}
	switch {
	case f.Kind == Drop && slot >= f.Slot && slot < f.Slot+max(1, f.Slots):
		fr.copies = 0
	case slot != f.Slot:
	case f.Kind == Duplicate:
		fr.copies++
	case f.Kind == Shift:
		if a.shifted == nil {
			a.shifted = map[int]int16{}
		}
		a.shifted[fr.stream] = 0
	case f.Kind == Click:
		fr.samples = append([]int16(nil), fr.samples...)
		fr.samples[f.Sample] ^= 0x4000
	}
}

// RequestFault disturbs the next requests to the REST API.
type RequestFault struct {
	// Operation befallen, of Communication Services: "create", "get",
	// "hangup", "getParticipants", "getParticipant", "addParticipant",
	// "removeParticipant", "muteParticipants", "moveParticipants",
	// "startRecording", "getRecording", "stopRecording", "pauseRecording",
	// "resumeRecording", and else the action, as "answer" or
	// "startMediaStreaming"; of Graph: the action, as
	// "keepAlive", and graphCreate, graphGet, graphDelete, graphAnswer,
	// graphReject, graphRedirect, graphTransfer; empty means every one.
	Operation string `json:"operation,omitempty"`
	// Count is how many requests; 0 means one.
	Count int `json:"count,omitempty"`
	// Delay before the response.
	Delay time.Duration `json:"-"`
	// Status of the response instead of the true one; 0 leaves that.
	Status int `json:"status,omitempty"`
	// RetryAfter in seconds, as a header; 0 means none.
	RetryAfter int `json:"retry_after,omitempty"`
	// Executed: the request takes effect all the same, and only its response
	// is lost.
	Executed bool `json:"executed,omitempty"`
}

func (f RequestFault) validate() error {
	switch {
	case f.Count < 0:
		return fmt.Errorf("count: %d is negative", f.Count)
	case f.Delay < 0:
		return fmt.Errorf("delay: %v is negative", f.Delay)
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status: %d: want 400 to 599", f.Status)
	case f.RetryAfter < 0:
		return fmt.Errorf("retry_after: %d is negative", f.RetryAfter)
	}
	if f.Operation != "" && !knownOperation(f.Operation) {
		return fmt.Errorf("operation: %q is not one", f.Operation)
	}
	return nil
}

// Break disturbs the next requests to the REST API.
func (s *Server) Break(f RequestFault) error {
	if err := f.validate(); err != nil {
		return fmt.Errorf("cloud: request fault: %w", err)
	}
	f.Count = max(1, f.Count)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == maxFaults {
		return fmt.Errorf("cloud: request fault: %d wait already", maxFaults)
	}
	s.faults = append(s.faults, f)
	return nil
}

// takeFault uses up one request of the first fault that befalls an operation.
func (s *Server) takeFault(operation string) RequestFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		f := s.faults[i]
		if f.Operation != "" && f.Operation != operation {
			continue
		}
		if s.faults[i].Count--; s.faults[i].Count == 0 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		return f
	}
	return RequestFault{}
}
