package graph

import (
	"strings"

	"github.com/mixminus/mixminus/session"
)

// Key returns the form of an id by which ids are compared: the service writes
// the same one in upper and lower case, with dashes and without.
func Key(id string) string {
	return strings.ToLower(strings.ReplaceAll(id, "-", ""))
}

// Prefixes of raw ids, by which Teams tells kinds of identities apart.
const (
	prefixUser      = "8:orgid:"
	prefixGuest     = "8:teamsvisitor:"
	prefixBot       = "28:"
	prefixPhone     = "4:"
	prefixEncrypted = "encrypted:"
)

// RawID returns the identity's raw id, the form in which all clouds tell
// parties apart: "8:orgid:…" is a user of Entra ID, "8:teamsvisitor:…" a
// guest, "28:…" an application, "4:+…" a phone number. "" if nobody is named.
func (s *IdentitySet) RawID() string {
	raw, _ := s.party()
	return raw
}

// DisplayName of whoever is named, "" if none is told.
func (s *IdentitySet) DisplayName() string {
	_, id := s.party()
	if id == nil {
		return ""
	}
	return id.DisplayName
}

// Party is the identity in the words of session.
func (s *IdentitySet) Party() session.Identity {
	raw, id := s.party()
	if id == nil {
		return session.Identity{}
	}
	return session.Identity{RawID: raw, Name: id.DisplayName}
}

// party returns the identity that is named, and its raw id. A set names one
// party; where the service gives several the more telling one comes first.
func (s *IdentitySet) party() (string, *Identity) {
	if s == nil {
		return "", nil
	}
	for _, k := range []struct {
		id     *Identity
		prefix string
	}{
		{s.User, prefixUser},
		{s.Guest, prefixGuest},
		{s.ApplicationInstance, prefixBot},
		{s.Application, prefixBot},
		{s.Phone, prefixPhone},
		{s.AzureCommunicationServicesUser, ""},
		{s.Encrypted, prefixEncrypted},
	} {
		if k.id != nil && k.id.ID != "" {
			return k.prefix + strings.ToLower(k.id.ID), k.id
		}
	}
	return "", nil
}

// identitySetOf is the way back from a raw id.
func identitySetOf(party session.Identity) IdentitySet {
	id := func(prefix string) *Identity {
		rest, ok := strings.CutPrefix(party.RawID, prefix)
		if !ok || rest == "" {
			return nil
		}
		return &Identity{ID: rest, DisplayName: party.Name}
	}
	switch {
	case id(prefixUser) != nil:
		return IdentitySet{User: id(prefixUser)}
	case id(prefixGuest) != nil:
		return IdentitySet{Guest: id(prefixGuest)}
	case id(prefixBot) != nil:
		return IdentitySet{Application: id(prefixBot)}
	case id(prefixPhone) != nil:
		return IdentitySet{Phone: id(prefixPhone)}
	case id(prefixEncrypted) != nil:
		return IdentitySet{Encrypted: id(prefixEncrypted)}
	case strings.HasPrefix(party.RawID, "8:acs:"):
		return IdentitySet{AzureCommunicationServicesUser: &Identity{ID: party.RawID, DisplayName: party.Name}}
	}
	return IdentitySet{}
}

// cloudName is the cloud's name in the control API and in recordings.
const cloudName = "graph"

// kindOf is a type's name without its namespace.
func kindOf(odataType string) string {
	return strings.TrimPrefix(strings.TrimPrefix(odataType, "#"), "microsoft.graph.")
}
