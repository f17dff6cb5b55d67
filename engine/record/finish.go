package record

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/mixminus/mixminus/engine/pcm"
)

// finish completes a recording whose frames are all written.
func (f *folder) finish(now time.Time) Result {
	f.fault = nil
	f.tails()
	if len(f.tracks) == 0 {
		return Result{State: StateComplete, Start: f.rec.leg.Start()}
	}
	f.retry = time.Time{}
	f.prepare(now)
	sc := newScratch()
	for _, t := range f.tracks {
		if t.wave != nil {
			f.check(t.wave.setEnd(t.end))
		}
	}
	if f.mix != nil {
		f.finishMix(sc)
	}
	f.count()
	m := f.manifest(StateComplete)
	m.End = now.UTC().Round(0)
	for i, t := range f.files {
		if err := t.seal(&m.Tracks[i], f.rec.r.cfg.Sync); err != nil {
			m.Tracks[i].Error = err.Error()
			m.State = StateFailed
		}
	}
	res := Result{Folder: f.path, State: m.State, Start: m.Start, Tracks: m.Tracks}
	if f.path == "" {
		res.State = StateFailed
	} else if err := m.write(f.fsys, f.path, f.rec.r.cfg.Sync); err != nil {
		f.check(err)
		res.State = StateFailed
	} else {
		res.Manifest = filepath.Join(f.path, manifestName)
	}
	if res.Err = f.fault; res.Err == nil {
		res.Err = f.lastFault
	}
	return res
}

func (f *folder) check(err error) {
	if err != nil {
		f.failed(err)
	}
}

// tails accounts for frames that our rings dropped behind the last ones that
// came, which no Seq told of.
func (f *folder) tails() {
	dropped := f.rec.in.Dropped()
	for _, t := range f.voices {
		dropped -= t.skipped
	}
	if dropped > 0 {
		for speaker, frames := range f.rec.frames() {
			f.tail(speaker, uint32(frames))
		}
	}
	if t := f.bot; t != nil {
		t.dropped(max(0, int64(f.rec.bot.Dropped()-t.skipped)))
	}
}

// tail accounts for a speaker who had that many frames in all.
func (f *folder) tail(speaker, frames uint32) {
	t := f.voices[speaker]
	if t == nil {
		if frames == 0 || f.joined[speaker] {
			return
		}
		t = f.beginVoice(speaker, nil)
	}
	t.tail(frames)
}

// finishMix sums all that is left.
func (f *folder) finishMix(sc *scratch) {
	m := f.mix
	end := f.end()
	m.out.end = end
	if m.out.wave == nil {
		m.out.gaps.lose(end, Disk)
		return
	}
	m.todo = slices.DeleteFunc(m.todo, func(s span) bool { return s.from >= end })
	if end > m.to {
		m.todo = append(m.todo, span{m.to, end})
	}
	m.to = end
	f.check(m.settle(f.tracks, sc))
	for _, s := range m.todo { // cannot be read or written, even now
		m.out.gaps.add(s.from, min(s.to, end)-s.from, Lost, Disk)
	}
	f.check(m.out.wave.setEnd(end))
}

// seal closes the track's file and says what is in it.
func (t *fileTrack) seal(info *Track, sync bool) error {
	if t.wave == nil {
		info.Samples = 0
		return errors.New("record: file could not be made")
	}
	info.Samples = t.wave.samples
	var err error
	if t.wave.claimed != t.end || t.wave.samples != t.end {
		err = fmt.Errorf("record: file of %d samples whose header claims %d, want %d",
			t.wave.samples, t.wave.claimed, t.end)
	}
	if sync && err == nil {
		err = t.wave.file.Sync()
	}
	if err == nil {
		info.SHA256, err = t.wave.sum()
	}
	if cerr := t.wave.close(); err == nil {
		err = cerr
	}
	t.wave = nil
	return err
}

// manifest describes the recording as it is now.
func (f *folder) manifest(state State) *Manifest {
	meta, names := f.rec.snapshot()
	m := &Manifest{
		Version: ManifestVersion, State: state, Call: meta,
		Start: f.rec.leg.Start(), SampleRate: pcm.SampleRate,
		Speakers: speakersOf(f.tracks, names),
		Lock:     f.rec.r.lock.name(),
	}
	for _, t := range f.files {
		info := Track{
			File: t.file, Kind: t.kind, Speaker: t.rawID,
			First: t.first, Samples: t.end,
			Gaps: slices.Clone(t.gaps.list), GapsOmitted: t.gaps.omitted,
			Missing: t.gaps.missing(), Lost: t.gaps.lost,
		}
		if t.kind == KindSpeaker {
			info.Name = names[t.rawID]
		}
		if info.Gaps == nil {
			info.Gaps = []Gap{}
		}
		m.Tracks = append(m.Tracks, info)
	}
	m.setPaths(f.path)
	return m
}

// speakersOf lists those who spoke in the order in which they began, then
// those whose names are known beside.
func speakersOf(tracks []*fileTrack, names map[string]string) []Speaker {
	list := []Speaker{}
	seen := make(map[string]bool)
	for _, t := range tracks {
		if t.kind == KindSpeaker && !seen[t.rawID] {
			seen[t.rawID] = true
			list = append(list, Speaker{ID: t.rawID, Name: names[t.rawID]})
		}
	}
	silent := []Speaker{}
	for id, name := range names {
		if !seen[id] {
			silent = append(silent, Speaker{ID: id, Name: name})
		}
	}
	slices.SortFunc(silent, func(a, b Speaker) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return append(list, silent...)
}
