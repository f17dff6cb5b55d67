package phone

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/codec"
)

// Log is the truth about a call: what the phone said, which packets of it left
// the phone, and what came. Times are from slot 0 on, and negative for what came
// before it. The samples are not in its JSON: Said and Heard tell them.
type Log struct {
	Codec       string         `json:"codec"` // as rtpmap has it: "PCMU/8000"
	PayloadType uint8          `json:"payload_type"`
	EventType   uint8          `json:"event_type"`
	SSRC        uint32         `json:"ssrc"`
	Local       netip.AddrPort `json:"local"`
	LocalRTCP   netip.AddrPort `json:"local_rtcp"`
	Target      netip.AddrPort `json:"target"`
	TargetRTCP  netip.AddrPort `json:"target_rtcp"`
	Start       time.Time      `json:"start"` // of slot 0, UTC
	Slots       int            `json:"slots"` // that have passed
	// Late is by how much the phone itself was late with a slot, at most: how
	// much of the jitter of either side is the machine's.
	Late time.Duration `json:"late_ns"`
	// LateSlots are those with which it was late by more than a slot: their
	// packets may have been missing when they were to be heard.
	LateSlots int `json:"late_slots"`

	Keys []Key `json:"keys,omitempty"` // that were pressed
	// Sent are the packets of the script, in order, also those kept back. Their
	// indices are the numbers of Config.Drop.
	Sent []Sent `json:"sent"`
	// DroppedByScript counts those that were kept back: what the other side
	// calls lost beyond them, it lost itself.
	DroppedByScript int         `json:"dropped_by_script"`
	Net             netem.Stats `json:"net"`
	SendErrors      int         `json:"send_errors,omitempty"`

	// Received are the packets that came, in the order of their arrival, and
	// Streams the same by SSRC, the first heard first.
	Received []Received `json:"received"`
	Streams  []Stream   `json:"streams"`
	// Unreadable datagrams were neither RTP nor RTCP, Incompound ones did not
	// open with a report (RFC 3550, section 6.1), and Omitted packets did not
	// fit in the log.
	Unreadable int `json:"unreadable,omitempty"`
	Incompound int `json:"incompound,omitempty"`
	Omitted    int `json:"omitted,omitempty"`

	ReportsSent int      `json:"reports_sent"`
	Reports     []Report `json:"reports"`

	said []int16
}

// Kept says why a packet was kept back.
type Kept string

// Reasons to keep a packet back.
const (
	ByScript Kept = "script" // Config.Drop
	ByNet    Kept = "net"    // lost by Config.Net
)

// Sent is a packet of the script.
type Sent struct {
	Slot        int    `json:"slot"`
	Sequence    uint16 `json:"sequence"`
	Timestamp   uint32 `json:"timestamp"`
	PayloadType uint8  `json:"payload_type"`
	Marker      bool   `json:"marker,omitempty"`
	Size        int    `json:"size"` // of the payload
	Kept        Kept   `json:"kept,omitempty"`
	// Left is when the first copy left the phone, -1 if none did; Copies is
	// how many did.
	Left   time.Duration `json:"left_ns"`
	Copies int           `json:"copies"`
}

// Received is a packet that came.
type Received struct {
	At          time.Duration `json:"at_ns"`
	SSRC        uint32        `json:"ssrc"`
	Sequence    uint16        `json:"sequence"`
	Timestamp   uint32        `json:"timestamp"`
	PayloadType uint8         `json:"payload_type"`
	Marker      bool          `json:"marker,omitempty"`
	Size        int           `json:"size"`
}

// Report is what a packet of reports said.
type Report struct {
	At   time.Duration `json:"at_ns"`
	Kind string        `json:"kind"` // SR, RR or BYE
	SSRC uint32        `json:"ssrc"` // of the sender
	// Packets, Octets, NTP and Timestamp are the sender's own, in an SR.
	Packets   uint32 `json:"packets,omitempty"`
	Octets    uint32 `json:"octets,omitempty"`
	NTP       uint64 `json:"ntp,omitempty"`
	Timestamp uint32 `json:"timestamp,omitempty"`
	// About is what an SR or RR says of the phone's stream; nil if nothing.
	About  *About `json:"about,omitempty"`
	Reason string `json:"reason,omitempty"` // of a BYE
}

// About is a reception report of the phone's stream.
type About struct {
	FractionLost    float64 `json:"fraction_lost"` // since the report before
	Lost            int     `json:"lost"`          // in all; duplicates count against it
	HighestSequence uint32  `json:"highest_sequence"`
	JitterMS        float64 `json:"jitter_ms"`
	// RoundTrip is Measured if the report answers a report of the phone. A
	// Stranger answers one that was never sent.
	RoundTrip time.Duration `json:"round_trip_ns,omitempty"`
	Measured  bool          `json:"measured,omitempty"`
	Stranger  bool          `json:"stranger,omitempty"`
}

// Said returns what the phone said, at 16 kHz from slot 0 on, silent where it
// said nothing: in the band of the codec, before it was coded, whatever became
// of the packets.
func (l *Log) Said() []int16 { return l.said }

// Heard returns what came, at 16 kHz from slot 0 on: each stream as its fastest
// packet would have it, all of them added up. What would lie before slot 0 is
// left out; Stream.Samples has it.
func (l *Log) Heard() []int16 {
	end := int64(0)
	for i := range l.Streams {
		end = max(end, l.Streams[i].position()+int64(len(l.Streams[i].pcm)))
	}
	out := make([]int16, end)
	for i := range l.Streams {
		at := l.Streams[i].position()
		for j, x := range l.Streams[i].pcm {
			if k := at + int64(j); k >= 0 {
				out[k] = int16(max(math.MinInt16, min(math.MaxInt16, int32(out[k])+int32(x))))
			}
		}
	}
	return out
}

// Bye returns when the other side said goodbye; ok is false if it did not.
func (l *Log) Bye() (at time.Duration, ok bool) {
	for _, r := range l.Reports {
		if r.Kind == "BYE" {
			return r.At, true
		}
	}
	return 0, false
}

// Faults says in words what was wrong with what came, whatever the network did
// to it; nothing if all was right.
func (l *Log) Faults() (faults []string) {
	note := func(n int, what string) {
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, what))
		}
	}
	note(l.Unreadable, "datagrams are neither RTP nor RTCP")
	note(l.Incompound, "packets of reports do not open with one (RFC 3550, section 6.1)")
	strangers, echoes := 0, 0
	for _, r := range l.Reports {
		if r.About != nil && r.About.Stranger {
			strangers++
		}
		if r.SSRC == l.SSRC {
			echoes++
		}
	}
	note(strangers, "reports answer a report that was never sent (RFC 3550, section 6.4.1)")
	note(echoes, "reports come under the phone's own SSRC (RFC 3550, section 8.2)")
	for i := range l.Streams {
		s := &l.Streams[i]
		if s.SSRC == l.SSRC {
			faults = append(faults, "a stream comes under the phone's own SSRC (RFC 3550, section 8.2)")
		}
		for _, f := range s.Faults() {
			faults = append(faults, fmt.Sprintf("stream %08x: %s", s.SSRC, f))
		}
	}
	return faults
}

// write makes the log when nothing runs any more but its caller.
func (p *Phone) write() (*Log, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &Log{
		Codec: p.speaker.codec.RTPMap(), PayloadType: p.cfg.PayloadType, EventType: p.cfg.EventType, SSRC: p.cfg.SSRC,
		Local: local(p.rtp), LocalRTCP: local(p.rtcp), Target: p.target, TargetRTCP: p.targetRTCP,
		Start: p.began.Add(time.Duration(p.zero)).UTC(), Slots: p.slots, Late: time.Duration(p.late), LateSlots: p.lateSlots,
		Sent: p.sent, Net: p.media.Stats(), SendErrors: p.sendErrors,
		Unreadable: p.n.unreadable, Incompound: p.n.incompound, Omitted: p.n.omitted,
		ReportsSent: p.reportsSent, Reports: p.reports,
	}
	for _, k := range p.cfg.Keys {
		if k.Slot < p.slots {
			l.Keys = append(l.Keys, k)
		}
	}
	for i := range l.Sent {
		if l.Sent[i].Kept != "" {
			l.DroppedByScript++
		}
	}
	for i := range l.Reports {
		l.Reports[i].At -= time.Duration(p.zero)
	}
	sortReports(l.Reports)
	var err error
	if l.said, err = p.speaker.said(p.slots); err != nil {
		return nil, err
	}
	return l, l.receive(p.received, p.zero, p.cfg, p.speaker.codec)
}

// receive fills in what came.
func (l *Log) receive(received []arrival, zero int64, cfg Config, row codec.Codec) error {
	slices.SortStableFunc(received, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	var order []uint32
	by := map[uint32][]arrival{}
	for _, a := range received {
		a.at -= zero
		h := a.header
		l.Received = append(l.Received, Received{
			At: time.Duration(a.at), SSRC: h.SSRC, Sequence: h.SequenceNumber, Timestamp: h.Timestamp,
			PayloadType: h.PayloadType, Marker: h.Marker, Size: len(a.payload),
		})
		if _, ok := by[h.SSRC]; !ok {
			if len(order) >= maxStreams {
				continue
			}
			order = append(order, h.SSRC)
		}
		by[h.SSRC] = append(by[h.SSRC], a)
	}
	for _, ssrc := range order {
		s, err := newStream(by[ssrc], cfg, row)
		if err != nil {
			return err
		}
		l.Streams = append(l.Streams, *s)
	}
	return nil
}
