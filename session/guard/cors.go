package guard

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// checkOrigins returns the origins as browsers spell them.
func checkOrigins(origins []string, token bool) (list []string, err error) {
	for _, o := range origins {
		u, err := url.Parse(o)
		switch {
		case o == "*" && token:
		case o == "*":
			return nil, fmt.Errorf("origin %q: any page may only be let in where there is a token", o)
		case err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != o:
			return nil, fmt.Errorf("origin %q: want one such as https://app.example", o)
		}
		list = append(list, strings.ToLower(o))
	}
	return list, nil
}

// lets reports whether pages of an origin may ask.
func (g Guard) lets(origin string) bool {
	return origin != "" && (slices.Contains(g.origins, strings.ToLower(origin)) || slices.Contains(g.origins, "*"))
}

// CORS lets the pages of the guard's origins read the response, and answers what
// their browsers ask before they send a request (Fetch, section 3.3): it reports
// whether r was that, which bears no token, so that it comes before Check.
// methods are those of the path: "DELETE, POST".
func (g Guard) CORS(w http.ResponseWriter, r *http.Request, methods string) (answered bool) {
	h := w.Header()
	if len(g.origins) > 0 {
		h.Add("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	if !g.lets(origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Link, Location, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", methods)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
