package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/codec/l16"
)

// readAll reads a whole file in odd pieces.
func readAll(t testing.TB, file []byte) []int16 {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	pcm := []int16{}
	buf := make([]int16, 77)
	for {
		n, err := r.Read(buf)
		pcm = append(pcm, buf[:n]...)
		if err == io.EOF {
			require.Zero(t, n)
			return pcm
		}
		require.NoError(t, err)
	}
}

// riff builds a file of chunks by hand; sizes that lie are given by lie.
func riff(id string, size uint32, chunks ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), size)
	return append(append(b, "WAVE"...), bytes.Join(chunks, nil)...)
}

func chunk(id string, body []byte) []byte {
	b := lie(id, uint32(len(body)), body)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func lie(id string, size uint32, body []byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte(id), size), body...)
}

func format(tag, channels uint16, rate uint32, bits uint16, more ...byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(le.AppendUint16(nil, tag), channels)
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, rate*uint32(channels*bits/8))
	return append(le.AppendUint16(le.AppendUint16(b, channels*bits/8), bits), more...)
}

func extensible(subformat string, valid byte) []byte {
	return chunk("fmt ", format(tagExtensible, 1, 16000, 16,
		append([]byte{22, 0, valid, 0, 4, 0, 0, 0}, subformat...)...))
}

func ds64(data uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(le.AppendUint64(nil, 4+36+24+8+data), data)
	return chunk("ds64", le.AppendUint32(le.AppendUint64(b, data/2), 0))
}

var (
	pcm3    = []int16{1, -2, 3}
	bytes3  = l16.AppendLE(nil, pcm3)
	plain   = chunk("fmt ", format(1, 1, 16000, 16))
	pcmGUID = "\x01\x00" + guid
	list    = chunk("LIST", []byte("INFOISFT\x0d\x00\x00\x00Lavf60.16.100"))
)

// accepted are files in the manner of other tools that hold pcm3.
var accepted = map[string]struct {
	file      []byte
	samples   int64
	truncated bool
}{
	"the shortest header":   {riff("RIFF", 42, plain, chunk("data", bytes3)), 3, false},
	"chunks around":         {riff("RIFF", 0, chunk("bext", make([]byte, 603)), plain, list, chunk("data", bytes3), list), 3, false},
	"JUNK before fmt":       {riff("RIFF", 0, chunk("JUNK", make([]byte, 28)), plain, chunk("data", bytes3)), 3, false},
	"odd chunk, padded":     {riff("RIFF", 0, plain, chunk("LIST", []byte("INFOx")), chunk("data", bytes3)), 3, false},
	"fmt of 18 bytes":       {riff("RIFF", 0, chunk("fmt ", format(1, 1, 16000, 16, 0, 0)), chunk("data", bytes3)), 3, false},
	"fmt of 60 bytes":       {riff("RIFF", 0, chunk("fmt ", format(1, 1, 16000, 16, make([]byte, 44)...)), chunk("data", bytes3)), 3, false},
	"extensible":            {riff("RIFF", 0, extensible(pcmGUID, 16), chunk("data", bytes3)), 3, false},
	"streamed, size 0":      {riff("RIFF", 0, plain, lie("data", 0, bytes3)), -1, false},
	"streamed, size -1":     {riff("RIFF", 0xFFFFFFFF, plain, lie("data", 0xFFFFFFFF, bytes3)), -1, false},
	"streamed by sox":       {riff("RIFF", 0x7FFFF024, plain, lie("data", 0x7FFFF000, bytes3)), 0x7FFFF000 / 2, true},
	"killed at once":        {append(appendHeader(nil, 16000, 0), bytes3...), -1, false},
	"cut off":               {riff("RIFF", 44, plain, lie("data", 8, bytes3)), 4, true},
	"half a sample at end":  {riff("RIFF", 44, plain, lie("data", 8, append(bytes3, 9))), 4, true},
	"odd size":              {riff("RIFF", 43, plain, lie("data", 7, append(bytes3, 9, 9))), 3, false},
	"RF64":                  {riff("RF64", 0xFFFFFFFF, ds64(6), plain, lie("data", 0xFFFFFFFF, bytes3)), 3, false},
	"RF64, trailing chunk":  {riff("RF64", 0xFFFFFFFF, ds64(6), plain, lie("data", 0xFFFFFFFF, bytes3), list), 3, false},
	"BW64":                  {riff("BW64", 0xFFFFFFFF, ds64(6), plain, lie("data", 0xFFFFFFFF, bytes3)), 3, false},
	"RF64 with short sizes": {riff("RF64", 0xFFFFFFFF, ds64(0), plain, chunk("data", bytes3)), 3, false},
	"RF64 without ds64":     {riff("RF64", 0xFFFFFFFF, plain, lie("data", 0xFFFFFFFF, bytes3)), -1, false},
	"RF64 of 2^64 bytes":    {riff("RF64", 0xFFFFFFFF, ds64(1<<64-2), plain, lie("data", 0xFFFFFFFF, bytes3)), 1<<63 - 1, true},
}

func TestReaderAccepts(t *testing.T) {
	for name, c := range accepted {
		t.Run(name, func(t *testing.T) {
			want := c.samples
			if want > maxSamples {
				want = -1
			}
			r, err := NewReader(iotest.OneByteReader(bytes.NewReader(c.file)))
			require.NoError(t, err)
			require.Equal(t, 16000, r.SampleRate())
			require.Equal(t, want, r.Samples())
			require.False(t, r.Truncated(), "not known before the end")

			buf := make([]int16, 10)
			n, err := r.Read(buf)
			require.NoError(t, err)
			require.Equal(t, pcm3, buf[:n])
			n, err = r.Read(buf)
			require.Zero(t, n)
			require.Equal(t, io.EOF, err)
			require.Equal(t, c.truncated && want >= 0, r.Truncated())

			require.Equal(t, pcm3, readAll(t, c.file))
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	data := chunk("data", bytes3)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"not a WAVE", []byte("OggS00000000"), `wav: file begins with "OggS": want "RIFF", "RF64" or "BW64"`},
		{"big endian", riff("RIFX", 0, plain, data), `begins with "RIFX"`},
		{"AVI", []byte("RIFF\x00\x00\x00\x00AVI "), `wav: RIFF form "AVI ": want "WAVE"`},
		{"float", riff("RIFF", 0, chunk("fmt ", format(3, 1, 16000, 32)), data), `wav: format tag 0x0003 (IEEE float): want 0x0001 (PCM)`},
		{"µ-law", riff("RIFF", 0, chunk("fmt ", format(7, 1, 8000, 8)), data), `format tag 0x0007 (µ-law)`},
		{"unheard of", riff("RIFF", 0, chunk("fmt ", format(0x1234, 1, 8000, 8)), data), `format tag 0x1234 (unknown)`},
		{"stereo", riff("RIFF", 0, chunk("fmt ", format(1, 2, 16000, 16)), data), `wav: channels 2: want 1`},
		{"24 bit", riff("RIFF", 0, chunk("fmt ", format(1, 1, 16000, 24)), data), `wav: bit depth 24: want 16`},
		{"8 bit", riff("RIFF", 0, chunk("fmt ", format(1, 1, 16000, 8)), data), `wav: bit depth 8: want 16`},
		{"block align", riff("RIFF", 0, chunk("fmt ", append(append(format(1, 1, 16000, 16)[:12:12], 4, 0), 16, 0)), data), `wav: block align 4: want 2`},
		{"no rate", riff("RIFF", 0, chunk("fmt ", format(1, 1, 0, 16)), data), `wav: sample rate 0 Hz: want 1 to 768000 Hz`},
		{"wild rate", riff("RIFF", 0, chunk("fmt ", format(1, 1, 1<<32-1, 16)), data), `wav: sample rate 4294967295 Hz`},
		{"extensible float", riff("RIFF", 0, extensible("\x03\x00"+guid, 16), data), `format tag 0x0003 (IEEE float)`},
		{"extensible, odd GUID", riff("RIFF", 0, extensible("\x01\x00"+strings.Repeat("x", 14), 16), data), `wav: subformat 0100787878`},
		{"extensible, short", riff("RIFF", 0, chunk("fmt ", format(tagExtensible, 1, 16000, 16)), data), `wav: extensible fmt chunk of 16 bytes: want at least 40`},
		{"fmt too short", riff("RIFF", 0, chunk("fmt ", make([]byte, 14)), data), `wav: fmt chunk of 14 bytes: want at least 16`},
		{"ds64 too short", riff("RF64", 0, chunk("ds64", make([]byte, 8)), plain, data), `wav: ds64 chunk of 8 bytes: want at least 28`},
		{"data first", riff("RIFF", 0, data, plain), `wav: data chunk without fmt chunk`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewReader(bytes.NewReader(c.file))
			require.ErrorContains(t, err, c.want)
			var fe *FormatError
			require.ErrorAs(t, err, &fe)
		})
	}
}

// A header cut anywhere is an error that says so, and never a file.
func TestHeaderCutAnywhere(t *testing.T) {
	for name, file := range map[string][]byte{
		"plain": riff("RIFF", 0, plain, list, lie("data", 0, nil)),
		"long":  riff("RF64", 0, ds64(0), extensible(pcmGUID, 16), lie("data", 0, nil)),
	} {
		for n := range len(file) {
			_, err := NewReader(bytes.NewReader(file[:n]))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s, %d bytes", name, n)
		}
		_, err := NewReader(bytes.NewReader(file))
		require.NoError(t, err)
	}
	_, err := NewReader(bytes.NewReader(riff("RIFF", 0, plain, lie("LIST", 1<<32-1, []byte("x")))))
	require.ErrorContains(t, err, `wav: "LIST" chunk of 4294967295 bytes, after 45 bytes: unexpected EOF`)
}

// What follows an empty, finished recording is not audio.
func TestEmptyWithChunksBehind(t *testing.T) {
	file := riff("RIFF", uint32(4+len(plain)+8+len(list)), plain, chunk("data", nil), list)
	require.Empty(t, readAll(t, file))
}

func TestReadErrorsPass(t *testing.T) {
	broken := errors.New("broken")
	file := riff("RIFF", 42, plain, chunk("data", bytes3))
	r, err := NewReader(io.MultiReader(bytes.NewReader(file[:len(file)-2]), iotest.ErrReader(broken)))
	require.NoError(t, err)
	buf := make([]int16, 3)
	n, err := r.Read(buf)
	require.Equal(t, 2, n)
	require.NoError(t, err)
	_, err = r.Read(buf)
	require.ErrorIs(t, err, broken)
	require.False(t, r.Truncated())

	_, err = NewReader(io.MultiReader(bytes.NewReader(file[:20]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

func TestReadNothing(t *testing.T) {
	r, err := NewReader(bytes.NewReader(riff("RIFF", 42, plain, chunk("data", bytes3))))
	require.NoError(t, err)
	n, err := r.Read(nil)
	require.Zero(t, n)
	require.NoError(t, err)
	require.NoError(t, iotestRead(r, pcm3))
}

func iotestRead(r *Reader, want []int16) error {
	got := make([]int16, len(want))
	if n, err := r.Read(got); err != nil || n != len(want) {
		return errors.Join(err, errors.New("short read"))
	}
	return nil
}

func FuzzReader(f *testing.F) {
	for _, c := range accepted {
		f.Add(c.file)
	}
	f.Add(riff("RIFF", 0, chunk("fmt ", format(1, 2, 16000, 16)), chunk("data", bytes3)))
	f.Add(appendHeader(nil, 48000, 1<<40))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		if err != nil {
			var fe *FormatError
			if !errors.As(err, &fe) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		if r.SampleRate() < 1 || r.SampleRate() > MaxRate || r.Samples() < -1 {
			t.Fatalf("rate %d, samples %d", r.SampleRate(), r.Samples())
		}
		total, buf := int64(0), make([]int16, 64)
		for {
			n, err := r.Read(buf)
			total += int64(n)
			if err == io.EOF {
				break
			}
			if err != nil || n == 0 {
				t.Fatalf("read %d samples, error %v", n, err)
			}
		}
		if 2*total > int64(len(file)) || r.Samples() >= 0 && total > r.Samples() {
			t.Fatalf("%d samples from %d bytes, %d declared", total, len(file), r.Samples())
		}
		if r.Truncated() != (r.Samples() > total) {
			t.Fatalf("truncated %v: %d samples of %d", r.Truncated(), total, r.Samples())
		}
	})
}

func BenchmarkReadSecond(b *testing.B) {
	file := append(appendHeader(nil, 16000, 0), make([]byte, 32000)...)
	src, buf := bytes.NewReader(file), make([]int16, 16000)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(file)
		r, err := NewReader(src)
		if err != nil {
			b.Fatal(err)
		}
		if n, _ := r.Read(buf); n != 16000 {
			b.Fatal(n)
		}
	}
}
