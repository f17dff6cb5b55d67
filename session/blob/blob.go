// Package blob builds, reads and checks the media session configuration: the
// text that app-hosted media hands to Microsoft Graph as
// appHostedMediaConfig.blob, and by which the cloud finds the bot's media. It
// does no I/O. FORMAT.md says what is known of the format.
package blob

import (
	"encoding/json"
	"slices"
)

// Audio formats of a Blob.
const (
	Pcm16K       = "Pcm16K"       // 16 kHz, mono, 16 bit
	Pcm44KStereo = "Pcm44KStereo" // 44.1 kHz, stereo, 16 bit
)

// Contexts are the ids of the sockets of one medium in one direction, in the
// order of the sockets. nil is JSON's null; an empty id is a null entry: a
// socket that does not carry that direction.
type Contexts []string

// Live returns the ids that are not null.
func (c Contexts) Live() []string {
	return slices.DeleteFunc(slices.Clone(c), func(id string) bool { return id == "" })
}

// Blob is a media session configuration. Render contexts carry media from the
// call to the bot, source contexts from the bot into the call.
//
// One that was parsed remembers its keys, their order, and every value that
// was not changed, byte for byte; so do unknown keys.
type Blob struct {
	// MPURI is where the cloud's media controller connects:
	// "net.tcp://host:port/MediaProcessor", or for mixminus's own transports
	// "wss://…". It may hold a secret.
	MPURI string
	// The contexts of each medium. Their ids are GUIDs.
	AudioRender, AudioSource Contexts
	VideoRender, VideoSource Contexts
	DataRender, DataSource   Contexts
	// AudioFormat is Pcm16K or Pcm44KStereo.
	AudioFormat string
	// VideoFormats of the receiving video sockets, in their order: H264, Yuv.
	VideoFormats []string
	// SessionID is the GUID that binds the sockets of the call.
	SessionID string
	// RegionAffinity is reserved; "" is null.
	RegionAffinity string
	// Versions of the media library, its native stack, and its processor.
	BotsVersion, StackVersion, ProcessorVersion string
	// CallID is a GUID of the bot's choice: samples pass an incoming call's
	// id, else a new one. Libraries before 1.11 do not write it.
	CallID string

	members []member // as parsed; nil for one that was built
	// parsed is what the members said: a field that still says so is written
	// as it was.
	parsed *Blob
}

// member is a key and its value, both as they were written.
type member struct {
	key   string // decoded
	name  json.RawMessage
	value json.RawMessage
}

// field ties a key to a field of a Blob.
type field struct {
	key string
	at  func(*Blob) any // *string, *Contexts or *[]string
}

// fields in the order in which all known libraries write them.
var fields = [...]field{
	{"mpUri", func(b *Blob) any { return &b.MPURI }},
	{"audioRenderContexts", func(b *Blob) any { return &b.AudioRender }},
	{"videoRenderContexts", func(b *Blob) any { return &b.VideoRender }},
	{"audioSourceContexts", func(b *Blob) any { return &b.AudioSource }},
	{"videoSourceContexts", func(b *Blob) any { return &b.VideoSource }},
	{"dataRenderContexts", func(b *Blob) any { return &b.DataRender }},
	{"dataSourceContexts", func(b *Blob) any { return &b.DataSource }},
	{"supportedAudioFormat", func(b *Blob) any { return &b.AudioFormat }},
	{"videoSinkEncodingFormats", func(b *Blob) any { return &b.VideoFormats }},
	{"mpMediaSessionId", func(b *Blob) any { return &b.SessionID }},
	{"regionAffinity", func(b *Blob) any { return &b.RegionAffinity }},
	{"skypeMediaBotsVersion", func(b *Blob) any { return &b.BotsVersion }},
	{"mediaStackVersion", func(b *Blob) any { return &b.StackVersion }},
	{"mpVersion", func(b *Blob) any { return &b.ProcessorVersion }},
	{"callId", func(b *Blob) any { return &b.CallID }},
}

func fieldOf(key string) *field {
	for i := range fields {
		if fields[i].key == key {
			return &fields[i]
		}
	}
	return nil
}

// Versions are what a media library says of itself.
type Versions struct {
	Bots, Stack, Processor string
}

// Versions seen in published blobs.
var (
	Version111 = Versions{"1.11.1.0086", "2018.53.1.1", "7.2.0.3881"}
	Version119 = Versions{"1.19.0.0025", "2020.18.1.16", "7.2.0.9053"}
	Version15  = Versions{"1.5.0.1177", "6.0.8980.141", "7.0.697.0"}
)

// old tells a library that writes neither callId, data contexts nor video
// formats: those before 1.11.
func (v Versions) old() bool { return slices.Compare(numbers(v.Bots), []int{1, 11}) < 0 }

// Config of a Blob that is built. The ids are GUIDs.
type Config struct {
	MPURI, CallID, SessionID string
	// Render and Source of the audio socket; an empty Source is a socket
	// that only receives, an empty Render one that only sends.
	Render, Source string
	// VideoRender and VideoSource are video sockets, in their order.
	VideoRender, VideoSource []string
	// VideoFormats of VideoRender; nil means H264 for each.
	VideoFormats []string
	// AudioFormat; empty means Pcm16K.
	AudioFormat string
	// Versions; the zero value means Version119.
	Versions Versions
}

// New builds a Blob, as the library of its version does.
func New(c Config) (*Blob, error) {
	if c.Versions == (Versions{}) {
		c.Versions = Version119
	}
	if c.AudioFormat == "" {
		c.AudioFormat = Pcm16K
	}
	if c.VideoFormats == nil {
		c.VideoFormats = slices.Repeat([]string{"H264"}, len(c.VideoRender))
	}
	b := &Blob{
		MPURI: c.MPURI, SessionID: c.SessionID, CallID: c.CallID, AudioFormat: c.AudioFormat,
		// An audio socket that lacks a direction has a null there; a
		// missing video socket has no entry.
		AudioRender: Contexts{c.Render}, AudioSource: Contexts{c.Source},
		VideoRender: append(Contexts{}, c.VideoRender...), VideoSource: append(Contexts{}, c.VideoSource...),
		VideoFormats: append([]string{}, c.VideoFormats...),
		BotsVersion:  c.Versions.Bots, StackVersion: c.Versions.Stack, ProcessorVersion: c.Versions.Processor,
	}
	if problems := b.Check(); len(problems) > 0 {
		return nil, problems[0]
	}
	return b, nil
}
