package rtpio_test

import (
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/netem/proxy"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

// network stands before somebody's ports.
type network struct {
	at    netip.AddrPort
	media *proxy.Proxy
}

// bad is a network that does everything at once to media. Unless inOrder, jitter
// disorders packets, beside those that are held back on purpose. Reports pass it
// whole, and later than all that was sent before them: the good-bye among them
// must not overtake the last word.
func bad(t testing.TB, to netip.AddrPort, inOrder bool) *network {
	t.Helper()
	at := freePorts(t)
	next := func(a netip.AddrPort) string { return netip.AddrPortFrom(a.Addr(), a.Port()+1).String() }
	media, err := proxy.Start(proxy.Config{Listen: at.String(), Target: to.String(), Up: netem.Config{
		Seed: 3, Loss: 0.05, Jitter: 40 * time.Millisecond, Reorder: 0.03, ReorderBy: 40 * time.Millisecond, Duplicate: 0.03,
		InOrder: inOrder,
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, media.Close()) })
	reports, err := proxy.Start(proxy.Config{Listen: next(at), Target: next(to), Up: netem.Config{Delay: 200 * time.Millisecond}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reports.Close()) })
	return &network{at, media}
}

// did returns what happened to the media, of which so many packets were sent.
func (n *network) did(t testing.TB, packets int) netem.Stats {
	t.Helper()
	up, _, overflow := n.media.Stats()
	t.Logf("%+v", up)
	require.Zero(t, overflow+up.Dropped)
	require.EqualValues(t, packets, up.Sent)
	require.Equal(t, up.Sent+up.Duplicated, up.Lost+up.Delivered, "nothing is under way")
	require.Positive(t, min(up.Lost, up.Duplicated, up.Reordered))
	return up
}

// TestFFmpegIsHeardOverABadNetwork: each packet that the network lost,
// repeated or held back is told of, and speech remains speech. (The seed loses
// neither the first nor the last packet, which nobody could miss.)
func TestFFmpegIsHeardOverABadNetwork(t *testing.T) {
	need(t, "ffmpeg")
	for name, share := range map[string]float64{"PCMU": 0.8, "opus": 0.7} {
		steadily(t, name, func(t testing.TB) {
			d := *speaks(name)
			if name == "opus" {
				d.send += " -fec:a 1 -packet_loss 10" // (-fec alone is an option of rtp:)
			}
			h := newHost(t, name)
			net := bad(t, h.server.Addr(), false)
			ffmpeg := d.sends(t, d.evenly(writeWAV(t, d.rate, d.said())), net.at.String())
			l := h.line()
			l.ended()
			ffmpeg.wait()
			got := l.heard()
			sent := packets
			if name == "opus" {
				sent++ // what its encoder held back
			}
			did, s := net.did(t, sent), l.ep.Stats()
			t.Logf("%+v", *s.RTP)
			require.Equal(t, did.Delivered, s.RTP.Received)
			require.Equal(t, did.Lost, s.RTP.Lost)
			require.Equal(t, did.Duplicated, s.RTP.Duplicate)
			require.Zero(t, s.RTP.Late+s.RTP.Restarts)
			require.Empty(t, s.BadMessages)
			require.GreaterOrEqual(t, s.RTP.Concealed, did.Lost)
			require.Equal(t, name == "opus", s.RTP.Recovered > did.Lost/2)
			require.Equal(t, did.Lost, l.leg.Stats().Renders[0].Lost)
			like := signal.Liken(d.words(d.said()), got)
			t.Log(like)
			require.InDelta(t, 320*packets, len(got), 1280)
			require.Greater(t, like.Score, 0.85)
			require.GreaterOrEqual(t, like.Share(), share)
		})
	}
}

// TestFFmpegHearsOverABadNetwork: ffmpeg misses what the network lost, and
// nothing else. It makes nothing up, and of packets that overtake the very first
// one it loses count, so that jitter keeps the order here.
func TestFFmpegHearsOverABadNetwork(t *testing.T) {
	need(t, "ffmpeg")
	missed := regexp.MustCompile(`RTP: missed (\d+) packets`)
	for name, share := range map[string]float64{"PCMU": 0.6, "opus": 0.4} {
		steadily(t, name, func(t testing.TB) {
			d := speaks(name)
			h := newHost(t)
			// It puts silence where the timestamps say that something is missing.
			ffmpeg := d.hears(t, "-af", "aresample=async=1:min_hard_comp=0.01")
			net := bad(t, ffmpeg.at, true)
			l := h.dial(d, net.at)
			l.say(said())
			l.ep.Drain()
			var lost int64
			for _, m := range missed.FindAllStringSubmatch(ffmpeg.wait(), -1) {
				n, err := strconv.ParseInt(m[1], 10, 64)
				require.NoError(t, err)
				if n < 1<<15 { // else it is one that it had: it counts by 16 bits
					lost += n
				}
			}
			did := net.did(t, len(said())/320)
			require.Equal(t, did.Lost, lost, ffmpeg.out.String())
			got := d.at16k(readWAV(t, ffmpeg.path))
			like := signal.Liken(said(), got)
			t.Logf("%d samples: %v", len(got), like)
			require.InDelta(t, len(said()), len(got), 960)
			require.Greater(t, like.Score, 0.8)
			require.GreaterOrEqual(t, like.Share(), share)
		})
	}
}
