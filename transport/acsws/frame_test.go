package acsws

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// clientFrame is a frame as a client sends it.
func clientFrame(fin bool, op byte, payload []byte, mask uint32) []byte {
	b := []byte{op}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = binary.LittleEndian.AppendUint32(b, mask)
	for i, x := range payload {
		b = append(b, x^byte(mask>>(8*(i%4))))
	}
	return b
}

type taken struct {
	op      byte
	payload string
}

func collect(r *reassembler, wire []byte, cut func(left int) int) (all []taken, err error) {
	for len(wire) > 0 && err == nil {
		n := cut(len(wire))
		err = r.feed(bytes.Clone(wire[:n]), func(op byte, p []byte) error {
			all = append(all, taken{op, string(p)})
			return nil
		})
		wire = wire[n:]
	}
	return all, err
}

func TestReassembler(t *testing.T) {
	long, huge := strings.Repeat("x", 300), strings.Repeat("y", 70_000)
	var wire []byte
	for _, f := range [][]byte{
		clientFrame(true, opText, []byte("hello"), 0x01020304),
		clientFrame(true, opPing, nil, 0),
		clientFrame(false, opText, []byte("a"), 1),
		clientFrame(true, opPong, []byte("between"), 0xffffffff),
		clientFrame(false, opContinuation, []byte(long), 7),
		clientFrame(true, opContinuation, []byte("z"), 9),
		clientFrame(true, opBinary, []byte(huge), 0xa5a5a5a5),
		clientFrame(true, opText, nil, 5),
	} {
		wire = append(wire, f...)
	}
	want := []taken{
		{opText, "hello"}, {opPing, ""}, {opPong, "between"}, {opText, "a" + long + "z"}, {opBinary, huge}, {opText, ""},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for name, cut := range map[string]func(int) int{
		"at once":      func(n int) int { return n },
		"by bytes":     func(int) int { return 1 },
		"at random":    func(n int) int { return min(n, 1+random.IntN(900)) },
		"in mouthfuls": func(n int) int { return min(n, pollTest) },
	} {
		t.Run(name, func(t *testing.T) {
			r := &reassembler{limit: 1 << 17}
			got, err := collect(r, wire, cut)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Empty(t, r.rest)
			require.LessOrEqual(t, cap(r.rest)+cap(r.message), 2*idleBuffer, "what a connection keeps")
		})
	}
}

const pollTest = 4096

func TestReassemblerRefuses(t *testing.T) {
	for name, wire := range map[string][]byte{
		"reserved bits":            {0xc1, 0x80, 0, 0, 0, 0},
		"not masked":               {0x81, 0x00},
		"opcode 3":                 clientFrame(true, 3, nil, 0),
		"opcode 11":                clientFrame(true, 11, nil, 0),
		"ping in parts":            clientFrame(false, opPing, nil, 0),
		"long ping":                clientFrame(true, opPing, make([]byte, 126), 0),
		"continuation of nothing":  clientFrame(true, opContinuation, []byte("x"), 0),
		"a message inside another": append(clientFrame(false, opText, []byte("x"), 0), clientFrame(true, opText, []byte("y"), 0)...),
	} {
		_, err := collect(&reassembler{limit: 1000}, wire, func(n int) int { return n })
		require.ErrorIs(t, err, errProtocol, name)
	}
	for name, wire := range map[string][]byte{
		"one frame":   clientFrame(true, opText, make([]byte, 1001), 0),
		"two frames":  append(clientFrame(false, opText, make([]byte, 600), 0), clientFrame(true, opContinuation, make([]byte, 600), 0)...),
		"it says so":  {0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0},
		"beyond 2^63": {0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		_, err := collect(&reassembler{limit: 1000}, wire, func(n int) int { return n })
		require.ErrorIs(t, err, errTooBig, name)
	}
}

// TestPutFrame: the headers of RFC 6455, section 5.7. That gorilla's client reads
// our frames the tests of the server show too.
func TestPutFrame(t *testing.T) {
	for n, header := range map[int][]byte{
		0: {0x81, 0}, 1: {0x81, 1}, 125: {0x81, 125}, 126: {0x81, 126, 0, 126}, 1055: {0x81, 126, 4, 31},
		65535: {0x81, 126, 255, 255}, 65536: {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0},
	} {
		msg := bytes.Repeat([]byte{'x'}, maxHeader+n)
		got := putFrame(msg, opText)
		require.Equal(t, header, got[:len(header)])
		require.Equal(t, msg[maxHeader:], got[len(header):])
	}
}

// FuzzReassembler: however the bytes are cut, the outcome is the same.
func FuzzReassembler(f *testing.F) {
	f.Add(clientFrame(true, opText, []byte("hello"), 0x01020304), uint8(3))
	f.Add(append(clientFrame(false, opText, []byte("hel"), 1), clientFrame(true, opContinuation, []byte("lo"), 2)...), uint8(1))
	f.Add(clientFrame(true, opClose, []byte{3, 232}, 9), uint8(2))
	f.Add([]byte{0x81, 0xfe, 0x00}, uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, step uint8) {
		whole := &reassembler{limit: 4096}
		want, wantErr := collect(whole, wire, func(n int) int { return n })
		parts := &reassembler{limit: 4096}
		got, gotErr := collect(parts, wire, func(n int) int { return min(n, 1+int(step)) })
		require.Equal(t, want, got)
		require.Equal(t, wantErr == nil, gotErr == nil, "%v, %v", wantErr, gotErr)
		require.Equal(t, errors.Is(wantErr, errTooBig), errors.Is(gotErr, errTooBig))
		if wantErr == nil {
			require.Equal(t, string(whole.rest), string(parts.rest))
		}
	})
}

func BenchmarkReassembler(b *testing.B) {
	wire := clientFrame(true, opText, frame16k(), 0xdeadbeef)
	in := make([]byte, len(wire))
	r := &reassembler{limit: 64 << 10}
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		copy(in, wire)
		if err := r.feed(in, func(byte, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
