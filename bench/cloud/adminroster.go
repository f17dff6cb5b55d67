package cloud

import (
	"fmt"
	"net/http"
)

// The part of the admin API that is about who is in a call. A pid is the
// participant's id, percent-encoded: the raw id at Communication Services.
//
//	GET    /v1/calls/{id}/participants  -> [acsParticipant] or, at Graph, [participantSummary]
//	DELETE /v1/calls/{id}/participants/{pid}  leaves -> 204
//	POST   /v1/calls/{id}/participants/{pid}/mute  {"on":true} -> 204
var rosterAdmin = map[string]adminFunc{
	"GET /v1/calls/{id}/participants":             ofCall(adminParticipants),
	"DELETE /v1/calls/{id}/participants/{pid}":    ofCall(adminLeave),
	"POST /v1/calls/{id}/participants/{pid}/mute": ofCall(adminMute),
}

type participantSummary struct {
	ID    string `json:"id"`
	RawID string `json:"raw_id"`
}

func adminParticipants(c *Call, _ *http.Request, _ []byte) (int, any, error) {
	if side, ok := c.side.(*acsCall); ok {
		return http.StatusOK, side.adminRows(), nil
	}
	all := []participantSummary{}
	ids, rawIDs := c.Participants()
	for i := range ids {
		all = append(all, participantSummary{ids[i], rawIDs[i]})
	}
	return http.StatusOK, all, nil
}

func errNoParticipant(id string) error { return fmt.Errorf("cloud: pid: %q: no such participant", id) }

func adminLeave(c *Call, r *http.Request, _ []byte) (int, any, error) {
	if !c.Leave(r.PathValue("pid")) {
		return http.StatusNotFound, nil, errNoParticipant(r.PathValue("pid"))
	}
	return http.StatusNoContent, nil, nil
}

func adminMute(c *Call, r *http.Request, body []byte) (int, any, error) {
	var req switchRequest
	if err := decodeAdmin(body, &req); err != nil {
		return 0, nil, err
	}
	if !c.Mute(r.PathValue("pid"), req.On) {
		return http.StatusNotFound, nil, errNoParticipant(r.PathValue("pid"))
	}
	return http.StatusNoContent, nil, nil
}
