package cloud

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// maxMessage is what a message of audio stays below, for ids of up to 400
// characters at 24 kHz: an official sample reads into a buffer of that size.
const maxMessage = 2048

// maxID is the length of the ids that a socket is ready for.
const maxID = 400

// appendMetadata appends the first message of a socket.
func appendMetadata(b []byte, subscription string, rate int) []byte {
	b = append(b, `{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":`...)
	b = appendString(b, subscription)
	b = append(b, `,"encoding":"PCM","sampleRate":`...)
	b = strconv.AppendInt(b, int64(rate), 10)
	b = append(b, `,"channels":1,"length":`...)
	b = strconv.AppendInt(b, int64(rate/50*2), 10)
	return append(b, "}}"...)
}

// appendAudio appends a frame. The mix is told by an empty id: its messages
// have no participantRawID at all, for null breaks the official parser.
func appendAudio(b []byte, at time.Time, id string, samples []int16, silent bool) []byte {
	b = append(b, `{"kind":"AudioData","audioData":{"timestamp":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, '"')
	if id != "" {
		b = append(b, `,"participantRawID":`...)
		b = appendString(b, id)
	}
	b = append(b, `,"data":"`...)
	b = base64.StdEncoding.AppendEncode(b, PCM(samples).bytes())
	b = append(b, `","silent":`...)
	b = strconv.AppendBool(b, silent)
	return append(b, "}}"...)
}

// appendTone appends a DTMF key.
func appendTone(b []byte, tone string) []byte {
	b = append(b, `{"kind":"DtmfData","dtmfData":{"data":`...)
	b = appendString(b, tone)
	return append(b, "}}"...)
}

// appendMark appends what became of a mark.
func appendMark(b []byte, id string, cancelled bool) []byte {
	b = append(b, `{"kind":"MarkData","markData":{"id":`...)
	b = appendString(b, id)
	if cancelled {
		return append(b, `,"status":"Cancelled"}}`...)
	}
	return append(b, `,"status":"Completed"}}`...)
}

func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // strings can be written, always
	}
	return append(b, text...)
}
