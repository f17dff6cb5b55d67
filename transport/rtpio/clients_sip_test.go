package rtpio_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// uas answers calls of SIP over UDP (RFC 3261), as far as a phone on loopback
// needs that: INVITE, ACK, BYE, and what is sent twice. It knows nothing of
// media: descriptions go through it as they are.
type uas struct {
	t       testing.TB
	conn    *net.UDPConn
	answer  func(offer []byte) ([]byte, error)
	up, bye chan struct{} // hold one: ACK came, BYE did
	done    sync.WaitGroup
	sent    map[string][]byte // final responses, by request
}

// request is a message of SIP, its header fields by their names in small
// letters. Of several Via fields the first is needed: here is no proxy.
type request struct {
	method string
	fields map[string]string
	body   []byte
}

func newUAS(t testing.TB, answer func([]byte) ([]byte, error)) *uas {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	u := &uas{t: t, conn: conn, answer: answer, up: make(chan struct{}, 1), bye: make(chan struct{}, 1), sent: map[string][]byte{}}
	u.done.Add(1)
	go u.serve()
	t.Cleanup(func() {
		conn.Close()
		u.done.Wait()
	})
	return u
}

func (u *uas) addr() netip.AddrPort { return u.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (u *uas) serve() {
	defer u.done.Done()
	buf := make([]byte, 64<<10)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		switch r, ok := parseRequest(buf[:n]); {
		case !ok:
		case r.method == "ACK":
			tell(u.up)
		default:
			_, _ = u.conn.WriteToUDPAddrPort(u.respond(r), from) // who does not hear it asks again
		}
	}
}

func tell(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// await waits for what u tells.
func (u *uas) await(bell chan struct{}) {
	u.t.Helper()
	select {
	case <-bell:
	case <-time.After(patience):
		u.t.Fatal("the phone does not call, or does not hang up")
	}
}

// respond does what is asked, once, and says so each time.
func (u *uas) respond(r *request) []byte {
	key := r.fields["call-id"] + " " + r.fields["cseq"]
	if b, ok := u.sent[key]; ok {
		return b
	}
	var b []byte
	switch r.method {
	case "INVITE":
		sdp, err := u.answer(bytes.Clone(r.body))
		if err != nil {
			b = u.response(r, "488 "+err.Error(), nil)
			break
		}
		b = u.response(r, "200 OK", sdp)
	case "BYE":
		tell(u.bye)
		b = u.response(r, "200 OK", nil)
	default:
		b = u.response(r, "501 Not Implemented", nil)
	}
	u.sent[key] = b
	return b
}

func (u *uas) response(r *request, status string, sdp []byte) []byte {
	b := fmt.Appendf(nil, "SIP/2.0 %s\r\n", status)
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		value := r.fields[strings.ToLower(name)]
		if name == "To" && !strings.Contains(value, ";tag=") {
			value += ";tag=echo"
		}
		b = fmt.Appendf(b, "%s: %s\r\n", name, value)
	}
	b = fmt.Appendf(b, "Contact: <sip:echo@%v>\r\n", u.addr())
	if sdp != nil {
		b = append(b, "Content-Type: application/sdp\r\n"...)
	}
	return fmt.Appendf(b, "Content-Length: %d\r\n\r\n%s", len(sdp), sdp)
}

func parseRequest(b []byte) (*request, bool) {
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	method, rest, _ := strings.Cut(lines[0], " ")
	if !ok || !strings.HasSuffix(rest, " SIP/2.0") {
		return nil, false
	}
	r := &request{method: method, fields: map[string]string{}, body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, again := r.fields[name]; !again {
			r.fields[name] = strings.TrimSpace(value)
		}
	}
	return r, true
}
