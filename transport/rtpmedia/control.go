package rtpmedia

// Control is one side's RTCP: it takes the reports of the other side and makes
// ours, for one stream each way. Whoever drives it decides when a report is
// due, and how many a second are read at all.
type Control struct {
	in     *Reception
	out    *Outbound
	cname  []byte
	said   Report // ours
	heard  Report
	blocks [1]ReportBlock
	sent   uint32 // packets at the last report
	left   uint32 // the source that Bye tells of
	n      ControlStats
}

// ControlStats tell what the other side reports.
type ControlStats struct {
	// Reports taken, and Malformed ones that were not.
	Reports   int64 `json:"reports"`
	Malformed int64 `json:"malformed"`
	// Foreign reports of sources that are not the stream's.
	Foreign int64 `json:"foreign"`
	// Sent reports of ours.
	Sent int64 `json:"sent"`
	// Answers to reports of ours: who gives one hears us.
	Answers int64 `json:"answers"`
	// RoundTrip in ns, 0 until it is known. It holds the time that a report
	// waits at a system that does not tell how long.
	RoundTrip int64 `json:"round_trip_ns"`
	// PeerLost packets of ours, PeerFraction of them since its last report in
	// 1/256, and PeerJitter in ns, as the other side counts them.
	PeerLost     int64 `json:"peer_lost"`
	PeerFraction int64 `json:"peer_fraction"`
	PeerJitter   int64 `json:"peer_jitter_ns"`
	// Bye: the other side's source said that it leaves, and no other came
	// after it.
	Bye bool `json:"bye"`
}

// NewControl reports on in and for out; either may be nil. cname names this
// side (RFC 7022), at most 255 bytes.
func NewControl(in *Reception, out *Outbound, cname string) *Control {
	return &Control{in: in, out: out, cname: []byte(cname)}
}

// Take reads a compound that came at now, unix in ns since 1970 on the clock
// that Append is given. A malformed one is counted and changes nothing else.
func (c *Control) Take(now, unix int64, b []byte) error {
	r := &c.heard
	if err := r.Parse(b); err != nil {
		c.n.Malformed++
		return err
	}
	c.n.Reports++
	ssrc, known := uint32(0), false
	if c.in != nil {
		ssrc, known = c.in.SSRC()
	}
	switch {
	case !r.HasSender:
	case known && r.SSRC == ssrc:
		c.in.TakeSR(now, r.Sender)
	default:
		c.n.Foreign++
	}
	c.n.Bye = c.n.Bye && c.left == ssrc
	for _, gone := range r.Bye {
		if known && gone == ssrc {
			c.n.Bye, c.left = true, gone
		}
	}
	for i := range r.Blocks {
		k := &r.Blocks[i]
		if c.out == nil || k.SSRC != c.out.SSRC() {
			continue
		}
		c.n.PeerLost, c.n.PeerFraction = int64(k.Lost), int64(k.Fraction)
		c.n.PeerJitter = c.out.rate.nanos(int64(k.Jitter))
		if t, ok := k.RoundTrip(NTP(unix)); ok {
			c.n.RoundTrip = t
			c.n.Answers++
		}
	}
	return nil
}

// Append appends a report to dst: a sender's if something was sent since the
// last, else a receiver's. bye says that the stream ends.
func (c *Control) Append(dst []byte, now, unix int64, bye bool) []byte {
	r := &c.said
	*r = Report{CNAME: c.cname, Bye: r.Bye[:0]}
	if c.out != nil {
		r.SSRC = c.out.SSRC()
		if s := c.out.Sender(now, unix); s.Packets != c.sent {
			r.HasSender, r.Sender, c.sent = true, s, s.Packets
		}
	}
	if c.in != nil {
		if _, ok := c.in.SSRC(); ok {
			c.blocks[0] = c.in.Report(now)
			r.Blocks = c.blocks[:]
		}
	}
	if bye {
		r.Bye = append(r.Bye, r.SSRC)
	}
	c.n.Sent++
	return r.Append(dst)
}

// Stats returns the counters.
func (c *Control) Stats() ControlStats { return c.n }
