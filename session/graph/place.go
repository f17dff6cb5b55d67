package graph

import (
	"net/url"
	"strings"
)

// place is the resource that a path names: a call, or something below it.
type place struct {
	// callID as it is written, empty if the path names no call.
	callID string
	// kind is the collection below the call in lower case, empty for the
	// call itself, and id what it names in there.
	kind, id string
}

// parsePlace reads "/communications/calls/{id}[/{collection}[/{id}]]", also
// as it stood before ("/app/calls/…"), with a version, as part of a URL,
// without its first slash, and with ids in brackets: calls('{id}').
func parsePlace(path string) place {
	path, _, _ = strings.Cut(path, "?")
	var p place
	segments := strings.Split(path, "/")
	for i, s := range segments {
		id, bracketed := inBrackets(s, "calls")
		switch {
		case bracketed:
			p.callID = id
		case strings.EqualFold(s, "calls") && i+1 < len(segments):
			i++
			p.callID = unescape(segments[i])
		default:
			continue
		}
		p.below(segments[i+1:])
		break
	}
	return p
}

// below reads what stands behind the call's id.
func (p *place) below(segments []string) {
	if len(segments) == 0 || segments[0] == "" {
		return
	}
	p.kind = unescape(segments[0])
	if name, _, ok := strings.Cut(p.kind, "("); ok {
		p.id, _ = inBrackets(segments[0], name)
		p.kind = name
	} else if len(segments) > 1 {
		p.id = unescape(segments[1])
	}
	p.kind = strings.ToLower(p.kind)
}

// inBrackets reads name('id').
func inBrackets(s, name string) (id string, ok bool) {
	s = unescape(s)
	if len(s) < len(name) || !strings.EqualFold(s[:len(name)], name) {
		return "", false
	}
	id, ok = strings.CutPrefix(s[len(name):], "('")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(id, "')")
}

// unescape undoes percent encoding where there is any.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
