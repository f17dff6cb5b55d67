package acs

import (
	"net/url"

	"github.com/mixminus/mixminus/session"
	"github.com/mixminus/mixminus/session/rest"
)

// Checks of the addresses that go into requests. Errors tell scheme and host
// of an address only: path and query may hold secrets.

// webAddress checks where the service is to post, or what it is to fetch.
// Call Automation takes https only ("Troubleshooting response codes"); plain
// http is for loopback addresses, where an emulator posts, unless Insecure.
func (c *Client) webAddress(field, raw string) error {
	return c.address(field, raw, "https", "http")
}

// mediaAddress checks where the service is to dial: wss, and ws as above.
func (c *Client) mediaAddress(field, raw string) error {
	return c.address(field, raw, "wss", "ws")
}

func (c *Client) address(field, raw, scheme, plain string) error {
	want := "want " + scheme + "://host"
	u, err := url.Parse(raw)
	if err != nil {
		return &session.FieldError{Field: field, Value: "", Want: want}
	}
	shown := rest.Clip(u.Scheme + "://" + u.Host)
	switch {
	case u.Host == "" || u.User != nil || u.Scheme != scheme && u.Scheme != plain:
		return &session.FieldError{Field: field, Value: shown, Want: want}
	case u.Scheme == plain && !c.config.Insecure && !loopback(u.Hostname()):
		return &session.FieldError{Field: field, Value: shown, Want: want + "; " + plain + " is for loopback addresses only"}
	}
	return nil
}

// optionalWeb is webAddress for what may be empty.
func (c *Client) optionalWeb(field, raw string) error {
	if raw == "" {
		return nil
	}
	return c.webAddress(field, raw)
}

// party checks the raw id of one party and returns its model.
func (c *Client) party(field, rawID string) (identifier, error) {
	if rawID == "" {
		return identifier{}, &session.FieldError{Field: field, Value: "", Want: "want a raw id such as 8:acs:… or 4:+14250123456"}
	}
	return identifierOf(c.config.APIVersion, rawID), nil
}

// parties is party for several; none gives none.
func (c *Client) parties(field string, rawIDs []string) ([]identifier, error) {
	ids := make([]identifier, 0, len(rawIDs))
	for _, raw := range rawIDs {
		id, err := c.party(field, raw)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// number reads a phone number with or without the "4:" of its raw id; nil for
// none.
func phoneOf(number string) *phoneNumber {
	if number == "" {
		return nil
	}
	if len(number) > 2 && number[:2] == "4:" {
		number = number[2:]
	}
	return &phoneNumber{Value: number}
}

// within checks a number of seconds or ms that the service bounds; 0 leaves it
// to the service.
func within(field string, value, low, high int) error {
	if value != 0 && (value < low || value > high) {
		return badNumber(field, value, low, high)
	}
	return nil
}
