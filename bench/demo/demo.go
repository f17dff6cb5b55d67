// Package demo plays calls between the emulated clouds and a running host, shows
// them live, and proves afterwards, sample by sample, that nothing was lost: the
// reference is what the emulator's script said, never the wire.
//
// It starts neither side: whoever wires them hands them in.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/phone"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/transport"
)

// grace is what a scene may take beyond its length: ringing, the barge-in
// that is waited for, and the completion of the recordings.
const grace = 12 * time.Second

// Parties of the outgoing call, as in Microsoft's example of the request.
const (
	botID    = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_da7be3a9-8788-42a6-85c6-56b2cf784fce"
	calleeID = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_0f50d091-5bd3-448b-884d-44be7037d9b9"
)

// Config of a Demo.
type Config struct {
	// Emulator is started, and takes what the host creates: at ACS by a callee
	// who barges in on the greeting once, at Graph as a meeting with a lobby,
	// which lasts until the bot leaves.
	Emulator *cloud.Server
	// Incoming is the script that rings the host, at both clouds.
	Incoming cloud.Script
	// Duration of each scene.
	Duration time.Duration
	// Greeting is what the bot says first, in the calls in which it speaks.
	Greeting []int16
	// Outgoing is the media of the call that the bot creates, and Meeting
	// that of the meeting that it joins.
	Outgoing, Meeting session.Options
	// Screen shows the live table; nil shows none. Rewrite redraws it in
	// place, as a terminal can; else lines are added.
	Screen  io.Writer
	Rewrite bool
	// Width and Height of the screen, in characters; 0 is unknown.
	Width, Height int
	// Title stands above the table.
	Title string
}

// Demo is one performance.
type Demo struct {
	cfg Config

	// Guarded by mu.
	mu      sync.Mutex
	watched []*watched
}

// watched is a call on the host's side, and what it became.
type watched struct {
	call  *session.Call
	meter *meter

	// Guarded by Demo.mu.
	rec   *record.Recording // nil until it is recorded
	leg   *engine.LegStats  // its last word
	lobby *lobby            // nil if it was in none
	phone *phone.Log        // of a call over RTP
	rtp   *transport.RTPStats
}

// Host is what calls and is called.
type Host struct {
	Manager *session.Manager
	// RTP is where it takes whoever sends.
	RTP netip.AddrPort
}

// New prepares a performance.
func New(cfg Config) *Demo { return &Demo{cfg: cfg} }

// OnCall must be called for each call of the host before anything is asked of
// the cloud.
func (d *Demo) OnCall(c *session.Call) {
	w := &watched{call: c}
	if d.cfg.Screen != nil { // else nobody would empty its taps
		w.meter = newMeter(c.Leg())
	}
	d.mu.Lock()
	d.watched = append(d.watched, w)
	d.mu.Unlock()
}

// OnRecording must be called for each of them when its recording begins.
func (d *Demo) OnRecording(c *session.Call, rec *record.Recording) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.watched {
		if w.call == c {
			w.rec = rec
		}
	}
}

// recorded says whether the recording of a call has begun.
func (d *Demo) recorded(c *session.Call) bool {
	return slices.ContainsFunc(d.calls(), func(w *watched) bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return w.call == c && w.rec != nil
	})
}

func (d *Demo) calls() []*watched {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*watched(nil), d.watched...)
}

// Run plays all scenes side by side, and judges them.
func (d *Demo) Run(ctx context.Context, host Host) (*Report, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Duration+grace)
	defer cancel()
	table := startTable(d)
	defer table.stop()
	var wg sync.WaitGroup
	scenes := []func(context.Context, Host) error{d.incoming, d.outgoing, d.meeting, d.policy, d.phone}
	errs := make([]error, len(scenes))
	for i, scene := range scenes {
		wg.Go(func() { errs[i] = scene(ctx, host) })
	}
	wg.Wait()
	table.stop()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d.judge()
}

// incoming rings the bot and waits for the end of the call.
func (d *Demo) incoming(ctx context.Context, _ Host) error {
	call, err := d.cfg.Emulator.Ring(ctx, cloud.Ring{Script: d.cfg.Incoming})
	if err != nil {
		return fmt.Errorf("demo: ring: %w", err)
	}
	if err := call.Wait(ctx); err != nil {
		call.HangUp()
		return fmt.Errorf("demo: incoming call: %w", err)
	}
	return d.settle(ctx, call.ID())
}

// outgoing lets the bot create a call, with the request of the 2022 preview.
func (d *Demo) outgoing(ctx context.Context, host Host) error {
	type id struct {
		ID string `json:"id"`
	}
	type identifier struct {
		Kind string `json:"kind"`
		User id     `json:"communicationUser"`
	}
	body, err := json.Marshal(map[string]any{
		"source":           map[string]any{"identifier": identifier{"communicationUser", id{botID}}},
		"targets":          []identifier{{"communicationUser", id{calleeID}}},
		"operationContext": "Reminder call",
	})
	if err != nil {
		return err
	}
	c, err := host.Manager.Create(ctx, "acs", body, d.cfg.Outgoing)
	if err != nil {
		return fmt.Errorf("demo: create: %w", err)
	}
	call := d.cfg.Emulator.Call(c.CallID())
	if call == nil {
		return fmt.Errorf("demo: the emulator does not know call %s", c.CallID())
	}
	if err := call.Wait(ctx); err != nil {
		return fmt.Errorf("demo: outgoing call: %w", err)
	}
	return d.settle(ctx, call.ID())
}

// settle waits until the host is done with the call too, its recording
// included.
func (d *Demo) settle(ctx context.Context, callID string) error {
	for _, w := range d.calls() {
		if w.call.CallID() != callID {
			continue
		}
		select {
		case <-w.call.Done():
		case <-ctx.Done():
			return fmt.Errorf("demo: call %s does not end: %w", callID, context.Cause(ctx))
		}
		stats := w.call.Leg().Stats()
		d.mu.Lock()
		w.leg, w.rtp = &stats, w.call.Snapshot().Media.Transport.RTP
		rec := w.rec
		d.mu.Unlock()
		if rec == nil {
			return nil
		}
		select {
		case <-rec.Done():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("demo: recording of call %s does not end: %w", callID, context.Cause(ctx))
		}
	}
	return fmt.Errorf("demo: the host does not know call %s", callID)
}
