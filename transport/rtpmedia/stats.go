package rtpmedia

// counters of a jitter buffer; times in ticks.
type counters struct {
	received, played, late, duplicate, control int64
	oversize, overflow, backlog, stray         int64
	restarted, restarts, resyncs, jumps, dried int64
	buffered, missing, found                   int64
	concealed, unsent, stretched, waited       int64
}

// JitterStats tell what became of the packets of a stream and of its time.
//
// Each packet is counted once:
//
//	Received = Played + Control + Late + Duplicate + Discarded + Buffered
//
// and each sequence number that was passed: Played + Control + Missing. What
// the network lost is Missing less Found.
type JitterStats struct {
	Received int64 `json:"received"`
	// Played packets of audio. Control packets held none: events, noise.
	Played  int64 `json:"played"`
	Control int64 `json:"control"`
	// Late packets came after their time.
	Late      int64 `json:"late"`
	Duplicate int64 `json:"duplicate"`
	// Discarded packets, for the reasons that follow.
	Discarded int64 `json:"discarded"`
	// Overflow: the ring was full. Backlog: more than the longest delay was
	// waiting. Restarted: the sender began anew. Stray: of no stream that is
	// played. Oversize: longer than a network carries.
	Overflow  int64 `json:"overflow"`
	Backlog   int64 `json:"backlog"`
	Restarted int64 `json:"restarted"`
	Stray     int64 `json:"stray"`
	Oversize  int64 `json:"oversize"`
	// Buffered packets now, one that may be a restart's first included.
	Buffered int64 `json:"buffered"`

	// Missing packets were not there when their time came. Found ones of them
	// came after it: these are Late, as are such that nobody missed, from
	// before the stream began.
	Missing int64 `json:"missing"`
	Found   int64 `json:"found"`
	// Concealed time, in ns: that of missing packets.
	Concealed int64 `json:"concealed_ns"`
	// Unsent time, in ns: the sender chose to send nothing (DTX).
	Unsent int64 `json:"unsent_ns"`
	// Stretched time, in ns: made up for packets that came late and were
	// played all the same, so that the delay grew.
	Stretched int64 `json:"stretched_ns"`
	// Waited time, in ns, before playing began, or began again.
	Waited int64 `json:"waited_ns"`
	// Owed time, in ns: made up since the buffer ran dry. Which of the above
	// it is will be known when the next packet comes.
	Owed int64 `json:"owed_ns"`

	// Dried: how often the buffer was empty when something was due.
	Dried int64 `json:"dried"`
	// Restarts of the sender: another SSRC, or a jump of the sequence number.
	Restarts int64 `json:"restarts"`
	// Resyncs: the timestamps stood still while time passed.
	Resyncs int64 `json:"resyncs"`
	// TimestampJumps that contradict both sequence number and arrival.
	TimestampJumps int64 `json:"timestamp_jumps"`

	// Delay in ns from the arrival of the fastest packets to their being
	// played; Target is what it should be.
	Delay  int64 `json:"delay_ns"`
	Target int64 `json:"target_ns"`
}

// Stats returns the counters.
func (b *Jitter) Stats() JitterStats {
	n, ns := &b.n, b.t.rate.nanos
	s := JitterStats{
		Received: n.received, Played: n.played, Control: n.control, Late: n.late, Duplicate: n.duplicate,
		Discarded: n.oversize + n.overflow + n.backlog + n.restarted + n.stray,
		Overflow:  n.overflow, Backlog: n.backlog, Restarted: n.restarted, Stray: n.stray, Oversize: n.oversize,
		Buffered: n.buffered, Missing: n.missing, Found: n.found,
		Concealed: ns(n.concealed), Unsent: ns(n.unsent), Stretched: ns(n.stretched), Waited: ns(n.waited), Owed: ns(b.owed),
		Dried: n.dried, Restarts: n.restarts, Resyncs: n.resyncs, TimestampJumps: n.jumps,
	}
	if b.stray.state == present {
		s.Buffered++
	}
	if b.t.n > 0 {
		s.Target = ns(b.t.target() - b.t.fastest)
	}
	s.Delay = ns(b.delay())
	return s
}

// delay in ticks.
func (b *Jitter) delay() int64 {
	if !b.playing || b.n.played == 0 {
		return 0
	}
	return b.offset - b.t.fastest
}

// InboundStats count what happens to a stream beside its buffer.
type InboundStats struct {
	Jitter JitterStats `json:"jitter"`
	Tones  TonesStats  `json:"tones"`
	// WrongType packets had a payload type that was not agreed on.
	WrongType int64 `json:"wrong_type"`
	// Undecodable packets gave no samples. They are concealed.
	Undecodable int64 `json:"undecodable"`
	// Recovered packets were lost and decoded from the next one (FEC).
	Recovered int64 `json:"recovered"`
	// Frames that were pulled; Concealed ones hold something made up.
	Frames    int64 `json:"frames"`
	Concealed int64 `json:"concealed"`
	// Shrunk and Grown samples, by which the delay was changed, and how often.
	Shrunk  int64 `json:"shrunk"`
	Shrinks int64 `json:"shrinks"`
	Grown   int64 `json:"grown"`
	Grows   int64 `json:"grows"`
	// Delay in ns from the arrival of the fastest packets to their being
	// pulled.
	Delay int64 `json:"delay_ns"`
	// NetworkJitter in ns (RFC 3550, section 6.4.1).
	NetworkJitter int64 `json:"network_jitter_ns"`
	// NetworkLost packets, as reports count them.
	NetworkLost int64 `json:"network_lost"`
}

// Stats returns the counters.
func (in *Inbound) Stats() InboundStats {
	s := in.n
	s.Jitter, s.Tones = in.jitter.Stats(), in.tones.Stats()
	s.Delay = in.Delay()
	s.NetworkJitter, s.NetworkLost = in.reception.Jitter(), in.reception.Lost()
	return s
}
