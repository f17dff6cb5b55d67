package demo

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mixminus/mixminus/engine/dsp"
)

const (
	redraw = 200 * time.Millisecond
	// relines is how often lines are added where none can be rewritten.
	relines = 3 * time.Second
	bars    = 10
)

// table redraws itself until it is stopped.
type table struct {
	demo  *Demo
	start time.Time
	quit  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
	lines int // of the last drawing
}

func startTable(d *Demo) *table {
	t := &table{demo: d, start: time.Now(), quit: make(chan struct{})}
	if d.cfg.Screen != nil {
		t.wg.Go(t.drawLoop)
	}
	return t
}

func (t *table) stop() {
	t.once.Do(func() { close(t.quit) })
	t.wg.Wait()
}

func (t *table) drawLoop() {
	every := redraw
	if !t.demo.cfg.Rewrite {
		every = relines
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.draw()
		case <-t.quit:
			t.draw()
			return
		}
	}
}

// draw writes the table, over the last one where that can be done.
func (t *table) draw() {
	text := t.text()
	if t.demo.cfg.Rewrite {
		text = clip(text, t.demo.cfg.Width, t.demo.cfg.Height)
		// Line by line: terminals may keep what a whole screen is cleared of.
		up, lines := t.lines, strings.Count(text, "\n")
		text = strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
		if up > 0 {
			text = fmt.Sprintf("\x1b[%dA", up) + text
		}
		t.lines = lines
	}
	fmt.Fprint(t.demo.cfg.Screen, text)
}

// clip cuts lines to the width and their number below the height of the
// screen: what wraps or scrolls cannot be drawn over. 0 does not cut.
func clip(text string, width, height int) string {
	lines := strings.SplitAfter(text, "\n")
	if height > 1 && len(lines) > height {
		lines = lines[:height-1]
	}
	for i, line := range lines {
		if r := []rune(strings.TrimSuffix(line, "\n")); width > 0 && len(r) > width {
			lines[i] = string(r[:width]) + "\n"
		}
	}
	return strings.Join(lines, "")
}

func (t *table) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s   %4.1f s\n", t.demo.cfg.Title, time.Since(t.start).Seconds())
	fmt.Fprintf(&b, "%-5s %-9s %-8s %-14s %-*s %6s %6s %5s %5s  %s\n", "CLOUD", "CALL", "MEDIA", "SPEAKER", bars, "LEVEL", "dBFS", "IN", "OUT", "LOST", "LATENCY ms p50/p99/max")
	for _, w := range t.demo.calls() {
		t.call(&b, w)
	}
	return b.String()
}

func (t *table) call(b *strings.Builder, w *watched) {
	s := w.call.Leg().Stats()
	levels, bot := w.meter.read()
	head := fmt.Sprintf("%-5s %-9s %-8s", w.call.Cloud(), w.call.Direction(), s.Channels)
	latency := "-"
	if s.Latency.Count > 0 {
		latency = fmt.Sprintf("%.3f/%.3f/%.3f", millis(s.Latency.P50), millis(s.Latency.P99), millis(s.Latency.Max))
	}
	if n := w.call.Snapshot().Media.Transport.RTP; n != nil {
		latency += fmt.Sprintf("  jitter %.0f ms, delay %.0f ms, concealed %d", n.Jitter, n.Delay, n.Concealed)
	}
	if len(s.Renders) == 0 {
		state := w.call.State().String()
		if w.call.InLobby() {
			state = "waits in the lobby"
		}
		fmt.Fprintf(b, "%s %s\n", head, state)
		return
	}
	for _, r := range s.Renders {
		name := w.call.Name(r.RawID)
		if name == "" {
			name = short(r.RawID)
		}
		if r.RawID == "" {
			name = "(mix)"
		}
		db, heard := levels[r.Speaker]
		if !heard {
			db = dsp.Floor
		}
		fmt.Fprintf(b, "%s %-14s %s %6.0f %6d %5s %5d  %s\n", head, name, bar(db), db, r.Frames, "", r.Lost, latency)
		head, latency = strings.Repeat(" ", 24), ""
	}
	if s.Source.Frames > 0 {
		fmt.Fprintf(b, "%s %-14s %s %6.0f %6s %5d %5s\n", head, "(bot)", bar(bot), bot, "", s.Source.Frames, "")
	}
}

// bar draws a level from -60 dBFS to 0.
func bar(db float64) string {
	n := min(max(int((db+60)/60*(bars)), 0), bars)
	return strings.Repeat("█", n) + strings.Repeat("·", bars-n)
}
