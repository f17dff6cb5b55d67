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
	echoClients = 1000
	echoPayload = 172 // 20 ms of G.711 in RTP
	echoBuffer  = 4 << 20
)

// echoes are what BenchmarkEcho compares, each in a process of its own: they
// return the addresses on which they echo until the process ends.
var echoes = map[string]func() []netip.AddrPort{
	"net":           func() []netip.AddrPort { return echoNet(1) },
	"syscalls":      echoSyscalls,
	"polled":        func() []netip.AddrPort { return echoPolled(false) },
	"polled+poller": func() []netip.AddrPort { return echoPolled(true) },
	"own/net":       func() []netip.AddrPort { return echoNet(echoClients) },
	"own/polled":    echoOwnPolled,
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
	sockets := make([]*socket, echoClients)
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

// TestEchoProcess is the process of an echo: it tells its addresses, and the
// CPU time that it has used each time it is asked.
func TestEchoProcess(t *testing.T) {
	echo := echoes[os.Getenv(echoEnv)]
	if echo == nil {
		t.Skip("for BenchmarkEcho")
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
	ask := bufio.NewReader(os.Stdin)
	for {
		if _, err := ask.ReadString('\n'); err != nil {
			os.Exit(0)
		}
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
		fmt.Println("CPU", u.Utime.Nano()+u.Stime.Nano())
	}
}

type echoProcess struct {
	addrs []netip.AddrPort
	in    io.Writer
	out   *bufio.Scanner
}

func startEcho(b *testing.B, name string) *echoProcess {
	cmd := exec.Command(os.Args[0], "-test.run=^TestEchoProcess$")
	cmd.Env = append(os.Environ(), echoEnv+"="+name)
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	p := &echoProcess{in: in, out: bufio.NewScanner(out)}
	p.out.Buffer(nil, 1<<20)
	for _, f := range strings.Fields(p.told(b, "ECHO ")) {
		p.addrs = append(p.addrs, netip.MustParseAddrPort(f))
	}
	return p
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

func (p *echoProcess) cpu(b *testing.B) (ns int64) {
	_, err := fmt.Fprintln(p.in)
	require.NoError(b, err)
	_, err = fmt.Sscan(p.told(b, "CPU "), &ns)
	require.NoError(b, err)
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
				p := startEcho(b, name)
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
