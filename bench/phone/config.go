package phone

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Slot is the script's unit of time: a packet.
const Slot = pcm.FrameDuration

// Slots returns how many whole slots d holds.
func Slots(d time.Duration) int { return int(d / Slot) }

// Forever as Config.Loops: the voice is said over and over.
const Forever = -1

// Limits of a call, so that nothing grows without end.
const (
	maxDuration = time.Hour
	maxReceived = 250000 // packets that are kept: more than an hour of them
	maxReports  = 10000  // RTCP packets that are kept
	maxStreams  = 32     // SSRCs that are told apart
	maxDelay    = 10 * time.Second
)

const (
	defaultEventType = 101
	defaultDynamic   = 96
	defaultKey       = 100 * time.Millisecond
	defaultLinger    = 300 * time.Millisecond
)

// Config is the script of a call. Times are slots of 20 ms from the first
// packet on, where they are not durations.
type Config struct {
	// Target is where the packets go. TargetRTCP is where the reports go; zero
	// means the port above, or with Mux the Target.
	Target, TargetRTCP netip.AddrPort
	// Listen is where the phone takes packets; zero means a free even port of
	// 127.0.0.1. Reports come to the port above (RFC 3550, section 11), or with
	// Mux to the same one (RFC 5761).
	Listen netip.AddrPort
	Mux    bool

	// Codec by its name in codec.All; "" is PCMU. PayloadType 0 is the codec's
	// static one, or 96 if it has none. EventType is that of keys (RFC 4733),
	// 0 means 101.
	Codec       string
	PayloadType uint8
	EventType   uint8
	// Seed draws the SSRC, the first sequence number and timestamp, where
	// they are 0.
	Seed      uint64
	SSRC      uint32
	Sequence  uint16
	Timestamp uint32

	// Voice is 16 kHz mono. It is said from slot Start on, and Loops times
	// again (Forever: always) with Pause slots between. A last slot that it
	// does not fill is filled with silence.
	Voice               []int16
	Start, Loops, Pause int
	// OmitSilence sends nothing in slots in which every sample is 0, and marks
	// the packet after them (RFC 3551, section 4.1).
	OmitSilence bool
	// Keys are pressed instead of speaking: in their slots nothing of Voice is
	// said. In the order of their slots, with two between them at least.
	Keys []Key

	// Drop lists the packets that are kept back, by number, from 0: audio and
	// events alike.
	Drop []int
	// Net is the network on the way up. What it loses is kept back too: to the
	// last packet it is known what the other side cannot have got, as long as
	// the sockets on loopback lose nothing.
	Net netem.Config

	// ReportEvery is how often the phone reports (RTCP); 0 is never. It does
	// not vary the interval as RFC 3550, section 6.2, would: a script has no
	// congestion to avoid.
	ReportEvery time.Duration
	// Bye says goodbye (RFC 3550, section 6.6) behind the last packet.
	Bye bool

	// Duration of the call, an hour at most.
	Duration time.Duration
	// Linger is how long the phone listens after its last packet; 0 means
	// 300 ms, negative not at all.
	Linger time.Duration
}

// Key is a DTMF key: 0 to 9, *, #, A to D. Duration is whole slots, two at
// least; 0 means 100 ms.
type Key struct {
	Slot     int           `json:"slot"`
	Tone     string        `json:"tone"`
	Duration time.Duration `json:"duration_ns,omitempty"`
}

// tones in the order of their event codes (RFC 4733, section 3.2).
const tones = "0123456789*#ABCD"

// end is the slot behind the key's last.
func (k Key) end() int { return k.Slot + Slots(k.Duration) }

func (k Key) event() uint8 { return uint8(strings.Index(tones, strings.ToUpper(k.Tone))) }

// complete fills in what was left to default, and finds the codec. The error
// names the field.
func (c Config) complete() (Config, codec.Codec, error) {
	if c.Codec == "" {
		c.Codec = "PCMU"
	}
	row, ok := byName(c.Codec)
	if !ok {
		return c, row, fmt.Errorf("phone: codec: %q: want one of codec.All", c.Codec)
	}
	if c.PayloadType == 0 {
		c.PayloadType = defaultDynamic
		if row.PayloadType != codec.Dynamic {
			c.PayloadType = uint8(row.PayloadType)
		}
	}
	if c.EventType == 0 {
		c.EventType = defaultEventType
	}
	if !c.Listen.IsValid() {
		c.Listen = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	}
	if c.Linger == 0 {
		c.Linger = defaultLinger
	}
	c.Linger = max(c.Linger, 0)
	c.Keys = append([]Key(nil), c.Keys...)
	for i := range c.Keys {
		if c.Keys[i].Duration == 0 {
			c.Keys[i].Duration = defaultKey
		}
	}
	c.draw()
	return c, row, c.validate(row)
}

// draw chooses what RFC 3550, section 5.1, wants random.
func (c *Config) draw() {
	rng := rand.New(rand.NewPCG(c.Seed, 0x70686f6e65))
	ssrc, sequence, timestamp := rng.Uint32(), uint16(rng.Uint32()), rng.Uint32()
	if c.SSRC == 0 {
		c.SSRC = ssrc
	}
	if c.Sequence == 0 {
		c.Sequence = sequence
	}
	if c.Timestamp == 0 {
		c.Timestamp = timestamp
	}
}

func byName(name string) (codec.Codec, bool) {
	for _, row := range codec.All() {
		if strings.EqualFold(row.Name, name) {
			return row, true
		}
	}
	return codec.Codec{}, false
}

func (c Config) validate(row codec.Codec) error {
	slots := Slots(c.Duration)
	for _, f := range []struct {
		name           string
		n, least, most int
	}{
		{"payload type", int(c.PayloadType), 0, 127},
		{"event type", int(c.EventType), 0, 127},
		{"start", c.Start, 0, Slots(maxDuration)},
		{"loops", c.Loops, Forever, Slots(maxDuration)},
		{"pause", c.Pause, 0, Slots(maxDuration)},
	} {
		if f.n < f.least || f.n > f.most {
			return fmt.Errorf("phone: %s: %d: want %d to %d", f.name, f.n, f.least, f.most)
		}
	}
	switch {
	case c.EventType == c.PayloadType:
		return fmt.Errorf("phone: event type: %d is the payload type of the audio", c.EventType)
	case c.Mux && (reserved(c.PayloadType) || reserved(c.EventType)):
		return fmt.Errorf("phone: payload types %d, %d: 64 to 95 are taken for reports on the same port (RFC 5761, section 4)", c.PayloadType, c.EventType)
	case slots < 1 || c.Duration > maxDuration:
		return fmt.Errorf("phone: duration: %v: want %v to %v", c.Duration, Slot, maxDuration)
	case c.ReportEvery < 0 || c.ReportEvery > 0 && c.ReportEvery < Slot:
		return fmt.Errorf("phone: report every: %v: want %v or more, or 0 for never", c.ReportEvery, Slot)
	case c.Net.Delay < 0 || c.Net.Jitter < 0 || c.Net.ReorderBy < 0 || c.Net.Delay+c.Net.Jitter+c.Net.ReorderBy > maxDelay:
		return fmt.Errorf("phone: net: %v, by %v: want delays of %v at most", c.Net, c.Net.ReorderBy, maxDelay)
	case c.Linger > maxDuration:
		return fmt.Errorf("phone: linger: %v: want %v at most", c.Linger, maxDuration)
	}
	for _, i := range c.Drop {
		if i < 0 {
			return fmt.Errorf("phone: drop: %d: packets count from 0", i)
		}
	}
	return validateKeys(c.Keys, slots, row.ClockRate)
}

func reserved(payloadType uint8) bool { return payloadType >= 64 && payloadType <= 95 }

// validateKeys holds keys to what RFC 4733 lets a single event be: its
// duration has 16 bits (section 2.3.5), and its end is sent twice more after it.
func validateKeys(keys []Key, slots, clockRate int) error {
	longest := time.Duration(0xffff) * time.Second / time.Duration(clockRate)
	free := 0
	for i, k := range keys {
		switch {
		case len(k.Tone) != 1 || !strings.Contains(tones, strings.ToUpper(k.Tone)):
			return fmt.Errorf("phone: keys[%d].tone: %q: want 0-9, *, # or A-D", i, k.Tone)
		case k.Duration < 2*Slot || k.Duration%Slot != 0 || k.Duration > longest:
			return fmt.Errorf("phone: keys[%d].duration: %v: want whole slots of %v, from two to %v", i, k.Duration, Slot, longest)
		case k.Slot < free:
			return fmt.Errorf("phone: keys[%d].slot: %d: want %d at least: two slots behind the key before", i, k.Slot, free)
		case k.end()+endCopies > slots:
			return fmt.Errorf("phone: keys[%d].slot: %d: the call ends at %d, before the key's end was said three times", i, k.Slot, slots)
		}
		free = k.end() + endCopies
	}
	return nil
}
