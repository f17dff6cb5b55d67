package opus

import "github.com/thesyncim/gopus"

// libDecoder is what a library has to do for a Decoder.
type libDecoder interface {
	// DecodeInt16 decodes a packet; no packet asks it to conceal len(pcm)
	// samples, a multiple of 2.5 ms.
	DecodeInt16(packet []byte, pcm []int16) (int, error)
	// DecodeWithFEC decodes what a packet carries of the one before. Only
	// this form of it is there; its samples are from -1 to 1.
	DecodeWithFEC(packet []byte, pcm []float32, fec bool) (int, error)
}

// libEncoder is what a library has to do for an Encoder.
type libEncoder interface {
	EncodeInt16(pcm []int16, packet []byte) (int, error)
	SetFrameSize(samples int) error
	SetBitrate(bitsPerSecond int) error
	SetPacketLoss(percent int) error
	Lookahead() int // the delay in samples
}

// newLibDecoder cannot fail: its arguments are constants.
func newLibDecoder() libDecoder {
	cfg := gopus.DefaultDecoderConfig(SampleRate, 1)
	cfg.MaxPacketSamples = MaxSamples // its default takes 50 KiB more
	cfg.MaxPacketBytes = MaxPacket
	d, err := gopus.NewDecoder(cfg)
	must(err)
	return d
}

// newLibEncoder makes an encoder of a configuration that has been checked.
func newLibEncoder(cfg EncoderConfig) libEncoder {
	e, err := gopus.NewEncoder(gopus.EncoderConfig{
		SampleRate: SampleRate, Channels: 1, Application: gopus.ApplicationVoIP,
	})
	must(err)
	must(e.SetBitrate(cfg.Bitrate))
	must(e.SetComplexity(cfg.Complexity))
	must(e.SetPacketLoss(cfg.Loss))
	must(e.SetSignal(gopus.SignalVoice))
	must(e.SetLSBDepth(16))
	e.SetFEC(cfg.FEC)
	e.SetDTX(cfg.DTX)
	return e
}

// hasFEC reports whether packet carries something of the one before.
func hasFEC(packet []byte) bool { return gopus.PacketHasLBRR(packet) }

func must(err error) {
	if err != nil {
		panic("opus: " + err.Error())
	}
}
