package record

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
)

// Recording is one leg's. Its methods are safe for concurrent use.
type Recording struct {
	// Static after construction.
	r     *Recorder
	shard *shard
	leg   *engine.Leg
	done  chan struct{}
	// botJoined: the bot had spoken before the tap was there.
	botJoined bool

	// The taps are read by sweepLoop, then by the goroutine that completes
	// the recording, which forgets them with mu held.
	in, bot frameTap

	// Owned by sweepLoop.
	got  swept
	turn int // of drains sweeps, the one that hands got over

	// Owned by writeLoop, then by the goroutine that completes it.
	folder folder

	// Guarded by shard.mu.
	queue   blockList  // to be written
	ready   bool       // in shard.ready
	ended   bool       // the taps are drained, queue holds the rest
	readyTo *Recording // next in shard.ready

	// Atomic.
	n     counters
	dirty atomic.Bool // the manifest should tell of new names

	// Guarded by mu.
	mu     sync.Mutex
	meta   Meta
	names  map[string]string
	atStop map[uint32]int64 // frames of each speaker, nil unless stopped
	diskEr error
	result *Result
}

// frameTap is what the recorder needs of an *engine.Tap.
type frameTap interface {
	PeekN(max int) []pcm.Frame
	ReleaseN(n int)
	Dropped() uint64
	Closed() bool
	Close()
}

// Result is what became of a recording.
type Result struct {
	// Folder and Manifest are paths; "" when nothing was recorded, because
	// no frame came or the folder could not be made.
	Folder   string
	Manifest string
	State    State
	// Start is the UTC of sample 0; zero when no frame came.
	Start time.Time
	// Tracks are the files, in the order of their beginning, the sum last.
	Tracks []Track
	// Err is the last fault of the file system, nil if there was none.
	Err error
}

// Missing returns the lost samples of all tracks.
func (r Result) Missing() (n int64) {
	for i := range r.Tracks {
		n += r.Tracks[i].Missing
	}
	return n
}

func newRecording(r *Recorder, leg *engine.Leg, meta Meta) *Recording {
	rec := &Recording{
		r: r, leg: leg, done: make(chan struct{}),
		meta: meta, names: make(map[string]string),
	}
	rec.meta.CloudIDs = maps.Clone(meta.CloudIDs)
	if rec.meta.CallID == "" {
		rec.meta.CallID = leg.ID()
	}
	if rec.meta.Media == "" {
		rec.meta.Media = leg.Channels().String()
	}
	rec.in = leg.LazyTap(r.tapFrames(leg.Channels()))
	rec.bot = leg.Source().LazyTap(botTap)
	rec.botJoined = leg.Source().Stats().Frames > 0
	rec.folder.init(rec)
	return rec
}

// Stop ends the recording while the leg goes on. What the taps hold is still
// written. It does not wait.
func (rec *Recording) Stop() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.atStop != nil || rec.result != nil {
		return
	}
	rec.atStop = framesOf(rec.leg)
	rec.in.Close()
	rec.bot.Close()
}

// frames returns how many frames each speaker had while it was recorded.
func (rec *Recording) frames() map[uint32]int64 {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.atStop != nil {
		return rec.atStop
	}
	return framesOf(rec.leg)
}

func framesOf(leg *engine.Leg) map[uint32]int64 {
	frames := make(map[uint32]int64)
	for _, r := range leg.Renders() {
		frames[r.Speaker()] = r.Stats().Frames
	}
	return frames
}

// Done is closed when the recording is complete.
func (rec *Recording) Done() <-chan struct{} { return rec.done }

// Wait waits until the recording is complete and returns what became of it.
func (rec *Recording) Wait() Result {
	<-rec.done
	return rec.Result()
}

// Result returns what became of the recording. Until Done is closed it only
// holds State, Start and Err.
func (rec *Recording) Result() Result {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.result != nil {
		return *rec.result
	}
	return Result{State: StateRecording, Start: rec.leg.Start(), Err: rec.diskEr}
}

// SetName tells a speaker's name, before or after it spoke. The manifest has
// it within a second. Names of more than 1,024 speakers are not kept.
func (rec *Recording) SetName(speakerRawID, name string) {
	if len(speakerRawID)+len(name) > maxMetaStrings {
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	old, known := rec.names[speakerRawID]
	if known && old == name || !known && len(rec.names) >= maxNames {
		return
	}
	rec.names[speakerRawID] = name
	rec.dirty.Store(true)
}

// SetCloudID adds an id of the call that became known after Attach, or
// changes one. It fails where Attach would have.
func (rec *Recording) SetCloudID(name, id string) error {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if old, known := rec.meta.CloudIDs[name]; known && old == id {
		return nil
	}
	meta := rec.meta
	meta.CloudIDs = maps.Clone(meta.CloudIDs)
	if meta.CloudIDs == nil {
		meta.CloudIDs = make(map[string]string)
	}
	meta.CloudIDs[name] = id
	if err := meta.check(); err != nil {
		return err
	}
	rec.meta = meta
	rec.dirty.Store(true)
	return nil
}

// RecordingStats counts a recording.
type RecordingStats struct {
	// Frames placed, of 20 ms; Lost samples by reason, so far.
	Frames int64            `json:"frames"`
	Lost   map[Reason]int64 `json:"lost"`
	// Stalls: sweeps that found the recorder's buffer full.
	Stalls int64 `json:"stalls"`
	// Err is the last fault of the file system while it lasts, "" otherwise.
	Err string `json:"error,omitempty"`
}

// Stats returns a snapshot.
func (rec *Recording) Stats() RecordingStats {
	st := RecordingStats{Frames: rec.n.frames.Load(), Stalls: rec.n.stalls.Load(), Lost: rec.n.lost()}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.diskEr != nil {
		st.Err = rec.diskEr.Error()
	}
	return st
}

func (rec *Recording) callID() string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.meta.CallID
}

// snapshot returns copies of what the manifest says of the call.
func (rec *Recording) snapshot() (Meta, map[string]string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	meta := rec.meta
	meta.CloudIDs = maps.Clone(meta.CloudIDs)
	return meta, maps.Clone(rec.names)
}

func (rec *Recording) String() string {
	return fmt.Sprintf("recording %q", rec.callID())
}

// diskFault keeps the state of the file system, nil for good, and logs it
// when it changes.
func (rec *Recording) diskFault(err error) {
	rec.mu.Lock()
	before := rec.diskEr
	rec.diskEr = err
	id := rec.meta.CallID
	rec.mu.Unlock()
	switch {
	case err != nil && before == nil:
		rec.r.log.Warn("recording loses audio", "call", id, "error", err)
	case err == nil && before != nil:
		rec.r.log.Info("recording goes on", "call", id)
	}
}

// complete publishes the result; the recording is over.
func (rec *Recording) complete(res Result) {
	rec.mu.Lock()
	rec.result = &res
	rec.in, rec.bot, rec.folder = nil, nil, folder{} // whoever keeps rec keeps no ring
	rec.mu.Unlock()
	if res.State == StateFailed {
		rec.r.totals.failed.Add(1)
	}
	level := slog.LevelInfo
	if res.State != StateComplete || res.Missing() > 0 || res.Err != nil {
		level = slog.LevelWarn
	}
	rec.r.log.Log(context.Background(), level, "recording complete", "call", rec.meta.CallID, "manifest", filepath.ToSlash(res.Manifest),
		"state", res.State, "tracks", len(res.Tracks), "missing_samples", res.Missing(), "error", res.Err)
	close(rec.done)
}

// counters are kept by the write loop, all but swept and stalls, which are the
// sweep loop's.
type counters struct {
	recordings, failed, frames             atomic.Int64
	swept, stalls                          atomic.Int64
	connection, overrun, disk, unplaceable atomic.Int64
}

func (n *counters) of(reason Reason) *atomic.Int64 {
	switch reason {
	case Connection:
		return &n.connection
	case Overrun:
		return &n.overrun
	case Disk:
		return &n.disk
	}
	return &n.unplaceable
}

func (n *counters) lost() map[Reason]int64 {
	lost := make(map[Reason]int64)
	for _, reason := range []Reason{Connection, Overrun, Disk, Position} {
		if k := n.of(reason).Load(); k > 0 {
			lost[reason] = k
		}
	}
	return lost
}
