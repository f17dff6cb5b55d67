package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// act passes an action on to the call's cloud, which reads the body.
func (s *Server) act(r *request) (any, error) {
	c, err := s.manager.Call(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	body := json.RawMessage("{}")
	if err := r.decodeOptional(&body); err != nil {
		return nil, err
	}
	return c.Act(r.Context(), r.PathValue("action"), body)
}

// Act has a call's cloud do something: action is one of session's words, with
// the body of that name, or the cloud's own. The result is the cloud's, a
// session.ActionResult at least.
func (c *Client) Act(ctx context.Context, id, action string, body any) (result json.RawMessage, err error) {
	path := "/v1/calls/" + url.PathEscape(id) + "/" + url.PathEscape(action)
	err = c.do(ctx, http.MethodPost, path, body, &result)
	return result, err
}

// unsupported is the error of what a cloud, or its version in use, lacks.
func unsupported(text string) *Error {
	return &Error{Status: http.StatusNotImplemented, Code: "unsupported", Message: text}
}
