package browser

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
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
