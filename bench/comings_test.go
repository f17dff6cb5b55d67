//go:build linux

package bench_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/cloud"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/session/api"
	"github.com/stretchr/testify/require"
)

// TestCallsLeaveNothing rings mixminus serve, in a process of its own, and has
// each call speak, be recorded and hang up, until CALLS of them did (500, or
// as the environment says): goroutines, files and live memory of the process
// are what they were after the first hundreds, by its own /metrics.
//
//	CALLS=10000 go test -run CallsLeaveNothing -v -timeout 20m ./bench
func TestCallsLeaveNothing(t *testing.T) {
	calls := 500
	if n, err := strconv.Atoi(os.Getenv("CALLS")); err == nil {
		calls = n
	}
	h := newHost(t, "record", "--recordings", t.TempDir())
	h.visit(calls / 2)
	before := h.weigh()
	begun := time.Now()
	h.visit(calls)
	t.Logf("%d calls in %.1f s", calls, time.Since(begun).Seconds())
	// A call has some 30 KiB while it lives. What is kept of a thousand that are
	// over, to know repeated notices by, may still have been filling up.
	limit := weight{before.goroutines + 8, before.files + 4, before.heap + int64(calls)*600 + 2<<20}
	var after weight
	for end := time.Now().Add(30 * time.Second); ; {
		if after = h.weigh(); !after.over(limit) || time.Now().After(end) {
			break
		}
	}
	t.Logf("%+v, then %+v", before, after)
	require.False(t, after.over(limit), "%+v, then %+v: want at most %+v", before, after, limit)
	stats, err := h.api.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, calls+calls/2, stats.Answered)
	require.Zero(t, stats.Live+stats.Media.Legs)
	require.EqualValues(t, calls+calls/2, stats.Media.Opened)
}

// weight is what a process holds.
type weight struct {
	goroutines, files int
	heap              int64 // bytes in use, as of a collection that ran meanwhile
}

func (w weight) over(limit weight) bool {
	return w.goroutines > limit.goroutines || w.files > limit.files || w.heap > limit.heap
}

// host is mixminus serve, and the cloud that rings it.
type host struct {
	*testing.T
	cloud *cloud.Server
	url   string
	api   api.Client
}

func newHost(t *testing.T, bot string, more ...string) *host {
	emulated := freeAddress(t)
	env := []string{"MIXMINUS_ACS_KEY=" + accessKey, "GOGC=25"} // collects often
	s := startServe(t, buildMixminus(t), env, append([]string{"--bot", bot, "--insecure", "--acs-endpoint", "http://" + emulated}, more...)...)
	h := &host{T: t, url: s.HTTP, api: api.Client{URL: s.HTTP}}
	h.cloud = &cloud.Server{Addr: emulated, Key: accessKey, EventsURL: s.Events, Insecure: true, Speed: 20, RingTimeout: time.Hour}
	require.NoError(t, h.cloud.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, h.cloud.Close()) })
	return h
}

func freeAddress(t *testing.T) string {
	for range 100 {
		// Not of those that the system gives out: it might, before it is used.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	require.Fail(t, "no free port")
	return ""
}

// visit has n calls come and go, many at a time, and returns when all are over.
func (h *host) visit(n int) {
	h.Helper()
	script := cloud.Script{HangUp: 10, Speakers: []cloud.Speaker{{PCM: signal.Noise(5*320, 1, -20)}}}
	ctx, cancel := context.WithTimeout(h.Context(), 15*time.Minute)
	defer cancel()
	one := func() error {
		call, err := h.cloud.Ring(ctx, cloud.Ring{Script: script})
		if err != nil {
			return err
		}
		if err := call.Wait(ctx); err != nil {
			return err
		}
		if log := call.Log(); log.Slots != script.HangUp {
			return fmt.Errorf("%d slots of %d were sent: %d %s", log.Slots, script.HangUp, log.Result.Code, log.Result.Message)
		}
		return nil
	}
	free, failed := make(chan struct{}, 48), make(chan error, n)
	for range n {
		free <- struct{}{}
		go func() {
			failed <- one()
			<-free
		}()
	}
	for range n {
		require.NoError(h, <-failed)
	}
	require.Eventually(h, func() bool {
		stats, err := h.api.Stats(ctx)
		return err == nil && stats.Live+stats.Media.Legs == 0
	}, 30*time.Second, 10*time.Millisecond)
}

// weigh asks the process what it holds, until it has collected its garbage.
func (h *host) weigh() (w weight) {
	h.Helper()
	var first int64
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		stats, err := h.api.Stats(h.Context())
		require.NoError(h, err)
		if first == 0 {
			first = stats.GC.Cycles
		}
		w.heap = stats.GC.Heap
		m := h.metrics()
		w.goroutines, w.files = int(m["go_goroutines"]), int(m["process_open_fds"])
		if stats.GC.Cycles >= first+2 { // the first may have begun before
			return w
		}
	}
	require.Fail(h, "no garbage was collected within a minute")
	return w
}

func (h *host) metrics() map[string]float64 {
	resp, err := http.Get(h.url + "/metrics")
	require.NoError(h, err)
	defer resp.Body.Close()
	values := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			values[name] = v
		}
	}
	return values
}
