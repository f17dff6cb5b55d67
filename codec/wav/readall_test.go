package wav

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestReadAll(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 20_000} {
		want := make([]int16, n)
		for i := range want {
			want[i] = int16(i)
		}
		var file memory
		w, err := NewWriter(&file, 16000)
		require.NoError(t, err)
		require.NoError(t, w.WriteAt(0, want))
		require.NoError(t, w.Close())
		r, err := NewReader(iotest.HalfReader(bytes.NewReader(file)))
		require.NoError(t, err)
		got, err := r.ReadAll()
		require.NoError(t, err)
		require.True(t, len(got) == n && (n == 0 || bytes.Equal(bytesOf(want), bytesOf(got))), "%d samples", n)
		if n < 4096 {
			continue
		}
		// What came before an error is not lost.
		broken := errors.New("disk")
		r, err = NewReader(io.MultiReader(bytes.NewReader(file[:len(file)-200]), iotest.ErrReader(broken)))
		require.NoError(t, err)
		got, err = r.ReadAll()
		require.ErrorIs(t, err, broken)
		require.Equal(t, want[:n-100], got)
	}
}

func bytesOf(samples []int16) (b []byte) {
	for _, s := range samples {
		b = append(b, byte(s), byte(s>>8))
	}
	return b
}

type memory []byte

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if end := int(at) + len(b); end > len(*m) {
		*m = append(*m, make([]byte, end-len(*m))...)
	}
	return copy((*m)[at:], b), nil
}
