package rtc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// servePatch takes candidates, or restarts ICE (RFC 9725, section 4.3.1). A
// fragment with other credentials than those of the peer is a restart, whatever
// its If-Match: "*" is any ICE session, and so is the current one's tag.
func (p *peer) servePatch(w http.ResponseWriter, r *http.Request) {
	said := strings.Join(r.Header.Values("If-Match"), ",")
	if said == "" {
		writeError(w, &httpError{http.StatusPreconditionRequired, "no_tag", "If-Match is missing: want the ETag of the ICE session, or * to restart it"})
		return
	}
	text, no := readBody(w, r, fragmentType, maxFragment)
	if no != nil {
		writeError(w, no)
		return
	}
	f, err := readFragment(text)
	if err != nil {
		writeError(w, unprocessable(err))
		return
	}
	// Whoever hangs up must not leave the restart half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answersIn)
	defer cancel()
	ours, etag, err := p.patch(ctx, f, func(current string) bool { return matches(said, current) })
	switch {
	case err != nil:
		writeError(w, unprocessable(err))
	case ours == "":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header()["Etag"] = []string{etag}
		w.Header().Set("Content-Type", fragmentType)
		_, _ = io.WriteString(w, ours)
	}
}

// matches reports whether If-Match names the tag, or * (RFC 9110, section
// 13.1.1). Weak tags never match. The example of RFC 9725, section 4.3.3, has
// the star in quotes, and so have peers that were made after it.
func matches(said, tag string) bool {
	for one := range strings.SplitSeq(said, ",") {
		switch strings.TrimSpace(one) {
		case tag, "*", `"*"`:
			return true
		}
	}
	return false
}

// unprocessable gives an error of a fragment its status.
func unprocessable(err error) *httpError {
	if bad := (*OfferError)(nil); errors.As(err, &bad) && bad.NotAcceptable() {
		return &httpError{http.StatusUnprocessableEntity, "unprocessable", err.Error()}
	}
	return httpErrorOf(err)
}
