package cloud

import (
	"encoding/json"
	"strings"
)

// graphParty is who takes part or is to take part: participantInfo and
// invitationParticipantInfo.
type graphParty struct {
	// Kind is the identity's key: user, guest, application,
	// applicationInstance, phone, azureCommunicationServicesUser, encrypted.
	Kind string
	ID   string // empty: nobody is named
	Name string

	TenantID      string
	AppType       string // applicationType
	ParticipantID string
	ReplacesCall  string
	// told is what the request said, to be echoed; nil if it came from here.
	told map[string]any
}

// identities is identitySet, and what the wire adds to it.
type identities struct {
	User                *identityModel `json:"user"`
	Guest               *identityModel `json:"guest"`
	ApplicationInstance *identityModel `json:"applicationInstance"`
	Application         *identityModel `json:"application"`
	Phone               *identityModel `json:"phone"`
	ACSUser             *identityModel `json:"azureCommunicationServicesUser"`
}

type identityModel struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	TenantID    string `json:"tenantId"`
}

// party is who is named, with an empty ID if nobody is.
func (s *identities) party() graphParty {
	if s == nil {
		return graphParty{}
	}
	for _, k := range []struct {
		kind string
		id   *identityModel
	}{
		{"user", s.User}, {"guest", s.Guest}, {"applicationInstance", s.ApplicationInstance},
		{"application", s.Application}, {"phone", s.Phone}, {"azureCommunicationServicesUser", s.ACSUser},
	} {
		if k.id != nil && k.id.ID != "" {
			return graphParty{Kind: k.kind, ID: k.id.ID, Name: k.id.DisplayName, TenantID: k.id.TenantID}
		}
	}
	return graphParty{}
}

// UnmarshalJSON keeps what was said besides what is understood.
func (p *graphParty) UnmarshalJSON(text []byte) error {
	var m struct {
		Identity       *identities `json:"identity"`
		ParticipantID  string      `json:"participantId"`
		ReplacesCallID string      `json:"replacesCallId"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*p = m.Identity.party()
	p.ParticipantID, p.ReplacesCall = m.ParticipantID, m.ReplacesCallID
	return json.Unmarshal(text, &p.told)
}

// rawPrefixes of the kinds, by which all clouds tell parties apart.
var rawPrefixes = []struct{ kind, prefix string }{
	{"user", "8:orgid:"}, {"guest", "8:teamsvisitor:"}, {"applicationInstance", "28:orgid:"},
	{"application", "28:"}, {"phone", "4:"}, {"azureCommunicationServicesUser", ""},
}

// rawID is the party's full id.
func (p *graphParty) rawID() string {
	for _, k := range rawPrefixes {
		if k.kind == p.Kind && p.ID != "" {
			return k.prefix + strings.ToLower(p.ID)
		}
	}
	return ""
}

// partyOf is the way back from a raw id.
func partyOf(rawID, name string) graphParty {
	for _, k := range rawPrefixes {
		if id, ok := strings.CutPrefix(rawID, k.prefix); ok && id != "" {
			return graphParty{Kind: k.kind, ID: id, Name: name}
		}
	}
	return graphParty{}
}

// identity is the party as identitySet.
func (p *graphParty) identity() map[string]any {
	id := map[string]any{"@odata.type": "#microsoft.graph.identity", "id": p.ID}
	if p.Name != "" {
		id["displayName"] = p.Name
	}
	if p.TenantID != "" {
		id["tenantId"] = p.TenantID
	}
	if p.AppType != "" {
		id["applicationType"] = p.AppType
	}
	return map[string]any{"@odata.type": "#microsoft.graph.identitySet", p.Kind: id}
}

// info is the party as participantInfo or invitationParticipantInfo: as the
// request told it, with nulls where it told nothing.
func (p *graphParty) info(kind string) map[string]any {
	info := map[string]any{"@odata.type": "#microsoft.graph." + kind, "region": nil, "languageId": nil}
	if p.told == nil {
		info["identity"] = p.identity()
		return info
	}
	for key, value := range p.told {
		info[key] = value
	}
	return info
}
