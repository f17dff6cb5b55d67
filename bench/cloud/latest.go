package cloud

// latest is a table that forgets what came first once it is full. Its zero value
// is ready. It is not safe for concurrent use.
type latest[V any] struct {
	byID map[string]V
	ids  []string // oldest first
}

// add notes v, of which there are to be so many at most.
func (l *latest[V]) add(id string, v V, most int) {
	if l.byID == nil {
		l.byID = map[string]V{}
	}
	l.byID[id] = v
	l.ids = append(l.ids, id)
	if len(l.ids) > most {
		delete(l.byID, l.ids[0])
		l.ids = l.ids[1:]
	}
}
