package cloud

// What happens in online meetings, for bots that subscribed to it
// ("meetingCallEvents").

// MeetingEvent tells every subscription to a meeting's call what happened in
// it, and returns for how many of them a notification was queued. The meeting
// is named by its joinWebUrl, encoded as the meeting itself has it, or decoded.
func (s *Server) MeetingEvent(joinWebURL string, e MeetingCallEvent) int {
	return s.changes.event(joinWebURL, e)
}

// Lifecycle tells a subscription's lifecycleNotificationUrl what becomes of it.
func (s *Server) Lifecycle(subscriptionID string, event LifecycleEvent) error {
	return s.changes.lifecycle(subscriptionID, event)
}

// BreakChanges disturbs the next change notifications.
func (s *Server) BreakChanges(f ChangeFault) error { return s.changes.inject(f) }

// Changes tells of the change notifications and what came of them.
func (s *Server) Changes() ChangeLog { return s.changes.changeLog() }

// ChangesOIDCURL is where the OpenID configuration of the issuer of validation
// tokens is.
func (s *Server) ChangesOIDCURL() string { return s.url + changeDiscoveryPath }
