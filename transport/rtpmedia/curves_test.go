package rtpmedia

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/stretchr/testify/require"
)

var curvesInto = flag.String("curves", "", "draw the curves of docs/JITTER.md into this folder")

// TestCurves draws what docs/JITTER.md shows:
//
//	go test ./transport/rtpmedia -run TestCurves -curves "$PWD/docs"
func TestCurves(t *testing.T) {
	if *curvesInto == "" {
		t.Skip("no -curves")
	}
	for name, c := range map[string]chart{"jitter.svg": delayChart(t), "concealment.svg": concealmentChart(t)} {
		require.NoError(t, os.WriteFile(filepath.Join(*curvesInto, name), []byte(c.svg()), 0o644))
	}
}

// delayChart is the time that had to be made up because packets came late,
// against the delay, for an adaptive buffer and a fixed one.
func delayChart(t *testing.T) chart {
	c := chart{
		title: "Delay against late loss", x: "mean delay, ms", y: "audio made up for late packets, % of time",
		xMax: 200, yMin: 0.01, yMax: 30, log: true,
		note: "lines: adaptive, Late from 0.2 to 0.001 (ring: the default, 0.005; on the axis: none); dashes: fixed delay",
	}
	for i, net := range []netem.Config{
		{Jitter: 60 * time.Millisecond}, {Jitter: 100 * time.Millisecond, Shape: netem.Normal},
		{Jitter: 200 * time.Millisecond, Shape: netem.Pareto},
	} {
		net.Seed = uint64(100 + i)
		name := fmt.Sprintf("jitter 0 to %d ms", net.Jitter/time.Millisecond)
		name += []string{", even", ", a bell", ", seldom much"}[net.Shape]
		adaptive, fixed := series{name: name, color: colors[i]}, series{color: colors[i], dashed: true}
		for _, late := range []float64{0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001} {
			p := delayPoint(t, net, JitterConfig{Late: late})
			p.ring = late == 0.005
			adaptive.points = append(adaptive.points, p)
		}
		for d := 10 * time.Millisecond; d <= 190*time.Millisecond; d += 10 * time.Millisecond {
			if p := delayPoint(t, net, JitterConfig{Min: d, Max: d}); p.y > 0 {
				fixed.points = append(fixed.points, p)
			}
		}
		c.series = append(c.series, adaptive, fixed)
	}
	return c
}

// delayPoint is the mean over phases between the sender's clock and ours: a
// packet waits for the next pull, so that the delay comes in steps.
func delayPoint(t *testing.T, net netem.Config, cfg JitterConfig) (p point) {
	const seconds, phases = 120, 5
	for i := range int64(phases) {
		net.Seed += uint64(i)
		r := (&rig{t: t, codec: l16(t), net: net, jitter: cfg, phase: i * frameNanos / phases}).start()
		sum, n, before := int64(0), int64(0), int64(0)
		made := func() int64 { s := r.in.Stats().Jitter; return s.Concealed + s.Stretched }
		r.each = func(r *rig, now int64) {
			switch {
			case now < 11_000*ms: // it has to learn first
				before = made()
			case now < (seconds+1)*1000*ms:
				sum, n = sum+r.in.Delay(), n+1
			}
		}
		r.run(speech(seconds))
		p.x += float64(sum/n) / 1e6 / phases
		p.y += float64(made()-before) / ((seconds - 10) * 1e9) * 100 / phases
	}
	return p
}

// concealmentChart is the SNR of speech after loss, with concealment and
// without.
func concealmentChart(t *testing.T) chart {
	c := chart{
		title: "Speech after loss, 20 ms packets of L16", x: "packets lost, %", y: "SNR, dB",
		xMax: 16, yMin: 0, yMax: 28,
		note: "three voices, seed 1; the delay lets the packet behind a lost one be there in time",
	}
	made := series{name: "concealed", color: colors[0]}
	bare := series{name: "silence instead", color: colors[2], dashed: true}
	for _, loss := range []float64{0.5, 1, 2, 3, 5, 7, 10, 13, 16} {
		_, db := lossy(t, loss/100, false)
		_, dbBare := lossy(t, loss/100, true)
		made.points = append(made.points, point{x: loss, y: db})
		bare.points = append(bare.points, point{x: loss, y: dbBare})
	}
	c.series = []series{made, bare}
	return c
}

// Colours that the colour-blind can tell apart (Okabe and Ito).
var colors = []string{"#0072b2", "#009e73", "#d55e00", "#cc79a7"}

type point struct {
	x, y float64
	ring bool
}

type series struct {
	name, color string
	dashed      bool
	points      []point
}

type chart struct {
	title, x, y, note string
	xMax, yMin, yMax  float64
	log               bool
	series            []series
}

const (
	width, height             = 760, 460
	left, right, top, bottom  = 70, 20, 40, 80
	plotWidth, plotHeight     = width - left - right, height - top - bottom
	ticksAcross, ticksUpright = 8, 7
)

func (c chart) atX(x float64) float64 { return left + x/c.xMax*plotWidth }

func (c chart) atY(y float64) float64 {
	low, high := c.yMin, c.yMax
	if c.log {
		y, low, high = math.Log10(max(y, low)), math.Log10(low), math.Log10(high)
	}
	return top + plotHeight*(1-(y-low)/(high-low))
}

func (c chart) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16" font-weight="bold">%s</text>`+"\n", left, c.title)
	c.axes(&b)
	fmt.Fprintf(&b, `<clipPath id="plot"><rect x="%d" y="%d" width="%d" height="%d"/></clipPath><g clip-path="url(#plot)">`+"\n", left, top, plotWidth, plotHeight+8)
	for _, s := range c.series {
		c.line(&b, s)
	}
	b.WriteString("</g>\n")
	row := 0
	for _, s := range c.series {
		if s.name == "" {
			continue
		}
		y := top + 18 + 20*row
		dash := ""
		if s.dashed {
			dash = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(&b, `<path d="M%d %dh28" stroke="%s" stroke-width="2"%s/><text x="%d" y="%d">%s</text>`+"\n", width-270, y-4, s.color, dash, width-236, y, s.name)
		row++
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="12" fill="#555">%s</text>`+"\n</svg>\n", left, height-14, c.note)
	return b.String()
}

func (c chart) axes(b *strings.Builder) {
	grid := func(x1, y1, x2, y2 float64) {
		fmt.Fprintf(b, `<path d="M%.1f %.1fL%.1f %.1f" stroke="#ddd"/>`, x1, y1, x2, y2)
	}
	for i := range ticksAcross + 1 {
		x := c.xMax * float64(i) / ticksAcross
		grid(c.atX(x), top, c.atX(x), top+plotHeight)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%.3g</text>`+"\n", c.atX(x), top+plotHeight+18, x)
	}
	var ys []float64
	if c.log {
		for y := c.yMin; y <= c.yMax; y *= 10 {
			ys = append(ys, y)
		}
	} else {
		for i := range ticksUpright + 1 {
			ys = append(ys, c.yMin+(c.yMax-c.yMin)*float64(i)/ticksUpright)
		}
	}
	for _, y := range ys {
		grid(left, c.atY(y), left+plotWidth, c.atY(y))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%.3g</text>`+"\n", left-8, c.atY(y)+4, y)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+plotWidth/2, top+plotHeight+38, c.x)
	fmt.Fprintf(b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", top+plotHeight/2, c.y)
}

func (c chart) line(b *strings.Builder, s series) {
	var path strings.Builder
	for i, p := range s.points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], c.atX(p.x), c.atY(p.y))
	}
	dash := ""
	if s.dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", path.String(), s.color, dash)
	for _, p := range s.points {
		if p.ring {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="6" fill="none" stroke="%s" stroke-width="2"/>`, c.atX(p.x), c.atY(p.y), s.color)
		}
		if !s.dashed {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`+"\n", c.atX(p.x), c.atY(p.y), s.color)
		}
	}
}
