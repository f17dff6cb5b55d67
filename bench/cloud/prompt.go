package cloud

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine/pcm"
)

// promptSource is something that a cloud plays into a call.
type promptSource struct {
	kind    string // file, text, ssml or beep
	uri     string // of a file
	text    string
	cacheID string // a file that was got by it is not got again
}

func (p promptSource) String() string {
	if p.kind == "file" {
		return p.uri
	}
	return p.text
}

// PromptLog is a prompt that the other side heard, or is hearing.
type PromptLog struct {
	// Kind is file, text, ssml or beep, and Source its address or text.
	Kind   string `json:"kind"`
	Source string `json:"source"`
	// To are the raw ids of those who heard it; none means everybody.
	To []string `json:"to,omitempty"`
	// At is the position of its first sample on the call's clock, and Samples
	// how many were heard: fewer than it has if it was cut short.
	At      int64 `json:"at"`
	Samples int64 `json:"samples"`
	PCM     PCM   `json:"pcm,omitempty"`
}

// Errors of a prompt's file.
var (
	errPromptDownload = errors.New("file could not be downloaded")
	errPromptFormat   = errors.New("file format is invalid")
)

// maxPromptBytes bounds a prompt's file: ten minutes.
const maxPromptBytes = 2*600*pcm.SampleRate + 4096

// fetchWave gets a WAV file, which must be mono, 16 bit, 16 kHz ("PlayAudio",
// ACS troubleshooting codes; mediaInfo of Graph). The error wraps
// errPromptDownload or errPromptFormat.
func (s *Server) fetchWave(ctx context.Context, uri string) ([]int16, error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPromptDownload, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPromptDownload, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP %d", errPromptDownload, resp.StatusCode)
	}
	reader, err := wav.NewReader(io.LimitReader(resp.Body, maxPromptBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPromptFormat, err)
	}
	if reader.SampleRate() != pcm.SampleRate {
		return nil, fmt.Errorf("%w: %d Hz", errPromptFormat, reader.SampleRate())
	}
	var samples []int16
	chunk := make([]int16, pcm.SampleRate)
	for {
		n, err := reader.Read(chunk)
		samples = append(samples, chunk[:n]...)
		switch {
		case errors.Is(err, io.EOF):
			return samples, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errPromptDownload, err)
		}
	}
}

// maxCached bounds the prompts that are kept by their cache id; one more, and
// all are forgotten.
const maxCached = 256

// promptSamples returns what a source sounds like.
func (s *Server) promptSamples(ctx context.Context, p promptSource) ([]int16, error) {
	switch p.kind {
	case "beep":
		return beep(), nil
	case "text", "ssml":
		return ToneSpeech(spokenText(p)), nil
	}
	s.mu.Lock()
	samples, ok := s.promptCache[p.cacheID]
	s.mu.Unlock()
	if ok && p.cacheID != "" {
		return samples, nil
	}
	samples, err := s.fetchWave(ctx, p.uri)
	if err != nil || p.cacheID == "" {
		return samples, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.promptCache) >= maxCached || s.promptCache == nil {
		s.promptCache = map[string][]int16{}
	}
	s.promptCache[p.cacheID] = samples
	return samples, nil
}

// spokenText is what a voice would say of a source. Of SSML that is its
// character data; breaks and voices are not obeyed.
func spokenText(p promptSource) string {
	if p.kind != "ssml" {
		return p.text
	}
	var words []string
	d := xml.NewDecoder(strings.NewReader(p.text))
	for {
		token, err := d.Token()
		if err != nil {
			return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
		}
		if data, ok := token.(xml.CharData); ok {
			words = append(words, string(data))
		}
	}
}

// toneSlots is how many slots of 20 ms a character of a tone-speech lasts.
const toneSlots = 3

// ToneSpeech is what the emulator, which has no speech engine, plays for a
// text: 60 ms for each character, of a tone whose pitch is the character's (200
// Hz and 20 Hz more for each letter from a, or digit behind them) for letters
// and digits, and of silence for the rest. It is the same for the same text,
// and so can be told from others and compared sample by sample.
func ToneSpeech(text string) []int16 {
	const length = toneSlots * pcm.FrameSamples
	const ramp = pcm.SampleRate / 200 // 5 ms, so that it does not click
	var out []int16
	for _, r := range text {
		tone := make([]int16, length)
		step := 0
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z':
			step = 1 + int(r-'a')
		case r >= '0' && r <= '9':
			step = 27 + int(r-'0')
		case unicode.IsLetter(r):
			step = 37 + int(r)%64
		}
		for i := range tone {
			if step == 0 {
				break
			}
			edge := min(1, float64(min(i, length-1-i))/ramp)
			phase := 2 * math.Pi * float64(180+20*step) * float64(i) / pcm.SampleRate
			tone[i] = int16(math.Round(6000 * edge * math.Sin(phase)))
		}
		out = append(out, tone...)
	}
	return out
}

// beep is a fifth of a second of 1 kHz, as loud as speech.
func beep() []int16 {
	wave := [...]int16{0, 3061, 5657, 7391, 8000, 7391, 5657, 3061, 0, -3061, -5657, -7391, -8000, -7391, -5657, -3061}
	out := make([]int16, pcm.SampleRate/5)
	for i := range out {
		out[i] = wave[i%len(wave)]
	}
	return out
}

// maxPromptLogs bounds the prompts that a call's log tells of.
const maxPromptLogs = 10000

// hearPrompt lets the other side hear samples from a slot on, and returns the
// entry's number for cutPrompt, -1 if there was no room for it. Called with
// Call.mu held.
func (c *Call) hearPrompt(slot int, p promptSource, to []string, samples []int16) int {
	if len(c.prompts) >= maxPromptLogs {
		return -1
	}
	c.prompts = append(c.prompts, PromptLog{
		Kind: p.kind, Source: p.String(), To: to, At: int64(slot) * pcm.FrameSamples, Samples: int64(len(samples)), PCM: samples,
	})
	return len(c.prompts) - 1
}

// cutPrompt ends a prompt at a slot. Called with Call.mu held.
func (c *Call) cutPrompt(entry, slot int) {
	if entry < 0 {
		return
	}
	p := &c.prompts[entry]
	p.Samples = max(0, min(p.Samples, int64(slot)*pcm.FrameSamples-p.At))
	p.PCM = p.PCM[:p.Samples]
}

// prompter plays prompts one after the other. It is owned by the call's
// goroutine.
type prompter struct {
	c       *Call
	sources []promptSource
	to      []string
	loop    bool

	fetched chan fetchedPrompts // nil: not asked for yet
	clips   [][]int16
	begun   bool
	next    int // clip
	until   int // slot at which the clip ends
	entry   int
}

type fetchedPrompts struct {
	clips [][]int16
	err   error
}

// promptError says which of several prompts could not be played.
type promptError struct {
	index int
	err   error
}

func (e *promptError) Error() string { return fmt.Sprintf("source %d: %v", e.index, e.err) }

func (e *promptError) Unwrap() error { return e.err }

func (c *Call) newPrompter(sources []promptSource, to []string, loop bool) *prompter {
	return &prompter{c: c, sources: sources, to: to, loop: loop, entry: -1}
}

// step plays what a slot brings, and reports whether all has been played. The
// files are got when the turn comes.
func (p *prompter) step(slot int) (over bool, err error) {
	if p.fetched == nil {
		p.fetch()
	}
	if !p.begun {
		select {
		case got := <-p.fetched:
			if got.err != nil {
				return true, got.err
			}
			p.clips, p.begun, p.until = got.clips, true, slot
		default:
			return false, nil
		}
	}
	for empty := 0; slot >= p.until; empty++ {
		if p.next == len(p.clips) && (!p.loop || empty > len(p.clips)) {
			return true, nil
		}
		p.next %= len(p.clips)
		clip := p.clips[p.next]
		p.c.mu.Lock()
		p.entry = p.c.hearPrompt(slot, p.sources[p.next], p.to, clip)
		p.c.mu.Unlock()
		p.until = slot + (len(clip)+pcm.FrameSamples-1)/pcm.FrameSamples
		p.next++
	}
	return false, nil
}

func (p *prompter) fetch() {
	p.fetched = make(chan fetchedPrompts, 1)
	p.c.server.wg.Go(func() {
		var got fetchedPrompts
		for i, source := range p.sources {
			clip, err := p.c.server.promptSamples(p.c.ctx, source)
			if err != nil {
				got.err = &promptError{i, err}
				break
			}
			got.clips = append(got.clips, clip)
		}
		p.fetched <- got
	})
}

// cut stops at a slot.
func (p *prompter) cut(slot int) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.c.cutPrompt(p.entry, slot)
}

// promptLogs are the prompts as they stand at a position.
func promptLogs(prompts []PromptLog, at int64, withPCM bool) []PromptLog {
	var out []PromptLog
	for _, p := range prompts {
		p.Samples = max(0, min(p.Samples, at-p.At))
		p.PCM = p.PCM[:p.Samples:p.Samples]
		if !withPCM {
			p.PCM = nil
		}
		out = append(out, p)
	}
	return out
}

// speaks returns the position at which the bot, or a prompt of it, was first
// heard, -1 if nothing was. Called with Call.mu held.
func (c *Call) speaks() int64 {
	at := c.playout.speaks()
	if len(c.prompts) > 0 && (at < 0 || c.prompts[0].At < at) {
		return c.prompts[0].At
	}
	return at
}

// heardIn is what everybody heard of the bot in a slot that has passed: its
// own audio, and its prompts. Called with Call.mu held.
func (c *Call) heardIn(slot int) []int16 {
	return c.heardOf(slot, true, func(PromptLog) bool { return true })
}

// heardOf is what was heard in a slot that has passed of the bot's own audio,
// or not of that, and of some of its prompts. Called with Call.mu held.
func (c *Call) heardOf(slot int, bot bool, prompt func(PromptLog) bool) []int16 {
	from := int64(slot) * pcm.FrameSamples
	total := make([]int32, pcm.FrameSamples)
	add := func(at int64, samples []int16) {
		for i := max(0, from-at); i < int64(len(samples)) && at+i < from+pcm.FrameSamples; i++ {
			total[at+i-from] += int32(samples[i])
		}
	}
	for i := len(c.playout.played) - 1; bot && i >= 0 && c.playout.played[i].At+c.playout.played[i].Samples > from; i-- {
		s := c.playout.played[i]
		// Of a stretch of minutes a frame is picked.
		skip := max(0, min(from-s.At, s.Samples))
		first, samples := c.playout.pick(s.First+skip, min(s.Samples-skip, pcm.FrameSamples))
		add(s.At+first-s.First, samples)
	}
	for i := len(c.prompts) - 1; i >= 0 && c.prompts[i].At > from-maxPromptBytes; i-- {
		if prompt(c.prompts[i]) {
			add(c.prompts[i].At, c.prompts[i].PCM)
		}
	}
	out := make([]int16, pcm.FrameSamples)
	for i, t := range total {
		out[i] = clamp(float64(t))
	}
	return out
}

// HeardPrompts returns what somebody in the call heard of its prompts from
// position 0 on, with silence where there was none; an empty id means those
// that everybody heard.
func (l *Log) HeardPrompts(rawID string) []int16 {
	var total []int32
	for _, p := range l.Prompts {
		if len(p.To) > 0 && !slices.Contains(p.To, rawID) {
			continue
		}
		if end := int(p.At) + len(p.PCM); end > len(total) {
			total = append(total, make([]int32, end-len(total))...)
		}
		for i, s := range p.PCM {
			total[int(p.At)+i] += int32(s)
		}
	}
	out := make([]int16, len(total))
	for i, t := range total {
		out[i] = clamp(float64(t))
	}
	return out
}
