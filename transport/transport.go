// Package transport holds the words that all transports share: what the
// session layer asks of whoever moves bytes between a network and a leg. The
// drivers are the packages below; none knows the state of a call.
package transport

import (
	"encoding/json"

	"github.com/mixminus/mixminus/engine"
)

// Stream says how the audio of a leg travels.
type Stream struct {
	// SampleRate on the wire in Hz: 16000 or 24000; 0 means 16000.
	SampleRate int
	// Bidirectional: the leg's source context may send.
	Bidirectional bool
	// Contexts are ids that the connection may name; one that names others
	// is refused. Empty ones were not issued.
	Contexts Contexts
	// OnUp and OnDown tell that a connection began to carry the leg, and
	// that it ended with err (nil for a close in good order). They are
	// called on the connection's goroutine and must not block.
	OnUp   func()
	OnDown func(err error)
	// OnTranscript tells of what the cloud recognised, where it sends that
	// on the connection. It is called as they are; nil ignores it.
	OnTranscript func(Transcript)
}

// Transcript is a piece of speech in words, as a cloud recognised it.
type Transcript struct {
	// Speaker is the raw id of who said it, empty if that is not told.
	Speaker string `json:"speaker,omitempty"`
	Text    string `json:"text"`
	// Locale that was spoken: "en-US"; empty if not told.
	Locale string `json:"locale,omitempty"`
	// Confidence is 0 to 1; 0 if none is told.
	Confidence float64 `json:"confidence,omitempty"`
	// Offset and Duration are in 100 ns, on a clock of the cloud's own.
	Offset   int64 `json:"offset"`
	Duration int64 `json:"duration"`
	// Final: the text will not change. Others are what was understood so far.
	Final bool `json:"final"`
	// Raw is the cloud's own object, with the single words.
	Raw json.RawMessage `json:"-"`
}

// Contexts name a leg's media in a media session configuration (the blob that
// Graph is handed for app-hosted media). They are GUIDs.
type Contexts struct {
	// CallID is the blob's callId, which is not the cloud's id of the call.
	CallID string
	// Render is the audio from the call, Source the audio into it; Source is
	// empty if the bot only hears.
	Render, Source string
}

// Transport gives legs an address that a cloud can be sent to.
type Transport interface {
	// Open mints an address for leg. It does no I/O, so it is ready before
	// the cloud is asked to dial: a cloud that is faster than its own
	// response finds the leg.
	Open(leg *engine.Leg, s Stream) (Endpoint, error)
}

// Endpoint is a minted address. Its methods are safe for concurrent use.
type Endpoint interface {
	// URL is what the cloud dials. It holds a secret: never log it.
	URL() string
	// Bind tells which call the address belongs to, once that is known: a
	// connection that names another is refused from then on.
	Bind(callID string)
	// Drain accepts no further connection and returns when the standing one
	// has ended, or after 500 ms, when it is closed.
	Drain()
	Stats() Stats
}

// Stats counts what happened at an endpoint.
type Stats struct {
	// Connections accepted, one after the other.
	Connections int64 `json:"connections"`
	// Refused upgrades: wrong token, wrong call, not a WebSocket.
	Refused int64 `json:"refused"`
	// Messages in and out on the wire.
	MessagesIn  int64 `json:"messages_in"`
	MessagesOut int64 `json:"messages_out"`
	// BadMessages could not be understood, by reason.
	BadMessages map[string]int64 `json:"bad_messages,omitempty"`
	// Connected: a connection stands now.
	Connected bool `json:"connected"`
	// RTP tells of the network, where packets are numbered; nil elsewhere.
	RTP *RTPStats `json:"rtp,omitempty"`
}
