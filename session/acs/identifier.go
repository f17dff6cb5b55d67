package acs

import "strings"

// identifier is CommunicationIdentifierModel. RawID is what everything else
// is derived from; a service or a client may leave it out.
type identifier struct {
	Kind              string         `json:"kind,omitempty"`
	RawID             string         `json:"rawId,omitempty"`
	CommunicationUser *userID        `json:"communicationUser,omitempty"`
	PhoneNumber       *phoneNumber   `json:"phoneNumber,omitempty"`
	TeamsUser         *teamsUser     `json:"microsoftTeamsUser,omitempty"`
	TeamsApp          *teamsApp      `json:"microsoftTeamsApp,omitempty"`
	TeamsExtension    *teamsExtended `json:"teamsExtensionUser,omitempty"`
}

type userID struct {
	ID string `json:"id"`
}

type phoneNumber struct {
	Value string `json:"value"`
}

type teamsUser struct {
	UserID    string `json:"userId"`
	Anonymous bool   `json:"isAnonymous,omitempty"`
	Cloud     string `json:"cloud,omitempty"`
}

type teamsApp struct {
	AppID string `json:"appId"`
	Cloud string `json:"cloud,omitempty"`
}

type teamsExtended struct {
	UserID     string `json:"userId"`
	TenantID   string `json:"tenantId"`
	ResourceID string `json:"resourceId"`
	Cloud      string `json:"cloud,omitempty"`
}

// raw is the phone number as a raw id, "" for none.
func (p phoneNumber) raw() string {
	if p.Value == "" {
		return ""
	}
	return "4:" + p.Value
}

// raw returns the raw id, derived from the typed part where the model has
// none, by the rules of the official clients (communication-common,
// getIdentifierRawId).
func (i *identifier) raw() string {
	switch {
	case i.RawID != "":
		return i.RawID
	case i.CommunicationUser != nil:
		return i.CommunicationUser.ID
	case i.PhoneNumber != nil:
		return i.PhoneNumber.raw()
	case i.TeamsUser != nil && i.TeamsUser.Anonymous:
		return "8:teamsvisitor:" + i.TeamsUser.UserID
	case i.TeamsUser != nil:
		return "8:" + cloudWord(i.TeamsUser.Cloud, "orgid", "dod", "gcch") + ":" + i.TeamsUser.UserID
	case i.TeamsApp != nil:
		return "28:" + cloudWord(i.TeamsApp.Cloud, "orgid", "dod", "gcch") + ":" + i.TeamsApp.AppID
	case i.TeamsExtension != nil:
		x := i.TeamsExtension
		return "8:" + cloudWord(x.Cloud, "acs", "dod-acs", "gcch-acs") + ":" +
			x.ResourceID + "_" + x.TenantID + "_" + x.UserID
	}
	return ""
}

// cloudWord picks the word of a CommunicationCloudEnvironmentModel.
func cloudWord(cloud, public, dod, gcch string) string {
	switch strings.ToLower(cloud) {
	case "dod":
		return dod
	case "gcch":
		return gcch
	}
	return public
}

// identifierOf writes the model of a raw id, as the official clients'
// createIdentifierFromRawId does. What version has no kind for goes out as
// kind unknown with its raw id.
func identifierOf(version, raw string) identifier {
	id := identifier{Kind: "unknown", RawID: raw}
	prefix, rest, ok := cutRaw(raw)
	switch {
	case !ok:
	case prefix == "4":
		id.Kind, id.PhoneNumber = "phoneNumber", &phoneNumber{Value: rest}
	case prefix == "8:teamsvisitor":
		id.Kind, id.TeamsUser = "microsoftTeamsUser", &teamsUser{UserID: rest, Anonymous: true}
	case prefix == "8:orgid", prefix == "8:dod", prefix == "8:gcch":
		id.Kind, id.TeamsUser = "microsoftTeamsUser", &teamsUser{UserID: rest, Cloud: cloudOf(prefix)}
	case prefix == "28:orgid", prefix == "28:dod", prefix == "28:gcch":
		if version != Version2022 {
			id.Kind, id.TeamsApp = "microsoftTeamsApp", &teamsApp{AppID: rest, Cloud: cloudOf(prefix)}
		}
	case prefix == "8:acs", prefix == "8:dod-acs", prefix == "8:gcch-acs", prefix == "8:spool":
		parts := strings.Split(rest, "_")
		if len(parts) == 3 && prefix != "8:spool" && version != Version2022 {
			id.Kind = "teamsExtensionUser"
			id.TeamsExtension = &teamsExtended{
				ResourceID: parts[0], TenantID: parts[1], UserID: parts[2], Cloud: cloudOf(prefix),
			}
			break
		}
		id.Kind, id.CommunicationUser = "communicationUser", &userID{ID: raw}
	}
	return id
}

// cutRaw splits "8:acs:…" after its second colon, "4:+1…" after its first.
func cutRaw(raw string) (prefix, rest string, ok bool) {
	kind, rest, ok := strings.Cut(raw, ":")
	if !ok || kind == "4" {
		return kind, rest, ok && rest != ""
	}
	scope, rest, ok := strings.Cut(rest, ":")
	return kind + ":" + scope, rest, ok && rest != ""
}

// cloudOf is the cloud that a raw id's prefix names.
func cloudOf(prefix string) string {
	switch {
	case strings.Contains(prefix, ":dod"):
		return "dod"
	case strings.Contains(prefix, ":gcch"):
		return "gcch"
	}
	return "public"
}
