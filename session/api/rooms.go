package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/mixminus/mixminus/session"
)

// JoinRequest puts a call into a room.
type JoinRequest struct {
	// Call by our id or the cloud's.
	Call string `json:"call"`
}

type roomList struct {
	Rooms []session.RoomSnapshot `json:"rooms"`
}

func (s *Server) rooms(*request) (any, error) { return roomList{s.manager.Rooms()}, nil }

func (s *Server) join(r *request) (any, error) {
	var req JoinRequest
	if err := r.decode(&req); err != nil {
		return nil, err
	}
	c, err := s.manager.Call(req.Call)
	if err != nil {
		return nil, err
	}
	_, err = s.manager.Join(r.PathValue("room"), c)
	return nil, err
}

func (s *Server) leave(r *request) (any, error) {
	c, err := s.manager.Call(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	m, err := s.manager.Member(r.PathValue("room"), c)
	if err == nil {
		m.Leave()
	}
	return nil, err
}

func (s *Server) setMember(r *request) (any, error) {
	var change session.MemberChange
	if err := r.decode(&change); err != nil {
		return nil, err
	}
	c, err := s.manager.Call(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return nil, s.manager.SetMember(r.PathValue("room"), c, change)
}

// Rooms lists the open rooms and who is in them.
func (c *Client) Rooms(ctx context.Context) ([]session.RoomSnapshot, error) {
	var list roomList
	err := c.do(ctx, http.MethodGet, "/v1/rooms", nil, &list)
	return list.Rooms, err
}

// Join puts a call into the room of that name, which is opened if need be.
func (c *Client) Join(ctx context.Context, room, call string) error {
	return c.do(ctx, http.MethodPost, "/v1/rooms/"+url.PathEscape(room)+"/members", JoinRequest{call}, nil)
}

// Leave takes a call out of a room.
func (c *Client) Leave(ctx context.Context, room, call string) error {
	return c.do(ctx, http.MethodDelete, memberPath(room, call), nil, nil)
}

// SetMember changes what a call is in a room.
func (c *Client) SetMember(ctx context.Context, room, call string, change session.MemberChange) error {
	return c.do(ctx, http.MethodPatch, memberPath(room, call), change, nil)
}

func memberPath(room, call string) string {
	return "/v1/rooms/" + url.PathEscape(room) + "/members/" + url.PathEscape(call)
}
