package opus

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

// repair is what a receiver does about lost packets.
type repair int

const (
	silence repair = iota
	conceal
	fec
)

// lossy decodes packets of 20 ms of which some are lost, and returns the
// samples and how many packets FEC brought back.
func lossy(t testing.TB, packets [][]byte, lost []bool, how repair) (pcm []int16, recovered int) {
	t.Helper()
	d := NewDecoder()
	pcm = make([]int16, frame*len(packets))
	for i, p := range packets {
		dst := pcm[i*frame : (i+1)*frame]
		switch {
		case !lost[i]:
			require.Equal(t, frame, d.Decode(dst, p))
		case how == fec && i+1 < len(packets) && !lost[i+1] && d.DecodeFEC(dst, packets[i+1]) == frame:
			recovered++
		case how != silence:
			require.Equal(t, frame, d.Conceal(dst))
		}
	}
	require.Zero(t, d.Faults())
	return pcm, recovered
}

// losses loses packets at random, but not the first.
func losses(n int, part float64) []bool {
	rnd := rand.New(rand.NewPCG(5, 5))
	lost := make([]bool, n)
	for i := 1; i < n; i++ {
		lost[i] = rnd.Float64() < part
	}
	return lost
}

func TestLoss(t *testing.T) {
	for _, v := range signal.Voices() {
		t.Run(v.String(), func(t *testing.T) {
			pcm := speech(v)
			packets := encode(t, newEncoder(t, EncoderConfig{FEC: true}), pcm, frame)
			lost := losses(len(packets), 0.2)
			got := func(how repair) (float64, int) {
				out, n := lossy(t, packets, lost, how)
				return snr(out, pcm), n
			}
			zeros, _ := got(silence)
			concealed, _ := got(conceal)
			recovered, n := got(fec)
			require.Greater(t, concealed, zeros)
			require.Greater(t, recovered, concealed+0.5)
			require.Greater(t, n, len(packets)/10)
		})
	}
}

// A sender that was told of no loss spends nothing on it.
func TestFECFollowsLoss(t *testing.T) {
	pcm := speech(signal.June)
	carrying := func(e *Encoder) (n int) {
		for _, p := range encode(t, e, pcm, frame) {
			if hasFEC(p) {
				n++
			}
		}
		return n
	}
	e := newEncoder(t, EncoderConfig{FEC: true})
	require.Greater(t, carrying(e), 75)
	require.NoError(t, e.SetLoss(0))
	require.Less(t, carrying(e), 3)
	require.NoError(t, e.SetLoss(20))
	require.Greater(t, carrying(e), 75)
	require.Zero(t, carrying(newEncoder(t, EncoderConfig{Loss: 20})))
}

func TestDecodeFECThatIsNotThere(t *testing.T) {
	pcm := speech(signal.June)
	plain := encode(t, newEncoder(t, EncoderConfig{}), pcm, frame)
	with := encode(t, newEncoder(t, EncoderConfig{FEC: true}), pcm, frame)
	at := slices.IndexFunc(with, hasFEC)
	require.Positive(t, at)

	d, dst := NewDecoder(), make([]int16, MaxSamples)
	require.Zero(t, d.DecodeFEC(dst, plain[at]))
	require.Zero(t, d.DecodeFEC(dst[:frame-1], with[at]))
	require.Zero(t, d.DecodeFEC(nil, with[at]))
	require.Equal(t, frame, d.DecodeFEC(dst, with[at]))
}

// A voice that breaks off is carried on for a moment and then fades.
func TestConcealFades(t *testing.T) {
	pcm := speech(signal.Carlo)
	loud := 0
	for i := range len(pcm) / frame {
		if level(pcm, i) > level(pcm, loud) {
			loud = i
		}
	}
	d, dst := NewDecoder(), make([]int16, frame)
	for _, p := range encode(t, newEncoder(t, EncoderConfig{}), pcm[:(loud+1)*frame], frame) {
		d.Decode(dst, p)
	}
	before := signal.Level(dst)
	require.Equal(t, frame, d.Conceal(dst))
	require.InDelta(t, before, signal.Level(dst), 10)
	for range 50 {
		d.Conceal(dst)
	}
	require.Less(t, signal.Level(dst), before-30)
}

func level(pcm []int16, i int) float64 { return signal.Level(pcm[i*frame : (i+1)*frame]) }

func TestConcealLengths(t *testing.T) {
	packet := encode(t, newEncoder(t, EncoderConfig{}), speech(signal.June)[:frame], frame)[0]
	for _, begun := range []bool{false, true} {
		for _, n := range []int{0, 1, 39, 40, 79, 100, 320, 333, 960, 961, MaxSamples, 5000, 16000} {
			d, dst := NewDecoder(), make([]int16, n)
			if begun {
				d.Decode(make([]int16, frame), packet)
			}
			require.Equal(t, n/40*40, d.Conceal(dst), "%d samples", n)
			if !begun {
				require.Equal(t, make([]int16, n), dst)
			}
			require.Zero(t, d.Faults())
		}
	}
}

// Speech, then silence: the encoder falls silent, and what the decoder makes
// of that is quiet; then speech again.
func TestDTX(t *testing.T) {
	voice := speech(signal.June)[:100*frame]
	pcm := slices.Concat(voice, make([]int16, 150*frame), voice)
	packets := encode(t, newEncoder(t, EncoderConfig{DTX: true}), pcm, frame)
	count := func(from, to int) (n int) {
		for _, p := range packets[from:to] {
			if p != nil {
				n++
			}
		}
		return n
	}
	require.Equal(t, 100, count(0, 100))
	require.Equal(t, 100, count(250, 350))
	require.Less(t, count(125, 250), 20, "one every 400 ms, and what announces the end of each")

	out := decode(t, NewDecoder(), packets, frame)
	require.Less(t, signal.Level(out[130*frame:250*frame]), -60.0)
	require.Greater(t, signal.Correlate(pcm[260*frame:340*frame], out[260*frame+delay:340*frame+delay]), 0.8)

	for _, bitrate := range []int{6000, 24000, 128000} {
		for i, p := range encode(t, newEncoder(t, EncoderConfig{Bitrate: bitrate}), pcm, frame) {
			require.NotNil(t, p, "packet %d: without DTX everything is sent", i)
		}
	}
}

// To a decoder a packet that need not be sent is the same as none.
func TestDTXPacketsMayBeLost(t *testing.T) {
	pcm := speech(signal.June)[:20*frame]
	packets := encode(t, newEncoder(t, EncoderConfig{}), pcm, frame)
	sent, unsent := NewDecoder(), NewDecoder()
	decode(t, sent, packets, frame)
	decode(t, unsent, packets, frame)
	a, b := make([]int16, frame), make([]int16, frame)
	for range 20 {
		require.Equal(t, frame, sent.Decode(a, packets[0][:1]))
		require.Equal(t, frame, unsent.Conceal(b))
		require.Equal(t, a, b)
	}
}

func FuzzDecode(f *testing.F) {
	pcm := speech(signal.June)
	for _, cfg := range []EncoderConfig{{}, {FEC: true}, {DTX: true}, {Bitrate: 96000, Complexity: 10}} {
		e, err := NewEncoder(cfg)
		require.NoError(f, err)
		for i, p := range encode(f, e, pcm[:30*frame], frame) {
			if i%10 == 9 {
				f.Add(p, uint8(i), uint16(frame))
			}
		}
	}
	f.Add([]byte{0xff, 0x41, 255, 1, 2}, uint8(1), uint16(MaxSamples)) // CELT, stereo, padded
	f.Add([]byte{0x6b, 2, 1, 2, 3}, uint8(3), uint16(MaxSamples))      // hybrid, code 3
	f.Fuzz(func(t *testing.T, data []byte, cut uint8, room uint16) {
		d, dst := NewDecoder(), make([]int16, room)
		// The whole, a beginning of it, and its rest, as three packets.
		k := int(cut) % (len(data) + 1)
		for _, p := range [][]byte{data, data[:k], data[k:], data} {
			n := d.Decode(dst, p)
			require.Contains(t, []int{0, Samples(p)}, n)
			require.LessOrEqual(t, n, len(dst))
			require.LessOrEqual(t, d.DecodeFEC(dst, p), len(dst))
			require.LessOrEqual(t, d.Conceal(dst[:min(len(dst), 2*frame)]), 2*frame)
		}
		require.Zero(t, d.Faults())
	})
}
