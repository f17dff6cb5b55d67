package rtpmedia

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Of any length, and as loud as can be.
func TestMeanSquare(t *testing.T) {
	x := speech(1)[:700]
	x[0], x[4], x[16] = -32768, -32768, 32767
	for n := range len(x) {
		var sum, seen int64
		for i := 0; i+4 <= n; i += 4 {
			sum, seen = sum+int64(x[i])*int64(x[i]), seen+1
		}
		require.Equal(t, sum/max(1, seen), meanSquare(x[:n]), "%d samples", n)
	}
}
