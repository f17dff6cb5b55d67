package record

import (
	"path/filepath"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
)

// manifestPerGap lets a long manifest be renewed less often, for it is written
// whole.
const manifestPerGap = 10 * time.Millisecond

// folder is one recording's files. It is owned by the write loop, and in the
// end by the goroutine that completes the recording.
type folder struct {
	rec  *Recording
	fsys FS
	path string // "" until it is made

	voices map[uint32]*fileTrack
	joined map[uint32]bool // speakers who were there before the taps
	bot    *fileTrack
	tracks []*fileTrack // of voices and bot, in the order of their beginning
	mix    *mixdown     // nil unless the leg is unmixed
	files  []*fileTrack // tracks, and the mix's

	touched []*fileTrack // by the blocks at hand
	counted map[Reason]int64

	listed     bool // the manifest has all tracks
	manifestAt time.Time
	fault      error // of the file system, since the last good write
	lastFault  error
	retry      time.Time // nothing is made before
	unmade     error     // why something could not be made; nil: all is there
}

// fileTrack is a track with its file.
type fileTrack struct {
	track
	kind    TrackKind
	rawID   string
	file    string
	wave    *wave        // nil: the file could not be made
	pending []*pcm.Frame // of the blocks at hand, in order
}

func (f *folder) init(rec *Recording) {
	f.rec, f.fsys = rec, rec.r.fsys
	f.voices = make(map[uint32]*fileTrack)
	f.joined = make(map[uint32]bool)
	f.counted = make(map[Reason]int64)
	for _, r := range rec.leg.Renders() {
		f.joined[r.Speaker()] = true
	}
}

// write puts the frames of the blocks into the files. It keeps none of them.
func (f *folder) write(list *block, now time.Time, sc *scratch) {
	f.fault = nil
	f.sort(list)
	f.prepare(now)
	for _, t := range f.touched {
		f.store(t, sc)
	}
	f.touched = f.touched[:0]
	if f.mix != nil {
		f.mix.advance(f, f.end()-holdBack, sc)
	}
	f.refresh(now)
	f.count()
	for b := list; b != nil; b = b.next {
		f.rec.n.frames.Add(int64(b.n))
		f.rec.r.totals.frames.Add(int64(b.n))
	}
	if f.fault != nil {
		f.lastFault = f.fault
	}
	f.rec.diskFault(f.fault)
}

// sort hands the frames to their tracks.
func (f *folder) sort(list *block) {
	for b := list; b != nil; b = b.next {
		for i := range b.frames[:b.n] {
			fr := &b.frames[i]
			t := f.trackOf(fr, b.bot)
			if t == nil {
				continue
			}
			if len(t.pending) == 0 {
				f.touched = append(f.touched, t)
			}
			t.pending = append(t.pending, fr)
		}
	}
}

// trackOf returns the track of a frame, beginning it with its first one; nil
// for a flush before the bot spoke.
func (f *folder) trackOf(fr *pcm.Frame, bot bool) *fileTrack {
	if bot {
		if f.bot == nil && !fr.Flags.Has(pcm.Cut) {
			f.bot = f.begin(&fileTrack{kind: KindBot, file: botName}, fr)
			f.bot.bot, f.bot.joined = true, f.rec.botJoined
		}
		return f.bot
	}
	t := f.voices[fr.Speaker]
	if t == nil {
		t = f.beginVoice(fr.Speaker, fr)
	}
	return t
}

func (f *folder) beginVoice(speaker uint32, fr *pcm.Frame) *fileTrack {
	t := &fileTrack{kind: KindSpeaker}
	if f.rec.leg.Channels() == engine.Mixed && speaker == 0 {
		t.kind, t.file = KindMixedIn, mixedInName
	} else {
		if r := f.rec.leg.Render(speaker); r != nil {
			t.rawID = r.RawID()
		}
		t.file = speakerFile(len(f.voices)+1, t.rawID)
	}
	t.joined = f.joined[speaker]
	f.voices[speaker] = t
	return f.begin(t, fr)
}

// begin adds a track whose first frame is fr, nil if none came.
func (f *folder) begin(t *fileTrack, fr *pcm.Frame) *fileTrack {
	if fr != nil { // the manifest is written before it is placed
		t.first = max(0, fr.Position())
	}
	if f.mix == nil && f.rec.leg.Channels() == engine.Unmixed {
		f.mix = &mixdown{out: fileTrack{kind: KindMixed, file: mixedName}}
	}
	f.tracks = append(f.tracks, t)
	f.files = append(f.files[:0], f.tracks...)
	if f.mix != nil {
		f.files = append(f.files, &f.mix.out)
	}
	f.listed = false
	f.retry = time.Time{}
	return t
}

// end is behind the last sample of the longest track.
func (f *folder) end() (end int64) {
	for _, t := range f.tracks {
		end = max(end, t.end)
	}
	return end
}

// failed notes a fault of the file system.
func (f *folder) failed(err error) { f.fault = err }

// prepare makes what is not there yet: the folder, the manifest that lists
// the files, the files, in this order, so that no file is ever unlisted.
func (f *folder) prepare(now time.Time) {
	if len(f.tracks) == 0 {
		return
	}
	if !now.Before(f.retry) {
		if f.unmade = f.make(now); f.unmade != nil {
			f.retry = now.Add(f.rec.r.retryAfter)
		}
	}
	if f.unmade != nil { // also while it is left alone
		f.failed(f.unmade)
	}
}

func (f *folder) make(now time.Time) error {
	if f.path == "" {
		f.rec.r.lock.take()
		path, err := f.rec.r.dirs.make(f.rec.callID())
		if err != nil {
			return err
		}
		f.path = path
	}
	var first error
	if !f.listed {
		first = f.writeManifest(now)
	}
	for _, t := range f.files {
		if t.wave != nil {
			continue
		}
		w, err := createWave(f.fsys, filepath.Join(f.path, t.file))
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		t.wave = w
	}
	return first
}

// store places the pending frames of a track and writes them, neighbours
// together.
func (f *folder) store(t *fileTrack, sc *scratch) {
	at, run := int64(0), sc.run[:0]
	for _, fr := range t.pending {
		p, erased, ok := t.place(fr)
		if erased.len() > 0 {
			f.put(t, at, run)
			run = run[:0]
			f.erase(t, erased)
		}
		if !ok {
			continue
		}
		if p != at+int64(len(run)) || len(run)+pcm.FrameSamples > cap(run) {
			f.put(t, at, run)
			run = run[:0]
		}
		if len(run) == 0 {
			at = p
		}
		run = append(run, fr.Samples[:]...)
	}
	f.put(t, at, run)
	clear(t.pending)
	t.pending = t.pending[:0]
	if t.wave != nil {
		if err := t.wave.setEnd(t.end); err != nil {
			f.failed(err)
		}
	}
}

// put writes samples at their place. What the file does not take is lost.
func (f *folder) put(t *fileTrack, at int64, samples []int16) {
	if len(samples) == 0 {
		return
	}
	n := 0
	if t.wave != nil {
		var err error
		if n, err = t.wave.write(at, samples); err != nil {
			f.failed(err)
		}
	}
	end := at + int64(len(samples))
	t.gaps.add(at+int64(n), end-at-int64(n), Lost, Disk)
	if f.mix != nil {
		f.mix.redo(span{at, end})
	}
}

// erase takes audio back that was flushed.
func (f *folder) erase(t *fileTrack, s span) {
	if t.wave != nil {
		if err := t.wave.truncate(s.from); err != nil {
			f.failed(err)
		}
	}
	if f.mix != nil {
		f.mix.redo(s)
	}
}

// count brings the counters up to the tracks' gap maps. The sum of the tracks
// has no losses of its own in them.
func (f *folder) count() {
	for _, reason := range []Reason{Connection, Overrun, Disk, Position} {
		var n int64
		for _, t := range f.tracks {
			n += t.gaps.lost[reason]
		}
		if d := n - f.counted[reason]; d != 0 {
			f.counted[reason] = n
			f.rec.n.of(reason).Add(d)
			f.rec.r.totals.of(reason).Add(d)
		}
	}
}

// refresh renews the manifest when it is due.
func (f *folder) refresh(now time.Time) {
	if f.path == "" || !f.listed {
		f.rec.dirty.Store(false) // the first manifest has it
		return
	}
	gaps, changed := 0, f.rec.dirty.Load()
	for _, t := range f.files {
		gaps += len(t.gaps.list)
		changed = changed || t.gaps.changed
	}
	if !changed {
		return
	}
	if now.Sub(f.manifestAt) < f.rec.r.manifestEvery+time.Duration(gaps)*manifestPerGap {
		f.rec.dirty.Store(true) // that it is not forgotten if no frame follows
		return
	}
	if err := f.writeManifest(now); err != nil {
		f.failed(err)
	}
}

// writeManifest writes the manifest of a recording that goes on.
func (f *folder) writeManifest(now time.Time) error {
	f.manifestAt = now // of the attempt: a failing disk is not pressed
	f.rec.dirty.Store(false)
	m := f.manifest(StateRecording)
	if err := m.write(f.fsys, f.path, false); err != nil {
		f.rec.dirty.Store(true)
		return err
	}
	for _, t := range f.files {
		t.gaps.changed = false
	}
	f.listed = true
	return nil
}
