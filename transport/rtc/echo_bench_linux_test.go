package rtc

import (
	flags "flag"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

var (
	sessions = flags.Int("sessions", 50, "of each echo of BenchmarkLegs, and as many joins a second")
	rounds   = flags.Int("rounds", 5, "of 3 s each in which BenchmarkLegs measures, for each echo")
	profiles = flags.String("profiles", "", "folder for profiles of the echoes of BenchmarkLegs")
)

// crowd is the sessions of one echo: clients that say the same, each from
// another place.
type crowd struct {
	*echoProcess
	way     string
	clients []*client
	speech  [][]byte
	step    uint32 // 20 ms in ticks
	frame   int    // that is next
	joined  []time.Duration

	memory, goroutines int64     // of a session
	cost               []float64 // CPU time, in µs, of a packet that came and went, by round
	sent, echoed       int
	lost, concealed    int64
}

// join has n clients offer, so many a second, and waits until all are heard.
func join(b *testing.B, way, codec string, n int) *crowd {
	c := &crowd{echoProcess: startEcho(b, way, codec), way: way, speech: coded(codec), step: capability(codec).ClockRate / 50}
	c.joined = make([]time.Duration, n)
	for range n {
		c.clients = append(c.clients, newClient(b, clientConfig{codecs: []string{codec}}))
	}
	c.play(b, 0) // what is made at the first time
	var empty, none, full, all int64
	c.ask(b, "memory", &empty, &none)
	every := time.NewTicker(time.Second / time.Duration(*sessions))
	defer every.Stop()
	var wg sync.WaitGroup
	for i, x := range c.clients {
		<-every.C
		wg.Go(func() {
			connected := make(chan struct{})
			x.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
				if s == webrtc.PeerConnectionStateConnected {
					close(connected)
				}
			})
			begun := time.Now()
			x.post(c.url)
			<-connected
			c.joined[i] = time.Since(begun)
		})
	}
	wg.Wait()
	slices.Sort(c.joined)
	c.play(b, 2*time.Second)
	c.ask(b, "memory", &full, &all)
	c.memory, c.goroutines = (full-empty)/int64(n), (all-none)/int64(n)
	return c
}

// play has all clients speak for d, spread evenly over the 20 ms, and returns how
// many packets they sent.
func (c *crowd) play(b *testing.B, d time.Duration) (sent int) {
	begun, n := time.Now(), len(c.clients)
	for range int(d / (20 * time.Millisecond)) {
		for i, x := range c.clients {
			p := rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: uint16(c.frame), Timestamp: uint32(c.frame) * c.step},
				Payload: c.speech[(c.frame+7*i)%len(c.speech)],
			}
			require.NoError(b, x.track.WriteRTP(&p))
			sent++
			time.Sleep(time.Until(begun.Add(time.Duration(sent) * 20 * time.Millisecond / time.Duration(n))))
		}
		c.frame++
	}
	return sent
}

func (c *crowd) heard() (n int) {
	for _, x := range c.clients {
		n += x.count()
	}
	return n
}

// measure is one round.
func (c *crowd) measure(b *testing.B) {
	c.play(b, time.Second/2)
	heard := c.heard()
	var before, after, lost, concealed, lostBefore, concealedBefore int64
	c.ask(b, "missed", &lostBefore, &concealedBefore)
	c.ask(b, "cpu", &before)
	sent := c.play(b, 3*time.Second)
	c.ask(b, "cpu", &after)
	c.ask(b, "missed", &lost, &concealed)
	echoed := c.heard() - heard
	c.sent, c.echoed = c.sent+sent, c.echoed+echoed
	c.cost = append(c.cost, float64(after-before)/1e3/float64(echoed))
	c.lost, c.concealed = c.lost+lost-lostBefore, c.concealed+concealed-concealedBefore
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return (list[len(list)/2] + list[(len(list)-1)/2]) / 2
}

func (c *crowd) report(b *testing.B) {
	b.ReportMetric(50*median(c.cost), c.way+"-cpu-µs/leg-s")
	b.ReportMetric(median(c.cost), c.way+"-cpu-µs/packet")
	b.ReportMetric(float64(c.goroutines), c.way+"-goroutines")
	b.ReportMetric(float64(c.memory), c.way+"-B/session")
	b.ReportMetric(100*float64(c.echoed)/float64(c.sent), c.way+"-%echoed")
}

// BenchmarkLegs has clients echoed by legs, and by Pion alone, without its
// default interceptors and with them, each in a process of its own, in rounds,
// and reports the CPU time of the whole process. x-pion is the ratio of legs to
// Pion without interceptors; x-pion+codec that to it and the codec's own cost,
// which is decoding and encoding alone, at the same pace. Times are medians of
// the rounds, ratios those of the ratios of one round. B/session is heap and
// stacks of a session that talks.
//
// A machine that does other work has packets come in bursts, which saves Pion
// more wake-ups than legs, whose turns have their times: look at many rounds.
func BenchmarkLegs(b *testing.B) {
	for _, name := range []string{"PCMU/8000", "opus/48000/2"} {
		b.Run(strings.Split(name, "/")[0], func(b *testing.B) {
			for b.Loop() { // once, for it takes seconds
				benchLegs(b, name)
			}
		})
	}
}

func benchLegs(b *testing.B, name string) {
	var crowds []*crowd
	for _, way := range []string{"pion", "interceptors", "legs"} {
		crowds = append(crowds, join(b, way, name, *sessions))
	}
	pion, legs := crowds[0], crowds[2]
	alone := startEcho(b, "codec", name)
	var own, ratio, ratioOwn []float64
	var memory int64
	for i := range *rounds {
		for _, c := range crowds {
			c.measure(b)
		}
		var cost int64
		alone.ask(b, "codec", &cost, &memory)
		codec := float64(cost) / 1e3
		own = append(own, codec)
		ratio = append(ratio, legs.cost[i]/pion.cost[i])
		ratioOwn = append(ratioOwn, legs.cost[i]/(pion.cost[i]+codec))
	}
	for _, c := range crowds {
		c.report(b)
		c.profile(b, name)
	}
	b.ReportMetric(0, "ns/op") // it is real time
	b.ReportMetric(50*median(own), "codec-cpu-µs/leg-s")
	b.ReportMetric(float64(memory), "codec-B/session")
	b.ReportMetric(median(ratio), "x-pion")
	b.ReportMetric(median(ratioOwn), "x-pion+codec")
	b.ReportMetric(float64(legs.memory-pion.memory), "B-above-pion")
	b.ReportMetric(float64(legs.goroutines-pion.goroutines), "goroutines-above-pion")
	b.ReportMetric(float64(legs.lost), "lost")
	b.ReportMetric(float64(legs.concealed), "concealed")
}

// profile writes profiles, if they are wanted.
func (c *crowd) profile(b *testing.B, name string) {
	if *profiles == "" {
		return
	}
	file := filepath.Join(*profiles, strings.ReplaceAll(name, "/", "-")+"-"+c.way)
	c.ask(b, "heap "+file+".heap")
	c.ask(b, "profile "+file+".cpu")
	c.play(b, 3*time.Second)
	c.ask(b, "profile")
}

// BenchmarkJoins has clients offer, 50 a second, to legs and to Pion alone, and
// reports how long it takes from the offer's being made until the client is
// connected. The clients are in this process, and take as long for their part.
func BenchmarkJoins(b *testing.B) {
	for _, way := range []string{"pion", "legs"} {
		b.Run(way, func(b *testing.B) {
			for b.Loop() { // once, for it takes seconds
				c := join(b, way, "PCMU/8000", 4**sessions)
				b.ReportMetric(0, "ns/op")
				for percent, unit := range map[int]string{50: "p50-ms", 99: "p99-ms"} {
					b.ReportMetric(float64(c.joined[(len(c.joined)-1)*percent/100].Microseconds())/1e3, unit)
				}
			}
		})
	}
}
