package load

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/codec/g711"
)

// What a server sends is read without trust: in whatever pieces it comes, it
// is refused or read alike, nothing panics, and no more is kept than a message.
func FuzzHeard(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	c, err := newClip(1, 16000)
	if err != nil {
		f.Fatal(err)
	}
	data := make([]byte, c.chars)
	c.encode(data, 0, mark{1, 7})
	for _, text := range []string{
		`{"kind":"AudioData","audioData":{"data":"` + string(data) + `"}}`, `{"kind":"StopAudio","stopAudio":{}}`,
		`{"Kind":"AudioData","AudioData":{"Data":"AAE=","IsSilent":false},"StopAudio":null}`, `"data":"`, strings.Repeat("x", 70000),
	} {
		f.Add(appendServer(nil, text, rnd), 100)
	}
	f.Add([]byte{0x89, 2, 1, 2, 0x88, 3, 3, 232, 'x', 0x01, 1, 'a', 0x80, 1, 'b'}, 1)
	f.Add([]byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 3)
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		read := func(step int) (marks []mark, messages, altered int, err error) {
			r := markReader{frameBytes: c.bytes}
			d := deframer{message: func(op byte, payload []byte) {
				messages++
				_ = closedBy(payload)
				if data, ok := audioIn(payload); ok && op < opClose {
					altered += r.read(data, func(m mark) { marks = append(marks, m) })
				}
			}}
			for b := in; len(b) > 0 && err == nil; {
				n := min(step, len(b))
				err = d.feed(b[:n])
				if b = b[n:]; len(d.carry) > maxMessage+len(in) || len(d.parts) > maxMessage || len(r.pcm) > c.bytes {
					t.Fatalf("keeps %d, %d and %d bytes", len(d.carry), len(d.parts), len(r.pcm))
				}
			}
			return marks, messages, altered, err
		}
		marks, messages, altered, err := read(max(1, len(in)))
		marks2, messages2, altered2, err2 := read(1 + step&0xfff)
		if len(marks) != len(marks2) || messages != messages2 || altered != altered2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %d marks, %d messages, %v; in pieces: %d, %d, %v", len(marks), messages, err, len(marks2), messages2, err2)
		}
	})
}

// An address is refused or leads to one kind of server, and never panics.
func FuzzURL(f *testing.F) {
	for _, url := range []string{
		"ws://h/media", "wss://[::1]/m", "rtp://h:4000?codec=L16", "http://h/events/x", "whip+http://h:1/whip?codec=PCMA&stream=a%20b",
		"whip+https://user:pass@h/w#x", "whip+http:", "whip+ftp://h", "rtp://h", "://", "whip+http://h/?codec=%zz&a;b",
	} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		cfg, err := Config{URL: url}.withDefaults()
		if err != nil {
			return
		}
		if cfg.kind == "" || cfg.url.Host == "" || cfg.load().URL == "" {
			t.Fatalf("%q: taken as %q of host %q", url, cfg.kind, cfg.url.Host)
		}
		if cfg.kind != "webrtc" {
			return
		}
		if to := cfg.offers; to.Scheme != "http" && to.Scheme != "https" || to.Host != cfg.url.Host || to.Query().Has("codec") || !cfg.codec.tones {
			t.Fatalf("%q: offers to %v, with %+v", url, to, cfg.codec)
		}
	})
}

// Packets and answers of a server are read without trust.
func FuzzPacket(f *testing.F) {
	c, err := newClip(1, 16000)
	if err != nil {
		f.Fatal(err)
	}
	sound := toneOf(3)
	packet := append([]byte{2 << 6, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, make([]byte, toneFrame)...)
	g711.EncodeUlaw(packet[rtpHeader:], sound[:])
	f.Add(packet, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\n")
	f.Add([]byte{2<<6 | 15, 97, 0}, "m=")
	f.Fuzz(func(t *testing.T, packet []byte, answer string) {
		_ = checkAnswer(answer, EchoAll)
		for _, url := range []string{"rtp://h:1?codec=L16", "whip+http://h"} {
			cfg, err := Config{URL: url}.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			r := &runner{cfg: cfg, clip: c, clock: newClock()}
			w := newRTPWire(r, 0)
			call := &call{run: r, wire: w, tally: newTally(), echo: true, expect: []*stream{{}}}
			for range 3 {
				if err := w.heard(call, append([]byte(nil), packet...), 1e9); err != nil {
					t.Fatal(err)
				}
			}
			if len(w.marks.pcm) >= w.marks.frameBytes+1 {
				t.Fatalf("keeps %d bytes", len(w.marks.pcm))
			}
		}
	})
}
