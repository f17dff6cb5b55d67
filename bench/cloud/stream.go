package cloud

import (
	"sync"
	"time"

	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
)

// stream is the media of a call in time: it lets the script play, slot by
// slot, and keeps the socket. It is owned by the call's goroutine.
type stream struct {
	c      *Call
	on     bool // the bot wants media, and has not failed to take it
	conn   link
	dial   chan dialled // a dial is under way
	leave  *sync.WaitGroup
	again  int // slot of the next dial
	tries  int // failed dials since the socket was lost
	cause  Cause
	lost   bool        // a socket stood before
	wish   *streamWish // to be told of in the next report
	faults audioFaults
	rates  []*resample.Resampler // by stream; empty at 16 kHz
	rank   dominance
}

type dialled struct {
	conn link
	err  error
}

// streamChange is what became of a call's media.
type streamChange int

const (
	streamStarted streamChange = iota
	streamBack                 // after it was lost
	streamStopped              // as the bot wished
	streamNever                // it could not be connected
	streamLost                 // it was connected, and cannot be any more
)

// streamReport tells of a change.
type streamReport struct {
	change streamChange
	status int         // of a refused dial, 0 if there was none
	wish   *streamWish // that has been obeyed, if one was
}

// perform connects the media and plays the script until the call ends.
func (c *Call) perform() *stream {
	s := &stream{c: c, leave: &sync.WaitGroup{}, cause: ByNotStreaming}
	s.begin()
	for slot := 0; c.sleepUntil(slot); slot++ {
		if !s.step(slot) {
			break
		}
	}
	return s
}

// begin starts the call's clock: when the first dial has been decided, or at
// once if the bot does not want media yet.
func (s *stream) begin() {
	defer close(s.c.mediaTried)
	m := s.c.asked
	var first dialled
	if m != nil && m.start {
		s.want(true)
		s.redial()
		first, s.dial = <-s.dial, nil
	}
	if m != nil && m.byPeer && first.conn != nil {
		s.c.mu.Lock()
		m.mixed = first.conn.mixed()
		s.c.mu.Unlock()
	}
	s.rates = s.c.prepareStreams()
	s.c.startClock()
	if s.on {
		s.settle(0, first)
	}
}

// want notes whether the bot wants media.
func (s *stream) want(on bool) {
	s.on = on
	s.c.mu.Lock()
	s.c.media.wanted = on
	s.c.mu.Unlock()
}

func (c *Call) startClock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.media.epoch = time.Now()
	c.media.start = c.media.epoch.UTC().Truncate(time.Millisecond)
}

// prepareStreams makes room for the call's streams, and returns what brings
// them to a rate other than 16 kHz.
func (c *Call) prepareStreams() (rates []*resample.Resampler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.asked
	if m == nil {
		return nil
	}
	n := len(c.stage.actors)
	if m.mixed {
		n = 1
	}
	c.media.streams = make([]StreamLog, n)
	if m.rate == pcm.SampleRate {
		return nil
	}
	for range n {
		rates = append(rates, mustResample(pcm.SampleRate, m.rate))
	}
	c.media.inward = mustResample(m.rate, pcm.SampleRate)
	if n > 0 {
		c.media.wireDelay = rates[0].Delay()
	}
	return rates
}

// mustResample is for the rates that mediaModel.options lets pass.
func mustResample(from, to int) *resample.Resampler {
	r, err := resample.New(from, to)
	if err != nil {
		panic(err)
	}
	return r
}

// sleepUntil waits for a slot on the absolute schedule, and reports whether
// the call still goes on. A late slot is sent at once.
func (c *Call) sleepUntil(slot int) bool {
	d := time.Until(c.media.epoch.Add(time.Duration(slot) * pcm.FrameDuration))
	return sleep(c.ctx, max(0, d)) && c.ctx.Err() == nil
}

// step plays one slot, and reports whether there is a next.
func (s *stream) step(slot int) bool {
	c := s.c
	c.mu.Lock()
	botSlot := -1
	if at := c.speaks(); at >= 0 && at <= c.media.position(time.Now()) {
		botSlot = int(at / pcm.FrameSamples)
	}
	lines, over := c.stage.step(botSlot)
	presses, faults, wish := c.keys, c.faults, c.want
	c.keys, c.want = nil, nil
	c.mu.Unlock()
	if over {
		c.HangUp()
		return false
	}
	s.control(slot, faults, wish)
	for _, l := range lines {
		for _, k := range l.keys {
			presses = append(presses, keyPress{l.speaker, k})
		}
	}
	for _, k := range presses {
		c.side.pressed(k.tone)
		c.notePress(slot, k)
	}
	s.press(slot, presses)
	s.send(slot, s.compose(slot, lines, faults))
	s.mark(slot)
	c.feedGuests(slot, lines)
	if w, ok := c.side.(slotWatcher); ok {
		w.played(moment{slot: slot, lines: lines, keys: presses, stream: s})
	}
	c.mu.Lock()
	c.media.slots = slot + 1
	c.mu.Unlock()
	return true
}

// control does what the slot brings to the socket.
func (s *stream) control(slot int, faults []Fault, wish *streamWish) {
	if wish != nil {
		s.obey(slot, *wish)
	}
	for _, f := range faults {
		if f.Slot != slot || s.conn == nil {
			continue
		}
		switch f.Kind {
		case Reconnect:
			s.drop(slot, slot+max(1, f.Slots), ByReconnect, link.breakOff)
		case Disconnect:
			s.drop(slot, slot+max(1, f.Slots), ByReconnect, link.hangUp)
		case Stall:
			s.conn.stall(s.c.media.epoch.Add(time.Duration(slot+max(1, f.Slots)) * pcm.FrameDuration))
		}
	}
	if s.conn != nil {
		select {
		case <-s.conn.ended():
			s.drop(slot, slot+redialAfter, ByDisconnect, link.hangUp)
		default:
		}
	}
	if s.conn == nil {
		s.reconnect(slot)
	}
}

func (s *stream) obey(slot int, w streamWish) {
	s.wish = &w
	if w.on {
		s.want(true)
		s.again, s.tries, s.lost = slot, 0, false
		return
	}
	s.want(false)
	if s.conn != nil {
		s.drop(slot, 0, ByNotStreaming, link.hangUp)
	}
	s.cause = ByNotStreaming
	s.report(streamStopped, 0)
}

// compose makes a slot's frames of what the speakers say, with the faults.
func (s *stream) compose(slot int, lines []line, faults []Fault) []outbound {
	m := s.c.asked
	if m == nil {
		return nil
	}
	var frames []outbound
	if m.mixed {
		omit := len(lines) > 0
		for _, l := range lines {
			omit = omit && l.omitIfSilent
		}
		frames = []outbound{{samples: sum(s.c.audible(slot, lines)), omit: omit, copies: 1}}
	} else {
		lesser := s.rank.lesser(lines, m.dominant)
		for _, l := range lines {
			f := outbound{stream: l.speaker, name: l.speaker, samples: l.samples, omit: l.omitIfSilent, copies: 1}
			if lesser[l.speaker] {
				f.cause = ByDominance
			}
			frames = append(frames, f)
		}
	}
	s.faults.pending = faults
	s.faults.apply(slot, frames, m.mixed)
	for i := range frames {
		if len(s.rates) == 0 {
			break
		}
		for frames[i].stream >= len(s.rates) { // who came later
			s.rates = append(s.rates, mustResample(pcm.SampleRate, m.rate))
		}
		r := s.rates[frames[i].stream]
		wire := make([]int16, r.Size(pcm.FrameSamples))
		frames[i].samples = wire[:r.Process(wire, frames[i].samples)]
	}
	return frames
}

// audible are the lines that a slot's mix is made of.
func (c *Call) audible(slot int, lines []line) []line {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.mutes) == 0 {
		return lines
	}
	heard := make([]line, 0, len(lines))
	for _, l := range lines {
		if !c.mutes[l.speaker] {
			heard = append(heard, l)
			continue
		}
		if c.media.muted == nil {
			c.media.muted = map[int][]Span{}
		}
		c.media.muted[l.speaker] = add(c.media.muted[l.speaker], slot, ByMute)
	}
	return heard
}

// send writes a slot's frames, and notes what became of each.
func (s *stream) send(slot int, frames []outbound) {
	for _, f := range frames {
		silent := silentSamples(f.samples)
		cause := Cause("")
		switch {
		case silent && f.omit:
		case f.cause != "":
			cause = f.cause
		case s.c.hushed(f.stream):
			cause = ByMute
		case s.conn == nil:
			cause = s.cause
		case f.copies == 0:
			cause = ByDrop
		default:
			cause = s.write(slot, f, silent)
		}
		s.c.mu.Lock()
		l := &s.c.media.streams[f.stream]
		switch {
		case cause != "":
			l.Dropped = add(l.Dropped, slot, cause)
		case silent && f.omit:
			l.NotSent = add(l.NotSent, slot, "")
		default:
			l.Sent++
		}
		s.c.mu.Unlock()
	}
}

// hushed tells whether a stream is kept from the bot. The one of a mixed call
// is as long as it is on hold.
func (c *Call) hushed(stream int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held || !c.asked.mixed && c.mutes[stream]
}

// write returns why the frame did not go out, or nothing.
func (s *stream) write(slot int, f outbound, silent bool) Cause {
	id := ""
	if !s.c.asked.mixed {
		s.c.mu.Lock()
		id = s.c.side.streamID(f.name)
		s.c.mu.Unlock()
	}
	at := s.c.media.start.Add(time.Duration(slot) * pcm.FrameDuration)
	for range f.copies {
		if err := s.conn.audio(s.c, frame{slot: slot, at: at, id: id, samples: f.samples, silent: silent}); err != nil {
			s.drop(slot, slot+redialAfter, ByDisconnect, link.hangUp)
			return ByDisconnect
		}
	}
	return ""
}

// press sends DTMF keys, if the bot asked for them.
func (s *stream) press(slot int, keys []keyPress) {
	if s.c.asked == nil || !s.c.asked.dtmf {
		return
	}
	for _, k := range keys {
		if s.conn == nil {
			return
		}
		if err := s.conn.key(s.c, k.tone); err != nil {
			s.drop(slot, slot+redialAfter, ByDisconnect, link.hangUp)
			return
		}
		s.c.mu.Lock()
		s.c.media.keys = append(s.c.media.keys, Key{Slot: slot, Tone: k.tone})
		s.c.mu.Unlock()
	}
}

// slotWatcher is a side that follows the call slot by slot, on the call's
// goroutine.
type slotWatcher interface {
	played(moment)
}

// moment is what a slot brought.
type moment struct {
	slot   int
	lines  []line
	keys   []keyPress
	stream *stream
}

// hangUp ends the media at the end of the call; wait waits for that.
func (s *stream) hangUp() {
	if s.dial != nil {
		if d := <-s.dial; d.conn != nil {
			d.conn.abandon()
		}
		s.dial = nil
	}
	s.c.mu.Lock()
	slots := s.c.media.slots
	s.c.mu.Unlock()
	if s.conn != nil {
		s.drop(slots, 0, ByDisconnect, link.hangUp)
	}
	s.c.mu.Lock()
	s.c.media.stopped = time.Now()
	s.c.mu.Unlock()
}

func (s *stream) wait() { s.leave.Wait() }
