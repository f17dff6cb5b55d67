package cloud

import (
	"context"
)

// Close ends all calls, tells the bot so if it still listens, and returns when
// everything that the server started has ended. It may be called more than
// once.
func (s *Server) Close() error {
	s.mu.Lock()
	started := s.state != serverNew
	s.mu.Unlock()
	if !started {
		return nil
	}
	s.shutDown()
	s.wg.Wait()
	s.people.close()
	s.client.CloseIdleConnections()
	return nil
}

func (s *Server) shutDown() {
	s.mu.Lock()
	if s.state == serverClosed {
		s.mu.Unlock()
		return
	}
	s.state = serverClosed
	close(s.closing)
	var live []*Call
	for _, c := range s.calls {
		live = append(live, c)
	}
	s.mu.Unlock()

	grace, cancel := context.WithTimeout(context.Background(), s.scaled(closeGrace))
	defer cancel()
	for _, c := range live {
		c.end(resultShutdown)
	}
	for _, c := range live {
		if c.Wait(grace) != nil {
			break
		}
	}
	s.people.shutOut()
	s.cancel()
	for _, srv := range s.servers {
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	}
}
