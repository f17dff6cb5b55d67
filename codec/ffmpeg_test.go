package codec

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/codec/opus"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/stretchr/testify/require"
)

// ffmpeg runs it on its standard input and returns its standard output. The
// project's own checks (CI=true) have it.
func ffmpeg(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is not installed")
		}
		t.Skip("ffmpeg is not installed")
	}
	cmd := exec.Command("ffmpeg", slices.Concat([]string{"-v", "error"}, args)...)
	var out, faults bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &faults
	require.NoError(t, cmd.Run(), "ffmpeg %v: %s", args, &faults)
	require.Empty(t, faults.String(), "ffmpeg %v", args)
	return out.Bytes()
}

func samples(raw []byte) []int16 {
	pcm := make([]int16, len(raw)/2)
	l16.DecodeLE(pcm, raw)
	return pcm
}

// What ffmpeg calls the codecs that are a stream of bytes.
var raws = map[string]struct{ encoder, format, rate string }{
	"PCMU": {"pcm_mulaw", "mulaw", "8000"},
	"PCMA": {"pcm_alaw", "alaw", "8000"},
	"G722": {"g722", "g722", "16000"},
	"L16":  {"pcm_s16be", "s16be", "16000"},
}

// theirs decodes a payload by ffmpeg.
func theirs(t *testing.T, c Codec, payload []byte) []int16 {
	t.Helper()
	raw := raws[c.Name]
	args := []string{"-f", raw.format}
	if c.Name != "G722" {
		args = append(args, "-ar", raw.rate, "-ac", "1")
	}
	return samples(ffmpeg(t, payload, append(args, "-i", "-", "-f", "s16le", "-")...))
}

func ours(t *testing.T, c Codec, payload []byte) []int16 {
	t.Helper()
	pcm := make([]int16, c.Samples(payload))
	require.Equal(t, len(pcm), c.NewDecoder().Decode(pcm, payload))
	return pcm
}

// To the bit: each decoder against ffmpeg's, of what we coded, what ffmpeg
// coded, and what nobody did.
func TestDecodersAreFFmpegs(t *testing.T) {
	for _, c := range All() {
		raw, ok := raws[c.Name]
		if !ok {
			continue // Opus is below
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			pcm := at(t, c, slices.Concat(signal.Speech(signal.June), signal.Chirp(32000, 50, 7000), signal.Noise(16000, 3, -3)))
			_, coded := through(t, c, pcm)
			foreign := ffmpeg(t, l16.AppendLE(nil, pcm), "-f", "s16le", "-ar", raw.rate, "-ac", "1", "-i", "-",
				"-c:a", raw.encoder, "-f", raw.format, "-")

			noise := make([]byte, 1<<16)
			rnd := rand.New(rand.NewPCG(2, 3))
			for i := range noise {
				noise[i] = byte(rnd.Uint32())
			}
			every := make([]byte, 0, 1<<17) // every pair of bytes
			for i := range 1 << 16 {
				every = binary.BigEndian.AppendUint16(every, uint16(i))
			}
			for name, payload := range map[string][]byte{"ours": coded, "ffmpeg's": foreign, "noise": noise, "every": every} {
				require.NotEmpty(t, payload)
				want, got := theirs(t, c, payload), ours(t, c, payload)
				require.Len(t, got, len(want), name)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s: sample %d is %d, ffmpeg's is %d", name, i, got[i], want[i])
					}
				}
			}
			// Encoders round in ways of their own: ffmpeg's A-law to the nearest.
			skip := delays[c.Name]
			mine, other := ours(t, c, coded)[skip:], ours(t, c, foreign)[skip:]
			require.GreaterOrEqual(t, snr(mine, pcm), snr(other, pcm)-0.6)
		})
	}
}

// packets codes pcm as Opus, 20 ms each.
func packets(t *testing.T, cfg opus.EncoderConfig, pcm []int16) (packets [][]byte) {
	t.Helper()
	enc, err := opus.NewEncoder(cfg)
	require.NoError(t, err)
	for ; len(pcm) >= 320; pcm = pcm[320:] {
		buf := make([]byte, opus.MaxPacket)
		packets = append(packets, buf[:enc.Encode(buf, pcm[:320])])
	}
	return packets
}

func decodeOpus(t *testing.T, packets [][]byte) (pcm []int16) {
	t.Helper()
	dec, buf := opus.NewDecoder(), make([]int16, opus.MaxSamples)
	for _, p := range packets {
		n := dec.Decode(buf, p)
		require.Positive(t, n)
		require.Equal(t, opus.Samples(p), n)
		pcm = append(pcm, buf[:n]...)
	}
	return pcm
}

// libopus decodes a file of Opus by ffmpeg: to 48 kHz, which is brought to
// 16 kHz where it is nearest to want. Libopus itself has filters for 16 and
// for 48 kHz that differ by as much as 20 dB below the signal, so this is not
// the test for bits: TestLibopusGolden is.
func libopus(t *testing.T, file []byte, want []int16) (pcm []int16) {
	t.Helper()
	got := samples(ffmpeg(t, file, "-c:a", "libopus", "-i", "-", "-ar", "48000", "-ac", "1", "-f", "s16le", "-"))
	const from, reach = 16000, 100
	near, score := signal.Align(want[from:2*from], down(t, got))
	require.Greater(t, score, 0.9)
	require.InDelta(t, from, near, reach)
	got = slices.Concat(make([]int16, 3*reach), got)
	best, at := math.Inf(-1), 0
	for shift := range 7 {
		shift += 3*(near-from+reach) - 3
		if s := snr(down(t, got[shift:])[:2*from], want); s > best {
			best, at = s, shift
		}
	}
	pcm = down(t, got[at:])
	return pcm[:min(len(pcm), len(want))]
}

// down brings 48 kHz to 16 kHz, less the end, where the filter has no more.
func down(t *testing.T, pcm []int16) []int16 {
	r, err := resample.New(48000, 16000)
	require.NoError(t, err)
	out := make([]int16, r.Size(len(pcm)))
	r.Process(out, pcm)
	return out[r.Delay():]
}

// libopus hears what we send.
func TestLibopusHearsOurs(t *testing.T) {
	for name, cfg := range map[string]opus.EncoderConfig{
		"default":  {},
		"FEC":      {FEC: true, Loss: 20},
		"12 kbps":  {Bitrate: 12000, Complexity: opus.Fastest},
		"96 kbps":  {Bitrate: 96000, Complexity: 10},
		"8 kbps":   {Bitrate: 8000},
		"500 kbps": {Bitrate: 500000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pcm := signal.Speech(signal.Carlo)[:3*signal.SampleRate]
			coded := packets(t, cfg, pcm)
			const delay = 104
			file := oggOpus(coded, delay, 320)
			mine := decodeOpus(t, coded)[delay:]
			compareOpus(t, mine, libopus(t, file, mine), pcm)
		})
	}
}

// We hear whatever libopus sends: any rate, mode, length, channels.
func TestWeHearLibopus(t *testing.T) {
	pcm := signal.Speech(signal.Allison)[:3*signal.SampleRate]
	raw := l16.AppendLE(nil, pcm)
	for name, args := range map[string]string{
		"speech":           "-application voip -b:a 24k",
		"narrowband":       "-application voip -b:a 8k -cutoff 4000",
		"with FEC":         "-application voip -b:a 32k -packet_loss 20 -fec 1",
		"60 ms":            "-application voip -b:a 24k -frame_duration 60",
		"120 ms":           "-application voip -b:a 24k -frame_duration 120",
		"2.5 ms":           "-application lowdelay -b:a 96k -frame_duration 2.5",
		"fullband, stereo": "-ar 48000 -ac 2 -application audio -b:a 96k",
		"hybrid":           "-ar 48000 -application voip -b:a 28k",
		"constant":         "-ar 48000 -application audio -b:a 64k -vbr off",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := ffmpeg(t, raw, slices.Concat([]string{"-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-", "-c:a", "libopus"},
				strings.Fields(args), []string{"-f", "ogg", "-"})...)
			coded, err := oggPackets(file)
			require.NoError(t, err)
			require.Equal(t, "OpusHead", string(coded[0][:8]))
			preskip := int(binary.LittleEndian.Uint16(coded[0][10:])) / 3
			mine := decodeOpus(t, coded[2:])[preskip:]
			require.GreaterOrEqual(t, len(mine), len(pcm)-400)
			mine = mine[:min(len(mine), len(pcm))]
			compareOpus(t, mine, libopus(t, file, mine), pcm)
		})
	}
}

// compareOpus holds what we decoded to what libopus did.
func compareOpus(t *testing.T, mine, theirs, pcm []int16) {
	t.Helper()
	mine = mine[:len(theirs)]
	t.Logf("SNR of ours %.2f dB, of libopus %.2f dB, of one against the other %.1f dB",
		snr(mine, pcm), snr(theirs, pcm), snr(mine, theirs))
	require.Greater(t, snr(mine, theirs), 15.0)
	require.Greater(t, snr(mine, pcm), snr(theirs, pcm)-0.3)
}
