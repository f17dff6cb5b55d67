package record

import "github.com/mixminus/mixminus/engine/pcm"

// maxJump bounds how far behind the end of a track a frame may lie before
// its position is not believed, in samples: a day. The engine bounds what a
// cloud may say; this bounds the file whatever the engine says.
const maxJump = 24 * 3600 * pcm.SampleRate

// span is a range of samples of a file, from included, to not.
type span struct{ from, to int64 }

func (s span) len() int64 { return max(0, s.to-s.from) }

// track places the frames of one speaker, or of the bot, on the call's clock
// and accounts for what lies between them. It does no I/O and reads no clock.
type track struct {
	// bot: the frames are a source context's, in which audio is taken back.
	bot bool
	// joined: frames went by before the tap was there, so the first frame's
	// Seq tells nothing.
	joined bool

	seen    bool   // seq is valid
	seq     uint32 // of the next frame
	audio   bool   // first is valid
	first   int64  // first sample of audio
	end     int64  // behind the last sample
	skipped uint64 // frames that Seq told are missing
	gaps    gapMap
}

// place takes the next frame in the order of the tap and returns where its
// samples go; ok is false when they go nowhere. erased is what the file must
// take back before: a flush reaches audio that was placed already.
func (t *track) place(f *pcm.Frame) (at int64, erased span, ok bool) {
	skipped := t.skip(f.Seq)
	at = f.Position()
	switch {
	case f.Flags.Has(pcm.Cut):
		t.dropped(skipped)
		return at, t.cut(at), false
	case f.Timestamp < 0 || at-t.end > maxJump:
		t.gaps.lose(skipped*pcm.FrameSamples, Overrun)
		t.gaps.lose(pcm.FrameSamples, Position)
		return at, span{}, false
	case t.bot && at < t.end:
		// The playout model never goes back but after a flush: its Cut was
		// dropped at a full ring.
		erased = t.cut(at)
	}
	t.account(at, skipped, f)
	if !t.audio {
		t.audio, t.first = true, at
	}
	t.end = max(t.end, at+pcm.FrameSamples)
	return at, erased, true
}

// skip returns how many frames were dropped before the one with this Seq.
func (t *track) skip(seq uint32) int64 {
	n := seq - t.seq
	if !t.seen && t.joined || n > 1<<31 {
		n = 0
	}
	t.seen, t.seq = true, seq+1
	t.skipped += uint64(n)
	return int64(n)
}

// account explains the samples between the end of the track and at: first
// the frames that our own ring dropped, then what the sender did not send,
// then what was lost with a connection, which Frame.Lost says lies directly
// before the frame.
func (t *track) account(at, skipped int64, f *pcm.Frame) {
	room := max(0, at-t.end)
	var conn int64
	if f.Flags.Has(pcm.AfterGap) {
		conn = min(int64(f.Lost)*pcm.FrameSamples, room)
	}
	drop := min(skipped*pcm.FrameSamples, room-conn)
	t.gaps.add(t.end, drop, Lost, Overrun)
	t.gaps.lose(skipped*pcm.FrameSamples-drop, Overrun)
	if t.audio { // what lies before the first audio is no gap
		t.gaps.add(t.end+drop, room-conn-drop, DTX, "")
	}
	t.gaps.add(at-conn, conn, Lost, Connection)
}

// dropped appends n lost frames to the track.
func (t *track) dropped(n int64) {
	t.gaps.add(t.end, n*pcm.FrameSamples, Lost, Overrun)
	t.end += n * pcm.FrameSamples
}

// tail accounts for the frames that were dropped after the last one that
// came; next is the Seq of the frame that would follow them.
func (t *track) tail(next uint32) {
	if n := t.skip(next); n > 0 {
		t.dropped(n)
	}
}

// cut takes back what lies at or behind a position and returns that span.
func (t *track) cut(at int64) span {
	old := t.end
	if at = max(at, 0); at >= old {
		return span{}
	}
	t.end = t.gaps.clip(at)
	if t.audio && t.end <= t.first {
		t.audio = false
		t.end = 0
		if n := len(t.gaps.list); n > 0 {
			t.end = t.gaps.list[n-1].end()
		}
	}
	return span{t.end, old}
}
