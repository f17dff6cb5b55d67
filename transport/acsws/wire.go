// Package acsws carries a leg over the media streaming WebSocket of Azure
// Communication Services (ACS) Call Automation: the cloud dials in, every
// text message is one JSON object, and audio is base64 of 16 bit PCM.
//
// The wire alone is in this file, scan.go (the usual message), fallback.go and
// object.go (every other), timestamp.go, pcm.go and reason.go. They turn a
// message into a Message and samples into a message; they do no I/O, read no
// clock, start nothing and know no call. WIRE.md describes the wire. What a
// message means for a leg, and limits of size and rate, are the business of
// the connection.
package acsws

import "strings"

// Kind says what a message is. On the wire it is the value of "kind".
type Kind uint8

// The kinds, with who sends them.
const (
	KindUnknown               Kind = iota
	KindAudioMetadata              // cloud: the format, before any audio
	KindAudioData                  // both: a piece of audio
	KindDTMF                       // cloud: a key was pressed ("DtmfData")
	KindStopAudio                  // app: forget the audio that is queued
	KindMark                       // cloud, .NET SDK preview: a mark was reached ("MarkData")
	KindTranscriptionMetadata      // cloud: a transcription begins
	KindTranscription              // cloud: recognised text ("TranscriptionData")

	numKinds
)

var kindNames = [numKinds]string{
	"Unknown", "AudioMetadata", "AudioData", "DtmfData", "StopAudio", "MarkData",
	"TranscriptionMetadata", "TranscriptionData",
}

// String returns the kind as the cloud spells it.
func (k Kind) String() string {
	if k >= numKinds {
		return kindNames[KindUnknown]
	}
	return kindNames[k]
}

// kindOf returns the kind of that name in any case, KindUnknown if there is
// none.
func kindOf(name string) Kind {
	for k := KindUnknown + 1; k < numKinds; k++ {
		if strings.EqualFold(name, kindNames[k]) {
			return k
		}
	}
	return KindUnknown
}

// Message is one parsed message. Its slices alias the input of Parse or
// memory that Parse made, so they hold until the input changes or the Message
// is parsed into again; its strings hold for good.
type Message struct {
	Kind Kind

	// Silent: the sender declares the audio silent. Only with KindAudioData;
	// absent on the wire is false.
	Silent bool

	// HasTimestamp: the message carried a timestamp that could be read. An
	// unreadable one, or .NET's year 1, is as if it had not been sent.
	HasTimestamp bool

	// Timestamp is in nanoseconds since the Unix epoch; the cloud sends
	// milliseconds. With KindAudioData and KindDTMF.
	Timestamp int64

	// Data is the audio of a KindAudioData, still in base64 (see DecodePCM).
	// It may be empty, never nil.
	Data []byte

	// Speaker is the raw id of who spoke or pressed the key
	// ("participantRawID"). It is nil when absent or null, as in a mixed
	// stream. It is the peer's text: any length, any characters.
	Speaker []byte

	// Metadata of a KindAudioMetadata.
	Metadata Metadata

	// Tone of a KindDTMF as it was sent (see ToneByte).
	Tone string

	// Mark of a KindMark.
	Mark Mark

	// Raw is the body of a transcription message, a JSON object.
	Raw []byte
}

// Metadata is the format of the audio that follows. It is what the peer says,
// unchecked: a missing number is 0, a fraction is cut off.
type Metadata struct {
	SubscriptionID string
	Encoding       string // "PCM"
	SampleRate     int    // Hz
	Channels       int
	Length         int // bytes per message before base64
}

// Mark acknowledges a mark that was sent with outbound audio.
type Mark struct {
	ID     string
	Status string // "Completed" or "Cancelled"
}

// Cancelled reports whether the audio before the mark was flushed unheard.
func (k Mark) Cancelled() bool {
	return strings.EqualFold(k.Status, "Cancelled") || strings.EqualFold(k.Status, "Canceled")
}

// Parse reads one message into m. An error is a *WireError, and m is then the
// zero Message; whatever is wrong, nothing is half applied.
//
// Audio in the cloud's own spelling is scanned without allocation. Every
// other valid JSON (escapes, unknown keys, other case or order, null) takes
// the way through encoding/json and gives the result that is due. Audio text
// is not decoded here, so wrong base64 is found by DecodePCM.
func Parse(b []byte, m *Message) error {
	*m = Message{}
	if scanUsual(b, m) {
		return nil
	}
	*m = Message{}
	if scanAudio(b, m) {
		return nil
	}
	*m = Message{}
	if err := parseAny(b, m); err != nil {
		*m = Message{}
		return err
	}
	return nil
}

// ToneByte returns the key of a DTMF tone: one of 0 to 9, *, #, A to D. Both
// the character that the media stream uses and the word that the REST API
// uses ("pound") are known, in any case. The second result is false for any
// other text.
func ToneByte(tone string) (byte, bool) {
	if len(tone) == 1 {
		c := tone[0]
		switch {
		case '0' <= c && c <= '9', c == '*', c == '#', 'A' <= c && c <= 'D':
			return c, true
		case 'a' <= c && c <= 'd':
			return c - 'a' + 'A', true
		}
		return 0, false
	}
	for _, w := range toneWords {
		if strings.EqualFold(tone, w.word) {
			return w.key, true
		}
	}
	return 0, false
}

var toneWords = [...]struct {
	word string
	key  byte
}{
	{"zero", '0'}, {"one", '1'}, {"two", '2'}, {"three", '3'}, {"four", '4'},
	{"five", '5'}, {"six", '6'}, {"seven", '7'}, {"eight", '8'}, {"nine", '9'},
	{"asterisk", '*'}, {"pound", '#'},
}
