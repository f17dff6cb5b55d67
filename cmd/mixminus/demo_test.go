package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/demo"
	"github.com/stretchr/testify/require"
)

const sceneLength = 4 * time.Second

// play performs the demo with faults in the calls that hear each speaker, and in
// the one that hears their mix.
func play(t *testing.T, unmixed, mixed []cloud.Fault) *demo.Report {
	t.Helper()
	return playOver(t, unmixed, mixed, nil)
}

// playOver is play with a line between the phone and the host that spoils what
// it carries; nil is none.
func playOver(t *testing.T, unmixed, mixed []cloud.Fault, spoil func(up bool, i int, packet []byte) [][]byte) *demo.Report {
	t.Helper()
	in, err := cloud.Named(cloud.ThreeSpeakers, sceneLength)
	require.NoError(t, err)
	in.Faults = unmixed
	out, err := cloud.Named(cloud.OneCallee, sceneLength)
	require.NoError(t, err)
	out.Faults = mixed
	meeting := in
	meeting.HangUp = cloud.Never
	s, err := openStage(t.Context(), demo.Config{Duration: sceneLength, Incoming: in}, out, meeting, t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	host := s.address()
	if spoil != nil {
		host.RTP = phoneLine(t, host.RTP, spoil)
	}
	r, err := s.show.Run(t.Context(), host)
	require.NoError(t, err)
	require.Len(t, r.Calls, 5)
	return r
}

// The scenes: who rings or is called at which cloud.
const (
	sceneIncoming = "acs incoming"
	sceneOutgoing = "acs outgoing"
	sceneMeeting  = "graph outgoing"
	scenePolicy   = "graph incoming"
	scenePhone    = "rtp incoming"
)

// scenes in which each speaker is heard.
var unmixedScenes = []string{sceneIncoming, sceneMeeting, scenePolicy}

func callOf(t *testing.T, r *demo.Report, scene string) demo.CallReport {
	t.Helper()
	for _, c := range r.Calls {
		if c.Cloud+" "+c.Direction == scene {
			return c
		}
	}
	t.Fatalf("no scene %s", scene)
	return demo.CallReport{}
}

func requireProven(t *testing.T, r *demo.Report) {
	t.Helper()
	for _, c := range r.Calls {
		require.Empty(t, c.Problems, "%s %s", c.Cloud, c.Direction)
	}
	require.True(t, r.OK)
}

// TestVerdictFailsForEveryFault injects faults on the wire that the host
// cannot know of: only a verdict that really compares can find them.
func TestVerdictFailsForEveryFault(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault cloud.Fault
		says  string
	}{
		{"none", cloud.Fault{}, ""},
		{"frame dropped", cloud.Fault{Kind: cloud.Drop, Slot: 80}, "at"},
		{"frame duplicated", cloud.Fault{Kind: cloud.Duplicate, Slot: 80}, ""},
		{"shifted by one sample", cloud.Fault{Kind: cloud.Shift, Slot: 80}, "1 samples"},
		{"click", cloud.Fault{Kind: cloud.Click, Slot: 80, Sample: 100}, "1 samples"},
		{"speakers swapped", cloud.Fault{Kind: cloud.Swap, Speaker: 0, Other: 1, Slot: 80, Slots: 20}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var faults, mixed []cloud.Fault
			if tt.fault.Kind != "" {
				faults = append(faults, tt.fault)
			}
			if tt.fault.Kind != cloud.Swap {
				mixed = faults
			}
			r := play(t, faults, mixed)
			out := callOf(t, r, sceneOutgoing)
			if tt.fault.Kind == "" {
				requireProven(t, r)
				require.Len(t, out.Proven, 4)
			}
			// The phone meets none of these faults.
			called := callOf(t, r, scenePhone)
			require.Empty(t, called.Problems)
			require.Len(t, called.Proven, phoneProven, "%q", called.Proven)
			for scene, proven := range map[string]int{sceneIncoming: 4, sceneMeeting: 7, scenePolicy: 5} {
				in := callOf(t, r, scene)
				if tt.fault.Kind == "" {
					require.Len(t, in.Proven, proven, "%s: %q", scene, in.Proven)
					continue
				}
				require.False(t, r.OK)
				require.NotEmpty(t, in.Problems, scene)
				require.Contains(t, strings.Join(in.Problems, "\n"), tt.says, scene)
			}
			if mixed != nil {
				require.NotEmpty(t, out.Problems)
			}
		})
	}
}

// TestReconnectIsTold breaks the media socket off twice: what was due
// meanwhile is lost, told exactly, and the rest is in its place.
func TestReconnectIsTold(t *testing.T) {
	t.Parallel()
	r := play(t, []cloud.Fault{{Kind: cloud.Reconnect, Slot: 60, Slots: 15}, {Kind: cloud.Reconnect, Slot: 120, Slots: 5}}, nil)
	for _, scene := range unmixedScenes {
		in := callOf(t, r, scene)
		require.Empty(t, in.Problems, scene)
		require.NotZero(t, in.FramesLost, scene)
		require.Equal(t, in.FramesDroppedByScript, in.FramesLost, scene)
	}
	requireProven(t, r)
}

// TestDisorderedCallbacks delivers events twice, late, and before the
// response: the call goes its way all the same.
func TestDisorderedCallbacks(t *testing.T) {
	t.Parallel()
	faults := []cloud.Fault{
		{Kind: cloud.EventsFirst}, {Kind: cloud.MediaFirst}, {Kind: cloud.DuplicateEvent},
		{Kind: cloud.DelayEvent, Event: "CallConnected"}, {Kind: cloud.DelayEvent, Event: "establishing"},
	}
	r := play(t, faults, faults)
	requireProven(t, r)
}

// TestPeerThatStopsReading: for two seconds the cloud reads nothing of the
// echo. What comes in is not held up by it.
func TestPeerThatStopsReading(t *testing.T) {
	t.Parallel()
	r := play(t, nil, []cloud.Fault{{Kind: cloud.Stall, Slot: 80, Slots: 100}})
	out := callOf(t, r, sceneOutgoing)
	require.EqualValues(t, cloud.Slots(sceneLength), out.FramesIn)
	require.Contains(t, strings.Join(out.Proven, "\n"), "mixed-in: all")
	require.True(t, callOf(t, r, sceneIncoming).Problems == nil)
}

func TestInterruptedDemoEndsCleanly(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var out strings.Builder
	err := runDemo(ctx, demoFlags{out: t.TempDir(), duration: 10 * time.Second}, &out, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "interrupted")
}
