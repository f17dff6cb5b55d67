// Package metrics tells Prometheus what a host of calls does: calls, frames,
// losses by reason, frame latencies, the pacers and the garbage collector. It
// reads counters that are there when it is asked, and costs the media nothing
// in between. No label is a call, a speaker or anything else of which there can
// be any number: those are in the control API's snapshots.
package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/transport"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config of a handler. Manager is needed.
type Config struct {
	Manager *session.Manager
	// Transports that carry the calls.
	Transports []Transport
	// Recorder of the calls; nil: there is none.
	Recorder *record.Recorder
	// Logger for scrapes that fail; nil is silent.
	Logger *slog.Logger
}

// Transport is one of Config.Transports.
type Transport struct {
	// Name in the label transport: "acs", "rtp", "webrtc".
	Name   string
	Totals *transport.Totals
	// Refused counts what was refused at no address; nil: nothing is.
	Refused func() int64
}

// New returns what answers GET /metrics, in Prometheus's text format or
// OpenMetrics. It starts nothing.
func New(cfg Config) (http.Handler, error) {
	if cfg.Manager == nil {
		return nil, errors.New("metrics: Config.Manager is nil")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := prometheus.NewRegistry()
	pauses := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sched/pauses/total/gc:seconds$|^/gc/cycles/total`)}
	for _, c := range []prometheus.Collector{
		&collector{cfg}, collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(pauses)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelError), MaxRequestsInFlight: scrapes,
	}), nil
}

// scrapes at once; more are answered with 503.
const scrapes = 4

// collector reads all counters anew at each scrape.
type collector struct{ cfg Config }

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for i := range families {
		to <- families[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	v := c.look()
	for i := range families {
		f := &families[i]
		f.read(v, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...)
		}, func(h *engine.Histogram, labels ...string) {
			to <- histogram(f.desc, h, labels...)
		})
	}
}

// view is what one scrape sees.
type view struct {
	calls      map[callKind]int
	stats      session.Stats
	media      *session.HostMedia
	transports []carried
	recorder   *record.Stats // nil: none
}

// callKind is what calls are counted by.
type callKind struct{ cloud, direction, state string }

// carried is what one transport did.
type carried struct {
	name            string
	sum             transport.Stats
	open, connected int
}

func (c *collector) look() *view {
	v := &view{calls: make(map[callKind]int), stats: c.cfg.Manager.Stats(), media: c.cfg.Manager.Media()}
	for _, call := range c.cfg.Manager.Calls() {
		v.calls[callKind{call.Cloud(), call.Direction().String(), call.State().String()}]++
	}
	for _, t := range c.cfg.Transports {
		sum, open, connected := t.Totals.Sum()
		if t.Refused != nil {
			sum.Refused += t.Refused()
		}
		v.transports = append(v.transports, carried{t.Name, sum, open, connected})
	}
	if c.cfg.Recorder != nil {
		s := c.cfg.Recorder.Stats()
		v.recorder = &s
	}
	return v
}
