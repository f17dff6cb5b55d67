package rtc

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// echoEnv names the way of an echo and its codec.
const echoEnv = "RTC_ECHO"

// echoes are what BenchmarkLegs compares, each in a process of its own: handlers
// that answer an offer with a session that echoes until the process ends.
var echoes = map[string]func(codec string) http.Handler{
	"pion":         func(codec string) http.Handler { return newPionEcho(codec, false) },
	"interceptors": func(codec string) http.Handler { return newPionEcho(codec, true) },
	"legs":         newLegEcho,
	"codec":        func(codec string) http.Handler { named = codec; return http.NotFoundHandler() },
}

// named is the codec whose own cost is asked for.
var named string

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// pionEcho is what one writes with Pion alone: a goroutine that reads the remote
// track and writes the local one.
type pionEcho struct {
	capability   webrtc.RTPCodecCapability
	api          *webrtc.API
	certificates []webrtc.Certificate
	intercepted  bool
}

// newPionEcho has one port and one certificate, as our server.
func newPionEcho(name string, intercepted bool) http.Handler {
	s := must(New(Config{Engine: engine.New(engine.Config{}), BaseURL: "http://127.0.0.1/"}))
	e := &pionEcho{capability: capability(name), intercepted: intercepted}
	e.certificates = []webrtc.Certificate{must(s.current())}
	var media webrtc.MediaEngine
	codec := webrtc.RTPCodecParameters{RTPCodecCapability: e.capability, PayloadType: payloadTypes[name]}
	must(0, media.RegisterCodec(codec, webrtc.RTPCodecTypeAudio))
	var registry interceptor.Registry
	if intercepted {
		must(0, webrtc.RegisterDefaultInterceptors(&media, &registry))
	}
	var set webrtc.SettingEngine
	set.LoggerFactory = silence{}
	set.SetIncludeLoopbackCandidate(true)
	set.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	set.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	set.SetICEUDPMux(s.udp)
	e.api = webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(set), webrtc.WithInterceptorRegistry(&registry))
	return e
}

// ServeHTTP answers an offer.
func (e *pionEcho) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	offer := string(must(io.ReadAll(r.Body)))
	pc := must(e.api.NewPeerConnection(webrtc.Configuration{Certificates: e.certificates}))
	track := must(webrtc.NewTrackLocalStaticRTP(e.capability, "audio", "echo"))
	pc.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := remote.ReadRTP()
			if err != nil {
				return
			}
			_ = track.WriteRTP(p)
		}
	})
	must(0, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}))
	sender := must(pc.AddTrack(track))
	if e.intercepted { // they see the reports that somebody reads
		go func() {
			for b := make([]byte, 1500); ; {
				if _, _, err := sender.Read(b); err != nil {
					return
				}
			}
		}()
	}
	answer := must(pc.CreateAnswer(nil))
	gathered := webrtc.GatheringCompletePromise(pc)
	must(0, pc.SetLocalDescription(answer))
	<-gathered
	w.Header().Set("Location", "/echo")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, pc.LocalDescription().SDP)
}

// newLegEcho is a Server whose legs say what they hear.
func newLegEcho(string) http.Handler {
	e := engine.New(engine.Config{})
	s := must(New(Config{Engine: e, BaseURL: "http://127.0.0.1/whip"}))
	var mu sync.Mutex
	var endpoints []transport.Endpoint
	echoAnswers["missed"] = func(string) string {
		mu.Lock()
		defer mu.Unlock()
		var lost, concealed int64
		for _, ep := range endpoints {
			if x := ep.Stats().RTP; x != nil {
				lost, concealed = lost+x.Lost+x.Late, concealed+x.Concealed
			}
		}
		return words(lost, concealed)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ep := must(s.Open(must(e.NewLeg(echo)), both))
		mu.Lock()
		endpoints = append(endpoints, ep)
		mu.Unlock()
		s.ServeOffer(w, r, ep.URL())
	})
}

// TestEchoProcess is the process of an echo: it tells its address, and then
// answers what it is asked.
func TestEchoProcess(t *testing.T) {
	way, codec, _ := strings.Cut(os.Getenv(echoEnv), " ")
	echo := echoes[way]
	if echo == nil {
		t.Skip("for BenchmarkLegs and BenchmarkJoins")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web := &http.Server{Handler: echo(codec), ReadHeaderTimeout: wait}
	go func() { _ = web.Serve(l) }()
	fmt.Printf("\nECHO http://%v/\n", l.Addr())
	for ask := bufio.NewScanner(os.Stdin); ask.Scan(); {
		what, about, _ := strings.Cut(ask.Text(), " ")
		fmt.Println(what, echoAnswers[what](about))
	}
	os.Exit(0)
}

// echoAnswers are what the process of an echo can be asked, one line each.
var echoAnswers = map[string]func(about string) string{
	// cpu is the time that it has used.
	"cpu": func(string) string { return fmt.Sprint(usedCPU()) },
	// memory is the bytes in use, heap and stacks, and how many goroutines.
	"memory": func(string) string { return words(inUse()) },
	// profile writes one of the CPU to the file that is named, until asked with
	// none; heap writes one of the memory.
	"profile": func(file string) string {
		pprof.StopCPUProfile()
		if file == "" {
			return ""
		}
		return fmt.Sprint(pprof.StartCPUProfile(must(os.Create(file))))
	},
	"heap": func(file string) string {
		f := must(os.Create(file))
		defer f.Close()
		return fmt.Sprint(pprof.Lookup("heap").WriteTo(f, 0))
	},
	"missed": func(string) string { return "0 0" },
	"codec":  func(string) string { return words(codecCost()) },
}

func words(a, b int64) string { return fmt.Sprint(a, b) }

func inUse() (memory, goroutines int64) {
	runtime.GC()
	runtime.GC() // what pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse), int64(runtime.NumGoroutine())
}

func usedCPU() int64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// codecCost is the CPU time, in ns, that it takes to decode a frame and encode it
// again, as so many sessions do every 20 ms, and the memory of one of them.
func codecCost() (cpu, memory int64) {
	c := codecOf(named)
	speech := coded(named)
	before, _ := inUse()
	decoders, encoders := make([]codec.Decoder, *sessions), make([]codec.Encoder, *sessions)
	samples, b := make([]int16, 2*c.SampleRate), make([]byte, 4000)
	frame := 0
	turn := func() {
		for i := range decoders {
			n := decoders[i].Decode(samples, speech[(frame+7*i)%len(speech)])
			encoders[i].Encode(b, samples[:n])
		}
		frame++
	}
	for i := range decoders {
		decoders[i], encoders[i] = c.NewDecoder(), c.NewEncoder()
	}
	const frames = 100
	used, at := usedCPU(), time.Now()
	for range frames {
		turn()
		at = at.Add(20 * time.Millisecond)
		time.Sleep(time.Until(at))
	}
	used = usedCPU() - used
	after, _ := inUse()
	runtime.KeepAlive(decoders)
	runtime.KeepAlive(encoders)
	return used / int64(frames**sessions), (after - before) / int64(*sessions)
}

func codecOf(name string) codec.Codec {
	x := capability(name)
	c, _ := codec.ByName(strings.TrimPrefix(x.MimeType, "audio/"), int(x.ClockRate))
	return c
}

// coded is speech in frames of 20 ms.
func coded(name string) (frames [][]byte) {
	c := codecOf(name)
	speech := at(c.SampleRate, signal.Speech(signal.Allison))
	enc, b := c.NewEncoder(), make([]byte, 4000)
	for n := c.SampleRate / 50; len(speech) >= n && len(frames) < 500; speech = speech[n:] {
		frames = append(frames, append([]byte(nil), b[:enc.Encode(b, speech[:n])]...))
	}
	return frames
}

type echoProcess struct {
	url  string
	in   io.WriteCloser
	out  *bufio.Scanner
	wait func() error
}

func startEcho(b *testing.B, way, codec string) *echoProcess {
	cmd := exec.Command(os.Args[0], "-test.run=^TestEchoProcess$", fmt.Sprint("-sessions=", *sessions))
	if *profiles != "" {
		cmd.Args = append(cmd.Args, "-test.memprofilerate=1024")
	}
	cmd.Env = append(os.Environ(), echoEnv+"="+way+" "+codec)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	p := &echoProcess{in: in, out: bufio.NewScanner(out), wait: cmd.Wait}
	b.Cleanup(p.close)
	p.url = p.told(b, "ECHO ")
	return p
}

func (p *echoProcess) close() {
	p.in.Close()
	_ = p.wait()
}

func (p *echoProcess) told(b *testing.B, what string) string {
	for p.out.Scan() {
		if rest, ok := strings.CutPrefix(p.out.Text(), what); ok {
			return rest
		}
	}
	require.NoError(b, p.out.Err())
	require.Fail(b, "the echo has ended")
	return ""
}

// ask returns an answer, of whole numbers.
func (p *echoProcess) ask(b *testing.B, what string, answer ...any) {
	_, err := fmt.Fprintln(p.in, what)
	require.NoError(b, err)
	what, _, _ = strings.Cut(what, " ")
	_, err = fmt.Sscan(p.told(b, what+" "), answer...)
	require.True(b, err == nil || len(answer) == 0, "%v", err)
}
