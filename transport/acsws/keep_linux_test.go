package acsws

import (
	"encoding/base64"
	"runtime"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// TestKeptProcessorIsGivenUp: a goroutine that waits in the kernel with its
// processor is stopped like any other, for a collection and for those who want
// to run, whether frames come or not; and it goes on afterwards.
func TestKeptProcessorIsGivenUp(t *testing.T) {
	if !keep {
		t.Skip("once, where a processor is kept")
	}
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{Bidirectional: true})
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	tap := r.leg.Tap(64)
	said := 0
	say := func() {
		send(t, c, audioOf("", 20*said, ramp(320, said)))
		said++
	}
	say()
	read(t, tap)
	require.Len(t, r.server.pollers.all, 1)
	p := r.server.pollers.all[0]
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // one for it, one for everybody else
	for i := range 40 {
		say()
		if i%2 == 0 {
			time.Sleep(2 * keepFor) // it has given up by itself
		}
		busy := make(chan bool)
		go func() { busy <- true }()
		runtime.GC()
		<-busy
		f := read(t, tap)
		require.Equal(t, ramp(320, i+1), f.Samples[:])
	}
	require.GreaterOrEqual(t, p.parked.Load(), int64(15), "it gave up when nothing came")
	// With a single processor, that of the poller is everybody's.
	runtime.GOMAXPROCS(1)
	for i := range 10 {
		say()
		f := read(t, tap)
		require.Equal(t, ramp(320, 41+i), f.Samples[:])
	}
}

// TestKeptProcessorEchoes: what is written on the poller's goroutine and what
// its socket has no room for leave while it waits with its processor.
func TestKeptProcessorEchoes(t *testing.T) {
	if !keep {
		t.Skip("once, where a processor is kept")
	}
	r := newRig(t, Config{}, engine.LegConfig{}, transport.Stream{Bidirectional: true})
	r.leg.OnRender(func(in *engine.Render) {
		in.Handle(func(f *pcm.Frame) { _, _ = r.leg.Source().TryWrite(f.Samples[:]) })
	})
	c := r.dial(nil)
	send(t, c, formatOf(16000))
	for i := range 15 { // 300 ms: within what a peer is sent ahead
		send(t, c, audioOf("", 20*i, ramp(320, i)))
		require.NoError(t, c.SetReadDeadline(time.Now().Add(wait)))
		kind, text, err := c.ReadMessage()
		require.NoError(t, err)
		require.Equal(t, websocket.TextMessage, kind)
		var b []byte
		for _, s := range ramp(320, i) {
			b = append(b, byte(s), byte(uint16(s)>>8))
		}
		require.Contains(t, string(text), base64.StdEncoding.EncodeToString(b))
	}
}
