package opus

import "fmt"

const (
	// Fastest is the least Complexity: 0 in other libraries.
	Fastest = -1

	minBitrate, maxBitrate = 6000, 510000

	defaultBitrate    = 24000
	defaultComplexity = 5
	defaultLoss       = 10
)

// EncoderConfig configures an Encoder. Its zero value is speech at 24 kbit/s.
type EncoderConfig struct {
	// Bitrate is the mean aimed at, in bit/s, from 6000 to 510000. 0 means
	// 24000.
	Bitrate int
	// Complexity trades time for quality, from Fastest and 1 to 10. 0 means 5.
	Complexity int
	// FEC has packets carry a coarse copy of the one before, as far as Loss
	// makes that worth its bits.
	FEC bool
	// Loss is how much is expected to be lost, in percent. With FEC, 0 means
	// 10.
	Loss int
	// DTX stops sending while there is only silence or steady noise.
	DTX bool
}

// Encoder holds the state of one stream. It is not safe for concurrent use.
type Encoder struct {
	lib     libEncoder
	dtx     bool // static
	samples int  // that the library takes for a packet
	quiet   bool // the last packet said that there was nothing to send
}

// NewEncoder returns the encoder of a new stream, or an error that names the
// field that is out of range.
func NewEncoder(cfg EncoderConfig) (*Encoder, error) {
	if cfg.Bitrate == 0 {
		cfg.Bitrate = defaultBitrate
	}
	switch cfg.Complexity {
	case 0:
		cfg.Complexity = defaultComplexity
	case Fastest:
		cfg.Complexity = 0
	}
	if cfg.FEC && cfg.Loss == 0 {
		cfg.Loss = defaultLoss
	}
	if err := checkBitrate(cfg.Bitrate); err != nil {
		return nil, err
	}
	if err := checkLoss(cfg.Loss); err != nil {
		return nil, err
	}
	if cfg.Complexity < 0 || cfg.Complexity > 10 {
		return nil, fmt.Errorf("opus: Complexity %d: want Fastest (%d) or 1 to 10", cfg.Complexity, Fastest)
	}
	return &Encoder{lib: newLibEncoder(cfg), dtx: cfg.DTX}, nil
}

// Encode encodes src as one packet and returns the number of bytes written to
// dst. src must be 10, 20, 40 or 60 ms of samples, else nothing is taken and
// Encode returns 0. dst bounds the packet: MaxPacket is always enough, 1276 for
// 20 ms, and what is too short makes the packet worse, or impossible, which is
// 0 again.
//
// With DTX it also returns 0 where nothing need be sent: the RTP timestamp
// goes on, and the sequence number stays.
func (e *Encoder) Encode(dst []byte, src []int16) int {
	if !e.fit(len(src)) {
		return 0
	}
	n, err := e.lib.EncodeInt16(src, dst)
	if err != nil {
		return 0
	}
	// Of packets of one or two bytes libopus says that they need not be sent:
	// to a decoder they are what nothing is. The first is sent all the same, as
	// browsers do. RFC 7587, section 3.1.3, is how a receiver tells the rest
	// from loss.
	quiet := e.dtx && n <= 2
	if quiet && e.quiet {
		return 0
	}
	e.quiet = quiet
	return n
}

// fit prepares the library for packets of n samples.
func (e *Encoder) fit(n int) bool {
	if n == e.samples {
		return n != 0
	}
	const ms = SampleRate / 1000
	switch n {
	case 10 * ms, 20 * ms, 40 * ms, 60 * ms:
	default:
		return false
	}
	if e.lib.SetFrameSize(n) != nil {
		return false
	}
	e.samples = n
	return true
}

// SetBitrate changes the mean aimed at, in bit/s, from the next packet on.
func (e *Encoder) SetBitrate(bitsPerSecond int) error {
	if err := checkBitrate(bitsPerSecond); err != nil {
		return err
	}
	return e.lib.SetBitrate(bitsPerSecond)
}

// SetLoss changes how much is expected to be lost, in percent, as the reports
// of the other side tell: FEC costs bits only where it is of use.
func (e *Encoder) SetLoss(percent int) error {
	if err := checkLoss(percent); err != nil {
		return err
	}
	return e.lib.SetPacketLoss(percent)
}

// Delay returns by how many samples what is decoded lags behind what was
// encoded.
func (e *Encoder) Delay() int { return e.lib.Lookahead() }

func checkBitrate(n int) error {
	if n < minBitrate || n > maxBitrate {
		return fmt.Errorf("opus: Bitrate %d bit/s: want %d to %d", n, minBitrate, maxBitrate)
	}
	return nil
}

func checkLoss(n int) error {
	if n < 0 || n > 100 {
		return fmt.Errorf("opus: Loss %d %%: want 0 to 100", n)
	}
	return nil
}
