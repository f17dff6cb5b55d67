// Package record writes the audio of calls into files: one WAV file per
// speaker, one of the bot, one of the sum, and a manifest that tells what is
// in them and what is missing. FORMAT.md describes them.
//
// The way of a frame, which no I/O stands in until the last step:
//
//	taps of the leg -> sweepLoop -> bounded buffer -> writeLoop -> files
//
// A leg has two taps, one of all its speakers and one of its source context.
// A sweep loop per core empties them a few times a second into the buffer,
// without waiting for anything; a write loop beside it places the frames and
// writes them. When the disk is slow the buffer fills, then the taps' rings;
// what finds them full is dropped, counted, and a gap in the file at its own
// place: audio never shifts.
//
// It never takes part in a call: whatever fails here, the call goes on. It
// never logs per frame.
package record

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine"
)

// ErrClosed: the recorder is closed.
var ErrClosed = errors.New("record: closed")

// Config of a Recorder. Only Dir must be set.
type Config struct {
	// Dir is the folder below which each call gets a folder of its own. It
	// is made when the first call is recorded. If it cannot be, or cannot be
	// written, calls go on and their loss is reported.
	Dir string
	// Sweep is how often the files are written; 0 means 200 ms. The taps are
	// emptied four times as often. A kill -9 loses at most a sweep and the
	// time of a write.
	Sweep time.Duration
	// Buffer bounds what waits to be written, of all calls, in bytes; 0
	// means 128 MiB, which is 65 minutes of one voice. It is allocated as it
	// is needed.
	Buffer int64
	// TapFrames is the size of the ring of a leg's speakers, 672 bytes for each
	// frame that waits in it; 0 means 64 for a mixed leg and 512 for an unmixed
	// one, which is 64 speakers for 160 ms, or three for 3.4 s. The bot's ring
	// has 128.
	TapFrames int
	// Sync makes ended recordings outlive a loss of power: their files are
	// synced before the manifest says that they are complete. While a call
	// is recorded nothing is synced.
	Sync bool
	// Logger for what happens to recordings; nil is silent.
	Logger *slog.Logger
	// FS is where the files are; nil means the operating system's.
	FS FS
}

const (
	defaultSweep   = 200 * time.Millisecond
	maxSweep       = 500 * time.Millisecond
	defaultBuffer  = 128 << 20
	mixedTap       = 64
	unmixedTap     = 512
	botTap         = 128
	maxTap         = 1 << 16
	frameSize      = 672
	minBlocks      = 16 // per shard
	maxNames       = 1024
	maxCloudIDs    = 64
	maxMetaStrings = 64 << 10
)

// Meta is what a recording's manifest tells of its call.
type Meta struct {
	// CallID names the call and, reduced to [A-Za-z0-9_-], its folder.
	CallID string `json:"id"`
	// Cloud is "acs" or whatever the call came from.
	Cloud string `json:"cloud,omitempty"`
	// CloudIDs are the cloud's ids of the call, by its own names for them.
	CloudIDs map[string]string `json:"cloud_ids,omitempty"`
	// Direction is "incoming" or "outgoing".
	Direction string `json:"direction,omitempty"`
	// Media is "mixed" or "unmixed"; "" means what the leg says.
	Media string `json:"media"`
}

// Recorder writes the recordings of any number of calls.
type Recorder struct {
	// Static after construction.
	cfg    Config
	log    *slog.Logger
	fsys   FS
	shards []*shard
	dirs   folders
	lock   lockFile
	finish chan struct{} // a token per recording that is being completed
	// retryAfter is how long a folder or file that could not be made is left
	// alone, manifestEvery the least time between two manifests of a call.
	retryAfter, manifestEvery time.Duration

	totals counters

	// Guarded by mu.
	mu     sync.Mutex
	next   int // shard of the next recording
	closed bool
	wg     sync.WaitGroup // goroutines
}

// New builds a Recorder. It does no I/O and starts nothing: that begins with
// the first recording.
func New(cfg Config) (*Recorder, error) {
	switch {
	case cfg.Dir == "":
		return nil, errors.New("record: Config.Dir is empty")
	case cfg.Sweep < 0 || cfg.Sweep > maxSweep:
		return nil, fmt.Errorf("record: Config.Sweep = %v, want 0 to %v", cfg.Sweep, maxSweep)
	case cfg.Buffer < 0:
		return nil, fmt.Errorf("record: Config.Buffer = %d bytes, want 0 or more", cfg.Buffer)
	case cfg.TapFrames < 0 || cfg.TapFrames > maxTap:
		return nil, fmt.Errorf("record: Config.TapFrames = %d, want 0 to %d", cfg.TapFrames, maxTap)
	}
	if cfg.Sweep == 0 {
		cfg.Sweep = defaultSweep
	}
	if cfg.Buffer == 0 {
		cfg.Buffer = defaultBuffer
	}
	cores := runtime.GOMAXPROCS(0)
	r := &Recorder{
		cfg: cfg, log: cfg.Logger, fsys: cfg.FS, finish: make(chan struct{}, cores),
		retryAfter: time.Second, manifestEvery: time.Second,
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.fsys == nil {
		r.fsys = osFS{}
		r.lock.dir = cfg.Dir
	}
	r.dirs = folders{fsys: r.fsys, dir: cfg.Dir}
	blocks := cfg.Buffer / (blockFrames * frameSize) / int64(cores)
	for range cores {
		r.shards = append(r.shards, newShard(r, max(int(blocks), minBlocks)))
	}
	return r, nil
}

// Attach records a leg from now on until the leg is closed, the recording is
// stopped or the recorder is closed. Attached before the leg's first frame it
// misses none. It does no I/O: the folder is made when the first frame comes,
// and a leg that never has one leaves nothing behind.
func (r *Recorder) Attach(leg *engine.Leg, meta Meta) (*Recording, error) {
	if err := meta.check(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	s := r.shards[r.next%len(r.shards)]
	r.next++
	rec := newRecording(r, leg, meta)
	r.totals.recordings.Add(1)
	s.attach(rec)
	return rec, nil
}

func (r *Recorder) tapFrames(c engine.Channels) int {
	switch {
	case r.cfg.TapFrames > 0:
		return r.cfg.TapFrames
	case c == engine.Mixed:
		return mixedTap
	}
	return unmixedTap
}

// Close ends all recordings, waits until they are complete and stops.
// Idempotent.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, s := range r.shards {
		s.close()
	}
	r.wg.Wait()
	return r.lock.release()
}

// Stats counts what a Recorder did.
type Stats struct {
	// Recordings attached, Live of these not complete yet, Failed of these
	// complete with a fault in a file.
	Recordings int64 `json:"recordings"`
	Live       int64 `json:"live"`
	Failed     int64 `json:"failed"`
	// Frames placed, of 20 ms.
	Frames int64 `json:"frames"`
	// Lost samples by reason.
	Lost map[Reason]int64 `json:"lost"`
	// Buffered frames wait to be written, of at most BufferFrames.
	Buffered     int64 `json:"buffered"`
	BufferFrames int64 `json:"buffer_frames"`
	// Stalls: sweeps that found the buffer full and left frames in a tap.
	Stalls int64 `json:"stalls"`
}

// Stats returns a snapshot.
func (r *Recorder) Stats() Stats {
	n := &r.totals
	st := Stats{
		Recordings: n.recordings.Load(), Failed: n.failed.Load(),
		Frames: n.frames.Load(), Stalls: n.stalls.Load(), Lost: n.lost(),
	}
	st.Buffered = max(0, n.swept.Load()-st.Frames)
	for _, s := range r.shards {
		st.Live += s.liveRecordings()
		st.BufferFrames += int64(s.maxBlocks) * blockFrames
	}
	return st
}

func (m *Meta) check() error {
	n := len(m.CallID) + len(m.Cloud) + len(m.Direction) + len(m.Media)
	for k, v := range m.CloudIDs {
		n += len(k) + len(v)
	}
	if len(m.CloudIDs) > maxCloudIDs || n > maxMetaStrings {
		return fmt.Errorf("record: Meta of %d cloud ids and %d bytes, want at most %d and %d",
			len(m.CloudIDs), n, maxCloudIDs, maxMetaStrings)
	}
	return nil
}
