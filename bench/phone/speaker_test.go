package phone

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/bench/netem"
	"github.com/mixminus/mixminus/bench/signal"
)

func script(t *testing.T, cfg Config) *speaker {
	t.Helper()
	cfg, row, err := cfg.complete()
	require.NoError(t, err)
	s, err := newSpeaker(cfg, row)
	require.NoError(t, err)
	return s
}

// A key is one event with one timestamp, its duration grows, and its end comes
// three times, the last two beside the audio that goes on.
func TestKeyOnTheWire(t *testing.T) {
	s := script(t, Config{
		Duration: time.Second, Voice: signal.Speech(signal.June), Sequence: 65530, Timestamp: 1<<32 - 800, SSRC: 7,
		Keys: []Key{{Slot: 10, Tone: "#", Duration: 60 * time.Millisecond}},
	})
	type seen struct {
		slot, payloadType int
		marker, end       bool
		timestamp         uint32
		lasted            int
	}
	var got []seen
	sequence := uint16(65530)
	for slot := range 16 {
		for _, p := range s.packets(slot) {
			require.Equal(t, sequence, p.SequenceNumber)
			sequence++
			x := seen{slot: slot, payloadType: int(p.PayloadType), marker: p.Marker, timestamp: p.Timestamp}
			if p.PayloadType == 101 {
				require.Equal(t, byte(11), p.Payload[0])
				require.Equal(t, byte(eventVolume), p.Payload[1]&0x3f)
				x.end = p.Payload[1]&0x80 != 0
				x.lasted = int(binary.BigEndian.Uint16(p.Payload[2:]))
			} else {
				require.Len(t, p.Payload, 160)
			}
			if slot == 0 || slot > 9 {
				got = append(got, x)
			}
		}
	}
	const key = 800 // the timestamp has come round
	require.Equal(t, []seen{
		{0, 0, true, false, 1<<32 - 800, 0},
		{10, 101, true, false, key, 160},
		{11, 101, false, false, key, 320},
		{12, 101, false, true, key, 480},
		{13, 101, false, true, key, 480},
		{13, 0, true, false, key + 480, 0},
		{14, 101, false, true, key, 480},
		{14, 0, false, false, key + 640, 0},
		{15, 0, false, false, key + 800, 0},
	}, got)
	said := script(t, Config{Codec: "L16", Duration: time.Second, Voice: signal.Speech(signal.June), Keys: s.cfg.Keys})
	all, err := said.said(50)
	require.NoError(t, err)
	require.Equal(t, signal.Silence(960), all[3200:4160], "nothing is said while a key is pressed")
	require.NotEqual(t, signal.Silence(320), all[4160:4480])
}

func TestSilence(t *testing.T) {
	voice := signal.Speech(signal.Carlo)[:1000] // not whole slots: 4 of them
	cfg := Config{Codec: "L16", Duration: 300 * time.Millisecond, Voice: voice, Start: 2, Pause: 3, Loops: 1}
	sent := func(cfg Config) (slots, marked []int, packets []rtp.Packet) {
		s := script(t, cfg)
		for slot := range Slots(cfg.Duration) {
			for _, p := range s.packets(slot) {
				slots, packets = append(slots, slot), append(packets, p)
				require.Equal(t, s.timestamp(slot), p.Timestamp)
				if p.Marker {
					marked = append(marked, slot)
				}
			}
		}
		return slots, marked, packets
	}
	slots, marked, _ := sent(cfg)
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, slots)
	require.Equal(t, []int{0}, marked)

	cfg.OmitSilence = true
	slots, marked, packets := sent(cfg)
	require.Equal(t, []int{2, 3, 4, 5, 9, 10, 11, 12}, slots)
	require.Equal(t, []int{2, 9}, marked)
	require.Equal(t, packets[0].SequenceNumber+7, packets[7].SequenceNumber)
	said, err := script(t, cfg).said(15)
	require.NoError(t, err)
	require.True(t, signal.Compare(said, voice, 9*320).Exact())
	require.Equal(t, signal.Silence(280), said[9*320+1000:13*320], "the last slot is filled up")

	cfg.Loops = Forever
	slots, _, _ = sent(cfg)
	require.Equal(t, []int{2, 3, 4, 5, 9, 10, 11, 12}, slots, "the third round would begin at 16")
	cfg.Voice = nil
	slots, _, _ = sent(cfg)
	require.Empty(t, slots)
}

// What is said at 8 kHz stays where it was, in its band.
func TestSaidInTheBandOfTheCodec(t *testing.T) {
	voice := signal.Speech(signal.Allison)[:32000]
	for _, name := range []string{"PCMU", "PCMA", "G722", "L16", "opus"} {
		said, err := script(t, Config{Codec: name, Duration: 2 * time.Second, Voice: voice}).said(100)
		require.NoError(t, err)
		require.Len(t, said, 32000)
		at, score := signal.Align(voice, said)
		require.Zero(t, at, name)
		require.Greater(t, score, 0.97, name)
	}
}

// What is coded slot by slot is what said tells of.
func TestCodedInPieces(t *testing.T) {
	s := script(t, Config{Duration: 2 * time.Second, Voice: signal.Speech(signal.Allison), Keys: []Key{{Slot: 30, Tone: "1"}}})
	var coded []int16
	heard := make([]int16, 320)
	for slot := range 90 {
		s.cfg.spoken(heard, slot)
		coded = append(coded, s.coding(heard)...)
	}
	wide, err := convert(8000, 16000, coded)
	require.NoError(t, err)
	said, err := s.said(100)
	require.NoError(t, err)
	const edge = 400 // what lies behind the end is not the same
	require.Equal(t, said[:90*320-edge], wide[:90*320-edge])
}

// One seed, one call; another seed, another.
func TestSeed(t *testing.T) {
	cfg := func(seed uint64) Config {
		c, _, err := Config{Seed: seed, Duration: time.Second}.complete()
		require.NoError(t, err)
		return c
	}
	require.Equal(t, cfg(1), cfg(1))
	require.NotEqual(t, cfg(1).SSRC, cfg(2).SSRC)
	require.NotEqual(t, cfg(1).Sequence, cfg(2).Sequence)
	require.NotEqual(t, cfg(1).Timestamp, cfg(2).Timestamp)
	require.NotZero(t, cfg(0).SSRC)
}

func TestErrorsNameTheField(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`codec: "GSM"`:            func(c *Config) { c.Codec = "GSM" },
		"payload type: 128":       func(c *Config) { c.PayloadType = 128 },
		"event type: 200":         func(c *Config) { c.EventType = 200 },
		"event type: 96 is":       func(c *Config) { c.PayloadType, c.EventType = 96, 96 },
		"payload types 72, 101":   func(c *Config) { c.PayloadType, c.Mux = 72, true },
		"start: -1":               func(c *Config) { c.Start = -1 },
		"loops: -2":               func(c *Config) { c.Loops = -2 },
		"pause: -5":               func(c *Config) { c.Pause = -5 },
		"duration: 0s":            func(c *Config) { c.Duration = 0 },
		"duration: 2h0m0s":        func(c *Config) { c.Duration = 2 * time.Hour },
		"report every: 1ms":       func(c *Config) { c.ReportEvery = time.Millisecond },
		"report every: -1s":       func(c *Config) { c.ReportEvery = -time.Second },
		"linger: 2h0m0s":          func(c *Config) { c.Linger = 2 * time.Hour },
		"drop: -1":                func(c *Config) { c.Drop = []int{3, -1} },
		"net: seed 0":             func(c *Config) { c.Net = netem.Config{Delay: 8 * time.Second, Jitter: 3 * time.Second} },
		`keys[0].tone: "x"`:       func(c *Config) { c.Keys = []Key{{Tone: "x"}} },
		`keys[0].tone: ""`:        func(c *Config) { c.Keys = []Key{{}} },
		"keys[0].duration: 20ms":  func(c *Config) { c.Keys = []Key{{Tone: "1", Duration: Slot}} },
		"keys[0].duration: 50ms":  func(c *Config) { c.Keys = []Key{{Tone: "1", Duration: 50 * time.Millisecond}} },
		"keys[0].duration: 9s":    func(c *Config) { c.Keys = []Key{{Tone: "1", Duration: 9 * time.Second}} },
		"keys[0].slot: 45: the":   func(c *Config) { c.Keys = []Key{{Tone: "1", Slot: 45}} },
		"keys[1].slot: 6: want 7": func(c *Config) { c.Keys = []Key{{Tone: "1"}, {Tone: "2", Slot: 6}} },
	} {
		cfg := Config{Duration: time.Second}
		change(&cfg)
		_, err := Open(cfg)
		require.ErrorContains(t, err, "phone: "+want)
	}
}

func TestToneCodes(t *testing.T) {
	var codes []uint8
	for _, tone := range "0123456789*#ABCD" {
		codes = append(codes, Key{Tone: string(tone)}.event())
	}
	require.True(t, slices.IsSorted(codes))
	require.Equal(t, uint8(15), codes[15])
	require.Equal(t, uint8(12), Key{Tone: "a"}.event())
}
