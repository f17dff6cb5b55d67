package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// blobModel is what of a media session configuration a media controller needs.
// It is read here anew, so that a mistake of the product's own reader shows.
type blobModel struct {
	MPURI        *string    `json:"mpUri"`
	AudioRender  *[]*string `json:"audioRenderContexts"`
	AudioSource  *[]*string `json:"audioSourceContexts"`
	AudioFormat  string     `json:"supportedAudioFormat"`
	MediaSession string     `json:"mpMediaSessionId"`
	CallID       string     `json:"callId"`

	// Read for their types alone.
	VideoRender  []*string `json:"videoRenderContexts"`
	VideoSource  []*string `json:"videoSourceContexts"`
	DataRender   []*string `json:"dataRenderContexts"`
	DataSource   []*string `json:"dataSourceContexts"`
	VideoFormats []*string `json:"videoSinkEncodingFormats"`
	Region       *string   `json:"regionAffinity"`
	BotsVersion  string    `json:"skypeMediaBotsVersion"`
	StackVersion string    `json:"mediaStackVersion"`
	MPVersion    string    `json:"mpVersion"`
}

// readBlob reads appHostedMediaConfig.blob: JSON, or JSON with its quotes
// escaped as the documents show it. An mpUri of net.tcp is Microsoft's own
// protocol, which the emulator does not speak: such a call stands without
// media, and asked is nil. One of https is dialled by WHIP.
func readBlob(text string, insecure bool) (asked *mediaOptions, err error) {
	if text == "" {
		return nil, errors.New("is missing")
	}
	if strings.HasPrefix(text, `{\"`) {
		if err := json.Unmarshal([]byte(`"`+text+`"`), &text); err != nil {
			return nil, fmt.Errorf("is escaped, but not JSON: %w", err)
		}
	}
	var b blobModel
	var wrongType *json.UnmarshalTypeError
	switch err := json.Unmarshal([]byte(text), &b); {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return nil, fmt.Errorf("%s is a JSON %s", wrongType.Field, wrongType.Value)
	case err != nil:
		return nil, fmt.Errorf("is not a media session configuration: %w", err)
	}
	if b.MPURI == nil {
		return nil, errors.New("mpUri is missing")
	}
	u, err := url.Parse(*b.MPURI)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("mpUri is not a URL")
	case u.Scheme == "net.tcp":
		return nil, nil
	case u.Scheme != "wss" && u.Scheme != "https" && (!insecure || u.Scheme != "ws" && u.Scheme != "http"):
		return nil, fmt.Errorf("mpUri has scheme %q: want wss, https or net.tcp", u.Scheme)
	}
	render, err := contextIn("audioRenderContexts", b.AudioRender)
	if err != nil {
		return nil, err
	}
	source, err := contextIn("audioSourceContexts", b.AudioSource)
	if err != nil {
		return nil, err
	}
	if b.AudioFormat != "Pcm16K" {
		return nil, fmt.Errorf("supportedAudioFormat is %q: the emulator sends Pcm16K", b.AudioFormat)
	}
	asked = &mediaOptions{
		url: *b.MPURI, mixed: true, byPeer: true, start: true, dtmf: true, rate: 16000, bidirectional: source != "",
		header: http.Header{"X-Ms-Call-Connection-Id": {b.CallID}},
	}
	if render != "" {
		asked.header.Set("X-Mixminus-Render", render)
	}
	if source != "" {
		asked.header.Set("X-Mixminus-Source", source)
	}
	return asked, nil
}

// contextIn returns the id of the audio socket, which is null where it does
// not carry that direction.
func contextIn(key string, ids *[]*string) (string, error) {
	switch {
	case ids == nil:
		return "", fmt.Errorf("%s is missing", key)
	case len(*ids) > 1:
		return "", fmt.Errorf("%s has %d entries: a call has one audio socket", key, len(*ids))
	case len(*ids) == 0 || (*ids)[0] == nil:
		return "", nil
	}
	return *(*ids)[0], nil
}
