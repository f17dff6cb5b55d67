package cloud

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

func TestStartAndClose(t *testing.T) {
	t.Parallel()
	var srv Server
	require.NoError(t, srv.Close(), "before Start")
	srv.signer = testKey()
	require.NoError(t, srv.Start(context.Background()))
	require.Error(t, srv.Start(context.Background()), "twice")
	require.NotEmpty(t, srv.AccessKey())
	require.NotEmpty(t, srv.Audience())
	require.Equal(t, srv.URL(), srv.TokenIssuer())
	require.True(t, strings.HasPrefix(srv.URL(), "http://127.0.0.1:"))
	require.NotEqual(t, srv.URL(), srv.AdminURL())
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Close())
	_, err := srv.Ring(context.Background(), Ring{Script: listener(), EventsURL: srv.URL()})
	require.Error(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	cancelled := Server{signer: testKey(), Key: captureKey}
	require.NoError(t, cancelled.Start(ctx))
	require.Equal(t, captureKey, cancelled.AccessKey())
	cancel()
	require.NoError(t, cancelled.Close())

	for field, s := range map[string]*Server{
		"Key": {Key: "?"}, "Speed": {Speed: -1}, "MaxCalls": {MaxCalls: -1}, "Addr": {Addr: "nowhere:-1"}, "AdminAddr": {AdminAddr: "nowhere:-1"},
	} {
		require.ErrorContains(t, s.Start(context.Background()), field)
		require.NoError(t, s.Close())
	}
	var own Server // makes a key of its own
	require.NoError(t, own.Start(context.Background()))
	require.NoError(t, own.Close())
}

// Calls in every state end with the server, and the bot is told.
func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	ringing, _ := b.ring(listener())
	talking := b.take(listener(), "unmixed", "")
	s := b.socket()
	b.expect("CallConnected", "ParticipantsUpdated", "MediaStreamingStarted")
	require.NoError(t, b.srv.Close())
	require.Equal(t, resultShutdown, wait(t, ringing).Result)
	require.Equal(t, resultShutdown, wait(t, talking).Result)
	require.ErrorContains(t, s.wait(t).err, "1000")
	b.expect("CallDisconnected")
}

// A bot that hangs cannot keep the server from closing.
func TestCloseDoesNotWaitForTheBot(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	release := make(chan struct{})
	b.refuse = func(r *http.Request) int {
		if r.URL.Path == "/callbacks" {
			<-release
		}
		return 0
	}
	b.onSocket = func(*socket) { <-release }
	b.take(pair(1000), "unmixed", "")
	start := time.Now()
	require.NoError(t, b.srv.Close())
	require.Less(t, time.Since(start), closeGrace)
	close(release)
}

func TestConnected(t *testing.T) {
	t.Parallel()
	b := newBot(t, &Server{})
	call, _ := b.ring(listener())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, call.Connected(ctx), context.Canceled)
	require.ErrorIs(t, call.Wait(ctx), context.Canceled)
	call.HangUp()
	require.ErrorContains(t, call.Connected(context.Background()), resultByOthers.Message)
	talking := b.take(listener(), "unmixed", "")
	require.NoError(t, talking.Connected(context.Background()))
	require.Equal(t, Incoming, talking.Direction())
	require.Equal(t, "connected", talking.Log().State)
}

// https and wss, with a certificate that only TLS knows.
func TestTLS(t *testing.T) {
	t.Parallel()
	callbacks, sockets := make(chan string, 10), make(chan int, 1)
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/media" {
			text, _ := io.ReadAll(r.Body)
			callbacks <- string(text)
			return
		}
		up := websocket.Upgrader{}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		n := 0
		for ; ; n++ {
			if _, _, err := ws.ReadMessage(); err != nil {
				break
			}
		}
		sockets <- n
	}))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	srv := &Server{signer: testKey(), Speed: 10, TLS: &tls.Config{RootCAs: roots}, OnCreate: func(Dialled) Callee {
		return Callee{Script: pair(5, Fault{Kind: Reconnect, Slot: 4, Slots: 100})}
	}}
	require.NoError(t, srv.Start(context.Background()))
	defer srv.Close()
	body := strings.ReplaceAll(golden(t, "create-2022.request.json"), "https://app.contoso.com/callback", web.URL+"/cb")
	body = strings.ReplaceAll(body, "wss://contoso.websocket.server/", "wss"+strings.TrimPrefix(web.URL, "https")+"/media")
	status, text, _ := request0(t, srv, "POST", "/calling/callConnections"+v2022, body)
	require.Equal(t, 201, status, "%s", text)
	require.Equal(t, 1+4, receive(t, sockets), "metadata, and all frames before the break")
	for _, name := range []string{"CallConnected", "ParticipantsUpdated", "CallDisconnected"} {
		require.Contains(t, receive(t, callbacks), name)
	}
}

// An official sample reads one frame into 2048 bytes, and takes it for the
// whole message: nothing may come in fragments.
func TestMessagesAreNotFragmented(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	frames := make(chan [2]int, 1000) // first byte, length
	go func() {
		defer close(frames)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		accept := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(accept[:])+"\r\n\r\n")
		for {
			var head [4]byte
			if _, err := io.ReadFull(r, head[:2]); err != nil {
				return
			}
			n := int(head[1] & 0x7f)
			if n == 126 {
				if _, err := io.ReadFull(r, head[2:]); err != nil {
					return
				}
				n = int(binary.BigEndian.Uint16(head[2:]))
			}
			frames <- [2]int{int(head[0]), n}
			if _, err := r.Discard(4 + n); err != nil {
				return
			}
		}
	}()
	b := newBot(t, &Server{})
	script := pair(5)
	script.Speakers[0].ID = "8:acs:" + strings.Repeat("0", 394)
	call, incoming := b.ring(script)
	status, _, _ := b.do("POST", "/calling/callConnections:answer"+v2026, `{"incomingCallContext":"`+incoming+`","callbackUri":"`+b.http.URL+
		`/callbacks","mediaStreamingOptions":{"transportUrl":"ws://`+l.Addr().String()+`/","transportType":"websocket","audioChannelType":"unmixed","startMediaStreaming":true,"audioFormat":"pcm24KMono"}}`)
	require.Equal(t, 200, status)
	wait(t, call)
	n := 0
	for f := range frames {
		if f[0] == 0x88 { // close
			continue
		}
		require.Equal(t, 0x81, f[0], "FIN, text")
		require.Less(t, f[1], 2048)
		n++
	}
	require.Equal(t, 1+2*5, n)
}
