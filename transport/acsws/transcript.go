package acsws

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mixminus/mixminus/transport"
)

// ParseTranscript reads the body of a KindTranscription (Message.Raw): a
// TranscriptionData of the cloud. One without text is an error; whatever else
// is missing is zero, and what is of a wrong type is an error. The result does
// not alias body.
func ParseTranscript(body []byte) (transport.Transcript, error) {
	var m struct {
		Text       string  `json:"text"`
		Speaker    string  `json:"participantRawID"`
		Status     string  `json:"resultStatus"`
		Confidence float64 `json:"confidence"`
		Offset     int64   `json:"offset"`
		Duration   int64   `json:"duration"`
		Language   string  `json:"languageIdentified"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return transport.Transcript{}, fmt.Errorf("acsws: transcriptionData: %w", err)
	}
	if m.Text == "" {
		return transport.Transcript{}, fmt.Errorf("acsws: transcriptionData.text is missing")
	}
	return transport.Transcript{
		Speaker: m.Speaker, Text: m.Text, Locale: m.Language, Confidence: m.Confidence,
		Offset: m.Offset, Duration: m.Duration, Final: !strings.EqualFold(m.Status, "Intermediate"),
		Raw: append(json.RawMessage(nil), body...),
	}, nil
}

// parseLocale reads the language out of a KindTranscriptionMetadata.
func parseLocale(body []byte) string {
	var m struct {
		Locale string `json:"locale"`
	}
	// A language that cannot be read is not told.
	_ = json.Unmarshal(body, &m)
	return m.Locale
}

// takeTranscript tells the app of recognised text, if it wants to know.
func (c *conn) takeTranscript() {
	fn := c.ep.stream.OnTranscript
	if fn == nil {
		return
	}
	t, err := ParseTranscript(c.msg.Raw)
	if err != nil {
		c.bad(int(NumReasons) + connBadTranscript)
		return
	}
	if t.Locale == "" {
		t.Locale = c.locale
	}
	fn(t)
}
