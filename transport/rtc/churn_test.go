package rtc

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/stretchr/testify/require"
)

// TestChurn: peers that come and go leave nothing behind. CHURN=1000 has more
// of them come.
func TestChurn(t *testing.T) {
	n := 200
	if long, err := strconv.Atoi(os.Getenv("CHURN")); err == nil {
		n = long
	} else if testing.Short() {
		n = 50
	}
	r := newRig(t, nil)
	round := func(n int) {
		free := make(chan bool, 4)
		for i := range n {
			free <- true
			go func() {
				defer func() { <-free }()
				leg, ep := r.open(echo, both)
				c := newClient(&quietly{TB: t}, clientConfig{})
				c.connect(ep.url)
				soon(t, "the leg is carried", func() bool { return ep.Stats().Connected })
				switch i % 3 {
				case 0:
					_, _ = c.do("DELETE", c.location, "", "")
				case 1:
					c.close()
				case 2:
					ep.Drain()
				}
				c.t.(*quietly).finish()
				ep.Drain()
				leg.Close()
			}()
		}
		for range cap(free) {
			free <- true
		}
		soon(t, "all left", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.peers)+len(r.pending)+len(r.endpoints) == 0
		})
		for len(r.ends) > 0 {
			<-r.ends
		}
	}
	round(8)
	goroutines, heap, sockets := settled(t, 0)
	begun := time.Now()
	round(n)
	t.Logf("%d peers in %v", n, time.Since(begun))
	g, h, s := settled(t, goroutines+8)
	t.Logf("goroutines %d, then %d; heap %d KiB, then %d; sockets %d, then %d", goroutines, g, heap>>10, h>>10, sockets, s)
	sum, open, _ := r.Totals().Sum()
	require.Zero(t, open)
	require.EqualValues(t, 8+n, sum.Connections)
	require.LessOrEqual(t, g, goroutines+8)
	require.LessOrEqual(t, s, sockets+4)
	require.Less(t, h, heap+uint64(n)*4<<10+4<<20) // a peer is some 200 KiB
}

// settled waits until so many goroutines are left, and measures what is.
func settled(t *testing.T, most int) (goroutines int, heap uint64, sockets int) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if goroutines = runtime.NumGoroutine(); goroutines <= most {
			break
		}
		if most == 0 && time.Until(end) < 9*time.Second {
			break
		}
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return goroutines, m.HeapAlloc, len(files)
}

// quietly cleans up when it is told to, not at the end of the test.
type quietly struct {
	testing.TB
	todo []func()
}

func (q *quietly) Cleanup(fn func()) { q.todo = append(q.todo, fn) }

func (q *quietly) finish() {
	for i := len(q.todo) - 1; i >= 0; i-- {
		q.todo[i]()
	}
}

// TestPeerAllocs: our part of a packet's way costs no memory.
func TestPeerAllocs(t *testing.T) {
	r := newRig(t, nil)
	leg, ep := r.open(echo, both)
	o, err := readOffer(part(0), defaultCodecs()[2:])
	require.NoError(t, err)
	p := &peer{server: r.Server, ep: ep, offer: o, wire: make([]byte, 0, 2048), out: &track{}}
	var w writer
	sink := webrtc.TrackLocalWriter(&w)
	p.out.writer.Store(&sink)
	require.NoError(t, p.run())
	p.beat.Stop() // its turns are ours
	time.Sleep(100 * time.Millisecond)
	s := newStream(p.in.put)
	packet := make([]byte, 172)
	packet[0] = 0x80
	now, seq := engine.Now(), 0
	turn := func() {
		seq++
		packet[2], packet[3] = byte(seq>>8), byte(seq)
		packet[4], packet[5], packet[6], packet[7] = byte(seq*160>>24), byte(seq*160>>16), byte(seq*160>>8), byte(seq*160)
		now += int64(20 * time.Millisecond) // sources run ahead of real time by little
		time.Sleep(time.Duration(now - engine.Now()))
		_, _ = s.Write(packet)
		_ = p.drain()
		_ = p.leg.Turn(now)
		for {
			b, ok := p.leg.Next(now, p.wire[:0])
			if !ok {
				break
			}
			p.out.send(b)
		}
	}
	for range 60 {
		turn()
	}
	require.Zero(t, testing.AllocsPerRun(100, turn))
	require.Greater(t, w.packets, 100)
	require.Zero(t, p.in.dropped.Load()+p.malformed.Load())
	p.leg.Close()
	leg.Close()
}

// BenchmarkStream is what we add to the decryption of a packet.
func BenchmarkStream(b *testing.B) {
	var q queue
	s := newStream(q.put)
	packet := make([]byte, 172)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Write(packet)
		if q.next() != nil {
			q.release()
		}
	}
}

// writer counts packets in Pion's place.
type writer struct{ packets int }

func (w *writer) WriteRTP(*rtp.Header, []byte) (int, error) {
	w.packets++
	return 0, nil
}

func (w *writer) Write([]byte) (int, error) { return 0, nil }
