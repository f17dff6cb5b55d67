package graph

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/mixminus/mixminus/session"
)

// Subscriptions are made, and all else that is done with them here, in beta:
// only that knows the call events of meetings.
const subscriptionsPath = "/subscriptions"

func subscriptionPath(id string, below string) (string, error) {
	if id == "" || id == "." || id == ".." || len(id) > 512 {
		return "", fmt.Errorf("subscription id %q is not one", clip(id))
	}
	return subscriptionsPath + "/" + url.PathEscape(id) + below, nil
}

// CreateSubscription asks for changes: "Create subscription". While the
// request is pending the service posts to s's addresses, which must answer
// (ChangeWebhook); if they do not, the request is refused with 400. One that
// was refused with 409 has a subscription of the same resource and changeType
// standing already.
//
// It is not repeated when its fate is unknown (*session.Error of Status 0 or
// above 499): the subscription may stand then.
func (c *Client) CreateSubscription(ctx context.Context, s Subscription) (*Subscription, error) {
	const op = "create subscription"
	if err := s.check(c.config.Now(), c.config.Insecure); err != nil {
		return nil, c.localError(op, err)
	}
	return c.subscription(ctx, request{
		op: op, method: http.MethodPost, path: subscriptionsPath, body: s,
		want: []int{http.StatusCreated}, secrets: []string{s.ClientState},
	})
}

// subscription sends r and returns the subscription in the response.
func (c *Client) subscription(ctx context.Context, r request) (*Subscription, error) {
	r.version = Beta
	s := new(Subscription)
	if err := c.do(ctx, r, s); err != nil {
		return nil, err
	}
	if s.ID == "" {
		return nil, &session.Error{Cloud: c.config.Name, Op: r.op, Status: r.want[0], Message: "response has no id"}
	}
	return s, nil
}

// GetSubscription fetches one: "Get subscription". It has no client state.
func (c *Client) GetSubscription(ctx context.Context, id string) (*Subscription, error) {
	const op = "get subscription"
	path, err := subscriptionPath(id, "")
	if err != nil {
		return nil, c.localError(op, err)
	}
	return c.subscription(ctx, request{op: op, method: http.MethodGet, path: path, want: []int{http.StatusOK}})
}

// ListSubscriptions fetches those of this app, all pages: "List
// subscriptions". They have no client state.
func (c *Client) ListSubscriptions(ctx context.Context) ([]Subscription, error) {
	return list[Subscription](ctx, c, request{op: "list subscriptions", version: Beta, path: subscriptionsPath})
}

// UpdateSubscription renews one, and also reauthorizes it, or gives it another
// certificate or address: "Update subscription".
func (c *Client) UpdateSubscription(ctx context.Context, id string, change SubscriptionChange) (*Subscription, error) {
	const op = "update subscription"
	path, err := subscriptionPath(id, "")
	if err == nil {
		err = change.check(c.config.Now(), c.config.Insecure)
	}
	if err != nil {
		return nil, c.localError(op, err)
	}
	s := &Subscription{ID: id}
	if err := c.do(ctx, request{
		op: op, method: http.MethodPatch, version: Beta, path: path, body: change,
		want: []int{http.StatusOK}, idempotent: true,
	}, s); err != nil {
		return nil, err
	}
	return s, nil
}

// ReauthorizeSubscription lets notifications go on after
// LifecycleReauthorize, and keeps the expiry: "subscription: reauthorize".
func (c *Client) ReauthorizeSubscription(ctx context.Context, id string) error {
	const op = "reauthorize subscription"
	path, err := subscriptionPath(id, "/reauthorize")
	if err != nil {
		return c.localError(op, err)
	}
	return c.do(ctx, request{
		op: op, method: http.MethodPost, version: Beta, path: path,
		want: []int{http.StatusNoContent, http.StatusOK, http.StatusAccepted}, idempotent: true,
	}, nil)
}

// DeleteSubscription ends one: "Delete subscription".
func (c *Client) DeleteSubscription(ctx context.Context, id string) error {
	const op = "delete subscription"
	path, err := subscriptionPath(id, "")
	if err != nil {
		return c.localError(op, err)
	}
	return c.do(ctx, request{op: op, method: http.MethodDelete, version: Beta, path: path, want: []int{http.StatusNoContent}}, nil)
}
