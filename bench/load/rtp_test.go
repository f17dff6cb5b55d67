package load

import (
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec/g711"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/stretchr/testify/require"
)

// serveRTP sends back what pick makes of each packet.
func serveRTP(t *testing.T, pick func(n int, b []byte) [][]byte) string {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf, seen := make([]byte, 2048), map[string]int{}
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range pick(seen[from.String()], append([]byte(nil), buf[:n]...)) {
				_, _ = conn.WriteTo(b, from)
			}
			seen[from.String()]++
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return "rtp://" + conn.LocalAddr().String()
}

func TestRunRTP(t *testing.T) {
	for _, codec := range []string{"", "?codec=PCMA", "?codec=l16"} {
		t.Run(codec, func(t *testing.T) {
			cfg := brief(serveRTP(t, same) + codec)
			cfg.Warmup = time.Second
			rep := steadily(t, cfg)
			require.Equal(t, 3, rep.Calls.Connected)
			f := rep.Frames
			require.InDelta(t, 150, f.Due, 9)
			require.Equal(t, f.Due, f.Sent)
			require.Equal(t, f.Due, f.Back)
			require.Zero(t, f.Lost)
		})
	}
	cfg := brief(serveRTP(t, func(n int, b []byte) [][]byte {
		if n%10 == 4 {
			return nil
		}
		return [][]byte{b}
	}))
	cfg.Warmup, cfg.Grace = time.Second, 2*time.Second
	rep := steadily(t, cfg)
	require.InDelta(t, 0.1, float64(rep.Frames.Lost)/float64(rep.Frames.Due), 0.03)
	require.EqualValues(t, 1, rep.Frames.LongestGap)

	_, err := Run(t.Context(), brief("rtp://127.0.0.1:9?codec=opus"))
	require.ErrorContains(t, err, "PCMU, PCMA or L16")
}

// Tones are found behind G.711 and resampling, wherever the frames of the far
// end lie, with frames lost and the audio late.
func TestTones(t *testing.T) {
	up, err := resample.New(8000, 16000)
	require.NoError(t, err)
	down, err := resample.New(16000, 8000)
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, shift := range []int{0, 13, 40, 77, 80, 100, 159} { // samples
		const frames = 400
		stream := make([]int16, 0, frames*toneFrame)
		for seq := range uint32(frames) {
			s := toneOf(seq)
			code := make([]byte, toneFrame)
			g711.EncodeUlaw(code, s[:])
			g711.DecodeUlaw(s[:], code)
			wide := make([]int16, 2*toneFrame)
			wide = wide[:up.Process(wide, s[:])]
			n := down.Process(s[:], wide)
			stream = append(stream, s[:n]...)
		}
		stream = append(make([]int16, shift), stream...)
		var r toneReader
		delay := time.Duration(rnd.IntN(300)) * time.Millisecond
		heard, behind := 0, -1
		for i := 0; (i+1)*toneFrame <= len(stream); i++ {
			if i > 2*toneTries && i%17 < 3 { // lost on the way
				continue
			}
			var seq uint32
			ok := r.read(stream[i*toneFrame:(i+1)*toneFrame], uint32(i*toneFrame), int64(delay)+int64(i+1)*int64(frameTime), 0, func(n uint32) { seq = n })
			if i < toneTries || i > 2*toneTries && i%17 == 3 { // half of it is of the frame that was lost
				continue
			}
			require.True(t, ok, "shift %d, frame %d", shift, i)
			heard++
			if behind < 0 { // it ended in this packet or, resamplers being late, one before
				behind = i - int(seq)
				require.Contains(t, []int{0, 1, 2}, behind)
			}
			require.Equal(t, behind, i-int(seq), "shift %d, delay %v", shift, delay)
		}
		require.Greater(t, heard, 200)
	}
	var r toneReader
	none := func(seq uint32) { t.Error(seq) }
	require.False(t, r.read(make([]int16, toneFrame), 0, 0, 0, none), "silence is no tone")
	noise := make([]int16, toneFrame)
	for i := range noise {
		noise[i] = int16(rnd.IntN(20000) - 10000)
	}
	require.False(t, r.read(noise, 0, 0, 0, none), "noise is no tone")
}

// A jitter buffer takes out audio and puts some in, a pitch period at a time:
// no frame is lost by that or heard twice, wherever frames come to lie.
func TestTonesMoved(t *testing.T) {
	for _, step := range []int{-100, -60, -33, -7, 7, 33, 60} { // samples
		const frames = 600
		var stream []int16
		for seq := range uint32(frames) {
			s := toneOf(seq)
			if seq < 2*toneTries || seq%20 != 0 {
				stream = append(stream, s[:]...)
				continue
			}
			at := len(stream)
			if stream = append(stream, s[:min(toneFrame, toneFrame+step)]...); step > 0 {
				stream = append(stream, s[toneFrame-step:]...)
			}
			require.Equal(t, toneFrame+step, len(stream)-at)
		}
		var r toneReader
		heard := map[uint32]int{}
		packets := len(stream) / toneFrame
		for i := range packets {
			now := int64(10+i*frames/packets) * int64(frameTime) // 200 ms after they were due
			r.read(stream[i*toneFrame:][:toneFrame], uint32(i*toneFrame), now, 0, func(seq uint32) { heard[seq]++ })
		}
		short := step < -toneFrame/3 // so much is gone of a frame that its tone is not the purest
		for seq := uint32(2 * toneTries); seq < frames-8; seq++ {
			if !short || seq%20 != 0 {
				require.Equal(t, 1, heard[seq], "step %d, frame %d", step, seq)
			}
		}
	}
}
