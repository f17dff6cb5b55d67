package rtpmedia

// Scratch is memory of streams that are moved by one goroutine at a time, which
// they need only while they are. A thousand of them share it rather than have
// that many buffers, none of which would be in the cache.
type Scratch struct {
	raw     []int16 // audio at the codec's rate
	payload [maxPayload]byte
}

// samples returns room for n.
func (s *Scratch) samples(n int) []int16 {
	if len(s.raw) < n {
		s.raw = make([]int16, n)
	}
	return s.raw[:n]
}
