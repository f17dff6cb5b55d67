//go:build !amd64 || purego

package rtpmedia

// squares sums the squares of every fourth sample, of 16 at a time as long as
// there are as many.
func squares(x []int16) int64 {
	var a, b, c, d int64 // four sums, which do not wait for one another
	for ; len(x) >= 16; x = x[16:] {
		p, q, r, s := int64(x[0]), int64(x[4]), int64(x[8]), int64(x[12])
		a, b, c, d = a+p*p, b+q*q, c+r*r, d+s*s
	}
	return a + b + c + d
}
