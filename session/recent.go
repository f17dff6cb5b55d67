package session

// recent is a map that forgets its oldest entry when it is full. The zero
// value is empty.
type recent[K comparable, V any] struct {
	entries map[K]V
	order   []K // a ring once it is full
	oldest  int
}

// add remembers k among at most limit keys; false if it is known already.
// The limit is the same in every call.
func (r *recent[K, V]) add(k K, v V, limit int) bool {
	if _, known := r.entries[k]; known {
		return false
	}
	if r.entries == nil {
		r.entries = make(map[K]V)
	}
	r.entries[k] = v
	if len(r.order) < limit {
		r.order = append(r.order, k)
		return true
	}
	delete(r.entries, r.order[r.oldest])
	r.order[r.oldest] = k
	r.oldest = (r.oldest + 1) % limit
	return true
}

// put is add, but gives a known key its new value.
func (r *recent[K, V]) put(k K, v V, limit int) {
	if !r.add(k, v, limit) {
		r.entries[k] = v
	}
}

func (r *recent[K, V]) get(k K) (V, bool) {
	v, ok := r.entries[k]
	return v, ok
}
