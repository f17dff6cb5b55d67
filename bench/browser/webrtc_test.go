package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/netem/proxy"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/stretchr/testify/require"
)

// TestChromiumDies: a browser that is gone without a word ends its call as lost,
// and what it said until then is recorded.
func TestChromiumDies(t *testing.T) {
	t.Parallel()
	x := startHost(t, "record", "--webrtc-codec", "PCMU")
	said := signal.Speech(signal.Allison)[:signal.SampleRate]
	b := openTab(t, x.page, microphone(t, said))
	b.call(x.ready.WebRTC, "{listen: false}")
	x.one()
	time.Sleep(duration(lead+len(said)) + time.Second)
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.CallBrowser(ctx, browser.Crash, cdp.Empty{})
		return err // of a connection that is gone
	}))
	x.eventually("the connection is lost", func() bool { return !x.calls()[0].Media.Connected })
	x.none()
	require.Contains(t, x.stderr.String(), "stream_failed")
	x.end()
	alike(t, "what the host heard", band(t, said), band(t, x.recording("mixed.wav")))
}

// TestChromiumIsHeardAndHears calls an echo by each codec: its recording is what
// the microphone said, and what the browser plays is what the bot said.
func TestChromiumIsHeardAndHears(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		score float64
	}{{"PCMU", 0.98}, {"G722", 0.98}, {"opus", 0.94}} {
		name, score := c.name, c.score
		t.Run(name, func(t *testing.T) {
			x := startHost(t, "echo", "--webrtc-codec", name)
			said := signal.Speech(signal.June)[:4*signal.SampleRate]
			b := openTab(t, x.page, microphone(t, said))
			b.call(x.ready.WebRTC, "{}")
			time.Sleep(duration(lead+len(said)) + time.Second/2)
			call := x.one()
			require.True(t, strings.HasPrefix(call.Media.Transport.RTP.Codec, name), call.Media.Transport.RTP.Codec)
			played := b.tape()
			b.run("count()")
			concealed := eval[int64](b, "concealed")
			b.stop()
			x.none()
			b.requireQuiet()
			x.end()
			heard, answered := x.recording("mixed-in.wav"), x.recording("bot.wav")
			if name != "G722" { // PCMU has no more, and opus makes up what is above
				said, heard, answered, played = band(t, said), band(t, heard), band(t, answered), band(t, played)
			}
			out := alike(t, "what the browser played", answered, played)
			t.Logf("of which %d samples are made up", concealed)
			if concealed == 0 {
				require.Greater(t, out.Share(), 0.8)
			}
			requireFaithful(t, call, alike(t, "what the host heard", said, heard), score)
		})
	}
}

// TestChromiumOverBadNetwork loses packets both ways, and scatters the others.
// What is heard is alike where none was lost, and in some places where Opus repaired
// that. Then the bot hangs up, which the page learns.
func TestChromiumOverBadNetwork(t *testing.T) {
	t.Parallel()
	// Lite, so that the host sends no checks past the proxy.
	x := startHost(t, "echo", "--webrtc-codec", "opus", "--webrtc-lite")
	bad := netem.Config{Seed: 1, Loss: 0.05, Jitter: 50 * time.Millisecond}
	between, err := proxy.Start(proxy.Config{Target: x.ready.UDP, Up: bad, Down: bad})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, between.Close()) })
	said := signal.Speech(signal.June)[:4*signal.SampleRate]
	late := slices.Concat(signal.Silence(2*signal.SampleRate), said) // a lost handshake is repeated after a second
	b := openTab(t, x.page, microphone(t, late))
	candidate := strings.NewReplacer(":", " ")
	eval[int](b, fmt.Sprintf(`detour = (sdp) => sdp.replaceAll(" %s ", " %s "); 0`,
		candidate.Replace(x.ready.UDP), candidate.Replace(between.Addr().String())))
	b.call(x.ready.WebRTC, "{}")
	time.Sleep(duration(lead+len(late)) + time.Second)
	c := x.one()
	t.Logf("%+v", c.Media.Transport.RTP)
	require.Positive(t, c.Media.Transport.RTP.Lost+c.Media.Transport.RTP.Recovered)
	played := b.tape()
	ask(t, "DELETE", x.ready.HTTP+"/v1/calls/"+c.ID, nil, nil)
	b.await("the page learns that the bot hung up", `!peers.some(isUp)`)
	x.none()
	up, down, _ := between.Stats()
	t.Logf("up %+v, down %+v", up, down)
	require.Positive(t, up.Lost)
	b.requireQuiet()
	x.end()
	in := signal.Liken(band(t, said), band(t, x.recording("mixed-in.wav")))
	t.Logf("what the host heard: %v", in)
	out := signal.Liken(band(t, x.recording("bot.wav")), band(t, played))
	t.Logf("what the browser played: %v", out)
	require.Greater(t, in.Share(), 0.4)
	require.Greater(t, out.Share(), 0.2)
}

// loop is a microphone that says the same again and again, for who comes late.
func loop(t *testing.T, samples []int16) (string, chromedp.ExecAllocatorOption) {
	t.Helper()
	file := microphone(t, samples)
	return file, chromedp.Flag("use-file-for-fake-audio-capture", file)
}

// TestChromiumPublishesAndListens: one browser only speaks to a bot, and another,
// which has no microphone, only listens to the call.
func TestChromiumPublishesAndListens(t *testing.T) {
	t.Parallel()
	x := startHost(t, "record", "--webrtc-codec", "G722")
	said := signal.Speech(signal.Carlo)[:3*signal.SampleRate]
	file, again := loop(t, said)
	listener := openTab(t, x.page, "")
	speaker := openTab(t, x.page, file, again)
	speaker.call(x.ready.WebRTC, "{listen: false}")
	c := x.one()
	listener.call(x.ready.WHEP+"/"+c.ID, "{speak: false}")
	require.Equal(t, "sendonly recvonly", eval[string](speaker, `peers[0].getTransceivers()[0].currentDirection`)+" "+
		eval[string](listener, `peers[0].getTransceivers()[0].currentDirection`))
	time.Sleep(duration(lead+2*len(said)) + time.Second/2) // a whole sentence, wherever that begins
	played := listener.tape()
	c = x.one()
	require.Len(t, x.calls(), 1, "who listens is no call")
	listener.stop()
	require.Len(t, x.calls(), 1, "and ends none")
	speaker.stop()
	x.none()
	require.Empty(t, eval[string](speaker, "tape()"), "nothing came to who does not listen")
	require.Equal(t, "ended", eval[string](speaker, `peers[0].getSenders()[0].track?.readyState ?? "ended"`), "the microphone is closed")
	speaker.requireQuiet()
	listener.requireQuiet()
	x.end()
	alike(t, "what the listener heard", said, played)
	requireFaithful(t, c, alike(t, "what the host heard", said, x.recording("mixed.wav")), 0.98)
}

// TestChromiumMutesAndPresses: a track that is not enabled is silence in the
// recording, and a key is one key. Who leaves the page hangs up.
func TestChromiumMutesAndPresses(t *testing.T) {
	t.Parallel()
	x := startHost(t, "record")
	said := signal.Speech(signal.Carlo)
	file := microphone(t, said)
	b := openTab(t, x.page, file)
	b.call(x.ready.WebRTC, "{listen: false}")
	time.Sleep(duration(lead) + 2*time.Second)
	enable := `peers[0].getSenders()[0].track.enabled = `
	from := x.one().Media.FramesIn
	eval[bool](b, enable+"false")
	x.eventually("two seconds pass", func() bool { return x.one().Media.FramesIn > from+100 })
	eval[bool](b, enable+"true")
	time.Sleep(time.Second)
	b.run(`new Promise((done) => {
		const keys = peers[0].getSenders()[0].dtmf;
		keys.ontonechange = ({tone}) => tone || done();
		keys.insertDTMF("5");
	})`)
	x.eventually("a key is pressed", func() bool { return x.one().Media.Transport.RTP.Keys > 0 })
	time.Sleep(500 * time.Millisecond)
	c := x.one()
	require.EqualValues(t, 1, c.Media.Transport.RTP.Keys, "once")
	b.requireQuiet()
	b.do(chromedp.Navigate("about:blank"))
	x.none()
	x.end()
	require.NotContains(t, x.stderr.String(), "WARN", "who leaves a page hangs up")
	heard := x.recording("mixed.wav")
	begin, _ := signal.Align(said[:signal.SampleRate], heard)
	heard = heard[begin:]
	t.Logf("Carlo is silent for %v at most, and muted for %v of %v", silence(said), silence(heard), duration(len(heard)))
	require.Greater(t, silence(heard), 1500*time.Millisecond)
	l := signal.Liken(said[:signal.SampleRate], heard)
	t.Logf("before that: %v", l)
	require.Greater(t, l.Share(), 0.7)
	require.Greater(t, signal.Level(heard[len(heard)-signal.SampleRate/2:]), -45.0, "and he is heard again")
}
