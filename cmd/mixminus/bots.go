package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/dsp"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/session"
)

// bot is a sample bot: what media it wants, and what it does with a leg.
type bot struct {
	options session.Options
	attach  func(*engine.Leg)
}

// bots are the sample bots by name.
var bots = map[string]bot{
	"record": {session.Options{Channels: engine.Unmixed}, listen},
	"echo":   {session.Options{Bidirectional: true}, repeat},
	"greet":  {session.Options{Bidirectional: true}, greet},
	"speak":  {session.Options{Channels: engine.Unmixed, Bidirectional: true}, speak},
}

func botNamed(name string) (bot, error) {
	b, ok := bots[name]
	if !ok {
		return bot{}, fmt.Errorf("--bot %q: want one of %s", name, strings.Join(botNames(), ", "))
	}
	return b, nil
}

func botNames() []string {
	names := make([]string, 0, len(bots))
	for name := range bots {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// listen hears each speaker; the recorder beside it writes the files.
func listen(leg *engine.Leg) {
	leg.OnRender(func(r *engine.Render) {
		r.Handle(func(*pcm.Frame) {}) // here a bot would look at r's audio
	})
}

// speak hears each speaker, and says one sentence.
func speak(leg *engine.Leg) {
	listen(leg)
	go leg.Source().Write(context.Background(), signal.Speech(signal.Allison))
}

// repeat says what it hears, on the goroutine that reads the network.
func repeat(leg *engine.Leg) {
	leg.OnRender(func(r *engine.Render) {
		r.Handle(func(f *pcm.Frame) { leg.Source().TryWrite(f.Samples[:]) })
	})
}

// greet speaks until somebody barges in, and echoes from then on.
func greet(leg *engine.Leg) {
	var greeted atomic.Bool
	go func() {
		// Write waits for the connection, and for room: a whole greeting may
		// be written at once. It ends early when it is flushed.
		leg.Source().Write(context.Background(), signal.Speech(signal.Allison))
		greeted.Store(true)
	}()
	leg.OnRender(func(r *engine.Render) {
		var voice dsp.VAD
		flushed := false
		r.Handle(func(f *pcm.Frame) {
			switch {
			case greeted.Load():
				leg.Source().TryWrite(f.Samples[:])
			case !flushed && voice.Voice(&f.Samples):
				flushed = true
				leg.Source().Flush()
			}
		})
	})
}
