package cloud

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// routingModel is audioRoutingGroup. The emulator keeps groups, and its mix
// does not obey them.
type routingModel struct {
	ID        string   `json:"id"`
	Mode      string   `json:"routingMode"`
	Sources   []string `json:"sources"`
	Receivers []string `json:"receivers"`
}

func (c *graphCall) checkRouting(m *routingModel) *response {
	mode := strings.ToLower(m.Mode)
	switch {
	case mode != "onetoone" && mode != "multicast":
		return badRequest("routingMode", "%q: want oneToOne or multicast", m.Mode)
	case len(m.Sources) != 1:
		return badRequest("sources", "%d: want one", len(m.Sources))
	case len(m.Receivers) == 0:
		return badRequest("receivers", "is missing")
	case m.ID == "" || len(m.ID) > maxClientText:
		return badRequest("id", "%d characters: want 1 to %d", len(m.ID), maxClientText)
	}
	for i, id := range append(slices.Clone(m.Sources), m.Receivers...) {
		if !c.has(id) {
			field := "sources"
			if i > 0 {
				field = fmt.Sprintf("receivers[%d]", i-1)
			}
			return badRequest(field, "%q: no such participant", id)
		}
	}
	m.Mode = map[string]string{"onetoone": "oneToOne", "multicast": "multicast"}[mode]
	return nil
}

func (m *routingModel) shape() map[string]any {
	return map[string]any{
		"@odata.type": "#microsoft.graph.audioRoutingGroup", "id": m.ID, "routingMode": m.Mode, "sources": m.Sources, "receivers": m.Receivers,
	}
}

func (c *graphCall) listRouting(*graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []any{}
	for _, id := range c.routing {
		all = append(all, c.groups[id])
	}
	return newResponse(http.StatusOK, map[string]any{"value": all}), func() {}
}

// createRouting answers 200, not 201, as the documents show it.
func (c *graphCall) createRouting(r *graphRequest) (*response, func()) {
	var m routingModel
	bad := decodeGraph(r.body, &m)
	if bad == nil {
		bad = firstOf(c.groupOnly(), c.standing(), c.checkRouting(&m))
	}
	if bad != nil {
		return refuseGraph(bad)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups[m.ID] != nil || len(c.routing) >= maxMembers {
		return refuseGraph(badRequest("id", "%q: is taken, or there are %d groups", m.ID, len(c.routing)))
	}
	c.groups[m.ID] = m.shape()
	c.routing = append(c.routing, m.ID)
	return newResponse(http.StatusOK, m.shape()), func() {}
}

func errRouting() *response {
	return graphError(http.StatusNotFound, "NotFound", "Audio routing group not found.")
}

func (c *graphCall) getRouting(r *graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.groups[r.ids[0]]; g != nil {
		return newResponse(http.StatusOK, g), func() {}
	}
	return refuseGraph(errRouting())
}

func (c *graphCall) updateRouting(r *graphRequest) (*response, func()) {
	c.mu.Lock()
	group := c.groups[r.ids[0]]
	c.mu.Unlock()
	if group == nil {
		return refuseGraph(errRouting())
	}
	// What the request does not name stays as it is.
	m := routingModel{Mode: group["routingMode"].(string), Sources: slices.Clone(group["sources"].([]string)), Receivers: slices.Clone(group["receivers"].([]string))}
	if bad := decodeGraph(r.body, &m); bad != nil {
		return refuseGraph(bad)
	}
	m.ID = r.ids[0]
	if bad := c.checkRouting(&m); bad != nil {
		return refuseGraph(bad)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups[m.ID] == nil {
		return refuseGraph(errRouting()) // has just been deleted
	}
	c.groups[m.ID] = m.shape()
	return newResponse(http.StatusOK, m.shape()), func() {}
}

func (c *graphCall) deleteRouting(r *graphRequest) (*response, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups[r.ids[0]] == nil {
		return refuseGraph(errRouting())
	}
	delete(c.groups, r.ids[0])
	c.routing = slices.DeleteFunc(c.routing, func(id string) bool { return id == r.ids[0] })
	return newResponse(http.StatusNoContent, nil), func() {}
}
