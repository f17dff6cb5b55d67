package cloud

import (
	"net/http"
	"net/url"
)

// changeApp is who asks for change notifications.
type changeApp struct {
	ID, TenantID string
	Roles        []string
}

// changes are the change notifications, which are not served yet.
type changes struct{}

func (c *changes) serve(changeApp, string, string, string, url.Values, []byte) *response {
	return graphError(http.StatusNotImplemented, "NotImplemented", "Change notifications are not served.")
}
