package record

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
)

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]Config{
		"record: Config.Dir is empty":                        {},
		"record: Config.Sweep = 1m0s, want 0 to 500ms":       {Dir: "x", Sweep: time.Minute},
		"record: Config.Buffer = -1 bytes, want 0 or more":   {Dir: "x", Buffer: -1},
		"record: Config.TapFrames = 100000, want 0 to 65536": {Dir: "x", TapFrames: 100_000},
	} {
		_, err := New(cfg)
		require.EqualError(t, err, want)
	}
	r := newRecorder(t, Config{})
	_, err := r.Attach(newCall(t, engine.Mixed).leg, Meta{CallID: strings.Repeat("x", maxMetaStrings+1)})
	require.ErrorContains(t, err, "65537 bytes")
}

// TestManyAtOnce lets calls come, speak and go from many goroutines.
func TestManyAtOnce(t *testing.T) {
	r := newRecorder(t, Config{})
	e := engine.New(engine.Config{})
	defer e.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				leg, err := e.NewLeg(engine.LegConfig{ID: "many", Channels: engine.Unmixed})
				require.NoError(t, err)
				rec := attach(t, r, leg, Meta{CallID: "many"})
				c := callOf(t, leg)
				c.connect(nil)
				for slot := range int64(120) {
					c.speak("a", slot)
					c.speak("b", slot)
				}
				rec.SetName("a", "A")
				c.hangUp()
				got := check(t, wait(t, rec))
				requireSame(t, c.track("a"), got["a"], "a")
				requireSame(t, c.track("b"), got["b"], "b")
			}
		})
	}
	wg.Wait()
	until(t, "nothing is left", func() bool { s := r.Stats(); return s.Live == 0 && s.Buffered == 0 })
	require.EqualValues(t, 40, r.Stats().Recordings)
}

func TestMetaIsBounded(t *testing.T) {
	c := newCall(t, engine.Mixed)
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	for i := range 2 * maxNames {
		rec.SetName(strings.Repeat("x", i), "X")
	}
	rec.SetName("huge", strings.Repeat("x", maxMetaStrings))
	_, names := rec.snapshot()
	require.Len(t, names, maxNames)
	require.NotContains(t, names, "huge")
	for i := range maxCloudIDs {
		require.NoError(t, rec.SetCloudID(strings.Repeat("k", i), "v"))
	}
	require.ErrorContains(t, rec.SetCloudID("more", "v"), "65 cloud ids")
	require.Equal(t, `recording "test"`, rec.String())
	c.hangUp()
}
