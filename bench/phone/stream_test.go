package phone

import (
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/signal"
)

// tape is what an ideal sender of PCMU would have sent, 20 ms apart from 1 s on,
// through the hands of a forger.
type tape struct {
	cfg      Config
	arrivals []arrival
}

func record(t *testing.T, cfg Config) *tape {
	t.Helper()
	if cfg.Duration == 0 {
		cfg.Duration = time.Second
	}
	if cfg.Voice == nil {
		cfg.Voice = signal.Speech(signal.Allison)
	}
	s := script(t, cfg)
	tp := &tape{cfg: s.cfg}
	for slot := range Slots(cfg.Duration) {
		for _, p := range s.packets(slot) {
			tp.arrivals = append(tp.arrivals, arrival{at: 1e9 + int64(slot)*int64(Slot), header: p.Header, payload: p.Payload})
		}
	}
	return tp
}

func (tp *tape) judge(t *testing.T) *Stream {
	t.Helper()
	row, ok := byName("PCMU")
	require.True(t, ok)
	s, err := newStream(tp.arrivals, tp.cfg, row)
	require.NoError(t, err)
	return s
}

func TestIdealStream(t *testing.T) {
	s := record(t, Config{Keys: []Key{{Slot: 20, Tone: "5"}}}).judge(t)
	require.Empty(t, s.Faults())
	require.Equal(t, time.Second, s.At)
	require.Equal(t, Spread{20, 20, 20, 20}, s.Pacing.Interval)
	require.Equal(t, Spread{}, s.Pacing.Behind)
	require.Zero(t, s.Pacing.JitterMS)
	require.InDelta(t, 0, s.Pacing.DriftPPM, 1e-3)
	require.Equal(t, 2, s.Pacing.Marked)
	require.Zero(t, s.Pacing.Silences, "a key is none")
	require.Equal(t, []Event{{
		Tone: "5", At: 1400 * time.Millisecond, Duration: 100 * time.Millisecond, Packets: 7, Ends: 3,
		Marked: true, Grows: true, timestamp: 3200,
	}}, s.Events)
	require.Len(t, s.Samples(), 16000)
}

// Every fault that a sender may have, one at a time.
func TestFaultsOfSenders(t *testing.T) {
	header := func(i int, change func(h *rtp.Header)) func(*tape) {
		return func(tp *tape) { change(&tp.arrivals[i].header) }
	}
	key := Config{Keys: []Key{{Slot: 20, Tone: "5"}}} // packets 20 to 24, 25 and 27
	pause := Config{OmitSilence: true, Voice: signal.Speech(signal.June)[:6400], Pause: 5, Loops: 1}
	for want, c := range map[string]struct {
		cfg   Config
		forge func(*tape)
	}{
		"1 packets are of a payload type":                 {forge: header(9, func(h *rtp.Header) { h.PayloadType = 13 })},
		"1 payloads are not 20 ms":                        {forge: func(tp *tape) { tp.arrivals[49].payload = make([]byte, 80) }},
		"1 timestamps do not follow":                      {forge: header(49, func(h *rtp.Header) { h.Timestamp -= 160 })},
		"1 packets are marked without":                    {forge: header(30, func(h *rtp.Header) { h.Marker = true })},
		"1 packets after a silence are not":               {cfg: pause, forge: header(20, func(h *rtp.Header) { h.Marker = false })},
		"1 timestamps are far from":                       {forge: header(49, func(h *rtp.Header) { h.Timestamp, h.Marker = h.Timestamp+8000*60, true })},
		"key 5: want its first packet marked":             {cfg: key, forge: header(20, func(h *rtp.Header) { h.Marker = false })},
		"key 5: want its first packet marked, and no":     {cfg: key, forge: header(22, func(h *rtp.Header) { h.Marker = true })},
		"key 5: its duration shrinks (RFC 4733":           {cfg: key, forge: func(tp *tape) { tp.arrivals[23].payload[2] = 0 }},
		"key 5: its end came 2 times, want 3 (RFC 4733, ": {cfg: key, forge: func(tp *tape) { tp.arrivals[27].payload[1] &^= endBit }},
	} {
		t.Run(want, func(t *testing.T) {
			tp := record(t, c.cfg)
			c.forge(tp)
			faults := tp.judge(t).Faults()
			require.Len(t, faults, 1)
			require.Contains(t, faults[0], want)
		})
	}
}

// Losses and the network's disorder are figures and not faults.
func TestNetworkIsNoFault(t *testing.T) {
	tp := record(t, Config{Sequence: 65520, Keys: []Key{{Slot: 20, Tone: "5"}}})
	whole := tp.judge(t).Samples()
	a := tp.arrivals
	a[3], a[4], a[5] = a[5], a[3], a[4] // one comes two too early
	for i := range a {
		a[i].at = 1e9 + int64(i)*int64(Slot)
	}
	a[10].at += 7e6
	late := a[40]
	late.at = a[48].at
	tp.arrivals = append(append(append(append([]arrival{}, a[:21]...), a[22:40]...), a[41:48]...), late, a[45])
	s := tp.judge(t)
	require.Empty(t, s.Faults())
	require.Equal(t, 48, s.Packets)
	require.Equal(t, 1, s.Missing)
	require.Equal(t, 3, s.Reordered)
	require.Equal(t, 1, s.Duplicates)
	require.InDelta(t, 7+160+40, s.Pacing.Behind.Max, 200)
	require.Greater(t, s.Pacing.JitterMS, 1.0)
	require.True(t, signal.Compare(s.Samples(), whole[:len(s.Samples())-100], 0).Exact(), "everything is in its place again")
}

// A sender whose clock is fast is seen to be.
func TestDrift(t *testing.T) {
	tp := record(t, Config{Duration: 10 * time.Second})
	for i := range tp.arrivals {
		tp.arrivals[i].at -= int64(i) * 20000 / 10 // 100 ppm of 20 ms
	}
	require.InDelta(t, 100, tp.judge(t).Pacing.DriftPPM, 0.1)
}
