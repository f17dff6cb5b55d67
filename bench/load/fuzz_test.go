package load

import (
	"math/rand/v2"
	"strings"
	"testing"
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
