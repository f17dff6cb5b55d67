package rtpio

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/mixminus/mixminus/engine"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	echoEnv     = "RTPIO_ECHO"
	clientsEnv  = "RTPIO_ECHO_CLIENTS" // how many there are; without it echoClients
	echoClients = 1000
	echoPayload = 172 // 20 ms of G.711 in RTP
	echoBuffer  = 4 << 20
)

// echoes are what BenchmarkEcho and BenchmarkStreams compare, each in a process
// of its own: they return the addresses on which they echo until the process
// ends.
var echoes = map[string]func() []netip.AddrPort{
	"net":           func() []netip.AddrPort { return echoNet(1) },
	"syscalls":      echoSyscalls,
	"polled":        func() []netip.AddrPort { return echoPolled(false) },
	"polled+poller": func() []netip.AddrPort { return echoPolled(true) },
	"own/net":       func() []netip.AddrPort { return echoNet(echoedClients()) },
	"own/polled":    echoOwnPolled,
	"server/pcmu":   func() []netip.AddrPort { return echoServer("PCMU", 8000) },
	"server/l16":    func() []netip.AddrPort { return echoServer("L16", 16000) },
	"own/pcmu":      func() []netip.AddrPort { return echoOwnLegs("PCMU", 8000) },
}

// echoedClients is how many clients an echo has.
func echoedClients() int {
	n, err := strconv.Atoi(os.Getenv(clientsEnv))
	if err != nil {
		return echoClients
	}
	return n
}

var udpLoopback = netip.MustParseAddrPort("127.0.0.1:0")

// echoNet is what one writes first: a goroutine per socket, blocked in a read.
func echoNet(n int) (addrs []netip.AddrPort) {
	for range n {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(udpLoopback))
		if err != nil {
			panic(err)
		}
		if n == 1 {
			_ = conn.SetReadBuffer(echoBuffer)
		}
		addrs = append(addrs, conn.LocalAddr().(*net.UDPAddr).AddrPort())
		go func() {
			buf := make([]byte, 1500)
			for {
				n, from, err := conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					panic(err)
				}
				_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
			}
		}()
	}
	return addrs
}

// echoSyscalls is the floor without batches: one thread, blocked in recvfrom.
func echoSyscalls() []netip.AddrPort {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		panic(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, echoBuffer)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: udpLoopback.Addr().As4()}); err != nil {
		panic(err)
	}
	addr, err := boundTo(fd)
	if err != nil {
		panic(err)
	}
	go func() {
		runtime.LockOSThread()
		buf := make([]byte, 1500)
		var sa unix.RawSockaddrInet4
		for {
			size := uint32(unix.SizeofSockaddrInet4)
			n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])),
				uintptr(len(buf)), 0, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
			if errno == 0 {
				_, _, _ = unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])),
					n, 0, uintptr(unsafe.Pointer(&sa)), uintptr(size))
			}
		}
	}()
	return []netip.AddrPort{addr}
}

// echoPolled polls one socket every millisecond. poller has the runtime watch
// the socket, as it watches those of package net.
func echoPolled(poller bool) []netip.AddrPort {
	s, err := listenUDP(udpLoopback, echoBuffer, echoBuffer)
	if err != nil {
		panic(err)
	}
	if poller {
		if _, err := s.packet.(*kernelSocket).watch(); err != nil {
			panic(err)
		}
	}
	go func() {
		in, out := newInBatch(64, 1500), newOutBatch(64, 1500)
		everyMillisecond(func(int) {
			now, wall := engine.Now(), time.Now().UnixNano()
			for {
				echoOnce(s, in, out, now, wall)
				if !in.more() {
					return
				}
			}
		})
	}()
	return []netip.AddrPort{s.local()}
}

// echoOwnPolled polls a socket per client every 20 ms.
func echoOwnPolled() (addrs []netip.AddrPort) {
	sockets := make([]*socket, echoedClients())
	for i := range sockets {
		s, err := listenUDP(udpLoopback, 0, 0)
		if err != nil {
			panic(err)
		}
		sockets[i] = s
		addrs = append(addrs, s.local())
	}
	go func() {
		in, out := newInBatch(4, 1500), newOutBatch(4, 1500)
		everyMillisecond(func(turn int) {
			now, wall := engine.Now(), time.Now().UnixNano()
			for i := turn % 20; i < len(sockets); i += 20 {
				echoOnce(sockets[i], in, out, now, wall)
			}
		})
	}()
	return addrs
}

func echoOnce(s *socket, in *inBatch, out *outBatch, now, wall int64) {
	s.recv(in, now, wall)
	for _, d := range in.packets {
		out.add(append(out.buffer(), d.data...), d.from)
	}
	s.flush(out)
}

func everyMillisecond(turn func(int)) {
	runtime.LockOSThread()
	start := engine.Now()
	for i := 0; ; i++ {
		sleepUntilEngine(start + int64(i)*1e6)
		turn(i)
	}
}

// sleepUntilEngine sleeps until engine.Now is t, as the engine's pacers do.
func sleepUntilEngine(t int64) {
	d := t - engine.Now()
	if d <= 0 {
		return
	}
	ts := unix.NsecToTimespec(d)
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
}

// TestEchoProcess is the process of an echo: it tells its addresses, and then
// answers what it is asked.
func TestEchoProcess(t *testing.T) {
	echo := echoes[os.Getenv(echoEnv)]
	if echo == nil {
		t.Skip("for BenchmarkEcho and BenchmarkStreams")
	}
	// As in any server somebody waits for connections, so that a thread
	// looks after the sockets that the runtime watches.
	l, err := net.Listen("tcp", udpLoopback.String())
	require.NoError(t, err)
	go func() { _, _ = l.Accept() }()
	var line strings.Builder
	for _, addr := range echo() {
		fmt.Fprintf(&line, "%v ", addr)
	}
	fmt.Println("\nECHO", line.String())
	for ask := bufio.NewScanner(os.Stdin); ask.Scan(); {
		what, about, _ := strings.Cut(ask.Text(), " ")
		fmt.Println(what, echoAnswers[what](about))
	}
	os.Exit(0)
}

// echoAnswers are what the process of an echo can be asked, one line each.
var echoAnswers = map[string]func(about string) string{
	// cpu is the time that it has used.
	"cpu": func(string) string {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
		return fmt.Sprint(u.Utime.Nano() + u.Stime.Nano())
	},
	// memory is the bytes in use, heap and stacks.
	"memory": func(string) string {
		runtime.GC()
		runtime.GC() // what pools held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return fmt.Sprint(m.HeapInuse + m.StackInuse)
	},
	// profile writes one of the CPU to the file that is named, until asked with
	// none.
	"profile": func(file string) string {
		pprof.StopCPUProfile()
		if file == "" {
			return ""
		}
		f, err := os.Create(file)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(pprof.StartCPUProfile(f))
	},
	// streams is how many legs there are, and what they have lost.
	"streams": func(string) string { return "0 0 0" },
}

type echoProcess struct {
	addrs []netip.AddrPort
	in    io.WriteCloser
	out   *bufio.Scanner
	wait  func() error
}

func startEcho(b *testing.B, name string, clients int) *echoProcess {
	cmd := exec.Command(os.Args[0], "-test.run=^TestEchoProcess$")
	cmd.Env = append(os.Environ(), echoEnv+"="+name, fmt.Sprint(clientsEnv, "=", clients))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	p := &echoProcess{in: in, out: bufio.NewScanner(out), wait: cmd.Wait}
	b.Cleanup(p.close)
	p.out.Buffer(nil, 1<<20)
	for _, f := range strings.Fields(p.told(b, "ECHO ")) {
		p.addrs = append(p.addrs, netip.MustParseAddrPort(f))
	}
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

func (p *echoProcess) cpu(b *testing.B) (ns int64) {
	p.ask(b, "cpu", &ns)
	return ns
}

// BenchmarkEcho has 1,000 clients send 50 packets a second each, evenly spread
// or in bursts once a millisecond, and reports what CPU time the echo takes
// for each: all of its process, its wake-ups included.
func BenchmarkEcho(b *testing.B) {
	clients := make([]*socket, echoClients)
	for i := range clients {
		s, err := listenUDP(udpLoopback, 0, 0)
		require.NoError(b, err)
		defer s.close()
		clients[i] = s
	}
	for _, burst := range []int{50, 1} {
		for _, name := range []string{"net", "syscalls", "polled", "polled+poller", "own/net", "own/polled"} {
			b.Run(fmt.Sprintf("burst=%d/%s", burst, name), func(b *testing.B) {
				p := startEcho(b, name, echoClients)
				driveEcho(clients, p.addrs, 20_000, burst) // warms up
				before := p.cpu(b)
				b.ResetTimer()
				echoed := driveEcho(clients, p.addrs, b.N, burst)
				b.StopTimer()
				b.ReportMetric(float64(p.cpu(b)-before)/float64(b.N), "cpu-ns/packet")
				b.ReportMetric(100*float64(echoed)/float64(b.N), "%echoed")
			})
		}
	}
}

// driveEcho sends n packets, burst by burst, and returns how many came back.
func driveEcho(clients []*socket, to []netip.AddrPort, n, burst int) (echoed int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	in := newInBatch(4, 1500)
	packet := make([]byte, echoPayload)
	start := engine.Now()
	for i := range n {
		if i%burst == 0 {
			sleepUntilEngine(start + int64(i)*20_000)
		}
		s := clients[i%len(clients)]
		echoed += s.recv(in, 0, 0)
		s.send(packet, to[i%len(clients)%len(to)])
	}
	time.Sleep(100 * time.Millisecond)
	for _, s := range clients {
		echoed += s.recv(in, 0, 0)
	}
	return echoed
}
