package cloud

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// fromBot is a message of the bot on the media socket.
type fromBot struct {
	stop    bool
	samples []int16 // at the stream's rate
	// mark, if not empty, is to be told of once the samples, and all before
	// them, have been heard.
	mark string
}

// Why a message was not understood: keys of Log.Bad.
const (
	badJSON    = "not JSON"
	badKind    = "unknown kind"
	badAudio   = "audio data is missing"
	badBase64  = "audio data is not base64"
	badSamples = "audio data is not whole samples"
	badOneWay  = "stream is not bidirectional"
	badBinary  = "not a text message"
	badMuted   = "the bot is muted"
)

var (
	errJSON    = errors.New(badJSON)
	errKind    = errors.New(badKind)
	errAudio   = errors.New(badAudio)
	errBase64  = errors.New(badBase64)
	errSamples = errors.New(badSamples)
)

// parseFromBot reads AudioData and StopAudio in the spellings of all official
// clients: keys and kind in any case, told apart by kind alone, with nulls and
// objects that belong to other kinds beside (JavaScript sends stopAudio:{}
// with its audio).
//
//	{"kind":"audioData","audioData":{"data":"AQID","isSilent":false},"stopAudio":{}}
//	{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}
//
// Anything else is an error that wraps one of the above.
func parseFromBot(text []byte) (fromBot, error) {
	var m struct {
		Kind      string
		AudioData json.RawMessage
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fromBot{}, fmt.Errorf("%w: %w", errJSON, err)
	}
	switch strings.ToLower(m.Kind) {
	case "stopaudio":
		return fromBot{stop: true}, nil
	case "audiodata":
		return parseAudio(m.AudioData)
	}
	return fromBot{}, fmt.Errorf("%w %.40q", errKind, m.Kind)
}

func parseAudio(text json.RawMessage) (fromBot, error) {
	var m struct {
		Data *string
		Mark *struct{ ID string }
	}
	if len(text) == 0 || bytes.Equal(text, []byte("null")) {
		return fromBot{}, errAudio
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fromBot{}, fmt.Errorf("%w: %w", errJSON, err)
	}
	if m.Data == nil {
		return fromBot{}, errAudio
	}
	b, err := base64.StdEncoding.DecodeString(*m.Data)
	if err != nil {
		return fromBot{}, fmt.Errorf("%w: %w", errBase64, err)
	}
	if len(b)%2 != 0 {
		return fromBot{}, fmt.Errorf("%w: %d bytes", errSamples, len(b))
	}
	msg := fromBot{samples: samplesOf(b)}
	if m.Mark != nil {
		msg.mark = m.Mark.ID
	}
	return msg, nil
}

// reason is the word under which an error of parseFromBot is counted.
func reason(err error) string {
	for _, known := range []error{errKind, errAudio, errBase64, errSamples} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return badJSON
}
