package main

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/engine/record"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/api"
	"github.com/mixminus/mixminus/session/rtp"
	"github.com/mixminus/mixminus/transport"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestRTPFlags(t *testing.T) {
	config := func(args ...string) (*rtpConfig, error) {
		var f rtpFlags
		fl := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		f.add(fl)
		require.NoError(t, fl.Parse(args))
		return f.config(slog.New(slog.DiscardHandler))
	}
	none, err := config()
	require.NoError(t, err)
	require.Nil(t, none)
	c, err := config("--rtp", "127.0.0.1:4000")
	require.NoError(t, err)
	require.Equal(t, []string{"PCMU", "PCMA", "G722", "L16", "opus"}, c.codecs)
	require.Equal(t, 30*time.Second, c.idle)
	c, err = config("--rtp", ":4000", "--rtp-codec", "opus,pcmu", "--rtp-ports", "20000-20999", "--rtp-idle", "5s", "--rtp-public", "192.0.2.7")
	require.NoError(t, err)
	require.Equal(t, []string{"opus", "pcmu"}, c.codecs)
	require.Equal(t, []uint16{20000, 20999}, []uint16{c.minPort, c.maxPort})
	require.Equal(t, netip.MustParseAddr("192.0.2.7"), c.public)
	for want, args := range map[string]string{
		`--rtp "4000"`:                         "--rtp 4000",
		"--rtp-idle: is for --rtp":             "--rtp-idle 5s",
		"--rtp-ports: is for --rtp":            "--rtp-ports 1-2",
		`--rtp-codec "speex": want some of PC`: "--rtp :1 --rtp-codec PCMU,speex",
		"--rtp-codec: want some of":            "--rtp :1 --rtp-codec=",
		`--rtp-ports "9-8"`:                    "--rtp :1 --rtp-ports 9-8",
		`--rtp-ports "9"`:                      "--rtp :1 --rtp-ports 9",
		`--rtp-ports "0-8"`:                    "--rtp :1 --rtp-ports 0-8",
		`--rtp-ports "1-65536"`:                "--rtp :1 --rtp-ports 1-65536",
		"--rtp-idle 0s":                        "--rtp :1 --rtp-idle 0s",
		`--rtp-public "x"`:                     "--rtp :1 --rtp-public x",
		`--rtp-public "::"`:                    "--rtp :1 --rtp-public ::",
	} {
		_, err := config(strings.Fields(args)...)
		require.ErrorContains(t, err, want)
	}
}

// briefMedia carries streams of one frame each.
type briefMedia struct {
	mu      sync.Mutex
	legs    map[string]*engine.Leg
	streams map[string]transport.Stream
	pressed string
	closed  bool
	totals  transport.Totals
}

func newBriefMedia() *briefMedia {
	return &briefMedia{legs: map[string]*engine.Leg{}, streams: map[string]transport.Stream{}}
}

type briefEndpoint string

func (e briefEndpoint) URL() string            { return string(e) }
func (e briefEndpoint) Bind(string)            {}
func (e briefEndpoint) Drain()                 {}
func (e briefEndpoint) Stats() transport.Stats { return transport.Stats{} }

func (m *briefMedia) Open(leg *engine.Leg, s transport.Stream) (transport.Endpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	url := "rtp:" + leg.ID()
	m.legs[url], m.streams[url] = leg, s
	return briefEndpoint(url), nil
}

func (m *briefMedia) up(url string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	port, err := m.legs[url].Attach(nil)
	if err != nil {
		return err
	}
	defer port.Detach(engine.Now())
	r, err := port.Render(nil, engine.Now())
	if err != nil {
		return err
	}
	r.Append(make([]int16, pcm.FrameSamples), engine.Chunk{Arrival: engine.Now()})
	m.streams[url].OnUp()
	return nil
}

func (m *briefMedia) Take(url, _ string) error                  { return m.up(url) }
func (m *briefMedia) Dial(url string, _ transport.Target) error { return m.up(url) }
func (m *briefMedia) Refuse(string)                             {}
func (m *briefMedia) Addr() net.Addr                            { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4000} }

func (m *briefMedia) Answer(url string, _ []byte) ([]byte, error) {
	return []byte("v=0\r\ns=-\r\n"), m.up(url)
}

func (m *briefMedia) Press(_ string, key byte, _ time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pressed += string(key)
	return nil
}

func (m *briefMedia) Totals() *transport.Totals { return &m.totals }

func (m *briefMedia) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// serveRTP hosts a bot that is reached by RTP alone.
func serveRTP(t *testing.T, media *briefMedia, recordings string, manual bool) (*service, *rtp.Cloud) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var cloud *rtp.Cloud
	s, err := startService(serviceConfig{
		listener: listener, recordings: recordings, manual: manual, log: slog.New(slog.DiscardHandler),
		bot: func(string, session.Direction) bot { return bots["record"] },
		rtp: &rtpConfig{open: func(_ rtpConfig, c *rtp.Cloud) (rtpMedia, error) {
			cloud = c
			return media, nil
		}},
	})
	require.NoError(t, err)
	return s, cloud
}

// TestRTPCalls drives calls of RTP by the commands that drive all calls.
func TestRTPCalls(t *testing.T) {
	media, dir := newBriefMedia(), t.TempDir()
	s, cloud := serveRTP(t, media, dir, false)
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, "127.0.0.1:4000", s.urls.RTP)
	require.Equal(t, s.urls.HTTP+"/rtp", s.urls.Offers)
	require.Contains(t, s.urls.announce("record"), "rtp://127.0.0.1:4000")
	require.NotContains(t, s.urls.announce("record"), "emulate")

	resp, err := http.Post(s.urls.Offers, "application/sdp", strings.NewReader("v=0\r\n"))
	require.NoError(t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 201, resp.StatusCode, string(answer))
	require.Equal(t, "v=0\r\ns=-\r\n", string(answer))
	cloud.Ring(transport.Sender{ID: "192.0.2.7:5004/00000001", Addr: netip.MustParseAddrPort("192.0.2.7:5004")})

	call := func(args ...string) string {
		t.Helper()
		out, err := output(t, append([]string{"call", "--api", s.urls.HTTP}, args...)...)
		require.NoError(t, err, out)
		return out
	}
	var made struct{ ID, Cloud, State string }
	require.NoError(t, json.Unmarshal([]byte(call("create", "--cloud", "rtp", "--request", `{"target":"127.0.0.1:6000"}`)), &made))
	require.Equal(t, rtp.Name, made.Cloud)
	client := api.Client{URL: s.urls.HTTP}
	var calls []session.Snapshot
	require.Eventually(t, func() bool {
		calls, err = client.Calls(t.Context())
		return err == nil && len(calls) == 3 && calls[0].State == session.StateConnected && calls[1].State == session.StateConnected
	}, patience, tick)
	list := call("list")
	require.Contains(t, list, "rtp:192.0.2.7:5004")
	require.Contains(t, list, "rtp:127.0.0.1:6000")
	call("dtmf", made.ID, "12#")
	require.Equal(t, "12#", media.pressed)
	call("join", "hall", calls[0].ID, calls[1].ID, made.ID)
	require.Contains(t, call("rooms"), made.ID)
	for _, c := range calls {
		call("hangup", c.ID)
	}
	require.Eventually(t, func() bool {
		calls, err = client.Calls(t.Context())
		return err == nil && len(calls) == 0
	}, patience, tick)
	out, err := output(t, "call", "create", "--api", s.urls.HTTP, "--cloud", "rtp", "--request", `{"target":"here"}`)
	require.Error(t, err)
	require.Contains(t, out, `request.target = "here"`)
	require.NoError(t, s.Close())
	require.True(t, media.closed)
	require.Equal(t, 3, recorded(t, dir)[rtp.Name])
}

// recorded counts the recordings by the cloud of their calls.
func recorded(t *testing.T, dir string) map[string]int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "manifest.json"))
	require.NoError(t, err)
	clouds := map[string]int{}
	for _, path := range found {
		m, err := record.ReadManifest(path)
		require.NoError(t, err)
		clouds[m.Call.Cloud]++
	}
	return clouds
}

// TestRTPAnswerByHand answers a sender by the id that the list tells, which has
// a slash in it.
func TestRTPAnswerByHand(t *testing.T) {
	s, cloud := serveRTP(t, newBriefMedia(), "", true)
	defer func() { require.NoError(t, s.Close()) }()
	cloud.Ring(transport.Sender{ID: "192.0.2.7:5004/00000001", Addr: netip.MustParseAddrPort("192.0.2.7:5004")})
	cloud.Ring(transport.Sender{ID: "192.0.2.7:5004/00000002", Addr: netip.MustParseAddrPort("192.0.2.7:5004")})
	client := api.Client{URL: s.urls.HTTP}
	c, err := client.Answer(t.Context(), "192.0.2.7:5004/00000001", api.AnswerRequest{})
	require.NoError(t, err)
	require.Equal(t, "rtp:192.0.2.7:5004", c.From.RawID)
	require.NoError(t, client.Reject(t.Context(), "192.0.2.7:5004/00000002", rtp.Busy))
	rings, err := client.Incoming(t.Context())
	require.NoError(t, err)
	require.Empty(t, rings)
	require.NoError(t, client.HangUp(t.Context(), c.ID, false))
}

// TestRTPAloneHasNoOtherMedia lets nobody dial the media of clouds that are not
// there.
func TestRTPAloneHasNoOtherMedia(t *testing.T) {
	s, _ := serveRTP(t, newBriefMedia(), "", false)
	defer func() { require.NoError(t, s.Close()) }()
	require.ErrorContains(t, s.verify(&http.Request{}), "no cloud has signed it")
	resp, err := http.Get(s.urls.HTTP + "/media")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.GreaterOrEqual(t, resp.StatusCode, 400)
}

// TestRTPThatDoesNotListen leaves nothing behind.
func TestRTPThatDoesNotListen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, err = startService(serviceConfig{
		listener: listener, log: slog.New(slog.DiscardHandler),
		rtp: &rtpConfig{open: func(rtpConfig, *rtp.Cloud) (rtpMedia, error) { return nil, errors.New("address in use") }},
	})
	require.ErrorContains(t, err, "address in use")
}
