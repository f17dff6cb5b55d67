package blob

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Summary says what a blob means. It is safe to show: of the address only
// scheme and host are left.
type Summary struct {
	// Address of the bot's media, without its path.
	Address string `json:"address"`
	// Audio and the others: "sendrecv", "recvonly", "sendonly" or "inactive",
	// as the bot sees it.
	Audio       string `json:"audio"`
	AudioFormat string `json:"audio_format"`
	// VideoReceived and VideoSent count sockets.
	VideoReceived int      `json:"video_received"`
	VideoSent     int      `json:"video_sent"`
	VideoFormats  []string `json:"video_formats,omitempty"`
	Data          string   `json:"data"`
	SessionID     string   `json:"session_id"`
	CallID        string   `json:"call_id,omitempty"`
	Versions      []string `json:"versions"`
	// Unknown keys, which are kept as they are.
	Unknown []string `json:"unknown,omitempty"`
	// Unsupported is why mixminus cannot host it, empty if it can.
	Unsupported string `json:"unsupported,omitempty"`
}

// Summary of the blob.
func (b *Blob) Summary() Summary {
	s := Summary{
		Audio: direction(b.AudioRender, b.AudioSource), AudioFormat: b.AudioFormat,
		VideoReceived: len(b.VideoRender.Live()), VideoSent: len(b.VideoSource.Live()), VideoFormats: b.VideoFormats,
		Data: direction(b.DataRender, b.DataSource), SessionID: b.SessionID, CallID: b.CallID,
		Versions: []string{b.BotsVersion, b.StackVersion, b.ProcessorVersion}, Unknown: b.Unknown(),
	}
	if u, err := url.Parse(b.MPURI); err == nil && u.Host != "" {
		s.Address = u.Scheme + "://" + u.Host
	}
	if err := b.Hostable(); err != nil {
		s.Unsupported = err.Error()
	}
	return s
}

// Unknown lists the keys that have no field, in their order.
func (b *Blob) Unknown() []string {
	var keys []string
	for _, m := range b.members {
		if fieldOf(m.key) == nil {
			keys = append(keys, m.key)
		}
	}
	return keys
}

func direction(render, source Contexts) string {
	switch r, s := len(render.Live()) > 0, len(source.Live()) > 0; {
	case r && s:
		return "sendrecv"
	case r:
		return "recvonly"
	case s:
		return "sendonly"
	}
	return "inactive"
}

// Words explain the summary to people, in lines.
func (s Summary) Words() string {
	var w strings.Builder
	line := func(name, format string, a ...any) { fmt.Fprintf(&w, "%-10s %s\n", name, fmt.Sprintf(format, a...)) }
	line("media at", "%s (the cloud connects there)", s.Address)
	line("audio", "%s, %s", s.Audio, formatWords[s.AudioFormat])
	video := "none"
	if s.VideoReceived+s.VideoSent > 0 {
		video = fmt.Sprintf("%d sockets receive (%s), %d send", s.VideoReceived, strings.Join(s.VideoFormats, ", "), s.VideoSent)
	}
	line("video", "%s", video)
	line("data", "%s", s.Data)
	line("session", "%s", s.SessionID)
	if s.CallID != "" {
		line("call", "%s (the bot's own id, not Graph's)", s.CallID)
	}
	line("versions", "media library %s, stack %s, processor %s", s.Versions[0], s.Versions[1], s.Versions[2])
	for _, key := range s.Unknown {
		line("unknown", "key %q, kept as it is", clip([]byte(key)))
	}
	if s.Unsupported == "" {
		line("mixminus", "can host it")
	} else {
		line("mixminus", "cannot host it: %s", s.Unsupported)
	}
	return w.String()
}

var formatWords = map[string]string{
	Pcm16K:       "16 kHz mono (Pcm16K)",
	Pcm44KStereo: "44.1 kHz stereo (Pcm44KStereo)",
}

// String is a line for logs, without secrets.
func (b *Blob) String() string {
	s := b.Summary()
	return fmt.Sprintf("blob(%s, audio %s %s, video %d/%d, call %s)", s.Address, s.Audio, s.AudioFormat, s.VideoReceived, s.VideoSent, s.CallID)
}

// MarshalJSON implements json.Marshaler by AppendJSON.
func (b *Blob) MarshalJSON() ([]byte, error) { return b.AppendJSON(nil), nil }

// UnmarshalJSON implements json.Unmarshaler by Parse.
func (b *Blob) UnmarshalJSON(text []byte) error {
	p, err := Parse(text)
	if err == nil {
		*b = *p
	}
	return err
}

var (
	_ json.Marshaler   = (*Blob)(nil)
	_ json.Unmarshaler = (*Blob)(nil)
)
