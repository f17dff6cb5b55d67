package acsws

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// The oracle reads a message a second time, by another road than fallback.go:
// it walks the tokens of each object and looks names up in the list of what it
// met. It shares nothing with the code under test but the words Kind, Message
// and Reason.

// member is one key and value of an object, in the order of the text.
type member struct {
	key string
	val json.RawMessage
}

// members lists an object; ok is false for any other value.
func members(raw []byte) (list []member, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, false
		}
		var m member
		m.key = key.(string)
		if dec.Decode(&m.val) != nil {
			return nil, false
		}
		list = append(list, m)
	}
	return list, true
}

// find returns the last value of that name in any case, nil for none or null.
func find(list []member, name string) (v json.RawMessage) {
	for _, m := range list {
		if strings.EqualFold(m.key, name) {
			v = m.val
		}
	}
	if string(v) == "null" {
		return nil
	}
	return v
}

// findFirst is find for the first of several names that has a value.
func findFirst(list []member, names ...string) json.RawMessage {
	for _, n := range names {
		if v := find(list, n); v != nil {
			return v
		}
	}
	return nil
}

// oracle is what Parse must give for b.
func oracle(b []byte) (Message, Reason) {
	top, ok := members(b)
	if !json.Valid(b) || !ok {
		return Message{}, ReasonBadJSON
	}
	m, reason := oracleTop(b, top)
	if reason != ReasonNone {
		return Message{}, reason
	}
	return m, ReasonNone
}

func oracleTop(b []byte, top []member) (Message, Reason) {
	names := []string{"audiodata", "audiometadata", "dtmfdata", "markdata", "transcriptionmetadata", "transcriptiondata", "stopaudio"}
	name := ""
	if raw := find(top, "kind"); raw != nil {
		s, ok := oracleString(raw)
		if !ok {
			return Message{}, ReasonBadField
		}
		for _, n := range names {
			if strings.EqualFold(n, s) {
				name = n
			}
		}
		if name == "" {
			return Message{}, ReasonUnknownKind
		}
	}
	for _, n := range names {
		if name == "" && find(top, n) != nil {
			name = n
		}
	}
	switch {
	case name != "":
		return oracleBody(name, find(top, name))
	case find(top, "data") != nil:
		return oracleBody("audiodata", b)
	case find(top, "format") != nil:
		m, reason := oracleBody("audiometadata", find(top, "format"))
		if reason == ReasonNone {
			m.Metadata.SubscriptionID, _ = oracleText(find(top, "subscriptionid"), &reason)
		}
		return m, reason
	}
	return Message{}, ReasonUnknownKind
}

func oracleBody(name string, raw []byte) (m Message, reason Reason) {
	if name == "stopaudio" {
		return Message{Kind: KindStopAudio}, ReasonNone
	}
	if raw == nil {
		return m, ReasonMissingData
	}
	list, isObject := members(raw)
	if !isObject {
		return m, ReasonBadField
	}
	switch name {
	case "audiodata":
		m.Kind = KindAudioData
		data, there := oracleText(findFirst(list, "data"), &reason)
		if !there {
			return m, ReasonMissingData
		}
		m.Data = []byte(data)
		oracleWho(list, &m, &reason)
		switch v := findFirst(list, "silent", "isSilent", "isSilence"); string(v) {
		case "true":
			m.Silent = true
		case "false", "":
		default:
			reason = ReasonBadField
		}
	case "dtmfdata":
		m.Kind = KindDTMF
		var there bool
		if m.Tone, there = oracleText(findFirst(list, "data", "tone"), &reason); !there {
			return m, ReasonMissingData
		}
		oracleWho(list, &m, &reason)
	case "audiometadata":
		m.Kind = KindAudioMetadata
		m.Metadata.SubscriptionID, _ = oracleText(find(list, "subscriptionId"), &reason)
		m.Metadata.Encoding, _ = oracleText(find(list, "encoding"), &reason)
		m.Metadata.SampleRate = oracleInt(find(list, "sampleRate"), &reason)
		m.Metadata.Channels = oracleInt(find(list, "channels"), &reason)
		m.Metadata.Length = oracleInt(find(list, "length"), &reason)
	case "markdata":
		m.Kind = KindMark
		var there bool
		if m.Mark.ID, there = oracleText(find(list, "id"), &reason); !there {
			return m, ReasonMissingData
		}
		m.Mark.Status, _ = oracleText(find(list, "status"), &reason)
	case "transcriptionmetadata":
		m.Kind, m.Raw = KindTranscriptionMetadata, raw
	case "transcriptiondata":
		m.Kind, m.Raw = KindTranscription, raw
	}
	return m, reason
}

func oracleWho(list []member, m *Message, reason *Reason) {
	if who, there := oracleText(findFirst(list, "participantRawId", "participantId"), reason); there {
		m.Speaker = []byte(who)
	}
	at, isString := oracleString(find(list, "timestamp"))
	if !isString {
		return
	}
	m.Timestamp, m.HasTimestamp = oracleTime(at)
}

func oracleTime(s string) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	first := time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC)
	end := time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
	if err != nil || t.Before(first) || !t.Before(end) {
		return 0, false
	}
	return t.UnixNano(), true
}

func oracleString(raw json.RawMessage) (string, bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "", false
	}
	s, ok := v.(string)
	return s, ok
}

// oracleText returns a string and whether there is one; any other value but
// null is a bad field.
func oracleText(raw json.RawMessage, reason *Reason) (string, bool) {
	if raw == nil {
		return "", false
	}
	s, isString := oracleString(raw)
	if !isString {
		*reason = ReasonBadField
	}
	return s, true
}

// oracleInt reads a number as encoding/json does without a type to read into.
func oracleInt(raw json.RawMessage, reason *Reason) int {
	if raw == nil {
		return 0
	}
	var v any
	if json.Unmarshal(raw, &v) == nil {
		if f, isNumber := v.(float64); isNumber && f >= 0 && f <= 1<<31-1 {
			return int(f)
		}
	}
	*reason = ReasonBadField
	return 0
}
