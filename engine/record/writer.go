package record

import "time"

// writeLoop writes what the sweep loop queued, until that has ended and all
// is written.
func (s *shard) writeLoop() {
	sc := newScratch()
	for {
		rec, list, ended := s.next()
		if rec == nil {
			return
		}
		rec.folder.write(list, time.Now(), sc)
		s.give(list)
		if ended {
			s.r.wg.Go(func() { s.complete(rec) })
		}
	}
}

// next waits for a recording with something to write and takes all of that;
// nil at the end.
func (s *shard) next() (rec *Recording, list *block, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ready == nil && !s.swept {
		s.work.Wait()
	}
	rec = s.ready
	if rec == nil {
		return nil, nil, false
	}
	s.ready, rec.ready, rec.readyTo = rec.readyTo, false, nil
	list, rec.queue = rec.queue.head, blockList{}
	return rec, list, rec.ended
}

// complete ends a recording, a bounded number at a time: it reads all files
// again.
func (s *shard) complete(rec *Recording) {
	s.r.finish <- struct{}{}
	rec.complete(rec.folder.finish(time.Now()))
	<-s.r.finish
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
}
