package rtpio

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/engine"
	"github.com/mixminus/mixminus/transport"
	"github.com/stretchr/testify/require"
)

// TestTargets that can be dialled, and those that cannot.
func TestTargets(t *testing.T) {
	c := Config{Engine: engine.New(engine.Config{}), Listen: netip.MustParseAddrPort("127.0.0.1:0")}
	defer c.Engine.Close()
	require.NoError(t, c.complete())
	at := netip.MustParseAddrPort("127.0.0.1:4000")
	for _, tt := range []struct {
		to   transport.Target
		want string // of an error
		pt   uint8
	}{
		{transport.Target{Addr: at, Codec: "PCMU"}, "", 0},
		{transport.Target{Addr: at, Codec: "pcmu/8000", EventType: 101}, "", 0},
		{transport.Target{Addr: at, Codec: "G722"}, "", 9},
		{transport.Target{Addr: at, Codec: "opus/48000/2"}, "", 96},
		{transport.Target{Addr: at, Codec: "opus", PayloadType: 111}, "", 111},
		{transport.Target{Addr: netip.MustParseAddrPort("[::ffff:127.0.0.1]:4000"), Codec: "PCMA"}, "", 8},
		{transport.Target{Addr: at, Codec: "opus", PayloadType: 101, EventType: 101}, "EventType", 0},
		{transport.Target{Addr: at, Codec: "opus", PayloadType: 128}, "PayloadType", 0},
		{transport.Target{Addr: at, Codec: "opus", EventType: 200}, "EventType", 0},
		{transport.Target{Addr: at, Codec: "PCMU/16000"}, "Codec", 0},
		{transport.Target{Addr: at, Codec: "G729"}, "PCMU/8000", 0},
		{transport.Target{Codec: "PCMU"}, "Addr", 0},
		{transport.Target{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Codec: "PCMU"}, "Addr", 0},
		{transport.Target{Addr: netip.MustParseAddrPort("0.0.0.0:1"), Codec: "PCMU"}, "Addr", 0},
		{transport.Target{Addr: netip.MustParseAddrPort("224.0.0.1:1"), Codec: "PCMU"}, "Addr", 0},
		{transport.Target{Addr: netip.MustParseAddrPort("[::1]:4000"), Codec: "PCMU"}, "cannot be reached", 0},
	} {
		got, err := c.target(tt.to)
		if tt.want != "" {
			require.ErrorContains(t, err, tt.want, "%+v", tt.to)
			continue
		}
		require.NoError(t, err, "%+v", tt.to)
		require.Equal(t, tt.pt, got.receive.Audio, "%+v", tt.to)
		require.True(t, got.strict)
	}
}

// TestConfig names what is wrong with it.
func TestConfig(t *testing.T) {
	e := engine.New(engine.Config{})
	defer e.Close()
	for want, c := range map[string]Config{
		"Engine":            {},
		"no more than that": {Engine: e, MinPort: 9, MaxPort: 8},
		"needs two":         {Engine: e, MinPort: 9, MaxPort: 9},
		"Idle":              {Engine: e, Idle: -1},
		"MaxLegs":           {Engine: e, MaxLegs: -1},
		"Public = 0.0.0.0":  {Engine: e, Public: netip.IPv4Unspecified()},
		"Public = fe80":     {Engine: e, Public: netip.MustParseAddr("fe80::1%lo")},
		"Listen":            {Engine: e, Listen: netip.MustParseAddrPort("192.0.2.1:1")},
	} {
		_, err := New(c)
		require.ErrorContains(t, err, want)
	}
}

// TestPorts are those of the range, each pair once, and free again afterwards.
func TestPorts(t *testing.T) {
	noLeaks(t)
	low := freeRange(t, 7)
	r := newPortless(t, Config{MinPort: low, MaxPort: low + 7})
	var eps []transport.Endpoint
	ports := map[int]bool{}
	fill := func() {
		eps = eps[:0]
		for {
			_, ep := r.open()
			eps = append(eps, ep)
			answer, err := r.server.Answer(ep.URL(), []byte(offerTo("127.0.0.1", 9)))
			if err != nil {
				require.ErrorIs(t, err, ErrNoPort)
				_, err = r.server.Offer(ep.URL())
				require.ErrorIs(t, err, ErrNoPort)
				require.ErrorIs(t, r.server.Dial(ep.URL(), transport.Target{Addr: anywhere(), Codec: "PCMU"}), ErrNoPort)
				return
			}
			port := portOf(t, answer)
			require.Zero(t, port%2)
			require.GreaterOrEqual(t, port, int(low))
			require.Less(t, port, int(low)+7)
			ports[port] = true
		}
	}
	before := files()
	for range 3 {
		fill()
		require.Len(t, eps, 5, "four pairs, and one too many")
		require.Len(t, ports, 4)
		require.Equal(t, before+8, files())
		for _, ep := range eps {
			ep.Drain()
		}
		require.Equal(t, before, files())
	}
}

// freeRange returns an even port behind which n are free.
func freeRange(t *testing.T, n uint16) uint16 {
	for low := uint16(30000); low < 60000; low += 100 {
		free := true
		for p := low; p <= low+n && free; p++ {
			s, err := listenUDP(netip.AddrPortFrom(anywhere().Addr(), p), 0, 0)
			if free = err == nil; free {
				s.close()
			}
		}
		if free {
			return low
		}
	}
	t.Skip("no free ports")
	return 0
}

// TestPortsFromZero: a range from 0 is no leave to take any port.
func TestPortsFromZero(t *testing.T) {
	c := Config{MaxPort: 3, listen: func(at netip.AddrPort, _, _ int) (*socket, error) {
		require.Contains(t, []uint16{2, 3}, at.Port())
		return nil, ErrNoPort
	}}
	_, err := c.openPair()
	require.ErrorIs(t, err, ErrNoPort)
	c.MinPort, c.MaxPort = 65534, 65535
	c.listen = func(at netip.AddrPort, _, _ int) (*socket, error) {
		require.Contains(t, []uint16{65534, 65535}, at.Port())
		return nil, ErrNoPort
	}
	_, err = c.openPair()
	require.ErrorIs(t, err, ErrNoPort)
	require.EqualValues(t, 65535, reportsOf(netip.MustParseAddrPort("127.0.0.1:65535"), false).Port())
}

// TestBadSDPLeavesNothing open, and the address free for another try.
func TestBadSDPLeavesNothing(t *testing.T) {
	noLeaks(t)
	r := newPortless(t, Config{})
	_, ep := r.open()
	require.False(t, r.server.Addr().IsValid())
	require.ErrorIs(t, r.server.Take(ep.URL(), "x"), ErrUnknown)
	r.server.Refuse("x")
	before := files()
	good := offerTo("127.0.0.1", 9)
	var sdpErr *SDPError
	for _, bad := range []string{
		"", "x", strings.Replace(good, "127.0.0.1\nt", "224.0.0.1\nt", 1), strings.Replace(good, "L16", "G729", 1),
		strings.Replace(good, "RTP/AVP", "RTP/SAVP", 1), strings.Replace(good, "IP4 127.0.0.1\nt", "IP6 ::1\nt", 1), good[:40],
	} {
		_, err := r.server.Answer(ep.URL(), []byte(bad))
		require.ErrorAs(t, err, &sdpErr, "%s", bad)
		require.Equal(t, before, files())
	}
	_, err := r.server.Answer("rtp:nowhere", []byte(good))
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorIs(t, r.server.Accept("rtp:nowhere", nil), ErrUnknown)
	leg, gone := r.open()
	leg.Close()
	_, err = r.server.Answer(gone.URL(), []byte(good))
	require.ErrorIs(t, err, engine.ErrClosed)
	require.Equal(t, before, files())
	_, err = r.server.Offer(gone.URL())
	require.NoError(t, err)
	gone.Drain() // gives up the offer
	require.Equal(t, before, files())
	_, err = r.server.Answer(ep.URL(), []byte(good))
	require.NoError(t, err)
	_, err = r.server.Open(leg, transport.Stream{SampleRate: 24000})
	require.Error(t, err)
}
