package rtpmedia

import (
	"testing"

	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

// What was lost is known packet by packet, whatever else comes late, twice or
// anew. Each line is the sequence numbers that come, one each 20 ms, 0 for none.
func TestMissed(t *testing.T) {
	run := func(n ...int) (all []int) {
		for i := n[0]; i <= n[1]; i++ {
			all = append(all, i)
		}
		return all
	}
	join := func(parts ...[]int) (all []int) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	silence := make([]int, 200)
	for name, tt := range map[string]struct {
		seqs       []int
		lost, late int64
	}{
		"all":                    {run(1000, 1099), 0, 0},
		"one":                    {join(run(1000, 1049), []int{0}, run(1051, 1099)), 1, 0},
		"late":                   {join(run(1000, 1049), []int{0}, run(1051, 1070), []int{1050}, run(1071, 1099)), 0, 1},
		"late, twice":            {join(run(1000, 1049), []int{0}, run(1051, 1070), []int{1050, 1050}, run(1071, 1099)), 0, 1},
		"before the first":       {join(run(1003, 1020), run(1000, 1002), run(1021, 1050), run(1053, 1099)), 2, 3},
		"a copy of long ago":     {join(run(1000, 1199), []int{1003}, run(1200, 1250), run(1253, 1300)), 2, 0},
		"a copy":                 {join(run(1000, 1199), []int{1150}, run(1200, 1250), run(1253, 1300)), 2, 0},
		"a gap behind the first": {join([]int{1000}, run(1500, 1599)), 499, 0},
		"a new source":           {join(run(1000, 1050), run(1053, 1099), run(20000, 20049), run(20052, 20099)), 4, 0},
		"lost before it":         {join(run(1000, 1098), []int{1101}, run(20000, 20099)), 2, 0},
		"over silence":           {join(run(1000, 1099), silence, run(1110, 1199)), 10, 0},
		"late over silence":      {join(run(1000, 1099), silence, run(1110, 1149), run(1105, 1109), run(1150, 1199)), 5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := NewInbound(InboundConfig{Codec: quick, PayloadType: 96})
			require.NoError(t, err)
			now := int64(1e9)
			var f [pcm.FrameSamples]int16
			for _, seq := range append(tt.seqs, silence...) {
				if seq > 0 {
					in.Push(now, &Packet{PayloadType: 96, Seq: uint16(seq), Timestamp: uint32(seq) * 320, SSRC: 1, Payload: make([]byte, 160)})
				}
				in.Pull(now, &f)
				now += frameNanos
			}
			lost, late := in.Missed()
			require.Equal(t, []int64{tt.lost, tt.late}, []int64{lost, late}, "%+v", in.Stats().Jitter)
		})
	}
}

// Who was not asked for seconds what was to be heard makes no silence up for
// them: what follows comes at once.
func TestNoSilenceForSkippedPulls(t *testing.T) {
	in, err := NewInbound(InboundConfig{Codec: l16(t), PayloadType: 96})
	require.NoError(t, err)
	x, now := numbered(1000), int64(1e9)
	var f [pcm.FrameSamples]int16
	step := func(i int, say, pull bool) Frame {
		if say {
			payload := make([]byte, 640)
			require.Equal(t, 640, l16(t).NewEncoder().Encode(payload, x[i*320:i*320+320]))
			in.Push(now, &Packet{PayloadType: 96, Seq: uint16(i), Timestamp: uint32(now / 62500), SSRC: 1, Payload: payload})
		}
		now += frameNanos
		if !pull {
			return Frame{}
		}
		return in.Pull(now-frameNanos, &f)
	}
	for i := range 100 {
		step(i, true, true)
	}
	for range 50 {
		step(0, false, true)
	}
	for range 250 {
		step(0, false, false)
	}
	for i := range 100 {
		require.Equal(t, i > 0, step(100+i, true, true).Voice, "20 ms later, and from then on")
	}
	require.LessOrEqual(t, in.Delay(), 25*ms)
	s := in.Stats()
	made := (s.Frames*pcm.FrameSamples + int64(in.have())) * 62500
	j := s.Jitter
	require.Equal(t, made, j.Played*frameNanos+j.Concealed+j.Unsent+j.Stretched+j.Waited+j.Owed+(s.Grown-s.Shrunk)*62500, "%+v", s)
}
