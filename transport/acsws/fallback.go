package acsws

import "errors"

// topNames are the keys of a message: at each kind its body, and at
// KindUnknown the kind itself.
var topNames = [numKinds]string{
	KindUnknown:               "kind",
	KindAudioMetadata:         "audioMetadata",
	KindAudioData:             "audioData",
	KindDTMF:                  "dtmfData",
	KindStopAudio:             "stopAudio",
	KindMark:                  "markData",
	KindTranscriptionMetadata: "transcriptionMetadata",
	KindTranscription:         "transcriptionData",
}

// guesses is the order in which a message without a kind is searched for a
// body: StopAudio last, as the JavaScript SDK sends an empty one with audio.
var guesses = [...]Kind{
	KindAudioData, KindAudioMetadata, KindDTMF, KindMark,
	KindTranscriptionMetadata, KindTranscription, KindStopAudio,
}

var errNotObject = errors.New("not an object")

// parseAny reads any message into m, which must be zero.
func parseAny(b []byte, m *Message) error {
	msg, err := validObject(b)
	if err != nil {
		return err
	}
	var top [numKinds]value
	msg.fields(topNames[:], top[:])
	if m.Kind, err = findKind(&top); err != nil {
		return err
	}
	body, in := top[m.Kind], topNames[m.Kind]
	switch m.Kind {
	case KindUnknown:
		return parseFlat(msg, m)
	case KindStopAudio:
		return nil // the kind alone says it
	}
	if !body.present() {
		return missing(in)
	}
	if body[0] != '{' {
		return badField(in, body)
	}
	in += "."
	switch m.Kind {
	case KindAudioData:
		return parseAudio(body, in, m)
	case KindAudioMetadata:
		return parseMetadata(body, in, &m.Metadata)
	case KindDTMF:
		return parseDTMF(body, in, m)
	case KindMark:
		return parseMark(body, in, &m.Mark)
	}
	m.Raw = body // the transcription kinds
	return nil
}

// findKind returns the kind that the message names, whatever bodies there are.
// One that names none is of the kind whose body it has; without a body it is
// KindUnknown and no error.
func findKind(top *[numKinds]value) (Kind, error) {
	if named := top[KindUnknown]; named.present() {
		name, ok := named.text()
		if !ok {
			return KindUnknown, badField("kind", named)
		}
		if k := kindOf(string(name)); k != KindUnknown {
			return k, nil
		}
		return KindUnknown, &WireError{Reason: ReasonUnknownKind, Field: "kind", Value: shorten(name)}
	}
	for _, k := range guesses {
		if top[k].present() {
			return k, nil
		}
	}
	return KindUnknown, nil
}

// parseFlat reads the wire of 2022: no kind, the fields of audio at the top,
// those of the metadata in "format".
func parseFlat(msg value, m *Message) error {
	const (
		data = iota
		format
		subscriptionID
		num
	)
	var f [num]value
	msg.fields([]string{"data", "format", "subscriptionId"}, f[:])
	switch {
	case f[data].present():
		m.Kind = KindAudioData
		return parseAudio(msg, "", m)
	case !f[format].present():
		return &WireError{Reason: ReasonUnknownKind, Field: "kind", Value: shorten(msg)}
	case f[format][0] != '{':
		return badField("format", f[format])
	}
	m.Kind = KindAudioMetadata
	if err := parseMetadata(f[format], "format.", &m.Metadata); err != nil {
		return err
	}
	id, ok := f[subscriptionID].optionalText()
	if !ok {
		return badField("subscriptionId", f[subscriptionID])
	}
	m.Metadata.SubscriptionID = string(id)
	return nil
}

// parseAudio reads the object of an AudioData; in is its path with a dot.
func parseAudio(body value, in string, m *Message) (err error) {
	var f [numAudioFields]value
	body.fields(audioFields[:], f[:])
	if !f[audioData].present() {
		return missing(in + "data")
	}
	var ok bool
	if m.Data, ok = f[audioData].text(); !ok {
		return badField(in+"data", f[audioData])
	}
	if err := parseSpeaker(&f, in, m); err != nil {
		return err
	}
	silent := firstPresent(&f, audioSilent, audioIsSilent, audioIsSilence)
	if m.Silent, ok = f[silent].optionalBool(); !ok {
		return badField(in+audioFields[silent], f[silent])
	}
	return nil
}

func parseDTMF(body value, in string, m *Message) error {
	var f [numAudioFields]value
	body.fields(audioFields[:], f[:])
	i := firstPresent(&f, audioData, audioTone)
	if !f[i].present() {
		return missing(in + "data")
	}
	tone, ok := f[i].text()
	if !ok {
		return badField(in+audioFields[i], f[i])
	}
	m.Tone = string(tone)
	return parseSpeaker(&f, in, m)
}

// The fields of AudioData and DtmfData.
const (
	audioData = iota
	audioTone // Java's unit tests, DTMF
	audioTimestamp
	audioParticipantRawID
	audioParticipantID // 2022
	audioSilent
	audioIsSilent  // outbound
	audioIsSilence // 2022
	numAudioFields
)

var audioFields = [numAudioFields]string{
	"data", "tone", "timestamp", "participantRawID", "participantId", "silent", "isSilent", "isSilence",
}

// firstPresent returns the first of the fields that was sent, the first of all
// if none was.
func firstPresent(f *[numAudioFields]value, fields ...int) int {
	for _, i := range fields {
		if f[i].present() {
			return i
		}
	}
	return fields[0]
}

// parseSpeaker reads what audio and DTMF share: who, and when.
func parseSpeaker(f *[numAudioFields]value, in string, m *Message) error {
	var ok bool
	who := firstPresent(f, audioParticipantRawID, audioParticipantID)
	if m.Speaker, ok = f[who].optionalText(); !ok {
		return badField(in+audioFields[who], f[who])
	}
	if at, ok := f[audioTimestamp].text(); ok {
		m.Timestamp, m.HasTimestamp = parseTimestamp(at)
	}
	return nil
}

func parseMetadata(body value, in string, md *Metadata) error {
	names := [...]string{"subscriptionId", "encoding", "sampleRate", "channels", "length"}
	var f [len(names)]value
	body.fields(names[:], f[:])
	for i, p := range [...]*string{&md.SubscriptionID, &md.Encoding} {
		s, ok := f[i].optionalText()
		if !ok {
			return badField(in+names[i], f[i])
		}
		*p = string(s)
	}
	for i, p := range [...]*int{&md.SampleRate, &md.Channels, &md.Length} {
		var ok bool
		i += 2
		if *p, ok = f[i].optionalInt(); !ok {
			return badField(in+names[i], f[i])
		}
	}
	return nil
}

func parseMark(body value, in string, mark *Mark) error {
	names := [...]string{"id", "status"}
	var f [len(names)]value
	body.fields(names[:], f[:])
	if !f[0].present() {
		return missing(in + "id")
	}
	for i, p := range [...]*string{&mark.ID, &mark.Status} {
		s, ok := f[i].optionalText()
		if !ok {
			return badField(in+names[i], f[i])
		}
		*p = string(s)
	}
	return nil
}

func badField(path string, v value) error {
	return &WireError{Reason: ReasonBadField, Field: path, Value: shorten(v)}
}

func missing(path string) error {
	return &WireError{Reason: ReasonMissingData, Field: path}
}
