package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		children[os.Args[1]](os.Args[2:])
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// deadline of whatever a test waits for.
const deadline = 20 * time.Second

// sweep is short, so that tests need not wait for it.
const sweep = 2 * time.Millisecond

// call is a leg with its connection, whose clock the test owns.
type call struct {
	t    testing.TB
	leg  *engine.Leg
	port *engine.Port
	base int64                     // arrival of slot 0
	sent map[string]map[int64]bool // slots by speaker
}

func newCall(t testing.TB, channels engine.Channels) *call {
	t.Helper()
	e := engine.New(engine.Config{})
	t.Cleanup(func() { e.Close() })
	leg, err := e.NewLeg(engine.LegConfig{ID: "leg", Channels: channels, MaxSpeakers: 100})
	require.NoError(t, err)
	c := callOf(t, leg)
	c.connect(nil)
	return c
}

func callOf(t testing.TB, leg *engine.Leg) *call {
	return &call{t: t, leg: leg, base: engine.Now(), sent: make(map[string]map[int64]bool)}
}

// connect attaches a connection, in place of the one that stands.
func (c *call) connect(out engine.Outlet) {
	if c.port != nil {
		c.port.Detach(c.base)
	}
	var err error
	c.port, err = c.leg.Attach(out)
	require.NoError(c.t, err)
}

// voice is what a speaker says: every sample tells who and where, and several
// at once clip.
func voice(id string, pos int64) int16 {
	h := uint64(pos)*0x9e3779b97f4a7c15 + 1
	for _, c := range []byte(id) {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h ^= h >> 29
	if v := int16(h >> 17); v != 0 {
		return v
	}
	return 1
}

const epoch = 1_700_000_000_000_000_000

// speak brings a slot of a speaker to the leg.
func (c *call) speak(id string, slot int64) {
	arrival := c.base + slot*int64(pcm.FrameDuration)
	r, err := c.port.Render([]byte(id), arrival)
	require.NoError(c.t, err)
	var s [pcm.FrameSamples]int16
	for i := range s {
		s[i] = voice(id, slot*pcm.FrameSamples+int64(i))
	}
	r.Append(s[:], engine.Chunk{Timestamp: epoch + slot*int64(pcm.FrameDuration), HasTimestamp: true, Arrival: arrival})
	if c.sent[id] == nil {
		c.sent[id] = make(map[int64]bool)
	}
	c.sent[id][slot] = true
}

// track returns what the file of a speaker must hold: its slots and silence.
func (c *call) track(id string) []int16 {
	var s []int16
	for slot := range c.sent[id] {
		if n := int(slot+1) * pcm.FrameSamples; len(s) < n {
			s = append(s, make([]int16, n-len(s))...)
		}
		for i := slot * pcm.FrameSamples; i < (slot+1)*pcm.FrameSamples; i++ {
			s[i] = voice(id, i)
		}
	}
	return s
}

func (c *call) hangUp() {
	c.leg.Close()
	c.port.Detach(engine.Now())
}

func newRecorder(t testing.TB, cfg Config) *Recorder {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Sweep == 0 {
		cfg.Sweep = sweep
	}
	r, err := New(cfg)
	require.NoError(t, err)
	r.retryAfter, r.manifestEvery = 1, time.Millisecond
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func attach(t testing.TB, r *Recorder, leg *engine.Leg, meta Meta) *Recording {
	t.Helper()
	if meta.CallID == "" {
		meta.CallID = "test"
	}
	rec, err := r.Attach(leg, meta)
	require.NoError(t, err)
	return rec
}

func wait(t testing.TB, rec *Recording) Result {
	t.Helper()
	select {
	case <-rec.Done():
	case <-time.After(deadline):
		t.Fatal("the recording does not end")
	}
	return rec.Result()
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, deadline, time.Millisecond, what)
}

// samplesOf reads a WAV file as tools do that believe its header.
func samplesOf(t testing.TB, path string) []int16 {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	r, err := wav.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, pcm.SampleRate, r.SampleRate())
	data = data[wav.HeaderSize-4:] // from the size of the data on
	claimed := binary.LittleEndian.Uint32(data)
	if data = data[4:]; int(claimed) > len(data) {
		t.Fatalf("%s claims %d bytes and has %d", path, claimed, len(data))
	}
	s := make([]int16, claimed/sampleBytes)
	for i := range s {
		s[i] = int16(binary.LittleEndian.Uint16(data[i*sampleBytes:]))
	}
	return s
}

// clampSum is what a mixed file must hold.
func clampSum(tracks ...[]int16) []int16 {
	n := 0
	for _, s := range tracks {
		n = max(n, len(s))
	}
	out := make([]int16, n)
	for i := range out {
		sum := 0
		for _, s := range tracks {
			if i < len(s) {
				sum += int(s[i])
			}
		}
		out[i] = int16(max(math.MinInt16, min(math.MaxInt16, sum)))
	}
	return out
}

// check holds a finished recording against what must be true of any: the
// files are as the manifest says, their hashes are right, gaps are zeros, and
// the sum is the sum. It returns the samples by label.
func check(t testing.TB, res Result) map[string][]int16 {
	t.Helper()
	m, err := ReadManifest(res.Manifest)
	require.NoError(t, err)
	require.Equal(t, res.State, m.State)
	require.Equal(t, res.Tracks, m.Tracks)
	require.True(t, res.Start.Equal(m.Start))
	byLabel := make(map[string][]int16)
	var all [][]int16
	for _, tr := range m.Tracks {
		require.Equal(t, filepath.Join(res.Folder, tr.File), tr.Path)
		data, err := os.ReadFile(tr.Path)
		require.NoError(t, err)
		sum := sha256.Sum256(data)
		require.Equal(t, hex.EncodeToString(sum[:]), tr.SHA256, tr.File)
		s := samplesOf(t, tr.Path)
		require.EqualValues(t, tr.Samples, len(s), tr.File)
		var lost int64
		last := int64(0)
		for _, g := range tr.Gaps {
			require.GreaterOrEqual(t, g.At, last, "%s: gaps in order and apart", tr.File)
			last = g.end()
			requireZeros(t, s, span{g.At, last}, tr.File)
			if g.Kind == Lost {
				lost += g.Samples
			}
		}
		require.LessOrEqual(t, lost, tr.Missing, tr.File)
		requireZeros(t, s, span{0, tr.First}, tr.File)
		byLabel[tr.Label()] = s
		if tr.Kind != KindMixed {
			all = append(all, s)
			continue
		}
		requireSame(t, clampSum(all...), s, "mixed = clamp(sum)")
	}
	return byLabel
}

func requireZeros(t testing.TB, s []int16, in span, what string) {
	t.Helper()
	for i := in.from; i < min(in.to, int64(len(s))); i++ {
		if s[i] != 0 {
			t.Fatalf("%s: sample %d is %d in the gap %v", what, i, s[i], in)
		}
	}
}

// requireSame is require.Equal that names the first difference only.
func requireSame(t testing.TB, want, got []int16, what string) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			t.Fatalf("%s: sample %d is %d, want %d", what, i, got[i], want[i])
		}
	}
	require.Equal(t, len(want), len(got), "%s: length", what)
}

func trackOf(t testing.TB, res Result, label string) Track {
	t.Helper()
	for _, tr := range res.Tracks {
		if tr.Label() == label {
			return tr
		}
	}
	t.Fatalf("no track of %q in %+v", label, res)
	return Track{}
}
