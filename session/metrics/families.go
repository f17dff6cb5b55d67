package metrics

import (
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// emit tells of one value, and observe of one histogram.
type (
	emit    func(value float64, labels ...string)
	observe func(h *engine.Histogram, labels ...string)
)

// family is one name with all its labels.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*view, emit, observe)
}

func named(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mixminus_"+name, help, labels, nil)
}

// bounds of the histograms: from what a frame takes to what one hears.
var bounds = []time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, time.Second,
}

// histogram errs to the longer side by at most 6 %.
func histogram(desc *prometheus.Desc, h *engine.Histogram, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(bounds))
	for _, b := range bounds {
		buckets[b.Seconds()] = uint64(h.Within(b))
	}
	return prometheus.MustNewConstHistogram(desc, uint64(h.Count()), h.Sum().Seconds(), buckets, labels...)
}

// count is a value with its one label.
type count struct {
	label string
	n     int64
}

func each(to emit, counts ...count) {
	for _, c := range counts {
		to(float64(c.n), c.label)
	}
}

// families are all that there is, in the order of a frame's way.
var families = []family{
	{named("calls", "Calls that live now.", "cloud", "direction", "state"), gauge, func(v *view, to emit, _ observe) {
		for k, n := range v.calls {
			to(float64(n), k.cloud, k.direction, k.state)
		}
	}},
	{named("calls_ringing", "Incoming calls that nobody has decided on."), gauge, func(v *view, to emit, _ observe) {
		to(float64(v.stats.Ringing))
	}},
	{named("call_requests_total", "Requests to the clouds, by what became of them.", "result"), counter, func(v *view, to emit, _ observe) {
		s := &v.stats
		each(to, count{"created", s.Created}, count{"answered", s.Answered}, count{"rejected", s.Rejected},
			count{"redirected", s.Redirected}, count{"failed", s.Failed}, count{"stray", s.Strays})
	}},
	{named("notices_total", "Notices that the clouds delivered, those discarded included."), counter, func(v *view, to emit, _ observe) {
		to(float64(v.stats.Notices))
	}},
	{named("notices_discarded_total", "Notices that changed nothing.", "reason"), counter, func(v *view, to emit, _ observe) {
		s := &v.stats
		each(to, count{"duplicate", s.Duplicates}, count{"unknown", s.Unknown}, count{"late", s.Late},
			count{"dropped", s.Dropped}, count{"malformed", s.Malformed})
	}},
	{named("rings_total", "Incoming calls that the clouds told of, those discarded included."), counter, func(v *view, to emit, _ observe) {
		to(float64(v.stats.Rings))
	}},
	{named("rings_discarded_total", "Incoming calls that nobody was asked about.", "reason"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"repeated", v.stats.RingsRepeated}, count{"refused", v.stats.RingsRefused})
	}},
	{named("callback_panics_total", "Panics of the app's callbacks."), counter, func(v *view, to emit, _ observe) {
		to(float64(v.stats.Panics))
	}},

	{named("addresses", "Media addresses that were minted and are not over.", "transport"), gauge, ofTransports(func(c *carried) int64 { return int64(c.open) })},
	{named("connections", "Addresses that have a connection now.", "transport"), gauge, ofTransports(func(c *carried) int64 { return int64(c.connected) })},
	{named("connections_total", "Connections that carried media.", "transport"), counter, ofTransports(func(c *carried) int64 { return c.sum.Connections })},
	{named("connections_refused_total", "Connections, offers and packets that were refused.", "transport"), counter, ofTransports(func(c *carried) int64 { return c.sum.Refused })},
	{named("messages_total", "Messages or packets on the wire.", "transport", "direction"), counter, func(v *view, to emit, _ observe) {
		for i := range v.transports {
			c := &v.transports[i]
			to(float64(c.sum.MessagesIn), c.name, "in")
			to(float64(c.sum.MessagesOut), c.name, "out")
		}
	}},
	{named("messages_bad_total", "Messages or packets that could not be used.", "transport", "reason"), counter, func(v *view, to emit, _ observe) {
		for i := range v.transports {
			for reason, n := range v.transports[i].sum.BadMessages {
				to(float64(n), v.transports[i].name, reason)
			}
		}
	}},
	{named("rtp_packets_total", "RTP packets by what became of them: missing were not there when they were due, found of these came later.", "transport", "kind"), counter, func(v *view, to emit, _ observe) {
		ofRTP(v, func(name string, s *transport.RTPStats) {
			for _, c := range []count{
				{"received", s.Received}, {"missing", s.Missing}, {"found", s.Found}, {"late", s.Late}, {"duplicate", s.Duplicate}, {"recovered", s.Recovered},
				{"sent", s.Sent}, {"withheld", s.Withheld},
			} {
				to(float64(c.n), name, c.label)
			}
		})
	}},
	{named("rtp_restarts_total", "Senders that began anew in the middle of a stream.", "transport"), counter, func(v *view, to emit, _ observe) {
		ofRTP(v, func(name string, s *transport.RTPStats) { to(float64(s.Restarts), name) })
	}},

	{named("legs", "Legs that are open, those of rooms included."), gauge, func(v *view, to emit, _ observe) { to(float64(v.media.Legs)) }},
	{named("legs_opened_total", "Legs that were opened."), counter, func(v *view, to emit, _ observe) { to(float64(v.media.Opened)) }},
	{named("frames_total", "Frames of 20 ms, from the calls and into them.", "direction"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"in", v.media.FramesIn}, count{"out", v.media.FramesOut})
	}},
	{named("frames_flagged_total", "Frames from the calls that were declared silent, made up, or placed by counting.", "kind"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"silent", v.media.Silent}, count{"concealed", v.media.Concealed}, count{"clock_free", v.media.ClockFree})
	}},
	{named("slots_missing_total", "Slots of 20 ms without a frame: lost, come too late, or silence that was not sent.", "reason"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"lost", v.media.Lost + v.media.Found}, count{"late", v.media.Late}, count{"dtx", v.media.DTX})
	}},
	{named("slots_found_total", "Slots of those lost whose frame came after all, too late to be heard."), counter, func(v *view, to emit, _ observe) { to(float64(v.media.Found)) }},
	{named("frames_dropped_total", "Frames that a slow reader of a tap did not get.", "tap"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"render", int64(v.media.TapDropped)}, count{"source", int64(v.media.SourceTapDropped)})
	}},
	{named("speakers_refused_total", "Chunks of speakers beyond those that a leg may have."), counter, func(v *view, to emit, _ observe) { to(float64(v.media.Refused)) }},
	{named("keys_total", "DTMF keys heard."), counter, func(v *view, to emit, _ observe) { to(float64(v.media.Keys)) }},
	{named("source_events_total", "Sources that ran dry in the middle of audio, that the peer did not take a frame of, that were flushed.", "kind"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"underrun", v.media.Underruns}, count{"stall", v.media.Stalls}, count{"flush", v.media.Flushes})
	}},
	{named("source_samples_total", "Samples that were flushed unsent, and zeros that completed a last frame.", "kind"), counter, func(v *view, to emit, _ observe) {
		each(to, count{"flushed", v.media.FlushedSamples}, count{"padded", v.media.PaddedSamples})
	}},

	{named("frame_latency_seconds", "Time of a frame in the host: socket_to_tap from the return of the socket read to a handler or a tap's reader, source_to_socket from when it was written and the peer had room until the connection had it.", "path"), counter, func(v *view, _ emit, see observe) {
		see(&v.media.Totals.Latency, "socket_to_tap")
		see(&v.media.Totals.SendLatency, "source_to_socket")
	}},
	{named("worst_leg_latency_p99_seconds", "The greatest 99th percentile of a leg that is open; which one, the control API's snapshots tell.", "path"), gauge, func(v *view, to emit, _ observe) {
		to(v.media.Totals.WorstLatency.Seconds(), "socket_to_tap")
		to(v.media.Totals.WorstSendLatency.Seconds(), "source_to_socket")
	}},
	{named("pacer_late_seconds", "How late the pacers' turns began."), counter, func(v *view, _ emit, see observe) { see(&v.media.Totals.PacerLate) }},

	{named("recordings", "Recordings that are not complete yet."), gauge, ofRecorder(func(v *view) int64 { return v.recorder.Live })},
	{named("recordings_total", "Recordings that were begun."), counter, ofRecorder(func(v *view) int64 { return v.recorder.Recordings })},
	{named("recordings_failed_total", "Recordings with a fault in a file."), counter, ofRecorder(func(v *view) int64 { return v.recorder.Failed })},
	{named("recorder_frames_total", "Frames of 20 ms written."), counter, ofRecorder(func(v *view) int64 { return v.recorder.Frames })},
	{named("recorder_lost_samples_total", "Samples that a recording lacks.", "reason"), counter, func(v *view, to emit, _ observe) {
		if v.recorder == nil {
			return
		}
		for reason, n := range v.recorder.Lost {
			to(float64(n), string(reason))
		}
	}},
	{named("recorder_buffered_frames", "Frames that wait to be written."), gauge, ofRecorder(func(v *view) int64 { return v.recorder.Buffered })},
	{named("recorder_buffer_frames", "Frames that may wait."), gauge, ofRecorder(func(v *view) int64 { return v.recorder.BufferFrames })},
	{named("recorder_stalls_total", "Sweeps that found no room for a frame."), counter, ofRecorder(func(v *view) int64 { return v.recorder.Stalls })},
}

func ofTransports(n func(*carried) int64) func(*view, emit, observe) {
	return func(v *view, to emit, _ observe) {
		for i := range v.transports {
			to(float64(n(&v.transports[i])), v.transports[i].name)
		}
	}
}

func ofRTP(v *view, fn func(name string, s *transport.RTPStats)) {
	for i := range v.transports {
		if s := v.transports[i].sum.RTP; s != nil {
			fn(v.transports[i].name, s)
		}
	}
}

func ofRecorder(n func(*view) int64) func(*view, emit, observe) {
	return func(v *view, to emit, _ observe) {
		if v.recorder != nil {
			to(float64(n(v)))
		}
	}
}
