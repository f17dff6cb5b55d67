//go:build !amd64 || purego

package g711

func decodeUlawVectors([]int16, []byte) int { return 0 }
func decodeAlawVectors([]int16, []byte) int { return 0 }
func encodeUlawVectors([]byte, []int16) int { return 0 }
func encodeAlawVectors([]byte, []int16) int { return 0 }
