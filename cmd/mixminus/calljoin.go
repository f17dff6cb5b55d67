package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/mixminus/mixminus/session/graph"
)

// joinFlags say which Teams meeting a bot joins, and as whom.
type joinFlags struct{ link, guest string }

// request is Graph's create request that joins the meeting.
func (j joinFlags) request(cloud string) (json.RawMessage, error) {
	if cloud != "graph" {
		return nil, errors.New("--meeting: is for --cloud graph")
	}
	meeting, err := graph.ParseJoinURL(j.link)
	if err != nil {
		return nil, fmt.Errorf("--meeting: %w", err)
	}
	id := ""
	if j.guest != "" {
		id = uuid.NewString()
	}
	return meeting.Join(j.guest, id)
}
