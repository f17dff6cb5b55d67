package rtpmedia

import (
	"testing"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/codec"
	"github.com/mixminus/mixminus/codec/resample"
	"github.com/mixminus/mixminus/engine/pcm"
	"github.com/stretchr/testify/require"
)

func codecOf(t testing.TB, name string, clock int) codec.Codec {
	c, ok := codec.ByName(name, clock)
	require.True(t, ok, name)
	return c
}

func l16(t testing.TB) codec.Codec { return codecOf(t, "L16", 16000) }

// fed is an Outbound with a queue of frames before it, as a driver has.
type fed struct {
	*Outbound
	queue [][pcm.FrameSamples]int16
}

func newFed(cfg OutboundConfig) (*fed, error) {
	o, err := NewOutbound(cfg)
	return &fed{Outbound: o}, err
}

func (f *fed) Queue(x *[pcm.FrameSamples]int16) { f.queue = append(f.queue, *x) }

func (f *fed) Next(now int64, dst []byte) ([]byte, bool) {
	if len(f.queue) == 0 || now < f.Due() {
		return f.Outbound.Next(now, dst, nil)
	}
	frame := f.queue[0]
	f.queue = f.queue[1:]
	return f.Outbound.Next(now, dst, &frame)
}

// rig is a sender, a network and an Inbound that is pulled every 20 ms, in
// virtual time.
type rig struct {
	t      testing.TB
	codec  codec.Codec
	net    netem.Config
	jitter JitterConfig
	ppm    float64 // by how much the sender's clock is faster
	ptime  int     // samples of 16 kHz in a packet; 0 means 320
	seq    uint16
	ts     uint32
	bare   bool // no concealment
	still  bool // no change of the delay
	skip   func(packet int) bool
	phase  int64 // of the pulls
	each   func(r *rig, now int64)

	link    *netem.Link
	in      *Inbound
	enc     codec.Encoder
	packets int
	lost    map[int]bool // packets the network lost
	out     []int16
	frames  []Frame
}

func (r *rig) start() *rig {
	in, err := NewInbound(InboundConfig{Codec: r.codec, PayloadType: 96, EventType: 101, Jitter: r.jitter, Bare: r.bare})
	require.NoError(r.t, err)
	if r.still {
		in.stretch.still = true
	}
	if r.ptime == 0 {
		r.ptime = pcm.FrameSamples
	}
	r.in, r.link, r.enc, r.lost = in, netem.New(r.net), r.codec.NewEncoder(), map[int]bool{}
	return r
}

// at is when packet i is sent.
func (r *rig) at(i int) int64 {
	span := int64(r.ptime) * 62500
	return 1000*ms + int64(i)*span - int64(float64(i)*float64(span)*r.ppm*1e-6)
}

// run sends signal, then pulls half a second more.
func (r *rig) run(signal []int16) *rig {
	if r.in == nil {
		r.start()
	}
	total := len(signal) / r.ptime
	payload := make([]byte, 4*r.ptime)
	raw := make([]int16, r.ptime+1)
	down, err := resample.New(pcm.SampleRate, r.codec.SampleRate)
	require.NoError(r.t, err)
	wire := make([]byte, 0, 4*r.ptime+40)
	now := 1000*ms + r.phase
	for i := range total {
		sent := r.at(i)
		for ; now < sent; now += frameNanos {
			r.pull(now)
		}
		r.deliver(sent)
		x := raw[:down.Process(raw, signal[i*r.ptime:(i+1)*r.ptime])]
		n := r.enc.Encode(payload, x)
		if n == 0 || r.skip != nil && r.skip(i) {
			continue
		}
		p := Packet{PayloadType: 96, Seq: r.seq + uint16(r.packets), SSRC: 0xabcdef, Payload: payload[:n],
			Timestamp: r.ts + uint32(i*r.ptime*r.codec.ClockRate/pcm.SampleRate)}
		wire = p.Append(wire[:0])
		if !r.link.Send(sent, wire) {
			r.lost[r.packets] = true
		}
		r.packets++
	}
	for end := r.at(total) + 500*ms; now < end; now += frameNanos {
		r.pull(now)
	}
	return r
}

func (r *rig) pull(now int64) {
	r.deliver(now)
	var f [pcm.FrameSamples]int16
	r.frames = append(r.frames, r.in.Pull(now, &f))
	r.out = append(r.out, f[:]...)
	if r.each != nil {
		r.each(r, now)
	}
}

func (r *rig) deliver(now int64) {
	var p Packet
	for {
		b, at, ok := r.link.Receive(now)
		if !ok {
			return
		}
		require.NoError(r.t, p.Parse(b))
		r.in.Push(at, &p)
	}
}

// balanced checks that every packet and every tick is accounted for.
func (r *rig) balanced() {
	s, n := r.in.Stats(), r.link.Stats()
	j := s.Jitter
	require.Equal(r.t, n.Delivered, j.Received, "%v", r.net)
	require.Equal(r.t, j.Received, j.Played+j.Control+j.Late+j.Duplicate+j.Discarded+j.Buffered, "%+v", j)
	require.Equal(r.t, j.Discarded, j.Overflow+j.Backlog+j.Restarted+j.Stray+j.Oversize)
	made := int64(len(r.out)+r.in.have()) * 62500
	packet := int64(r.ptime) * 62500
	require.Equal(r.t, made, j.Played*packet+j.Concealed+j.Unsent+j.Stretched+j.Waited+j.Owed+(s.Grown-s.Shrunk)*62500, "%+v", s)
}

// numbered frames: each says its own number in every sample.
func numbered(frames int) []int16 {
	x := make([]int16, frames*pcm.FrameSamples)
	for i := range x {
		x[i] = int16(i/pcm.FrameSamples%30000 + 1)
	}
	return x
}
