//go:build !purego

package rtpmedia

// squares sums the squares of every fourth sample, of 16 at a time as long as
// there are as many.
//
//go:noescape
func squares(x []int16) int64
