package load

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

const dialTimeout = 10 * time.Second

// upgradeKey is appended to the client's key (RFC 6455 section 1.3).
const upgradeKey = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// clientAddr is the address that call n comes from. A server on loopback is
// dialled from all over 127.0.0.0/8: one address has 28,000 free ports, and a
// server that counts by address sees many.
func clientAddr(server string, n int) *net.TCPAddr {
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return nil
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || ip.To4() == nil || !ip.IsLoopback()) {
		return nil
	}
	n %= 1 << 16
	return &net.TCPAddr{IP: net.IPv4(127, 77, byte(n>>8), byte(n)|1)}
}

func hostPort(scheme, host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	if scheme == "wss" {
		return net.JoinHostPort(host, "443")
	}
	return net.JoinHostPort(host, "80")
}

// dialWS opens a WebSocket as call n of the run. It upgrades by hand: the
// socket is wanted bare, and what the server sent already with it.
func dialWS(ctx context.Context, cfg *Config, n int) (conn net.Conn, sent []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addr := hostPort(cfg.url.Scheme, cfg.url.Host)
	d := net.Dialer{}
	if local := clientAddr(addr, n); local != nil && canSpread {
		d.LocalAddr = local
	}
	if conn, err = d.DialContext(ctx, "tcp4", addr); err != nil {
		if conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", addr); err != nil {
			return nil, nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if cfg.url.Scheme == "wss" {
		c := cfg.TLS.Clone()
		if c == nil {
			c = &tls.Config{}
		}
		if c.ServerName == "" {
			c.ServerName = cfg.url.Hostname()
		}
		conn = tls.Client(conn, c)
	}
	if sent, err = upgrade(conn, cfg); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, sent, nil
}

func upgrade(conn net.Conn, cfg *Config) (sent []byte, err error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	req := &http.Request{Method: http.MethodGet, URL: cfg.url, Host: cfg.url.Host, Header: http.Header{}}
	req.Header.Set("x-ms-call-connection-id", uuid.NewString())
	req.Header.Set("x-ms-call-correlation-id", uuid.NewString())
	for k, v := range cfg.Header {
		req.Header[k] = v
	}
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	want := sha1.Sum([]byte(key + upgradeKey))
	switch {
	case resp.StatusCode != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("upgrade: HTTP %s", resp.Status)
	case !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket"),
		resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(want[:]):
		return nil, fmt.Errorf("upgrade: the server answered %d, but not as a WebSocket", resp.StatusCode)
	}
	sent = make([]byte, br.Buffered())
	_, err = br.Read(sent)
	if len(sent) == 0 {
		err = nil
	}
	return sent, err
}
