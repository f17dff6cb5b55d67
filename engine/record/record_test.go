package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

func TestUnmixed(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	r := newRecorder(t, Config{})
	rec := attach(t, r, c.leg, Meta{
		CallID: "call/1", Cloud: "acs", Direction: "incoming",
		CloudIDs: map[string]string{"callConnectionId": "x"},
	})
	rec.SetName("8:acs:a", "Alice")
	require.Equal(t, StateRecording, rec.Result().State)
	for slot := range int64(400) {
		c.speak("8:acs:a", slot)
		if slot >= 100 { // comes later
			c.speak("8:acs:b", slot)
		}
		if slot/50%2 == 1 { // sends no silence
			c.speak("4:+1425", slot)
		}
		if slot%40 == 0 { // let the sum go along with it
			until(t, "written", func() bool { return rec.Stats().Frames >= slot })
		}
	}
	until(t, "the sum goes along", func() bool {
		info, err := os.Stat(filepath.Join(r.cfg.Dir, "call_1", mixedName))
		return err == nil && info.Size() > 6*pcm.SampleRate*sampleBytes
	})
	require.NoError(t, rec.SetCloudID("serverCallId", "y"))
	rec.SetName("8:acs:silent", "Sam")
	c.hangUp()
	res := wait(t, rec)

	require.Equal(t, StateComplete, res.State)
	require.NoError(t, res.Err)
	require.Zero(t, res.Missing())
	require.Equal(t, c.leg.Start(), res.Start)
	got := check(t, res)
	require.Len(t, got, 4)
	for _, id := range []string{"8:acs:a", "8:acs:b", "4:+1425"} {
		requireSame(t, c.track(id), got[id], id)
	}
	require.Equal(t, 400*320, len(got["mixed"]))

	require.Equal(t, "call_1", filepath.Base(res.Folder))
	b := trackOf(t, res, "8:acs:b")
	require.Equal(t, "03-8_acs_b.wav", b.File)
	require.EqualValues(t, 100*320, b.First)
	require.Empty(t, b.Gaps)
	phone := trackOf(t, res, "4:+1425")
	require.EqualValues(t, 50*320, phone.First)
	require.Equal(t, []Gap{
		{100 * 320, 50 * 320, DTX, ""}, {200 * 320, 50 * 320, DTX, ""}, {300 * 320, 50 * 320, DTX, ""},
	}, phone.Gaps)

	m, err := ReadManifest(res.Manifest)
	require.NoError(t, err)
	require.Equal(t, Meta{
		CallID: "call/1", Cloud: "acs", Direction: "incoming", Media: "unmixed",
		CloudIDs: map[string]string{"callConnectionId": "x", "serverCallId": "y"},
	}, m.Call)
	require.Equal(t, []Speaker{{"8:acs:a", "Alice"}, {"4:+1425", ""}, {"8:acs:b", ""}, {"8:acs:silent", "Sam"}}, m.Speakers)
	require.Equal(t, "Alice", trackOf(t, res, "8:acs:a").Name)
	require.WithinDuration(t, time.Now(), m.End, time.Minute)

	files, err := os.ReadDir(res.Folder)
	require.NoError(t, err)
	require.Len(t, files, 5, "nothing is left over")
	st := r.Stats()
	require.EqualValues(t, 1, st.Recordings)
	require.EqualValues(t, 400+300+200, st.Frames)
	until(t, "live", func() bool { return r.Stats().Live == 0 })
}

// heard is an outlet that takes everything.
type heard struct{}

func (heard) SendFrame(*[320]int16) bool { return true }
func (heard) SendFlush() bool            { return true }

// model is what the bot's file must hold, by the source's own tap.
func model(tap *engine.Tap) (s []int16) {
	var f pcm.Frame
	for tap.TryRead(&f) {
		p := int(f.Position())
		if f.Flags.Has(pcm.Cut) {
			s = s[:min(p, len(s))]
			continue
		}
		if n := p + len(f.Samples); n > len(s) {
			s = append(s, make([]int16, n-len(s))...)
		}
		copy(s[p:], f.Samples[:])
	}
	for len(s) > 0 && s[len(s)-1] == 0 {
		s = s[:len(s)-1]
	}
	return s
}

func TestMixedWithBot(t *testing.T) {
	c := newCall(t, engine.Mixed)
	c.connect(heard{})
	truth := c.leg.Source().Tap(1024)
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	arrival := engine.Now()
	say := func(n int) {
		s := make([]int16, n)
		for i := range s {
			s[i] = voice("bot", int64(i))
		}
		_, err := c.leg.Source().Write(t.Context(), s)
		require.NoError(t, err)
	}
	in, err := c.port.Render(nil, arrival)
	require.NoError(t, err)
	var want []int16
	for range 5 {
		s := make([]int16, 320)
		for i := range s {
			s[i] = voice("", int64(len(want)+i))
		}
		in.Append(s, engine.Chunk{Arrival: arrival})
		want = append(want, s...)
		say(6400)
		sent := c.leg.Source().Stats().Frames + int64(len(want)/320)
		until(t, "written", func() bool { return rec.Stats().Frames >= sent })
		c.leg.Source().Flush()
		say(320)
	}
	require.Positive(t, c.leg.Source().Stats().Flushes)
	c.hangUp()
	res := wait(t, rec)
	got := check(t, res)
	require.Len(t, got, 2)
	requireSame(t, want, got["mixed-in"], "mixed-in")
	requireSame(t, model(truth), got["bot"], "bot")
	require.Equal(t, []string{"mixed-in.wav", "bot.wav"}, []string{res.Tracks[0].File, res.Tracks[1].File})
	require.Zero(t, res.Missing())
}

func TestUnmixedWithBot(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	c.connect(heard{})
	truth := c.leg.Source().Tap(1024)
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	for slot := range int64(200) {
		c.speak("a", slot)
	}
	for range 4 {
		_, err := c.leg.Source().Write(t.Context(), c.track("a")[:9000])
		require.NoError(t, err)
		c.leg.Source().Flush()
	}
	_, err := c.leg.Source().Write(t.Context(), c.track("a")[:9000])
	require.NoError(t, err)
	c.hangUp()
	res := wait(t, rec)
	require.Zero(t, res.Missing())
	got := check(t, res)
	requireSame(t, model(truth), got["bot"], "bot")
	requireSame(t, c.track("a"), got["a"], "a")
	require.Len(t, got, 3)
}

func TestConnectionLost(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	for slot := range int64(50) {
		c.speak("a", slot)
	}
	c.connect(nil)
	for slot := int64(80); slot < 100; slot++ {
		c.speak("a", slot)
	}
	c.hangUp()
	res := wait(t, rec)
	got := check(t, res)
	requireSame(t, c.track("a"), got["a"], "a")
	a := trackOf(t, res, "a")
	require.Equal(t, []Gap{{50 * 320, 30 * 320, Lost, Connection}}, a.Gaps)
	require.Equal(t, map[Reason]int64{Connection: 30 * 320}, a.Lost)
	require.EqualValues(t, 30*320, a.Missing)
	require.Equal(t, map[Reason]int64{Connection: 30 * 320}, rec.Stats().Lost)
}

func TestSpeakerIDsAreHarmless(t *testing.T) {
	ids := []string{
		"../../../etc/passwd", "..", ".", "/", "a/b", "a_b", "a\\b", "\x00", "new\nline",
		"\x1b[2J", strings.Repeat("x", 10<<10), strings.Repeat("x", 10<<10) + "y", "bot", "mixed", "manifest.json", "Ünï",
	}
	dir := t.TempDir()
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{Dir: filepath.Join(dir, "rec")}), c.leg, Meta{CallID: "../up"})
	for _, id := range ids {
		c.speak(id, 0)
	}
	c.hangUp()
	res := wait(t, rec)
	got := check(t, res)
	require.Len(t, got, len(ids)+1-1, "the speaker called mixed and the sum have one label")
	require.Len(t, res.Tracks, len(ids)+1)
	for i, id := range ids {
		require.Equal(t, id, res.Tracks[i].Speaker)
		require.Equal(t, KindSpeaker, res.Tracks[i].Kind)
		requireSame(t, c.track(id), samplesOf(t, res.Tracks[i].Path), id)
	}
	require.Equal(t, filepath.Join(dir, "rec"), filepath.Dir(res.Folder))
	top, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, top, 1, "nothing outside the folder")
}

// TestManifestGoesAlong: names, gaps and ids that come while the call goes on
// are in the manifest while it goes on.
func TestManifestGoesAlong(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	r := newRecorder(t, Config{})
	rec := attach(t, r, c.leg, Meta{})
	c.speak("a", 0)
	path := filepath.Join(r.cfg.Dir, "test", manifestName)
	now := func(cond func(m *Manifest) bool) {
		t.Helper()
		until(t, "manifest", func() bool {
			m, err := ReadManifest(path)
			return err == nil && cond(m)
		})
	}
	now(func(m *Manifest) bool {
		return m.State == StateRecording && len(m.Tracks) == 2 && m.Start.Equal(c.leg.Start()) && m.Lock != ""
	})
	rec.SetName("a", "Alice")
	require.NoError(t, rec.SetCloudID("id", "x"))
	now(func(m *Manifest) bool { return m.Tracks[0].Name == "Alice" && m.Call.CloudIDs["id"] == "x" })
	// A gap directly after a manifest, and no frame behind it.
	c.speak("a", 100)
	now(func(m *Manifest) bool {
		a := m.Tracks[0]
		return len(a.Gaps) == 1 && a.Samples == 101*320
	})
	c.speak("b", 101)
	now(func(m *Manifest) bool { return len(m.Tracks) == 3 && m.Tracks[1].First == 101*320 })
	c.hangUp()
	check(t, wait(t, rec))
}

func TestNoFrameNoFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "never")
	c := newCall(t, engine.Unmixed)
	r := newRecorder(t, Config{Dir: dir})
	rec := attach(t, r, c.leg, Meta{})
	c.hangUp()
	res := wait(t, rec)
	require.Equal(t, Result{State: StateComplete}, res)
	require.NoDirExists(t, dir)
}

func TestSameCallTwice(t *testing.T) {
	r := newRecorder(t, Config{})
	var folders []string
	for range 3 {
		c := newCall(t, engine.Mixed)
		rec := attach(t, r, c.leg, Meta{CallID: "same"})
		c.speak("", 0)
		c.hangUp()
		res := wait(t, rec)
		check(t, res)
		folders = append(folders, filepath.Base(res.Folder))
	}
	require.Equal(t, []string{"same", "same-2", "same-3"}, folders)
}

func TestAttachInTheMiddle(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	for slot := range int64(10) {
		c.speak("a", slot)
	}
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	c.sent["a"] = nil
	for slot := int64(10); slot < 20; slot++ {
		c.speak("a", slot)
		c.speak("b", slot)
	}
	c.hangUp()
	res := wait(t, rec)
	got := check(t, res)
	requireSame(t, c.track("a"), got["a"], "a")
	require.Zero(t, res.Missing())
	require.EqualValues(t, 10*320, trackOf(t, res, "a").First)
}

// TestDrain: a leg that is closed still takes what its connection brings.
func TestDrain(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	c.speak("a", 0)
	c.leg.Close()
	for slot := int64(1); slot < 5; slot++ {
		until(t, "written", func() bool { return rec.Stats().Frames == slot })
		c.speak("a", slot)
	}
	c.port.Detach(engine.Now())
	requireSame(t, c.track("a"), check(t, wait(t, rec))["a"], "a")
}

func TestStop(t *testing.T) {
	c := newCall(t, engine.Unmixed)
	rec := attach(t, newRecorder(t, Config{}), c.leg, Meta{})
	for slot := range int64(10) {
		c.speak("a", slot)
	}
	rec.Stop()
	res := wait(t, rec)
	rec.Stop() // again, when it is complete
	want := c.track("a")
	c.speak("a", 10)
	require.Zero(t, res.Missing())
	requireSame(t, want, check(t, res)["a"], "a")
	c.hangUp()
}

func TestCloseCompletesAll(t *testing.T) {
	r := newRecorder(t, Config{Sweep: maxSweep})
	var recs []*Recording
	for range 5 {
		c := newCall(t, engine.Unmixed)
		recs = append(recs, attach(t, r, c.leg, Meta{}))
		for slot := range int64(70) {
			c.speak("a", slot)
		}
	}
	require.NoError(t, r.Close())
	for _, rec := range recs {
		select {
		case <-rec.Done():
		default:
			t.Fatal("Close did not wait")
		}
		require.Equal(t, 70*320, len(check(t, rec.Result())["a"]))
	}
	_, err := r.Attach(newCall(t, engine.Mixed).leg, Meta{})
	require.ErrorIs(t, err, ErrClosed)
	locks, err := filepath.Glob(filepath.Join(r.cfg.Dir, lockPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, locks)
}
