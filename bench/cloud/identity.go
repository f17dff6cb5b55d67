package cloud

import "strings"

// identifier is a CommunicationIdentifierModel.
type identifier struct {
	Kind               string      `json:"kind,omitempty"`
	RawID              string      `json:"rawId,omitempty"`
	CommunicationUser  *userModel  `json:"communicationUser,omitempty"`
	PhoneNumber        *phoneModel `json:"phoneNumber,omitempty"`
	MicrosoftTeamsUser *teamsModel `json:"microsoftTeamsUser,omitempty"`
	MicrosoftTeamsApp  *appModel   `json:"microsoftTeamsApp,omitempty"`
	TeamsExtensionUser *extModel   `json:"teamsExtensionUser,omitempty"`
}

type userModel struct {
	ID string `json:"id"`
}

type phoneModel struct {
	Value       string `json:"value"`
	IsAnonymous *bool  `json:"isAnonymous,omitempty"`
	AssertedID  string `json:"assertedId,omitempty"`
}

type teamsModel struct {
	UserID      string `json:"userId"`
	IsAnonymous *bool  `json:"isAnonymous,omitempty"`
	Cloud       string `json:"cloud,omitempty"`
}

type appModel struct {
	AppID string `json:"appId"`
	Cloud string `json:"cloud,omitempty"`
}

type extModel struct {
	UserID     string `json:"userId"`
	TenantID   string `json:"tenantId"`
	ResourceID string `json:"resourceId"`
	Cloud      string `json:"cloud,omitempty"`
}

// identityOf tells a raw id's kind by its prefix.
func identityOf(rawID string) identifier {
	prefixed := func(prefix string) (string, bool) { return strings.CutPrefix(rawID, prefix) }
	if number, ok := prefixed("4:"); ok {
		return identifier{Kind: "phoneNumber", RawID: rawID, PhoneNumber: &phoneModel{Value: number}}
	}
	for _, t := range []struct {
		prefix, cloud string
		anonymous     bool
	}{
		{"8:orgid:", "public", false}, {"8:dod:", "dod", false}, {"8:gcch:", "gcch", false},
		{"8:teamsvisitor:", "public", true},
	} {
		if user, ok := prefixed(t.prefix); ok {
			return identifier{Kind: "microsoftTeamsUser", RawID: rawID, MicrosoftTeamsUser: &teamsModel{
				UserID: user, IsAnonymous: &t.anonymous, Cloud: t.cloud,
			}}
		}
	}
	if app, ok := prefixed("28:orgid:"); ok {
		return identifier{Kind: "microsoftTeamsApp", RawID: rawID, MicrosoftTeamsApp: &appModel{AppID: app, Cloud: "public"}}
	}
	if parts := strings.Split(strings.TrimPrefix(rawID, "8:acs:"), "_"); strings.HasPrefix(rawID, "8:acs:") && len(parts) == 3 {
		return identifier{Kind: "teamsExtensionUser", RawID: rawID, TeamsExtensionUser: &extModel{
			ResourceID: parts[0], TenantID: parts[1], UserID: parts[2], Cloud: "public",
		}}
	}
	if strings.HasPrefix(rawID, "8:acs:") || strings.HasPrefix(rawID, "8:spool:") {
		return identifier{Kind: "communicationUser", RawID: rawID, CommunicationUser: &userModel{ID: rawID}}
	}
	return identifier{Kind: "unknown", RawID: rawID}
}

// rawID returns the full id of who is meant, "" if nobody is.
func (id *identifier) rawID() string {
	switch {
	case id.RawID != "":
		return id.RawID
	case id.CommunicationUser != nil:
		return id.CommunicationUser.ID
	case id.PhoneNumber != nil:
		return "4:" + id.PhoneNumber.Value
	case id.MicrosoftTeamsUser != nil:
		return id.MicrosoftTeamsUser.rawID()
	case id.MicrosoftTeamsApp != nil:
		return "28:orgid:" + id.MicrosoftTeamsApp.AppID
	case id.TeamsExtensionUser != nil:
		e := id.TeamsExtensionUser
		return "8:acs:" + e.ResourceID + "_" + e.TenantID + "_" + e.UserID
	}
	return ""
}

func (t *teamsModel) rawID() string {
	if t.IsAnonymous != nil && *t.IsAnonymous {
		return "8:teamsvisitor:" + t.UserID
	}
	switch strings.ToLower(t.Cloud) {
	case "dod":
		return "8:dod:" + t.UserID
	case "gcch":
		return "8:gcch:" + t.UserID
	}
	return "8:orgid:" + t.UserID
}

// models lists the parts of id by their names on the wire, with what each
// needs.
func (id *identifier) models() (names []string, incomplete string) {
	add := func(name string, fields map[string]string) {
		names = append(names, name)
		for field, value := range fields {
			if value == "" {
				incomplete = name + "." + field
			}
		}
	}
	if m := id.CommunicationUser; m != nil {
		add("communicationUser", map[string]string{"id": m.ID})
	}
	if m := id.PhoneNumber; m != nil {
		add("phoneNumber", map[string]string{"value": m.Value})
	}
	if m := id.MicrosoftTeamsUser; m != nil {
		add("microsoftTeamsUser", map[string]string{"userId": m.UserID})
	}
	if m := id.MicrosoftTeamsApp; m != nil {
		add("microsoftTeamsApp", map[string]string{"appId": m.AppID})
	}
	if m := id.TeamsExtensionUser; m != nil {
		add("teamsExtensionUser", map[string]string{"userId": m.UserID, "tenantId": m.TenantID, "resourceId": m.ResourceID})
	}
	return names, incomplete
}

// normalize checks what a request says of somebody, and completes kind. The
// kind may be missing: the official clients leave it out in places.
func (id *identifier) normalize(field string) *refusal {
	names, incomplete := id.models()
	switch {
	case len(names) > 1:
		return badArgument(field, "names %s at once", strings.Join(names, " and "))
	case incomplete != "":
		return badArgument(field+"."+incomplete, "is missing")
	case len(names) == 0 && id.RawID == "":
		return badArgument(field, "names nobody")
	case len(names) == 0:
		id.Kind = "unknown"
	case id.Kind == "" || strings.EqualFold(id.Kind, names[0]):
		id.Kind = names[0]
	default:
		return badArgument(field+".kind", "%q does not fit %s", id.Kind, names[0])
	}
	return nil
}

// full returns id with its raw id.
func (id identifier) full() identifier {
	id.RawID = id.rawID()
	return id
}
