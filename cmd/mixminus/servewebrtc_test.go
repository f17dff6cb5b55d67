package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/bench/phone"
	"github.com/mixminus/mixminus/bench/signal"
	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/api"
	"github.com/mixminus/mixminus/transport/rtc"
	"github.com/pion/webrtc/v4"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

const (
	sendrecv = webrtc.RTPTransceiverDirectionSendrecv
	sendonly = webrtc.RTPTransceiverDirectionSendonly
	recvonly = webrtc.RTPTransceiverDirectionRecvonly
)

func TestWebRTCFlags(t *testing.T) {
	config := func(token string, args ...string) (*webrtcConfig, error) {
		var f webrtcFlags
		fl := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		f.add(fl)
		require.NoError(t, fl.Parse(args))
		return f.config(token, slog.New(slog.DiscardHandler))
	}
	none, err := config("")
	require.NoError(t, err)
	require.Nil(t, none)
	c, err := config("t", "--webrtc", ":5008", "--webrtc-tcp", "127.0.0.1:5009", "--webrtc-public", "192.0.2.7,2001:db8::7", "--webrtc-lite",
		"--webrtc-codec", "pcmu,opus", "--webrtc-ice", "stun:s.example:3478,turn:me:a:secret@t.example?transport=tcp", "--webrtc-origin", "*")
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddrPort("[::]:5008"), c.server.UDP)
	require.Equal(t, netip.MustParseAddrPort("127.0.0.1:5009"), c.server.TCP)
	require.Len(t, c.server.Public, 2)
	require.True(t, c.server.Lite)
	require.Equal(t, []string{"PCMU", "opus"}, []string{c.server.Codecs[0].Name, c.server.Codecs[1].Name})
	require.Equal(t, []rtc.ICEServer{
		{URL: "stun:s.example:3478"}, {URL: "turn:t.example?transport=tcp", Username: "me", Credential: "a:secret"},
	}, c.server.ICEServers)
	for want, args := range map[string]string{
		`--webrtc "5008"`:                       "--webrtc 5008",
		`--webrtc-tcp "x"`:                      "--webrtc :1 --webrtc-tcp x",
		"--webrtc-lite: is for --webrtc":        "--webrtc-lite",
		"--webrtc-origin: is for --webrtc":      "--webrtc-origin https://x",
		`--webrtc-public "0.0.0.0"`:             "--webrtc :1 --webrtc-public 0.0.0.0",
		`--webrtc-codec "L16": want some of op`: "--webrtc :1 --webrtc-codec L16",
		"--webrtc-codec: want some of":          "--webrtc :1 --webrtc-codec=",
		`--webrtc-origin: origin "x"`:           "--webrtc :1 --webrtc-origin x",
		`--webrtc-origin: origin "*"`:           "--webrtc :1 --webrtc-origin *",
	} {
		_, err := config("", strings.Fields(args)...)
		require.ErrorContains(t, err, want)
	}
}

func TestGraphMediaFlag(t *testing.T) {
	config := func(webrtc bool, args ...string) (*graphConfig, error) {
		var f graphFlags
		fl := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		f.add(fl)
		require.NoError(t, fl.Parse(args))
		return f.config(true, webrtc, slog.New(slog.DiscardHandler))
	}
	for _, tt := range []struct {
		args   string
		webrtc bool
		want   string
	}{
		{"--graph-media sip", true, `--graph-media "sip": want websocket or webrtc`},
		{"--graph-media webrtc", true, "is for --graph-endpoint"},
		{"--graph-endpoint http://127.0.0.1:1 --graph-media webrtc", false, "needs --webrtc"},
	} {
		_, err := config(tt.webrtc, strings.Fields(tt.args)...)
		require.ErrorContains(t, err, tt.want)
	}
	c, err := config(true, "--graph-endpoint", "http://127.0.0.1:1", "--graph-media", "webrtc")
	require.NoError(t, err)
	require.True(t, c.webrtc)
	c, err = config(true, "--graph-endpoint", "http://127.0.0.1:1")
	require.NoError(t, err)
	require.False(t, c.webrtc)
}

// alone is background without an account at any cloud.
func alone(t *testing.T, args ...string) (*exec.Cmd, map[string]string) {
	t.Helper()
	cmd := program(context.Background(), append(args, "--json")...)
	cmd.Env = append(cmd.Env, envKey+"=")
	return start(t, cmd)
}

// calls waits until so many calls have media, and returns them.
func calls(t *testing.T, client api.Client, n int) (list []session.Snapshot) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		list, err = client.Calls(t.Context())
		up := 0
		for _, c := range list {
			if c.Media.Connected {
				up++
			}
		}
		return err == nil && len(list) == n && up == n
	}, patience, tick)
	return list
}

// callCLI runs a command of "mixminus call" that must succeed.
func callCLI(t *testing.T, client api.Client, args ...string) string {
	t.Helper()
	out, err := output(t, append(append([]string{"call"}, args...), "--api", client.URL)...)
	require.NoError(t, err, out)
	return out
}

// TestWebRTCCalls calls an echo from a browser, and drives the call by the
// commands that drive all calls.
func TestWebRTCCalls(t *testing.T) {
	t.Parallel()
	cmd, urls := alone(t, "serve", "--bot", "echo", "--webrtc", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--recordings", "")
	client := api.Client{URL: urls["http"]}
	require.Equal(t, urls["http"]+"/webrtc", urls["webrtc"])
	require.Equal(t, urls["http"]+"/whep", urls["whep"])
	require.NotEmpty(t, urls["webrtc_udp"])

	only, answer := offering(t, recvonly).post(urls["webrtc"])
	require.Equal(t, 406, only.StatusCode, answer)
	require.Contains(t, answer, "/whep/{call}")

	voice := signal.Speech(signal.Allison)
	b := dial(t, urls["webrtc"], sendrecv)
	b.says(voice)
	b.hears(voice)
	c := calls(t, client, 1)[0]
	require.Contains(t, callCLI(t, client, "list"), "webrtc")
	require.True(t, strings.HasPrefix(c.From.RawID, "webrtc:127.0.0.1:"))
	require.Equal(t, "PCMU/8000", c.Media.Transport.RTP.Codec)
	callCLI(t, client, "dtmf", c.ID, "12#")
	require.Eventually(t, func() bool { return b.pressed() > 3*3 }, patience, tick, "keys are heard")
	b.leave()
	calls(t, client, 0)

	again := dial(t, urls["webrtc"], sendrecv)
	callCLI(t, client, "hangup", calls(t, client, 1)[0].ID)
	calls(t, client, 0)
	select {
	case <-again.gone:
	case <-time.After(patience):
		t.Fatal("the browser does not learn of it")
	}
	lost := dial(t, urls["webrtc"], sendonly)
	calls(t, client, 1)
	lost.close() // by DTLS, with no DELETE
	calls(t, client, 0)
	interrupt(t, cmd)
}

// TestWebRTCGuard asks, with and without the token, as programs and as pages.
func TestWebRTCGuard(t *testing.T) {
	const page = "https://app.example"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := startService(serviceConfig{
		listener: listener, token: "t", log: slog.New(slog.DiscardHandler),
		bot:    func(string, session.Direction) bot { return bots["echo"] },
		webrtc: &webrtcConfig{origins: []string{page}, server: rtc.Config{Origins: []string{page}}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	for _, tt := range []struct {
		method, path, origin, token string
		status                      int
	}{
		{"POST", "/webrtc", "", "", 401},
		{"POST", "/webrtc", page, "", 401},
		{"POST", "/webrtc", page, "t", 400}, // no offer
		{"GET", "/webrtc", "", "t", 405},
		{"OPTIONS", "/webrtc", "", "t", 204},
		{"OPTIONS", "/webrtc", page, "", 204}, // a preflight
		{"OPTIONS", "/webrtc", "https://evil.example", "", 401},
		{"DELETE", "/webrtc/nobody", page, "t", 404},
		{"POST", "/whep/nobody", page, "", 401},
		{"POST", "/whep/nobody", page, "t", 400},
		{"OPTIONS", "/whep/nobody", page, "", 204},
		{"GET", "/whep", "", "t", 200},
		{"GET", "/whep", "", "", 401},
		{"POST", "/whip/nobody", page, "", 404}, // who knows an address needs no token
		{"OPTIONS", "/whip/nobody/session", page, "", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, s.urls.HTTP+tt.path, strings.NewReader("v="))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/sdp")
		if tt.token != "" {
			req.Header.Set("Authorization", "Bearer "+tt.token)
		}
		if tt.origin != "" {
			req.Header.Set("Origin", tt.origin)
			req.Header.Set("Sec-Fetch-Site", "cross-site")
			if tt.method == "OPTIONS" {
				req.Header.Set("Access-Control-Request-Method", "POST")
			}
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, tt.status, resp.StatusCode, "%+v", tt)
		require.Equal(t, tt.origin == page, resp.Header.Get("Access-Control-Allow-Origin") == page, "%+v", tt)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestWebRTCRoom lets two browsers hear each other in a room.
func TestWebRTCRoom(t *testing.T) {
	t.Parallel()
	cmd, urls := alone(t, "serve", "--bot", "echo", "--webrtc", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--recordings", "")
	client := api.Client{URL: urls["http"]}
	allison, carlo := signal.Speech(signal.Allison), signal.Speech(signal.Carlo)
	one, two := dial(t, urls["webrtc"], sendrecv), dial(t, urls["webrtc"], sendrecv)
	there := calls(t, client, 2)
	callCLI(t, client, "join", "hall", there[0].ID, there[1].ID)
	one.says(allison)
	two.says(carlo)
	two.hears(allison)
	one.hears(carlo)
	interrupt(t, cmd)
}

// TestListenIn hears a call of RTP from a browser that is no party of it.
func TestListenIn(t *testing.T) {
	t.Parallel()
	cmd, urls := alone(t, "serve", "--bot", "speak", "--rtp", "127.0.0.1:0", "--webrtc", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--recordings", "")
	client := api.Client{URL: urls["http"]}
	carlo := signal.Speech(signal.Carlo)
	p, err := phone.Open(phone.Config{Voice: carlo, Loops: phone.Forever, Pause: 5, Duration: time.Minute, Bye: true})
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Dial(netip.MustParseAddrPort(urls["rtp"])))
	var c session.Snapshot
	require.Eventually(t, func() bool {
		list, err := client.Calls(t.Context())
		if err != nil || len(list) != 1 {
			return false
		}
		c = list[0]
		return len(c.Media.Speakers) == 1
	}, patience, tick)

	for status, path := range map[int]string{404: "/nobody", 406: "/" + c.ID} {
		d := recvonly
		if status == 406 {
			d = sendonly
		}
		resp, body := offering(t, d).post(urls["whep"] + path)
		require.Equal(t, status, resp.StatusCode, body)
	}
	all := dial(t, urls["whep"]+"/"+c.ID, recvonly)
	one := dial(t, urls["whep"]+"/"+c.ID+"/"+c.Media.Speakers[0].RawID, recvonly)
	all.hears(carlo)
	one.hears(carlo)
	require.Len(t, calls(t, client, 1), 1, "listeners are no calls")
	one.leave()
	p.HangUp()
	_, err = p.Wait(t.Context())
	require.NoError(t, err)
	select { // the phone said goodbye, and all hear no more
	case <-all.gone:
	case <-time.After(patience):
		t.Fatal("the listener does not learn of the end")
	}
	resp, err := http.Get(urls["whep"])
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)
	interrupt(t, cmd)
}
