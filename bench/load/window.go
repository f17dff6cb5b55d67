package load

import "math/bits"

// windowFrames is how many frames back a window remembers: 82 s.
const windowFrames = 4096

// arrival is what a frame that came back turned out to be.
type arrival int

const (
	fresh     arrival = iota
	reordered         // fresh, but a later one came before it
	duplicate
	stale // older than the window: it counted as lost long ago
)

// A window tells which frames of one stream came back. What it forgets, it
// has looked through for gaps.
type window struct {
	base    uint32 // number of the first frame that seen tells of
	end     uint32 // the highest that came back, plus 1
	seen    [windowFrames / 64]uint64
	back    int64 // frames that came back, each once
	gaps    int64 // runs of frames that did not
	longest int64 // of these, in frames
	run     int64 // frames missing just before base
}

func (w *window) take(seq uint32) arrival {
	if seq < w.base {
		return stale
	}
	for seq >= w.base+windowFrames {
		w.slide(64)
	}
	word, bit := &w.seen[seq/64%uint32(len(w.seen))], uint64(1)<<(seq%64)
	if *word&bit != 0 {
		return duplicate
	}
	*word |= bit
	w.back++
	if seq < w.end {
		return reordered
	}
	w.end = seq + 1
	return fresh
}

// slide forgets the 64 frames at base, of which the first n were sent.
func (w *window) slide(n int) {
	word := &w.seen[w.base/64%uint32(len(w.seen))]
	v := *word
	for left := n; left > 0; {
		missing := min(bits.TrailingZeros64(v), left)
		w.run += int64(missing)
		left -= missing
		if left == 0 {
			break
		}
		w.closeGap()
		v >>= missing
		there := min(bits.TrailingZeros64(^v), left)
		v >>= there
		left -= there
	}
	*word = 0
	w.base += 64
}

func (w *window) closeGap() {
	if w.run > 0 {
		w.gaps++
		w.longest = max(w.longest, w.run)
		w.run = 0
	}
}

// finish looks through all that is left of a stream of n frames.
func (w *window) finish(n uint32) {
	for w.base < n {
		w.slide(int(min(64, n-w.base)))
	}
	w.closeGap()
}
