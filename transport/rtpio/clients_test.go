package rtpio_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/codec/wav"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/mixminus/mixminus/transport/rtpio"
	"github.com/mixminus/mixminus/transport/rtpmedia"
	"github.com/stretchr/testify/require"
)

// The tests of the clients files let programs that others wrote speak to a
// Server and listen to it, on loopback. None of them asserts a time: what is
// compared is samples and counters.

// patience bounds what is waited for; nothing is measured by it.
const patience = 40 * time.Second

// deep is a delay that what a client sends in one burst fits in: ffmpeg reads
// a WAV by 4 KiB, a quarter of a second at 8 kHz, and sends that at once. The
// longest delay leaves room beyond: of what waits for more than that the oldest
// is thrown away, as when the first packets were slower than all others.
const (
	deep    = 300 * time.Millisecond
	deepest = 400 * time.Millisecond
)

// need skips a test where a program is not installed; the project's own checks
// (CI=true) have it.
func need(t testing.TB, name string) {
	t.Helper()
	if _, err := os.Stat("/proc/net/udp"); err != nil {
		t.Skip("only Linux tells which ports are taken")
	}
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}

// said is what everybody says: three seconds in whole frames of 20 ms.
func said() []int16 { return signal.Speech(signal.Allison)[:3*signal.SampleRate] }

// host is a Server and what becomes of its legs.
type host struct {
	t      testing.TB
	engine *engine.Engine
	server *rtpio.Server
	rings  chan transport.Sender
}

// line is a leg all of which is kept.
type line struct {
	host *host
	leg  *engine.Leg
	ep   transport.Endpoint
	down chan error // the leg has no peer any more
	got  []int16    // owned by keep until kept is closed
	kept chan struct{}
	mu   sync.Mutex
	keys string
}

func newHost(t testing.TB, codecs ...string) *host {
	h := &host{t: t, engine: engine.New(engine.Config{}), rings: make(chan transport.Sender, 8)}
	cfg := rtpio.Config{
		Engine: h.engine, Listen: netip.MustParseAddrPort("127.0.0.1:0"),
		Jitter:   rtpmedia.JitterConfig{Min: deep, Max: deepest},
		OnSender: func(s transport.Sender) { h.rings <- s },
	}
	for _, name := range codecs {
		cfg.Codecs = append(cfg.Codecs, table(name))
	}
	var err error
	h.server, err = rtpio.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, h.server.Close())
		require.NoError(t, h.engine.Close())
	})
	return h
}

// table is the row of a codec.
func table(name string) codec.Codec {
	for _, c := range codec.All() {
		if c.Name == name {
			return c
		}
	}
	panic("no codec " + name)
}

// open makes a leg that is kept.
func (h *host) open() *line {
	h.t.Helper()
	l := &line{host: h, down: make(chan error, 1), kept: make(chan struct{})}
	var err error
	l.leg, err = h.engine.NewLeg(engine.LegConfig{OnDTMF: func(key byte, _ string) {
		l.mu.Lock()
		l.keys += string(key)
		l.mu.Unlock()
	}})
	require.NoError(h.t, err)
	go l.keep(l.leg.Tap(1000))
	l.ep, err = h.server.Open(l.leg, transport.Stream{Bidirectional: true, OnDown: func(err error) { l.down <- err }})
	require.NoError(h.t, err)
	return l
}

func (l *line) keep(tap *engine.Tap) {
	defer close(l.kept)
	var f pcm.Frame
	for tap.Read(context.Background(), &f) == nil {
		l.got = append(l.got, f.Samples[:]...)
	}
}

// line lets in who rings.
func (h *host) line() *line {
	h.t.Helper()
	select {
	case s := <-h.rings:
		l := h.open()
		require.NoError(h.t, h.server.Take(l.ep.URL(), s.ID))
		return l
	case <-time.After(patience):
		h.t.Fatal("nobody rang")
		return nil
	}
}

// pressed are the keys that came.
func (l *line) pressed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys
}

// ended waits for the peer to hang up.
func (l *line) ended() {
	l.host.t.Helper()
	select {
	case err := <-l.down:
		require.NoError(l.host.t, err)
	case <-time.After(patience):
		l.host.t.Fatalf("the call does not end: %+v", l.ep.Stats().RTP)
	}
}

// heard closes the leg and returns all that was heard on it.
func (l *line) heard() []int16 {
	l.leg.Close()
	<-l.kept
	return l.got
}

// say speaks, and returns when all of it was sent.
func (l *line) say(pcm []int16) {
	l.host.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	before := l.ep.Stats().RTP.Sent
	_, err := l.leg.Source().Write(ctx, pcm)
	require.NoError(l.host.t, err)
	frames := int64(len(pcm)+319) / 320
	require.Eventually(l.host.t, func() bool { return l.ep.Stats().RTP.Sent-before >= frames }, patience, 10*time.Millisecond)
}

// complete holds a leg to having heard so many packets or more, each once and in
// time.
func (l *line) complete(packets int) {
	t := l.host.t
	t.Helper()
	s, leg := l.ep.Stats(), l.leg.Stats()
	t.Logf("%+v", *s.RTP)
	require.GreaterOrEqual(t, s.RTP.Received, int64(packets))
	require.Zero(t, s.RTP.Lost+s.RTP.Late+s.RTP.Duplicate+s.RTP.Recovered+s.RTP.Restarts)
	require.Empty(t, s.BadMessages)
	require.Len(t, leg.Renders, 1)
	r := leg.Renders[0]
	require.Zero(t, r.Lost+r.Late+r.Padded+int64(r.TapDropped), "%+v", r)
	require.Equal(t, s.RTP.Concealed, r.Concealed)
}

// process is a program that runs beside the test.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   output
	over  chan error
}

// output is what a program printed, readable while it does.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// spawn starts a program; the end of the test is its own at the latest.
func spawn(t testing.TB, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), over: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	done := make(chan struct{})
	go func() {
		p.over <- p.cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // mostly it has ended
		<-done
		if t.Failed() {
			t.Logf("%v:\n%s", p.cmd.Args, &p.out)
		}
	})
	return p
}

// wait returns what the program printed, once it has ended in good order.
func (p *process) wait() string {
	p.t.Helper()
	select {
	case err := <-p.over:
		require.NoError(p.t, err, "%v: %s", p.cmd.Args, &p.out)
	case <-time.After(patience):
		p.t.Fatalf("%v does not end", p.cmd.Args)
	}
	return p.out.String()
}

// run runs a program to its end and returns what it printed.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	return spawn(t, name, args...).wait()
}

// nextPorts is where freePorts goes on: below the ports that the kernel gives
// to who asks for any, so that nobody gets one before the program that is told
// of it.
var nextPorts atomic.Int32

// freePorts finds an even port and the next that nobody has.
func freePorts(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 1000 {
		port := 20000 + (2*os.Getpid()+2*int(nextPorts.Add(1)))%12000
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
		if bindable(at) && bindable(netip.AddrPortFrom(at.Addr(), at.Port()+1)) {
			return at
		}
	}
	t.Fatal("no two ports in a row are free")
	return netip.AddrPort{}
}

func bindable(at netip.AddrPort) bool {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// listens waits until somebody has a UDP port. It looks at the kernel's table:
// to try the port would take it from who is about to.
func listens(t testing.TB, port uint16) {
	t.Helper()
	entry := fmt.Sprintf(":%04X 00000000:0000", port)
	require.Eventually(t, func() bool {
		table, err := os.ReadFile("/proc/net/udp")
		return err == nil && strings.Contains(string(table), entry)
	}, patience, 10*time.Millisecond, "nobody listens at port %d", port)
}

func writeWAV(t testing.TB, rate int, pcm []int16) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "said.wav")
	f, err := os.Create(path)
	require.NoError(t, err)
	w, err := wav.NewWriter(f, rate)
	require.NoError(t, err)
	require.NoError(t, w.WriteAt(0, pcm))
	require.NoError(t, w.Close())
	require.NoError(t, f.Close())
	return path
}

func readWAV(t testing.TB, path string) []int16 {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	r, err := wav.NewReader(f)
	require.NoError(t, err)
	all, err := r.ReadAll()
	require.NoError(t, err)
	return all
}

// resampled is pcm at another rate, as a leg makes it: later by the filter's
// delay.
func resampled(pcm []int16, from, to int) []int16 {
	r, err := resample.New(from, to)
	if err != nil {
		panic(err)
	}
	out := make([]int16, r.Size(len(pcm)))
	r.Process(out, pcm)
	return out
}

// snr in dB of what was heard of ref in got, wherever that begins.
func snr(got, ref []int16) float64 {
	at, _ := signal.Align(ref, got)
	if at < 0 {
		ref, at = ref[-at:], 0
	}
	var power, noise float64
	for i := range min(len(got)-at, len(ref)) {
		x := float64(ref[i])
		power, noise = power+x*x, noise+(float64(got[at+i])-x)*(float64(got[at+i])-x)
	}
	return 10 * math.Log10(power/noise)
}
