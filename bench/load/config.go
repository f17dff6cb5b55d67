package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"time"
)

// Echo says what is expected back.
type Echo string

const (
	// EchoAll expects every frame. The default.
	EchoAll Echo = "all"
	// EchoNone expects nothing: a server that only listens. There is no
	// latency then and no loss, only cost.
	EchoNone Echo = "none"
)

// Bounds of a Config. A frame is numbered in 24 bits, a speaker in 8.
const (
	maxCalls    = 50_000
	maxSpeakers = 64
	maxRun      = 24 * time.Hour
	maxWorkers  = 64

	frameTime = 20 * time.Millisecond
)

// Config of a run. URL is needed; the zero value of everything else will do.
type Config struct {
	// URL of the server: ws://host/path or wss://host/path for ACS streaming;
	// rtp://host:port?codec=PCMU for plain RTP, of PCMU, PCMA or L16;
	// whip+http://host/path?codec=PCMU or whip+https for WebRTC, offered there by
	// WHIP, of PCMU or PCMA; the rest of the query is the endpoint's own;
	// http://host/path or https://host/path, the webhook for Event Grid of a bot
	// that the emulator rings, and which answers at Emulator.
	URL string
	// Calls at the same time; 0 means 1.
	Calls int
	// Speakers of each call; 0 means 1.
	Speakers int
	// Unmixed sends a stream of its own for each speaker; else they are mixed
	// into one.
	Unmixed bool
	// Rate of the samples in Hz, 16000 or 24000; 0 means 16000.
	Rate int
	// Echo is what is expected back; empty means EchoAll.
	Echo Echo
	// Duration of the measurement at the full number of calls; 0 means 10 s.
	Duration time.Duration
	// Ramp is how long it takes to place all calls; 0 means 2 ms for each, and
	// 20 ms over WebRTC, where both ends have to work for it.
	Ramp time.Duration
	// Warmup is how long all calls stand before the measurement; 0 means 1 s, and
	// 2 s over RTP and WebRTC: in their first second jitter buffers are bound to
	// find their size, and leave out a frame when they have.
	Warmup time.Duration
	// Grace is how long echoes are waited for at the end; 0 means 2 s.
	Grace time.Duration
	// Header is sent with every upgrade, beside those of the cloud, and with
	// every request of WHIP.
	Header http.Header
	// TLS is used for wss and whip+https; nil means the system's roots.
	TLS *tls.Config
	// Emulator is where bots that are rung reach the cloud.
	Emulator Emulator
	// PIDs are the server's processes, whose CPU and memory are measured.
	PIDs []int
	// Limits that the verdict is by.
	Limits Limits
	// Workers is how many pairs of threads there are, a writer and a reader;
	// 0 means one for every two CPUs.
	Workers int
	// Progress is told of each second, from one goroutine; nil: nobody is.
	Progress func(Second)

	kind   string
	url    *url.URL
	offers *url.URL // where WHIP's are posted
	codec  rtpCodec
}

// Emulator is the cloud of bots that are rung.
type Emulator struct {
	// Addr to listen on; empty means a free port of 127.0.0.1.
	Addr string
	// Key is the access key, in base64; empty means a new one.
	Key string
}

// errConfig wraps what is wrong with a Config.
func errConfig(format string, args ...any) error {
	return fmt.Errorf("load: "+format, args...)
}

// withDefaults fills in what is zero and refuses what cannot be.
func (c Config) withDefaults() (Config, error) {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	c.Calls, c.Speakers = max(1, c.Calls), max(1, c.Speakers)
	if c.Rate == 0 {
		c.Rate = 16000
	}
	if c.Echo == "" {
		c.Echo = EchoAll
	}
	if c.Workers == 0 {
		c.Workers = max(1, runtime.NumCPU()/2)
	}
	err := c.checkURL()
	each, warmup := 2*time.Millisecond, time.Second
	if c.kind == "webrtc" {
		each = 20 * time.Millisecond
	}
	if c.buffered() {
		warmup = 2 * time.Second
	}
	def(&c.Duration, 10*time.Second)
	def(&c.Ramp, time.Duration(c.Calls)*each)
	def(&c.Warmup, warmup)
	def(&c.Grace, 2*time.Second)
	return c, errors.Join(err, c.check())
}

func (c *Config) checkURL() (err error) {
	if c.url, err = url.Parse(c.URL); err != nil {
		return errConfig("URL: %w", err)
	}
	switch c.url.Scheme {
	case "ws", "wss":
		c.kind = "acs"
	case "http", "https":
		c.kind = "emulator"
	case "rtp":
		c.kind = "rtp"
		if c.codec, err = rtpCodecOf(c.url.Query().Get("codec"), "PCMU", "PCMA", "L16"); err != nil {
			return err
		}
		if c.url.Port() == "" {
			return errConfig("URL %q: has no port", c.URL)
		}
	case "whip+http", "whip+https":
		c.kind = "webrtc"
		name := ""
		c.offers, name = whipURL(c.url)
		if c.codec, err = rtpCodecOf(name, "PCMU", "PCMA"); err != nil {
			return err
		}
	default:
		return errConfig("URL %q: want ws://host/path, wss://host/path, rtp://host:port, whip+http://host/path, or http://host/path of a bot's webhook", c.URL)
	}
	if c.url.Host == "" {
		return errConfig("URL %q: has no host", c.URL)
	}
	return nil
}

func (c *Config) check() error {
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"Duration", c.Duration}, {"Ramp", c.Ramp}, {"Warmup", c.Warmup}, {"Grace", c.Grace}} {
		if d.v < 0 || d.v > maxRun {
			return errConfig("%s %v: want 0 to %v", d.name, d.v, maxRun)
		}
	}
	switch {
	case c.Calls > maxCalls:
		return errConfig("Calls %d: want at most %d", c.Calls, maxCalls)
	case c.Speakers > maxSpeakers:
		return errConfig("Speakers %d: want at most %d", c.Speakers, maxSpeakers)
	case c.Rate != 16000 && c.Rate != 24000:
		return errConfig("Rate %d Hz: want 16000 or 24000", c.Rate)
	case c.Echo != EchoAll && c.Echo != EchoNone:
		return errConfig("Echo %q: want %s or %s", c.Echo, EchoAll, EchoNone)
	case c.Echo == EchoNone && (c.Limits.Loss != nil || c.Limits.P50+c.Limits.P99+c.Limits.P999 > 0):
		return errConfig("Limits of latency and loss: Echo %s expects nothing back", c.Echo)
	case c.Limits.CPU > 0 && len(c.PIDs) == 0:
		return errConfig("Limits.CPU %g: needs PIDs, the processes of the server", c.Limits.CPU)
	case c.Workers < 0 || c.Workers > maxWorkers:
		return errConfig("Workers %d: want 1 to %d", c.Workers, maxWorkers)
	case c.kind == "emulator" && (c.Rate != 16000 || c.Unmixed):
		return errConfig("Rate %d Hz, Unmixed %v: the bot chooses, where it answers", c.Rate, c.Unmixed)
	case c.buffered() && (c.Rate != 16000 || c.Unmixed):
		return errConfig("Rate %d Hz, Unmixed %v: RTP has one stream, at the rate of its codec", c.Rate, c.Unmixed)
	case c.Duration < time.Second:
		return errConfig("Duration %v: want at least 1s", c.Duration)
	}
	return c.Limits.check()
}

// buffered reports whether servers hear the calls through a jitter buffer.
func (c *Config) buffered() bool { return c.kind == "rtp" || c.kind == "webrtc" }

// tail is how much longer than it is measured a stream goes on: at its end a
// server makes up what does not come any more out of what came last.
func (c *Config) tail() int64 {
	if c.buffered() {
		return 5 * int64(frameTime)
	}
	return 0
}

// streams is how many streams a call has on the wire.
func (c *Config) streams() int {
	if c.Unmixed {
		return c.Speakers
	}
	return 1
}
