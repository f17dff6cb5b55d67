package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/graph"
)

// The meeting of the sixth example of "Create call", Microsoft Graph beta.
const (
	meetingThread    = "19:meeting_Win6Ydo4wsMijFjZS00ZGVjLTk5MGUtOTRjNWY2NmNkYTFm@thread.v2"
	meetingOrganizer = "5810cede-f3cc-42eb-b2c1-e9bd5d53ec96"
	policyName       = "Recording Policy"
)

// poll is how often the host is looked at for what it tells nobody.
const poll = 10 * time.Millisecond

// lobby is what the bot saw while it waited.
type lobby struct {
	alone    bool // the roster held nobody else
	silent   bool // no media came
	admitted bool
}

// meeting lets the bot join a scheduled meeting of Teams, wait in the lobby, be
// admitted, hear who talks, say something, and leave.
func (d *Demo) meeting(ctx context.Context, host Host) error {
	tenant := d.cfg.Emulator.GraphApps()[0].TenantID
	body, err := graph.Meeting{
		ChatInfo: graph.ChatInfo{ThreadID: meetingThread, MessageID: "0"}, TenantID: tenant,
		MeetingInfo: graph.MeetingInfo{
			ODataType: "#microsoft.graph.organizerMeetingInfo", AllowConversationWithoutHost: true,
			Organizer: &graph.IdentitySet{User: &graph.Identity{ID: meetingOrganizer, DisplayName: "Bob", TenantID: tenant}},
		},
	}.Join("", "")
	if err != nil {
		return fmt.Errorf("demo: meeting: %w", err)
	}
	c, err := host.Manager.Create(ctx, "graph", body, d.cfg.Meeting)
	if err != nil {
		return fmt.Errorf("demo: join: %w", err)
	}
	call := d.cfg.Emulator.Call(c.CallID())
	if call == nil {
		return fmt.Errorf("demo: the emulator does not know call %s", c.CallID())
	}
	if err := d.waitInLobby(ctx, c, call); err != nil {
		return err
	}
	slots := cloud.Slots(d.cfg.Duration)
	if err := until(ctx, "the meeting to pass", func() bool { return call.Log().Slots >= slots }); err != nil {
		return errors.Join(err, c.HangUp(context.WithoutCancel(ctx), false))
	}
	if err := c.HangUp(ctx, false); err != nil {
		return fmt.Errorf("demo: leave the meeting: %w", err)
	}
	if err := call.Wait(ctx); err != nil {
		return fmt.Errorf("demo: meeting: %w", err)
	}
	return d.settle(ctx, call.ID())
}

func (d *Demo) waitInLobby(ctx context.Context, c *session.Call, call *cloud.Call) error {
	if err := until(ctx, "the lobby", c.InLobby); err != nil {
		return err
	}
	up, _ := c.Media()
	seen := &lobby{alone: len(c.Participants()) == 1, silent: !up}
	// Graph answers updateRecordingStatus in its own time. What the bot says
	// before is not recorded, and the verdict asks for the whole call.
	if err := until(ctx, "the recording to begin", func() bool { return d.recorded(c) }); err != nil {
		return err
	}
	call.Admit()
	if err := until(ctx, "being admitted", func() bool { return !c.InLobby() }); err != nil {
		return err
	}
	seen.admitted = true
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.watched {
		if w.call == c {
			w.lobby = seen
		}
	}
	return nil
}

// policy rings the bot for a recording that a policy asks for.
func (d *Demo) policy(ctx context.Context, _ Host) error {
	call, err := d.cfg.Emulator.RingGraph(ctx, cloud.GraphRing{Script: d.cfg.Incoming, Policy: policyName})
	if err != nil {
		return fmt.Errorf("demo: policy: %w", err)
	}
	if err := call.Wait(ctx); err != nil {
		call.HangUp()
		return fmt.Errorf("demo: policy call: %w", err)
	}
	return d.settle(ctx, call.ID())
}

func until(ctx context.Context, what string, ok func() bool) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("demo: waiting for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// meetingFacts judges what a call at Graph showed besides its audio.
func (v *verdict) meetingFacts(seen *lobby) {
	switch {
	case seen == nil:
	case !seen.alone || !seen.silent || !seen.admitted:
		v.fail("lobby: alone %v, without media %v, admitted %v", seen.alone, seen.silent, seen.admitted)
	default:
		v.prove("lobby: the roster held the bot alone and no media came until it was admitted")
	}
	named := 0
	for i := range v.log.Speakers {
		s := &v.log.Speakers[i]
		for j := range v.res.Tracks {
			if t := &v.res.Tracks[j]; t.Speaker == s.StreamID && t.Name == s.Name {
				named++
			}
		}
	}
	if v.log.Kind == "meeting" && named != len(v.log.Speakers) {
		v.fail("names: %d of %d speakers are recorded under their names", named, len(v.log.Speakers))
	} else if v.log.Kind == "meeting" {
		v.prove("names: all %d speakers are recorded under the names that the roster gave them", named)
	}
}

// announced judges that a call at Graph was told that it is recorded before
// anything was stored, and returns the sample from which on it was. A call that
// was told while it waited in a lobby is recorded whole.
func (v *verdict) announced() int {
	if v.log.Cloud != "graph" {
		return 0
	}
	told := v.log.RecordedFrom
	if told < 0 || v.log.RecordingStatus != "recording" {
		v.fail("the call is recorded, and was never told so")
		return 0
	}
	if v.log.Kind != "policy" {
		return 0
	}
	start := int64(-1)
	for i := range v.res.Tracks {
		if t := &v.res.Tracks[i]; t.Kind == record.KindSpeaker && (start < 0 || t.First < start) {
			start = t.First
		}
	}
	start = max(start, 0)
	// On a busy machine a slot goes out after it was due, and a recorder
	// takes its time to begin.
	const late = pcm.SampleRate / 2
	if at := start + int64(v.origin())*frame; at < told-late || at > told+2*late {
		v.fail("recorded from sample %d on, and the call was told so at %d", at, told)
		return int(start)
	}
	v.prove("recorded from %.2f s on, when the call had been told so", float64(start)/pcm.SampleRate)
	return int(start)
}

// spoken judges what a meeting heard of a bot that says its greeting and no
// more, until it leaves.
func (v *verdict) spoken() {
	p := &v.log.Playout
	if p.Total == 0 && v.leg.Source.Frames == 0 {
		return
	}
	if p.Omitted > 0 || p.Total != int64(len(p.PCM)) || len(p.PCM) > len(v.greeting) || !slices.Equal([]int16(p.PCM), v.greeting[:len(p.PCM)]) {
		v.fail("speech: what was sent is not its beginning: %v", signal.Compare(v.greeting, p.PCM, 0))
		return
	}
	var heard int64
	for _, s := range p.Played {
		if s.First != heard {
			v.fail("speech: sample %d was heard where %d was due", s.First, heard)
			return
		}
		heard += s.Samples
	}
	if heard == 0 || heard+p.Unheard != p.Total || len(p.Flushes) > 0 {
		v.fail("speech: of %d samples %d were heard and %d not yet, %d flushes", p.Total, heard, p.Unheard, len(p.Flushes))
		return
	}
	track, pos, recorded := v.tracks["bot"], 0, int64(0)
	for _, r := range p.Received {
		f := p.PCM[r.First : r.First+r.Samples]
		at, ok := v.next(track, pos, f)
		if !ok {
			return
		}
		// What the peer had not played when the bot left is not recorded.
		n := min(len(f), len(track)-at)
		pos, recorded = at+n, recorded+int64(n)
	}
	if short := heard - recorded; short > placement {
		v.fail("speech: the bot's track lacks %d samples that were heard", short)
		return
	}
	v.prove("speech: %d samples heard, each in its place (%d underruns), and recorded", heard, len(p.Underruns))
}
