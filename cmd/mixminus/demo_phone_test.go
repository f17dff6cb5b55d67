package main

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// phoneProven is what is proven of a call of the phone: losses, what stands for
// them, what was heard, the echo, what the bot said, and the packets.
const phoneProven = 6

// TestVerdictFailsForEveryFaultOfTheLine spoils packets between the phone and
// the host, of which neither can know.
func TestVerdictFailsForEveryFaultOfTheLine(t *testing.T) {
	t.Parallel()
	key := func(packet []byte) bool { return packet[1]&0x7f == 101 }
	for _, tt := range []struct {
		name  string
		spoil func(up bool, i int, packet []byte) [][]byte
		says  string
	}{
		{"none", func(_ bool, _ int, packet []byte) [][]byte { return [][]byte{packet} }, ""},
		{"a packet lost", func(up bool, i int, packet []byte) [][]byte {
			if up && i == 80 {
				return nil
			}
			return [][]byte{packet}
		}, "packets were reported lost"},
		{"the key lost", func(_ bool, _ int, packet []byte) [][]byte {
			if key(packet) {
				return nil
			}
			return [][]byte{packet}
		}, "0 keys were heard"},
		{"another sound", func(up bool, _ int, packet []byte) [][]byte {
			if up && !key(packet) {
				for i := range packet[12:] {
					packet[12+i] = byte(i * i)
				}
			}
			return [][]byte{packet}
		}, "mixed-in: "},
		{"no echo", func(up bool, _ int, packet []byte) [][]byte {
			if !up {
				return nil
			}
			return [][]byte{packet}
		}, "0 streams came"},
		{"a second stream", func(up bool, i int, packet []byte) [][]byte {
			if up || i < 50 {
				return [][]byte{packet}
			}
			other := bytes.Clone(packet)
			other[8] ^= 1
			return [][]byte{packet, other}
		}, "2 streams came"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := playOver(t, nil, nil, tt.spoil)
			c := callOf(t, r, scenePhone)
			if tt.says == "" {
				require.Empty(t, c.Problems)
				require.Len(t, c.Proven, phoneProven, "%q", c.Proven)
				return
			}
			require.False(t, r.OK)
			require.Contains(t, strings.Join(c.Problems, "\n"), tt.says)
		})
	}
}

// phoneLine carries media and reports between one phone and a host, and returns
// where the phone is to call. Media goes through spoil, numbered each way.
func phoneLine(t *testing.T, host netip.AddrPort, spoil func(up bool, i int, packet []byte) [][]byte) netip.AddrPort {
	t.Helper()
	var media, reports *net.UDPConn
	for reports == nil { // some port whose neighbour is free
		var err error
		media = listenUDP(t, 0)
		at := media.LocalAddr().(*net.UDPAddr)
		if reports, err = net.ListenUDP("udp4", &net.UDPAddr{IP: at.IP, Port: at.Port + 1}); err != nil {
			reports = nil
		} else {
			t.Cleanup(func() { reports.Close() })
		}
	}
	carry(t, media, host, spoil)
	carry(t, reports, netip.AddrPortFrom(host.Addr(), host.Port()+1), func(_ bool, _ int, packet []byte) [][]byte { return [][]byte{packet} })
	return media.LocalAddr().(*net.UDPAddr).AddrPort()
}

func listenUDP(t *testing.T, port int) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// carry passes what comes to near on to far, and what is answered back.
func carry(t *testing.T, near *net.UDPConn, far netip.AddrPort, spoil func(up bool, i int, packet []byte) [][]byte) {
	away := listenUDP(t, 0)
	var mu sync.Mutex
	var phone netip.AddrPort
	pass := func(up bool, from, to *net.UDPConn) {
		buf := make([]byte, 2048)
		for i := 0; ; i++ {
			n, sender, err := from.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			mu.Lock()
			if up {
				phone = sender
			}
			target := phone
			mu.Unlock()
			if up {
				target = far
			}
			for _, packet := range spoil(up, i, buf[:n]) {
				_, _ = to.WriteToUDPAddrPort(packet, target)
			}
		}
	}
	go pass(true, near, away)
	go pass(false, away, near)
}
