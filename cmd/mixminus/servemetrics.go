package main

import (
	"net/http"

	"github.com/mixminus/mixminus/session/metrics"
)

// metrics is what Prometheus is told.
func (s *service) metrics(cfg serviceConfig) (http.Handler, error) {
	carried := []metrics.Transport{{Name: "acs", Totals: s.media.Totals(), Refused: s.media.Refused}}
	for i := range s.clouds {
		if of := s.clouds[i].carried; of != nil {
			carried = append(carried, of())
		}
	}
	if s.webrtc != nil {
		carried = append(carried, metrics.Transport{Name: "webrtc", Totals: s.webrtc.Totals(), Refused: s.webrtc.Refused})
	}
	return metrics.New(metrics.Config{Manager: s.manager, Transports: carried, Recorder: s.recorder, Logger: cfg.log})
}
