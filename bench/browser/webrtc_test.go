package browser

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
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
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/stretchr/testify/require"
)

// instruments are what the tests' page adds to the function of the manual: they
// keep its connections, give it a microphone that nobody cleans, and record what
// it plays, at 48 kHz.
const instruments = `
const peers = [], heard = [], Peer = RTCPeerConnection;
window.RTCPeerConnection = class extends Peer {
	constructor(config) {
		super(config);
		peers.push(this);
		this.addEventListener("track", (e) => record(e.track));
	}
	setRemoteDescription({type, sdp}) {
		return super.setRemoteDescription({type, sdp: detour(sdp)});
	}
};
let detour = (sdp) => sdp;
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = () => open({audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
async function record(track) {
	const context = new AudioContext({sampleRate: 48000});
	const tape = "registerProcessor('tape', class extends AudioWorkletProcessor {" +
		"process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; } })";
	await context.audioWorklet.addModule(URL.createObjectURL(new Blob([tape], {type: "text/javascript"})));
	const node = new AudioWorkletNode(context, "tape", {channelCount: 1, channelCountMode: "explicit"});
	node.port.onmessage = ({data}) => heard.push(data);
	context.createMediaStreamSource(new MediaStream([track])).connect(node).connect(context.destination);
}
function tape() {
	const bytes = new Uint8Array(heard.reduce((n, part) => n + part.length, 0) * 2), view = new DataView(bytes.buffer);
	let at = 0;
	for (const part of heard) for (const s of part) {
		view.setInt16(at, Math.max(-1, Math.min(1, s)) * 32767, true);
		at += 2;
	}
	let text = "";
	for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
	return btoa(text);
}
const stops = [];
async function start(address, options) {
	stops.push(await call(address, options));
	return true;
}
let concealed = 0; // samples that the browser made up
async function count() {
	for (const r of (await peers[0].getStats()).values()) if (r.type === "inbound-rtp") concealed = r.concealedSamples;
}
const hangUp = () => stops.splice(0).forEach((stop) => stop());
addEventListener("pagehide", hangUp);
const isUp = (pc) => pc.connectionState === "connected";
`

// manual returns the JavaScript that docs/WEBRTC.md tells people to use.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/WEBRTC.md")
	require.NoError(t, err)
	_, script, ok := strings.Cut(string(text), "```js\n")
	require.True(t, ok)
	script, _, ok = strings.Cut(script, "```")
	require.True(t, ok)
	return script
}

// host is a running "mixminus serve --webrtc", and a page of another origin
// that may call it.
type host struct {
	program
	page  string
	ready struct{ HTTP, WebRTC, WHEP, UDP string }
}

func startHost(t *testing.T, bot string, args ...string) *host {
	browserPath(t)
	script := manual(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Call</title><link rel="icon" href="data:,"><script>%s%s</script>`, script, instruments)
	}))
	t.Cleanup(page.Close)
	x := &host{program: program{t: t, recordings: t.TempDir()}, page: page.URL}
	var ready map[string]string
	x.start(&ready, append([]string{"serve", "--bot", bot, "--listen", "127.0.0.1:0", "--webrtc", "127.0.0.1:0",
		"--webrtc-origin", page.URL, "--recordings", x.recordings}, args...)...)
	x.ready.HTTP, x.ready.WebRTC, x.ready.WHEP, x.ready.UDP = ready["http"], ready["webrtc"], ready["whep"], ready["webrtc_udp"]
	return x
}

// hosted is what the control API shows of a call.
type hosted struct {
	ID, Error string
	Media     struct {
		Connected bool
		FramesIn  int64 `json:"frames_in"`
		Speakers  []struct {
			RawID string `json:"raw_id"`
		}
		Transport struct {
			RTP struct {
				Codec                            string
				Received, Lost, Late, Sent, Keys int64
				Recovered, Concealed             int64
			}
		}
	}
}

func (x *host) calls() []hosted {
	x.t.Helper()
	var list struct{ Calls []hosted }
	ask(x.t, "GET", x.ready.HTTP+"/v1/calls", nil, &list)
	return list.Calls
}

// one is the one call, once its media has come.
func (x *host) one() (c hosted) {
	x.t.Helper()
	x.eventually("one call has media", func() bool {
		list := x.calls()
		if len(list) == 1 {
			c = list[0]
		}
		return len(list) == 1 && c.Media.FramesIn > 0
	})
	return c
}

func (x *host) none() {
	x.t.Helper()
	x.eventually("no call is left", func() bool { return len(x.calls()) == 0 })
}

// run waits for a promise.
func (b *tab) run(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[any](expression, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err, expression)
}

// call calls the address by the manual's function.
func (b *tab) call(address, options string) {
	b.t.Helper()
	b.run(fmt.Sprintf("start(%q, %s)", address, options))
	b.await("the browser is connected", `peers.every(isUp)`)
}

func (b *tab) stop() {
	b.t.Helper()
	b.run("hangUp()")
}

// tape returns what the page played, at 16 kHz.
func (b *tab) tape() []int16 {
	b.t.Helper()
	data, err := base64.StdEncoding.DecodeString(eval[string](b, "tape()"))
	require.NoError(b.t, err)
	samples := make([]int16, len(data)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return convert(b.t, samples, 48000, signal.SampleRate)
}

func (b *tab) requireQuiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.faults, "console")
}

func convert(t *testing.T, samples []int16, from, to int) []int16 {
	t.Helper()
	r, err := resample.New(from, to)
	require.NoError(t, err)
	out := make([]int16, r.Size(len(samples))+r.Delay())
	n := r.Process(out, samples)
	n += r.Flush(out[n:])
	return out[r.Delay():n]
}

// band is what a codec of 8 kHz can carry of speech.
func band(t *testing.T, samples []int16) []int16 {
	return convert(t, convert(t, samples, signal.SampleRate, 8000), 8000, signal.SampleRate)
}

// alike requires that got is ref as it comes through a codec. On a busy machine
// the browser speaks and plays in bursts, and what is moved or made up for that
// costs blocks: much may be, for what is foreign has none alike.
func alike(t *testing.T, what string, ref, got []int16) signal.Likeness {
	t.Helper()
	l := signal.Liken(ref, got)
	t.Logf("%s: %v", what, l)
	require.Greater(t, l.Share(), 0.5, what)
	return l
}

// requireFaithful: where the host had to make nothing up, there is nothing to
// excuse but that its jitter buffer may have become shorter, which moves the rest.
func requireFaithful(t *testing.T, c hosted, l signal.Likeness, score float64) {
	t.Helper()
	rtp := c.Media.Transport.RTP
	t.Logf("%+v", rtp)
	if rtp.Concealed > 0 {
		t.Log("the machine is busy: the browser's packets did not come in time")
		return
	}
	require.Greater(t, l.Share(), 0.8)
	require.Less(t, l.Silence, signal.SampleRate/20)
	if l.Wander == 0 {
		require.Greater(t, l.Score, score)
	}
}

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
