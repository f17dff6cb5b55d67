package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	gridAttempts      = 4
	gridBackoff       = 200 * time.Millisecond
	validationTimeout = 30 * time.Second
	subscriptionName  = "MIXMINUS-INCOMING-CALLS"
	validatePath      = "/eventgrid/validate"
)

// gridEvent is an event in the Event Grid schema.
type gridEvent struct {
	ID              string `json:"id"`
	Topic           string `json:"topic"`
	Subject         string `json:"subject"`
	Data            any    `json:"data"`
	EventType       string `json:"eventType"`
	DataVersion     string `json:"dataVersion"`
	MetadataVersion string `json:"metadataVersion"`
	EventTime       string `json:"eventTime"`
}

// incomingCall is the data of Microsoft.Communication.IncomingCall.
type incomingCall struct {
	To                  identifier `json:"to"`
	From                identifier `json:"from"`
	ServerCallID        string     `json:"serverCallId"`
	CallerDisplayName   string     `json:"callerDisplayName"`
	IncomingCallContext string     `json:"incomingCallContext"`
	CorrelationID       string     `json:"correlationId"`
}

// subscription is an Event Grid subscription of one endpoint.
type subscription struct {
	code      string
	turn      chan struct{} // held by who validates: a mutex that can be waited for
	validated chan struct{} // closed once the endpoint proved itself
}

// subscriptionOf returns the subscription of an endpoint.
func (s *Server) subscriptionOf(endpoint string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subscriptions[endpoint]
	if sub == nil {
		sub = &subscription{code: uuid.NewString(), turn: make(chan struct{}, 1), validated: make(chan struct{})}
		s.subscriptions[endpoint] = sub
	}
	return sub
}

// Subscribe makes the validation handshake of Event Grid with the bot's
// webhook: an event SubscriptionValidationEvent, which must be answered with
// status 200 and {"validationResponse": the code} within 30 s, or by a GET of
// the event's validationUrl. It does nothing if that was done before. Ring
// calls it by itself.
func (s *Server) Subscribe(ctx context.Context) error {
	if s.EventsURL == "" {
		return errors.New("cloud: EventsURL is empty: there is no bot to ring")
	}
	return s.subscribe(ctx, s.EventsURL)
}

func (s *Server) subscribe(ctx context.Context, endpoint string) error {
	sub := s.subscriptionOf(endpoint)
	ctx, cancel := context.WithTimeout(ctx, validationTimeout)
	defer cancel()
	select {
	case sub.turn <- struct{}{}:
		defer func() { <-sub.turn }()
	case <-ctx.Done():
		return fmt.Errorf("cloud: event grid: %w", ctx.Err())
	}
	select {
	case <-sub.validated:
		return nil
	default:
	}
	answer, err := s.notify(ctx, endpoint, "SubscriptionValidation", gridEvent{
		ID: uuid.NewString(), Topic: s.topic(), EventType: "Microsoft.EventGrid.SubscriptionValidationEvent",
		Data: map[string]string{
			"validationCode": sub.code,
			"validationUrl":  s.URL() + validatePath + "?code=" + sub.code,
		},
		DataVersion: "2", MetadataVersion: "1",
	})
	if err != nil {
		return fmt.Errorf("cloud: event grid: validation of the subscription: %w", err)
	}
	var given struct {
		ValidationResponse string `json:"validationResponse"`
	}
	if json.Unmarshal(answer, &given) == nil && given.ValidationResponse == sub.code {
		s.validate(sub.code)
		return nil
	}
	select {
	case <-sub.validated:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cloud: event grid: the webhook answered %.100q, want the validationCode as validationResponse, and did not GET the validationUrl: %w", answer, ctx.Err())
	}
}

// validate reports whether the code is that of a subscription.
func (s *Server) validate(code string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subscriptions {
		if sub.code != code {
			continue
		}
		select {
		case <-sub.validated:
		default:
			close(sub.validated)
		}
		return true
	}
	return false
}

func (s *Server) serveValidate(w http.ResponseWriter, r *http.Request) {
	if !s.validate(r.URL.Query().Get("code")) {
		http.Error(w, "code: no such validation", http.StatusNotFound)
		return
	}
	fmt.Fprintln(w, "Webhook successfully validated as a subscription endpoint.")
}

// topic is the resource that events come from.
func (s *Server) topic() string {
	return "/subscriptions/" + s.audience + "/resourcegroups/emulator/providers/microsoft.communication/communicationservices/mixminus"
}

// notify delivers an event to a webhook, several times if need be, and returns
// the response's body.
func (s *Server) notify(ctx context.Context, endpoint, kind string, e gridEvent) ([]byte, error) {
	e.EventTime = graphDate(time.Now())
	body := marshal([]gridEvent{e})
	pause := s.scaled(gridBackoff)
	for attempt := 1; ; attempt++ {
		status, answer, err := s.post(ctx, endpoint, http.Header{
			"Content-Type":          {"application/json; charset=utf-8"},
			"Aeg-Event-Type":        {kind},
			"Aeg-Subscription-Name": {subscriptionName},
			"Aeg-Delivery-Count":    {fmt.Sprint(attempt - 1)},
		}, body)
		if err == nil && gridAccepts(kind, status) {
			return answer, nil
		}
		if err == nil {
			err = fmt.Errorf("HTTP %d", status)
		}
		s.log.Info("cloud: event grid delivery refused", "event", e.EventType, "attempt", attempt, "error", err)
		if attempt == gridAttempts || !sleep(ctx, pause) {
			return nil, fmt.Errorf("%s, attempt %d: %w", e.EventType, attempt, err)
		}
		pause *= 2
	}
}

// gridAccepts: a validation must be answered with 200, 202 does not do.
func gridAccepts(kind string, status int) bool {
	if kind == "SubscriptionValidation" {
		return status == http.StatusOK
	}
	return status >= 200 && status <= 204
}
