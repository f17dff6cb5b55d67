package rtc

import (
	"bytes"
	"errors"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport/rtpleg"
	"github.com/pion/rtcp"
)

// run attaches the leg, which no other session has, and starts the turns.
func (p *peer) run() error {
	m, err := rtpleg.New(rtpleg.Config{
		Leg: p.ep.leg, Speaker: p.ep.speaker(), Codec: p.offer.codec.Agreed(p.offer.fec, p.offer.dtx),
		Receive: p.offer.types, Send: p.offer.types,
		Mute: p.out == nil, Deaf: !p.offer.recv,
		Jitter: p.server.cfg.Jitter, CNAME: "mixminus", SSRC: p.ssrc,
	})
	if err != nil {
		return err
	}
	p.leg = m
	p.ep.media.Store(m)
	p.beat = p.server.cfg.Engine.NewBeat(nil, p.turn, func() { p.finish(engine.ErrClosed) })
	if err := p.beat.Start(); err != nil {
		m.Close()
		return err
	}
	return nil
}

// turn is the peer's, which was due at at.
func (p *peer) turn(at int64) {
	err := p.drain()
	if err == nil {
		err = p.leg.Turn(at)
	}
	select {
	case <-p.ep.leg.Done():
		if err == nil { // else it is what closed the leg
			err = errLegClosed
		}
	default:
	}
	over := p.stop.Load()
	if err == nil && !over && p.ending.Load() {
		over = p.leg.End(at)
	}
	if err != nil || over {
		p.finish(err)
		return
	}
	p.send(at)
}

// drain gives the media what came since the last turn.
func (p *peer) drain() (failed error) {
	for d := p.in.next(); d != nil; d = p.in.next() {
		if p.packet.Parse(d.data) != nil {
			p.malformed.Add(1)
		} else if err := p.leg.Take(d.arrival, &p.packet); err != nil {
			failed = err
		}
		p.in.release()
	}
	for d := p.control.next(); d != nil; d = p.control.next() {
		// Pion tells of a report once per source that it is of.
		if !bytes.Equal(p.report, d.data) {
			p.report = append(p.report[:0], d.data...)
			came := time.Now().UnixNano() - (engine.Now() - d.arrival)
			p.leg.TakeControl(d.arrival, came, d.data)
		}
		p.control.release()
	}
	return failed
}

// hear takes what Pion makes of the packets of RTCP: each report of a compound by
// itself. The rest goes unheard: names, feedback, which was not agreed on, and
// BYE, which ends nothing, as browsers send it when a page takes the track from
// its sender, and may go on later.
func (p *peer) hear(arrival int64, b []byte) {
	const sender, receiver = 200, 201 // RFC 3550, section 12.1
	if len(b) > 1 && (b[1] == sender || b[1] == receiver) {
		p.control.put(arrival, b)
	}
}

func (p *peer) send(at int64) {
	for p.out != nil {
		b, ok := p.leg.Next(at, p.wire[:0])
		if !ok {
			break
		}
		if !p.holds.Load() {
			p.out.send(b)
		}
	}
	if b, ok := p.leg.Report(at, time.Now().UnixNano(), p.wire[:0]); ok {
		p.sendReport(b)
	}
}

func (p *peer) sendReport(b []byte) {
	if !p.holds.Load() {
		_ = p.pc.WriteRTCP([]rtcp.Packet{(*rtcp.RawPacket)(&b)})
	}
}

// finish ends the media, on the beat's goroutine or when no turn will come any
// more.
func (p *peer) finish(err error) {
	p.beat.Stop()
	p.leg.Close()
	p.sendReport(p.leg.Bye(engine.Now(), time.Now().UnixNano(), p.wire[:0]))
	if errors.Is(err, engine.ErrPanic) {
		p.server.log.Error("handler panicked", "leg", p.ep.leg.ID(), "panic", err)
	}
	p.mu.Lock()
	p.running = false
	p.mu.Unlock()
	p.end(err)
}
