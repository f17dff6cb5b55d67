package rtpmedia

import (
	"fmt"

	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
)

// A ResettingDecoder can forget its stream for that of another sender. Inbound
// asks it to, as it asks a codec.Concealer to conceal and a codec.FECDecoder
// for copies of what was lost.
type ResettingDecoder interface {
	Reset()
}

const (
	longestPacket = 120 // ms, of Opus
	// concealFor ms is how long a decoder may make audio up by itself: longer
	// than opus is silent (400 ms) when it sends nothing but now and then a
	// packet of background noise.
	concealFor = 1000
	// quantum is what a decoder makes up in whole numbers of, in 1/400 s.
	quantum = pcm.SampleRate / 400

	typeNoise = 13 // static payload type of comfort noise (RFC 3551, section 6)
)

// InboundConfig says what a stream carries.
type InboundConfig struct {
	Codec codec.Codec
	// PayloadType of the codec in this session, 0 to 127.
	PayloadType uint8
	// EventType of telephone events, on the codec's clock; 0: none are taken.
	EventType uint8
	// NoiseType of comfort noise; 0 means the static type, 13.
	NoiseType uint8
	Jitter    JitterConfig
	// Scratch may be shared with other streams; nil is one of its own.
	Scratch *Scratch
	// Bare leaves silence where audio was lost. It is for comparisons.
	Bare bool
}

// Inbound is one received stream: packets in, 20 ms frames out. Its decoder,
// which is made with the first packet that is played, buffer and concealment are
// its own; about 20 kB in all, what the decoder needs, and the packets that wait.
type Inbound struct {
	cfg       InboundConfig
	decoder   codec.Decoder       // nil until audio came
	resampler *resample.Resampler // nil at 16 kHz
	scratch   *Scratch
	most      int // samples of the scratch that are used at once

	fifo    []int16 // storage of what is decoded and not yet handed out ...
	from    int     // ... fifo[from:to]
	to      int
	heard   bool  // audio was played
	intact  bool  // and nothing made up since
	guessed int   // samples that the decoder made up in a row
	behind  int64 // samples by which the queue's first lags its timestamp, smoothed
	made    Frame
	stretch stretcher
	grain   grain
	hiss    hiss
	n       InboundStats

	reception Reception
	conceal   Concealer
	jitter    Jitter
	tones     Tones
}

// Frame says what the samples are that Pull returned.
type Frame struct {
	// Voice: some were decoded from packets.
	Voice bool
	// Concealed: some were made up for packets that were lost or late.
	Concealed bool
	// Begun is false as long as nothing was ever played.
	Begun bool
}

// Silent reports whether the frame holds nothing that the sender sent, nor
// what stands for it: it is silence or comfort noise.
func (f Frame) Silent() bool { return !f.Voice && !f.Concealed }

// NewInbound returns a stream. It fails if the codec's rates cannot be
// converted to 16 kHz.
func NewInbound(cfg InboundConfig) (*Inbound, error) {
	c := cfg.Codec
	if c.NewDecoder == nil || c.ClockRate <= 0 || c.SampleRate < 1000 || cfg.PayloadType > 127 {
		return nil, fmt.Errorf("rtpmedia: codec %q with a clock of %d Hz as payload type %d cannot be received", c.Name, c.ClockRate, cfg.PayloadType)
	}
	if cfg.NoiseType == 0 {
		cfg.NoiseType = typeNoise
	}
	if cfg.Scratch == nil {
		cfg.Scratch = &Scratch{}
	}
	in := &Inbound{
		cfg: cfg, scratch: cfg.Scratch, most: 2 * c.SampleRate * longestPacket / 1000,
		fifo: make([]int16, fifoUsual), grain: newGrain(), reception: Reception{rate: ticker{rate: int64(c.ClockRate)}},
	}
	in.jitter.init(c.ClockRate, cfg.Jitter)
	in.conceal.init(c.SampleRate)
	if c.SampleRate != pcm.SampleRate {
		r, err := resample.New(c.SampleRate, pcm.SampleRate)
		if err != nil {
			return nil, fmt.Errorf("rtpmedia: codec %s: %w", c.Name, err)
		}
		in.resampler = r
	}
	return in, nil
}

const (
	// fifoSize holds two of the longest packets, two frames, and what is grown.
	fifoSize = 2*pcm.SampleRate*longestPacket/1000 + 2*pcm.FrameSamples + periodMax
	// fifoUsual does for packets of 20 ms.
	fifoUsual = 3*pcm.FrameSamples + 2*periodMax
)

// Push takes a packet that came at now. If it is the first to tell of a
// pressed key, it returns that.
func (in *Inbound) Push(now int64, p *Packet) (key byte, pressed bool) {
	content := Audio
	switch t := p.PayloadType; {
	case t == in.cfg.PayloadType:
	case t == in.cfg.NoiseType:
		content = Noise
	case t == in.cfg.EventType && t != 0: // 0 is none, and PCMU's
		content = NoAudio
	default:
		in.n.WrongType++
		return 0, false
	}
	restarts := in.jitter.n.restarts
	in.jitter.Push(now, p, content)
	if restarts != in.jitter.n.restarts {
		in.tones.Reset()
		if d, ok := in.decoder.(ResettingDecoder); ok {
			d.Reset()
		}
	}
	if p.SSRC != in.jitter.ssrc {
		return 0, false // not of this stream, or not yet
	}
	in.reception.Take(now, p)
	if content == NoAudio {
		return in.tones.Take(p)
	}
	return 0, false
}

// Pull fills dst with the next 20 ms. It is to be called every 20 ms, at now.
func (in *Inbound) Pull(now int64, dst *[pcm.FrameSamples]int16) Frame {
	in.made = Frame{}
	in.supply(now)
	in.adapt()
	in.supply(now)
	copy(dst[:], in.fifo[in.from:])
	in.from += pcm.FrameSamples
	if in.from == in.to {
		in.from, in.to = 0, 0 // where the cache has it
	}
	if in.intact {
		in.stretch.hear(dst[:])
	}
	in.made.Begun = in.heard
	in.n.Frames++
	if in.made.Concealed {
		in.n.Concealed++
	}
	return in.made
}

// Rest stands for so many Pulls that were not made, because nothing had come
// for long and nothing was heard any more. It is to be called before the Push
// that ends the rest.
func (in *Inbound) Rest(frames int64) {
	in.jitter.rest(frames * int64(in.cfg.Codec.ClockRate) / 50)
	in.n.Frames += frames
}

// have returns how many samples are ready.
func (in *Inbound) have() int { return in.to - in.from }

// supply sees to it that a frame is ready.
func (in *Inbound) supply(now int64) {
	for in.have() < pcm.FrameSamples {
		in.more(now)
	}
}

// more takes what comes next from the buffer.
func (in *Inbound) more(now int64) {
	missing := pcm.FrameSamples - in.have()
	want := ticksOf((missing+quantum-1)/quantum*quantum, in.cfg.Codec.ClockRate)
	in.put(now, in.jitter.Pop(now, want))
}

// put puts an item into the queue.
func (in *Inbound) put(now int64, it Item) {
	n := in.samples(it.Ticks)
	if it.Jump && in.heard {
		in.conceal.Fill(nil)
	}
	switch it.Kind {
	case Play:
		in.play(it, 0)
	case Comfort:
		in.hiss.set(it.Payload)
	case Lost:
		in.hiss.on = false
		in.made.Concealed = true
		in.lost(now, n, it.Payload)
	case Dry:
		in.made.Concealed = in.made.Concealed || in.heard && !in.hiss.on && !in.conceal.Spent()
		in.fill(n)
	default:
		in.fill(n)
	}
}

// samples of the codec last as long as ticks of its clock.
func (in *Inbound) samples(ticks int) int {
	return ticks * in.cfg.Codec.SampleRate / in.cfg.Codec.ClockRate
}

// play decodes a packet. gap samples before it are to be made up.
func (in *Inbound) play(it Item, gap int) {
	c := in.cfg.Codec
	raw := in.scratch.samples(in.most)
	if in.decoder == nil {
		in.decoder = c.NewDecoder()
	}
	n := in.decoder.Decode(raw[gap:], it.Payload)
	if n == 0 {
		in.n.Undecodable++
		in.made.Concealed = true
		in.fill(gap + in.samples(int(in.jitter.last)))
		return
	}
	in.jitter.Advance(n * c.ClockRate / c.SampleRate)
	in.grain.add(n * pcm.SampleRate / c.SampleRate)
	in.lag(it.Offset*pcm.SampleRate/int64(c.ClockRate) + int64(in.have()))
	in.made.Voice, in.heard, in.intact = true, true, gap == 0
	in.hiss.on, in.guessed = false, 0
	x := raw[:gap+n]
	if !in.cfg.Bare {
		if gap > 0 {
			in.conceal.Bridge(x[:gap], x[gap:])
		}
		in.conceal.Good(x[gap:])
	}
	in.take(x)
}

// lost makes up n samples for a packet. next is the payload of the one behind,
// if that is there: it is taken ahead of its turn, since it may hold a copy, or
// else the gap is made up from both sides.
func (in *Inbound) lost(now int64, n int, next []byte) {
	if next == nil || in.cfg.Bare || !in.heard || n > in.most/2 {
		in.fill(n)
		return
	}
	if d, ok := in.decoder.(codec.FECDecoder); ok {
		if got := d.DecodeFEC(in.scratch.samples(n), next); got > 0 {
			in.n.Recovered++
			in.intact, in.guessed = false, 0
			in.recovered(n, got)
			return
		}
	}
	if _, ok := in.decoder.(codec.Concealer); ok {
		in.fill(n)
		return
	}
	turn := now + in.jitter.t.rate.nanos(int64(n*in.cfg.Codec.ClockRate/in.cfg.Codec.SampleRate))
	switch it := in.jitter.Pop(turn, 0); {
	case it.Kind == Play && !it.Jump:
		in.play(it, n)
	default:
		in.fill(n)
		in.put(turn, it)
	}
}

// recovered puts n samples into the queue whose last ones, in scratch, are a copy
// of what was lost.
func (in *Inbound) recovered(n, got int) {
	x := in.scratch.samples(n)
	if got < n {
		copy(x[n-got:], x[:got])
		in.conceal.Fill(x[:n-got])
	}
	in.conceal.Good(x[n-got:])
	in.take(x)
}

// fill makes up n samples.
func (in *Inbound) fill(n int) {
	in.intact = false
	for n > 0 {
		part := min(n, in.most)
		n -= part
		in.fillPart(in.scratch.samples(part))
	}
}

func (in *Inbound) fillPart(x []int16) {
	d, able := in.decoder.(codec.Concealer)
	switch {
	case !in.heard || in.cfg.Bare:
		clear(x)
	case in.hiss.on:
		in.hiss.fill(x)
		in.conceal.Good(x)
	case able && in.guessed < concealFor*in.cfg.Codec.SampleRate/1000:
		got := d.Conceal(x)
		in.guessed += got
		in.conceal.Good(x[:got])
		if got < len(x) {
			in.conceal.Fill(x[got:])
		}
	default:
		in.conceal.Fill(x)
	}
	in.take(x)
}

// take puts samples of the codec into the queue, at 16 kHz.
func (in *Inbound) take(x []int16) {
	if in.resampler == nil {
		copy(in.room(len(x)), x)
		return
	}
	in.resampler.Process(in.room(in.resampler.Size(len(x))), x)
}

// room returns the place of the next n samples of the queue.
func (in *Inbound) room(n int) []int16 {
	if in.to+n+periodMax > len(in.fifo) {
		fifo := in.fifo
		if need := in.have() + n + periodMax; need > len(fifo) && len(fifo) < fifoSize {
			fifo = make([]int16, min(need+pcm.FrameSamples, fifoSize)) // of longer packets
		}
		copy(fifo, in.fifo[in.from:in.to])
		in.fifo, in.from, in.to = fifo, 0, in.have()
	}
	n = min(n, len(in.fifo)-in.to)
	in.to += n
	return in.fifo[in.to-n : in.to]
}

// Delay returns the time from the arrival of the fastest packets to their
// being pulled, in ns.
func (in *Inbound) Delay() int64 {
	if !in.heard {
		return 0
	}
	fastest := in.jitter.t.fastest * pcm.SampleRate / int64(in.cfg.Codec.ClockRate)
	return int64(pcm.Duration(in.behind - fastest))
}

// Missed returns how many packets the network lost so far, and how many came
// too late to be heard.
func (in *Inbound) Missed() (lost, late int64) {
	n := &in.jitter.n
	return max(0, n.missing-n.found), n.late
}

// Drained reports whether all that came has been pulled.
func (in *Inbound) Drained() bool { return in.jitter.n.buffered == 0 && in.have() < pcm.FrameSamples }

// Reception is what reports tell of the stream.
func (in *Inbound) Reception() *Reception { return &in.reception }

// Tones are the telephone events of the stream.
func (in *Inbound) Tones() *Tones { return &in.tones }

// String tells what the stream is made of.
func (in *Inbound) String() string {
	c := in.cfg.Codec
	s := fmt.Sprintf("RTP(%d) -> Jitter(%d..%d ms) -> %s/%d", in.cfg.PayloadType,
		in.jitter.t.rate.nanos(in.jitter.t.lower)/1e6, in.jitter.t.rate.nanos(in.jitter.t.upper)/1e6, c.Name, c.ClockRate)
	if in.resampler != nil {
		s += fmt.Sprintf(" -> Resample(%d)", c.SampleRate)
	}
	return s + " -> PCM16K"
}
