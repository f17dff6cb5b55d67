package cloud

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Limits of a script: enough to test a bot's own limits with.
const (
	maxSpeakers = 1024
	maxSlot     = 24 * 3600 * 50 // a day
	maxKeys     = 10000
	maxFaults   = 10000
	maxClip     = 600 * pcm.SampleRate // ten minutes of samples
)

// Never as Script.HangUp: the other side never hangs up.
const Never = -1

// Forever as Speaker.Loops: the clip is said over and over until the hang-up.
const Forever = -1

// Slots returns how many whole slots of 20 ms, the script's unit of time, d
// holds.
func Slots(d time.Duration) int { return int(d / pcm.FrameDuration) }

// Script is what the other side of a call does. All times are slots of 20 ms
// on the call's clock, which starts when the media does.
type Script struct {
	Name     string    `json:"name,omitempty"`
	Speakers []Speaker `json:"speakers"`
	// HangUp is the slot at which the other side hangs up: all earlier slots
	// were sent. 0 means as soon as every speaker has said everything (never,
	// if there is none); Never leaves it to the bot.
	HangUp int `json:"hang_up,omitempty"`
	// Dominant is how many speakers an unmixed stream of Communication
	// Services carries at most, by their loudness: 0 means what the Server
	// says, negative means all.
	Dominant int     `json:"dominant,omitempty"`
	Faults   []Fault `json:"faults,omitempty"`
	// MediaCodec is what is spoken with a bot over WebRTC: opus, G722, PCMU or
	// PCMA; empty means what the Server says.
	MediaCodec string `json:"media_codec,omitempty"`
}

// Speaker is one voice of a script.
type Speaker struct {
	// ID is the participantRawID. Empty means one minted by the server, or
	// for the first speaker the caller's or callee's own.
	ID string `json:"id,omitempty"`
	// Name to show on an incoming call.
	Name string `json:"name,omitempty"`

	// Voice names a recorded voice of package signal; else PCM holds the
	// clip, 16 kHz mono. Neither: the speaker only listens.
	Voice string `json:"voice,omitempty"`
	PCM   PCM    `json:"pcm,omitempty"`
	// From and Length, in slots, choose a part of the clip; Length 0 means
	// all the rest. The clip is cut to whole slots.
	From   int `json:"from,omitempty"`
	Length int `json:"length,omitempty"`
	// Gain is a factor on the samples; 0 means 1. The result is rounded to
	// nearest and clipped.
	Gain float64 `json:"gain,omitempty"`

	// Start is the slot of the clip's first frame.
	Start int `json:"start,omitempty"`
	// AfterBot, if not 0, makes the speaker barge in: it starts that many
	// slots after the bot began to be heard, and not before Start.
	AfterBot int `json:"after_bot,omitempty"`
	// Loops is how often the clip is said again, with Pause slots between.
	Loops int `json:"loops,omitempty"`
	Pause int `json:"pause,omitempty"`

	// Silence says what becomes of slots in which all samples are 0, within
	// the clip too.
	Silence Silence `json:"silence,omitempty"`
	// Keys are the DTMF keys that the speaker presses.
	Keys []Key `json:"keys,omitempty"`
	// mic is what a person says, who has no clip.
	mic *mic
	// Says is the speaker's speech in words, for recognition and
	// transcription: the emulator understands no audio.
	Says []Phrase `json:"says,omitempty"`
}

// Phrase is something said, Slot slots after the speaker's start. Slots is how
// long that takes; 0 means 300 ms for each word.
type Phrase struct {
	Slot  int    `json:"slot,omitempty"`
	Slots int    `json:"slots,omitempty"`
	Text  string `json:"text"`
}

const slotsPerWord = 15

func (p Phrase) length() int {
	if p.Slots > 0 {
		return p.Slots
	}
	return slotsPerWord * len(strings.Fields(p.Text))
}

// Silence is what a speaker's stream carries while nothing is to be heard.
type Silence string

const (
	// SilenceSent: frames of zeros with silent = true. The default.
	SilenceSent Silence = "sent"
	// SilenceOmitted: nothing; the next frame's timestamp jumps.
	SilenceOmitted Silence = "omitted"
)

// Key is a DTMF key pressed at a slot: 0 to 9, A to D, * or #.
type Key struct {
	Slot int    `json:"slot"`
	Tone string `json:"tone"`
}

// PCM is 16 kHz mono audio; in JSON it is base64 of 16 bit little-endian
// samples.
type PCM []int16

// MarshalJSON writes p in base64.
func (p PCM) MarshalJSON() ([]byte, error) { return json.Marshal(p.bytes()) }

// UnmarshalJSON reads base64 of an even number of bytes.
func (p *PCM) UnmarshalJSON(text []byte) error {
	var encoded *string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return fmt.Errorf("cloud: pcm: want base64 in a string: %w", err)
	}
	*p = nil
	if encoded == nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(*encoded)
	if err != nil {
		return fmt.Errorf("cloud: pcm: %w", err)
	}
	if len(b)%2 != 0 {
		return fmt.Errorf("cloud: pcm: %d bytes are not whole samples", len(b))
	}
	*p = samplesOf(b)
	return nil
}

func (p PCM) bytes() []byte {
	b := make([]byte, 0, 2*len(p))
	for _, s := range p {
		b = append(b, byte(s), byte(uint16(s)>>8))
	}
	return b
}

func samplesOf(b []byte) []int16 {
	s := make([]int16, len(b)/2)
	for i := range s {
		s[i] = int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
	}
	return s
}

// ParseScript reads a script from JSON. Unknown fields are errors, and errors
// name the field.
func ParseScript(text []byte) (Script, error) {
	var s Script
	if err := decodeStrict(text, &s); err != nil {
		return Script{}, fmt.Errorf("cloud: script: %w", err)
	}
	return s, s.Validate()
}

// decodeStrict is for what people write by hand: an unknown field is a typing
// mistake.
func decodeStrict(text []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("data after the JSON value")
	}
	return nil
}

// Validate checks everything that can be wrong in a script; the error names
// the field.
func (s Script) Validate() error {
	if len(s.Speakers) > maxSpeakers {
		return fmt.Errorf("cloud: script: speakers: %d, at most %d", len(s.Speakers), maxSpeakers)
	}
	if s.HangUp < Never || s.HangUp > maxSlot {
		return fmt.Errorf("cloud: script: hang_up: slot %d: want -1 to %d", s.HangUp, maxSlot)
	}
	if err := checkMediaCodec(s.MediaCodec); err != nil {
		return fmt.Errorf("cloud: script: %w", err)
	}
	ids := map[string]int{}
	for i, sp := range s.Speakers {
		if err := sp.validate(); err != nil {
			return fmt.Errorf("cloud: script: speakers[%d].%w", i, err)
		}
		if first, ok := ids[sp.ID]; ok && sp.ID != "" {
			return fmt.Errorf("cloud: script: speakers[%d].id: %q is speakers[%d]'s too", i, sp.ID, first)
		}
		ids[sp.ID] = i
	}
	if len(s.Faults) > maxFaults {
		return fmt.Errorf("cloud: script: faults: %d, at most %d", len(s.Faults), maxFaults)
	}
	for i, f := range s.Faults {
		if err := f.validate(len(s.Speakers)); err != nil {
			return fmt.Errorf("cloud: script: faults[%d].%w", i, err)
		}
	}
	return nil
}

func (sp Speaker) validate() error {
	for _, f := range []struct {
		name     string
		n, least int
	}{
		{"from", sp.From, 0}, {"length", sp.Length, 0}, {"start", sp.Start, 0},
		{"after_bot", sp.AfterBot, 0}, {"loops", sp.Loops, Forever}, {"pause", sp.Pause, 0},
	} {
		if f.n < f.least || f.n > maxSlot {
			return fmt.Errorf("%s: %d: want %d to %d", f.name, f.n, f.least, maxSlot)
		}
	}
	switch {
	case sp.Voice != "" && len(sp.PCM) > 0:
		return fmt.Errorf("voice: %q: pcm is set too", sp.Voice)
	case sp.Voice != "" && recorded(sp.Voice) == nil:
		return fmt.Errorf("voice: %q: want one of %v", sp.Voice, signal.Voices())
	case len(sp.PCM) > maxClip:
		return fmt.Errorf("pcm: %d samples, at most %d", len(sp.PCM), maxClip)
	case math.IsNaN(sp.Gain) || sp.Gain < 0 || sp.Gain > 1000:
		return fmt.Errorf("gain: %v: want a factor from 0 to 1000", sp.Gain)
	case sp.Silence != "" && sp.Silence != SilenceSent && sp.Silence != SilenceOmitted:
		return fmt.Errorf("silence: %q: want %q or %q", sp.Silence, SilenceSent, SilenceOmitted)
	case len(sp.Keys) > maxKeys:
		return fmt.Errorf("keys: %d, at most %d", len(sp.Keys), maxKeys)
	}
	for i, k := range sp.Keys {
		if k.Slot < 0 || k.Slot > maxSlot {
			return fmt.Errorf("keys[%d].slot: %d: want 0 to %d", i, k.Slot, maxSlot)
		}
		if err := checkTone(k.Tone); err != nil {
			return fmt.Errorf("keys[%d].%w", i, err)
		}
	}
	if err := sp.validateSpeech(); err != nil {
		return err
	}
	if sp.From > 0 && sp.From*pcm.FrameSamples >= len(sp.source()) {
		return fmt.Errorf("from: slot %d is behind the clip's end, %d", sp.From, len(sp.source())/pcm.FrameSamples)
	}
	return nil
}

func (sp Speaker) validateSpeech() error {
	if len(sp.Says) > maxKeys {
		return fmt.Errorf("says: %d, at most %d", len(sp.Says), maxKeys)
	}
	for i, p := range sp.Says {
		switch {
		case p.Slot < 0 || p.Slot > maxSlot:
			return fmt.Errorf("says[%d].slot: %d: want 0 to %d", i, p.Slot, maxSlot)
		case p.Slots < 0 || p.Slots > maxSlot:
			return fmt.Errorf("says[%d].slots: %d: want 0 to %d", i, p.Slots, maxSlot)
		case strings.TrimSpace(p.Text) == "":
			return fmt.Errorf("says[%d].text: is empty", i)
		}
	}
	return nil
}

func checkTone(tone string) error {
	if len(tone) != 1 || !strings.Contains("0123456789ABCDabcd*#", tone) {
		return fmt.Errorf("tone: %q: want 0-9, A-D, * or #", tone)
	}
	return nil
}

func recorded(voice string) []int16 {
	for _, v := range signal.Voices() {
		if strings.EqualFold(v.String(), voice) {
			return signal.Speech(v)
		}
	}
	return nil
}

func (sp Speaker) source() []int16 {
	if sp.Voice != "" {
		return recorded(sp.Voice)
	}
	return sp.PCM
}

// clip returns the samples exactly as they should be heard: whole slots, gain
// applied.
func (sp Speaker) clip() []int16 {
	src := sp.source()
	slots := len(src)/pcm.FrameSamples - sp.From
	if sp.Length > 0 {
		slots = min(slots, sp.Length)
	}
	if slots <= 0 {
		return nil
	}
	clip := make([]int16, slots*pcm.FrameSamples)
	copy(clip, src[sp.From*pcm.FrameSamples:])
	if sp.Gain != 0 && sp.Gain != 1 {
		for i, s := range clip {
			clip[i] = clamp(math.Round(sp.Gain * float64(s)))
		}
	}
	return clip
}

func clamp(x float64) int16 { return int16(max(math.MinInt16, min(math.MaxInt16, x))) }
