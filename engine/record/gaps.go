package record

import "sort"

// Kind says what the zeros of a gap stand for.
type Kind string

// DTX: the sender sent nothing, by choice; nothing is lost. Lost: audio was
// due, or came, and is not in the file.
const (
	DTX  Kind = "dtx"
	Lost Kind = "lost"
)

// Reason says why audio is lost.
type Reason string

const (
	// Connection: due while no connection stood.
	Connection Reason = "connection"
	// Overrun: dropped by us, because a ring or the recorder's buffer was full.
	Overrun Reason = "overrun"
	// Disk: the file system did not take it.
	Disk Reason = "disk"
	// Position: the frame's place on the clock was not believable, so the
	// file has no gap for it.
	Position Reason = "position"
	// Unconfirmed is the reason of a DTX gap that Recover read off the file:
	// the process was killed before it noted what the zeros were. They may
	// be silence that was received.
	Unconfirmed Reason = "unconfirmed"
)

// Gap is a span of zeros in a file that is not audio from the call.
type Gap struct {
	// At is the first sample, Samples the length.
	At      int64  `json:"at"`
	Samples int64  `json:"samples"`
	Kind    Kind   `json:"kind"`
	Reason  Reason `json:"reason,omitempty"`
}

func (g Gap) end() int64 { return g.At + g.Samples }

// maxGaps bounds the entries of each kind in a file's gap map.
const maxGaps = 2048

// gapMap is a file's gaps in order of position. Entries beyond maxGaps of a
// kind are counted and not kept; lost always holds the whole loss.
type gapMap struct {
	list    []Gap
	count   map[Kind]int
	omitted int64
	lost    map[Reason]int64 // samples
	changed bool             // since the last manifest
}

// add notes a gap of n samples at a position. Gaps come nearly in order:
// only the disk's are told late.
func (m *gapMap) add(at, n int64, kind Kind, reason Reason) {
	if n <= 0 {
		return
	}
	m.changed = true
	if kind == Lost {
		m.lose(n, reason)
	}
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].At > at })
	if i > 0 {
		if p := &m.list[i-1]; p.end() == at && p.Kind == kind && p.Reason == reason {
			p.Samples += n
			return
		}
	}
	if m.count == nil {
		m.count = make(map[Kind]int)
	}
	if m.count[kind] >= maxGaps {
		m.omitted++
		return
	}
	m.count[kind]++
	m.list = append(m.list, Gap{})
	copy(m.list[i+1:], m.list[i:])
	m.list[i] = Gap{At: at, Samples: n, Kind: kind, Reason: reason}
}

// lose counts lost samples that have no place in the file.
func (m *gapMap) lose(n int64, reason Reason) {
	if n <= 0 {
		return
	}
	if m.lost == nil {
		m.lost = make(map[Reason]int64)
	}
	m.lost[reason] += n
	m.changed = true
}

// clip forgets all gaps at or behind a position: that part of the file is
// taken back. It returns where the file ends then: at, or where a DTX gap
// begins that reaches up to it, for a file does not end with one.
func (m *gapMap) clip(at int64) int64 {
	for len(m.list) > 0 {
		g := &m.list[len(m.list)-1]
		if g.end() < at || g.end() == at && g.Kind == Lost {
			break
		}
		m.changed = true
		if g.Kind == Lost {
			cut := g.end() - max(at, g.At)
			m.lost[g.Reason] -= cut
			if m.lost[g.Reason] <= 0 {
				delete(m.lost, g.Reason)
			}
			if g.At < at {
				g.Samples -= cut
				break
			}
		} else if g.At < at {
			at = g.At
		}
		m.count[g.Kind]--
		m.list = m.list[:len(m.list)-1]
	}
	return at
}

// missing returns the lost samples, whatever the reason.
func (m *gapMap) missing() (n int64) {
	for _, k := range m.lost {
		n += k
	}
	return n
}
