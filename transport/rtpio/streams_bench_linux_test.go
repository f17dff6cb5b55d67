package rtpio

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec"
	"github.com/stretchr/testify/require"
)

const (
	streamWarmUp   = 2 * time.Second // to the legs' being there, and once more
	streamMeasured = 4 * time.Second
	streamFloor    = 2 * time.Second // before and after
	// profilesEnv names a folder for a CPU profile of each echo.
	profilesEnv = "RTPIO_PROFILES"
)

// BenchmarkStreams has clients send streams of RTP, each 50 packets a second
// from a socket of its own, their turns spread over the 20 ms by chance, and
// reports the CPU time that echoing them takes: all of the process, for each
// packet that comes and goes, and for a second of a stream.
//
// The floor, which looks at nothing, is a thread that is blocked in recvfrom;
// it is measured before and after each of the others, and x-floor is their
// ratio. server echoes by the handlers of legs on one port, own by legs that
// have ports of their own; net and polled are those of BenchmarkEcho. B/leg is
// the memory of a leg that talks; lost and concealed are packets and frames of
// all legs that did not come in time, which on a quiet machine is none, as
// %echoed then is 100.
func BenchmarkStreams(b *testing.B) {
	for _, n := range []int{1000, 100, 10} {
		for _, way := range []struct {
			name, codec string
			clock       int
		}{
			{"net", "PCMU", 8000},
			{"polled", "PCMU", 8000},
			{"server/pcmu", "PCMU", 8000},
			{"server/l16", "L16", 16000},
			{"own/net", "PCMU", 8000},
			{"own/pcmu", "PCMU", 8000},
		} {
			b.Run(fmt.Sprintf("streams=%d/%s", n, way.name), func(b *testing.B) {
				c, ok := codec.ByName(way.codec, way.clock)
				require.True(b, ok)
				for b.Loop() { // once, for it takes seconds
					benchStreams(b, way.name, newFleet(b, n, c))
				}
			})
		}
	}
}

func benchStreams(b *testing.B, name string, f *fleet) {
	n := len(f.streams)
	floor := startEcho(b, "syscalls", n)
	f.call(floor.addrs)
	bare, packets := floor.echo(b, f, streamFloor)
	f.check(b)

	p := startEcho(b, name, n)
	var empty, full int64
	p.ask(b, "memory", &empty)
	f.call(p.addrs)
	f.play(streamWarmUp)
	p.ask(b, "memory", &full)
	f.play(streamWarmUp)
	f.mark()
	before := p.legs(b)
	p.profile(b, fmt.Sprintf("%d-%s", n, strings.ReplaceAll(name, "/", "-")))
	spent, echoed := p.echo(b, f, streamMeasured)
	p.ask(b, "profile")
	after := p.legs(b)
	part := f.check(b)
	p.close()

	f.call(floor.addrs)
	again, more := floor.echo(b, f, streamFloor)
	floor.close()

	per := float64(spent) / float64(echoed)
	b.ReportMetric(0, "ns/op") // it is real time
	b.ReportMetric(per, "cpu-ns/packet")
	b.ReportMetric(per*50/1e3, "cpu-µs/stream-s")
	b.ReportMetric(float64(bare+again)/float64(packets+more), "floor-cpu-ns/packet")
	b.ReportMetric(per*float64(packets+more)/float64(bare+again), "x-floor")
	b.ReportMetric(100*part, "%echoed")
	if after.n > 0 {
		require.Equal(b, n, after.n)
		b.ReportMetric(float64(full-empty)/float64(n), "B/leg")
		b.ReportMetric(float64(after.lost-before.lost), "lost")
		b.ReportMetric(float64(after.concealed-before.concealed), "concealed")
	}
}

// echo has the clients send for d, and returns the CPU time that the echo took
// for so many packets.
func (p *echoProcess) echo(b *testing.B, f *fleet, d time.Duration) (cpu int64, packets int) {
	before := p.cpu(b)
	packets = f.play(d)
	return p.cpu(b) - before, packets
}

// echoedLegs are those of an echo, and what did not come in time of all.
type echoedLegs struct {
	n               int
	lost, concealed int64
}

func (p *echoProcess) legs(b *testing.B) (l echoedLegs) {
	p.ask(b, "streams", &l.n, &l.lost, &l.concealed)
	return l
}

// profile writes a profile, if they are wanted.
func (p *echoProcess) profile(b *testing.B, name string) {
	if dir := os.Getenv(profilesEnv); dir != "" {
		p.ask(b, "profile "+filepath.Join(dir, name+".pprof"))
	}
}
