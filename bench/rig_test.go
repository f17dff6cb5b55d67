package bench_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mixminus/mixminus/codec/l16"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/mixminus/mixminus/transport/acsws"
	"github.com/stretchr/testify/require"
)

const (
	metadata = `{"kind":"AudioMetadata","audioMetadata":{"subscriptionId":"s","encoding":"PCM","sampleRate":16000,"channels":1,"length":640}}`

	// speaker is as long as such ids are.
	speaker   = "8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_0000000b-faeb-c708-99bf-a43a0d0036b0"
	wireBytes = 1055
	stampForm = "2006-01-02T15:04:05.000Z"
)

// noise is a frame of samples in which no two words of base64 are equal.
func noise() (s [pcm.FrameSamples]int16) {
	for i := range s {
		s[i] = int16(i * 7919)
	}
	return s
}

// message is 20 ms of audio as the cloud sends it, in a WebSocket frame of a
// client. Its timestamp moves on in place, which costs two stores, so that
// whoever parses it meets what he meets in a call and not a repetition.
type message struct {
	frame  []byte // header, then text
	text   []byte
	stamp  []byte // where in text the timestamp is
	second time.Time
	ms     int
}

func newMessage() *message {
	m := &message{second: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	var raw [pcm.FrameBytes]byte
	samples := noise()
	l16.EncodeLE(raw[:], samples[:])
	head := `{"kind":"AudioData","audioData":{"timestamp":"`
	text := fmt.Sprintf(`%s%s","participantRawID":"%s","data":"%s","silent":false}}`,
		head, m.second.Format(stampForm), speaker, base64.StdEncoding.EncodeToString(raw[:]))
	m.frame = clientFrame(text)
	m.text = m.frame[len(m.frame)-len(text):]
	m.stamp = m.text[len(head):][:len(stampForm)]
	return m
}

// next moves the timestamp on by 20 ms.
func (m *message) next() {
	if m.ms += 20; m.ms == 1000 {
		m.ms, m.second = 0, m.second.Add(time.Second)
		var b [64]byte // AppendFormat writes beyond what it returns
		copy(m.stamp, m.second.AppendFormat(b[:0], stampForm))
		return
	}
	m.stamp[20], m.stamp[21] = '0'+byte(m.ms/100), '0'+byte(m.ms/10%10)
}

// clientFrame puts text of 126 to 65,535 bytes into a frame with a masking
// key of zeros (RFC 6455 section 5.2): the server unmasks as it always does,
// the client need not.
func clientFrame(text string) []byte {
	n := len(text)
	return append([]byte{0x81, 0x80 | 126, byte(n >> 8), byte(n), 0, 0, 0, 0}, text...)
}

// dial opens n connections to a server and announces the format on each. It
// upgrades by hand: what the cloud's end costs is part of every figure.
func dial(tb testing.TB, url string, n int) []net.Conn {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "ws://"), "/")
	upgrade := fmt.Sprintf("GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, host)
	conns, buf := make([]net.Conn, n), bufio.NewReader(nil)
	for i := range conns {
		conn, err := net.Dial("tcp", host)
		require.NoError(tb, err)
		tb.Cleanup(func() { conn.Close() })
		_, err = io.WriteString(conn, upgrade)
		require.NoError(tb, err)
		buf.Reset(conn) // the server does not speak first
		resp, err := http.ReadResponse(buf, nil)
		require.NoError(tb, err)
		require.Equal(tb, http.StatusSwitchingProtocols, resp.StatusCode)
		_, err = conn.Write(clientFrame(metadata))
		require.NoError(tb, err)
		conns[i] = conn
	}
	return conns
}

// client sends audio on a connection and hears it back.
type client struct {
	conn net.Conn
	buf  *bufio.Reader
	msg  *message
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, buf: bufio.NewReader(conn), msg: newMessage()}
}

// send sends the next 20 ms.
func (c *client) send() error {
	c.msg.next()
	_, err := c.conn.Write(c.msg.frame)
	return err
}

// await reads the next message of audio and what comes before it.
func (c *client) await() error {
	for {
		h, err := c.buf.Peek(4)
		if err != nil {
			return err
		}
		size := 2 + int(h[1])
		if h[1] == 126 {
			size = 4 + int(h[2])<<8 + int(h[3])
		}
		if _, err := c.buf.Discard(size); err != nil {
			return err
		}
		if size > pcm.FrameBytes {
			return nil
		}
	}
}

func TestMessage(t *testing.T) {
	m := newMessage()
	require.Len(t, m.text, wireBytes)
	start := m.second
	var got acsws.Message
	for i := range 120 {
		require.NoError(t, acsws.Parse(m.text, &got))
		require.True(t, got.HasTimestamp)
		require.Equal(t, start.Add(time.Duration(i)*pcm.FrameDuration).UnixNano(), got.Timestamp)
		require.Equal(t, speaker, string(got.Speaker))
		m.next()
	}
	var samples [pcm.FrameSamples]int16
	n, err := acsws.DecodePCM(samples[:], got.Data)
	require.NoError(t, err)
	require.Equal(t, pcm.FrameSamples, n)
	require.Equal(t, noise(), samples)
}
