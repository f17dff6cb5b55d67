package rtpleg

import (
	"fmt"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// among reports whether n is in one of the spans, which hold both ends.
func among(n int, spans [][2]int) bool {
	for _, s := range spans {
		if n >= s[0] && n <= s[1] {
			return true
		}
	}
	return false
}

// What the network drops between the first packet and the last is Lost, and
// nothing else; what stands in its place is flagged.
func TestLossIsCounted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		drops [][2]int // of 800
		lost  int64
	}{
		{"none", nil, 0},
		{"one", [][2]int{{100, 100}}, 1},
		{"single ones", [][2]int{{100, 100}, {102, 102}, {104, 104}, {300, 300}}, 4},
		{"the second", [][2]int{{1, 1}}, 1},
		{"the beginning", [][2]int{{0, 4}}, 0},
		{"the beginning and more", [][2]int{{0, 4}, {6, 7}}, 2},
		{"the end", [][2]int{{790, 799}}, 0},
		{"the last but one", [][2]int{{798, 798}}, 1},
		{"200 ms", [][2]int{{100, 109}}, 10},
		{"500 ms", [][2]int{{100, 124}}, 25},
		{"a second", [][2]int{{100, 149}}, 50},
		{"longer than the ring", [][2]int{{100, 299}}, 200},
		{"longer than the ring but for one", [][2]int{{100, 299}, {301, 500}}, 400},
		{"12 s, which is a rest", [][2]int{{100, 699}}, 600},
	} {
		for _, cfg := range []rtpmedia.JitterConfig{fixed, {}} {
			t.Run(fmt.Sprint(tt.name, " ", cfg), func(t *testing.T) {
				r := newRig(t, Config{Jitter: cfg})
				r.lose = func(n int) bool { return among(n, tt.drops) }
				r.steps(numbered(800))
				r.idle(25)
				s := r.stats()
				require.Equal(t, tt.lost, s.Lost)
				require.Zero(t, s.Late)
				in, lost := new(engine.LegStats), int64(0)
				*in = r.leg.Stats()
				_, lost = in.Frames()
				require.Equal(t, tt.lost, lost)
				concealed := int64(0)
				frames := r.taken()
				for i := range frames {
					f := &frames[i]
					require.False(t, f.Flags.Has(pcm.AfterGap))
					if f.Flags.Has(pcm.Concealed) {
						concealed++
					} else if cfg == fixed && f.Samples[0] != 0 {
						require.Equal(t, f.Samples[0], f.Samples[319], "frame %d is whole", i)
					}
				}
				require.Equal(t, s.Concealed, concealed)
				if tt.lost > 0 {
					require.Positive(t, concealed)
				}
			})
		}
	}
}

// A single loss is concealed in its own frame and in no other.
func TestConcealedFrames(t *testing.T) {
	r := newRig(t, Config{Jitter: fixed})
	r.lose = func(n int) bool { return n == 50 || n == 100 || n == 101 }
	r.steps(speech(200))
	var at []int
	for i, f := range r.taken() {
		if f.Flags.Has(pcm.Concealed) {
			at = append(at, i)
		}
	}
	require.Equal(t, []int{50, 100, 101}, at)
	require.EqualValues(t, 3, r.stats().Concealed)
}

// held keeps packets back and delivers them later.
type held struct {
	r    *rig
	kept [][]byte
}

func (h *held) say(x *samples, keep bool) {
	b, ok := h.r.out.Next(h.r.now, nil, x)
	require.True(h.r.t, ok)
	if keep {
		h.kept = append(h.kept, b)
	} else {
		h.r.deliver(b)
	}
	h.r.turn()
	h.r.now += slotNanos
}

func (h *held) deliver() {
	for _, b := range h.kept {
		h.r.deliver(b)
	}
	h.kept = nil
}

// Late packets are Late and not Lost; a duplicate is neither.
func TestLatePackets(t *testing.T) {
	r := newRig(t, Config{Jitter: fixed})
	h := &held{r: r}
	x := numbered(400)
	for i := range 300 {
		h.say((*samples)(x[i*320:]), i == 100 || i == 101 || i == 200)
		if i == 110 || i == 203 {
			again := append([][]byte(nil), h.kept...)
			h.deliver()
			h.kept = again
			h.deliver()
		}
	}
	s := r.stats()
	require.EqualValues(t, 3, s.Late)
	require.Zero(t, s.Lost)
	require.EqualValues(t, 300, s.Frames+3)
	require.EqualValues(t, 3, r.m.in.Stats().Jitter.Duplicate)
}

// Packets from before the stream began, and copies that come seconds later,
// are not subtracted from what was lost.
func TestLateIsNoLossForgiven(t *testing.T) {
	r := newRig(t, Config{Jitter: fixed})
	h := &held{r: r}
	x := numbered(600)
	for i := range 500 {
		keep := i < 5 || i >= 200 && i < 205
		h.say((*samples)(x[i*320:]), keep)
		switch i {
		case 50: // the first five come when the sixth to 45th were heard
			require.Zero(t, r.stats().Late)
			h.deliver()
			require.EqualValues(t, 0, r.m.in.Stats().Jitter.Missing)
		case 204:
			h.kept = nil // lost
		}
	}
	s := r.stats()
	require.EqualValues(t, 5, s.Lost)
	require.EqualValues(t, 5, s.Late)
}
