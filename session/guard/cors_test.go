package guard

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOrigins(t *testing.T) {
	for _, bad := range []string{"app.example", "https://app.example/", "https://", "null", "", "https://a b", "*"} {
		_, err := New("", bad)
		require.ErrorContains(t, err, "origin", bad)
	}
	_, err := New("token", "*")
	require.NoError(t, err)
}

// TestCORS asks as a page of an origin does: first whether it may, and then with
// the request itself.
func TestCORS(t *testing.T) {
	for _, tt := range []struct {
		name, token, bearer, origin string
		origins                     []string
		preflight, lets             bool // what the browser is told, and what the guard says
	}{
		{name: "a page that is named", origin: "https://app.example", origins: []string{"https://App.example"}, preflight: true, lets: true},
		{name: "another", origin: "https://evil.example", origins: []string{"https://app.example"}},
		{name: "another port", origin: "https://app.example:444", origins: []string{"https://app.example"}},
		{name: "nobody is named", origin: "https://app.example"},
		{name: "with the token", token: "t", bearer: "Bearer t", origin: "https://app.example", origins: []string{"https://app.example"}, preflight: true, lets: true},
		{name: "without it", token: "t", origin: "https://app.example", origins: []string{"https://app.example"}, preflight: true},
		{name: "any page with the token", token: "t", bearer: "Bearer t", origin: "https://any.example", origins: []string{"*"}, preflight: true, lets: true},
		{name: "no page", origins: []string{"https://app.example"}, lets: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := New(tt.token, tt.origins...)
			require.NoError(t, err)
			r := httptest.NewRequest("OPTIONS", "http://127.0.0.1:7070/webrtc", nil)
			r.RemoteAddr = "127.0.0.1:5000"
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
				r.Header.Set("Sec-Fetch-Site", "cross-site")
			}
			r.Header.Set("Access-Control-Request-Method", "POST")
			rec := httptest.NewRecorder()
			require.Equal(t, tt.preflight, g.CORS(rec, r, "DELETE, POST"))
			if tt.preflight {
				require.Equal(t, 204, rec.Code)
				require.Equal(t, tt.origin, rec.Header().Get("Access-Control-Allow-Origin"))
				require.Equal(t, "DELETE, POST", rec.Header().Get("Access-Control-Allow-Methods"))
				require.Contains(t, rec.Header().Get("Access-Control-Allow-Headers"), "Authorization")
			} else {
				require.Empty(t, rec.Header().Get("Access-Control-Allow-Origin"))
			}
			require.Equal(t, len(tt.origins) > 0, rec.Header().Get("Vary") == "Origin")

			r.Method = "POST"
			r.Header.Del("Access-Control-Request-Method")
			r.Header.Set("Authorization", tt.bearer)
			rec = httptest.NewRecorder()
			require.False(t, g.CORS(rec, r, "DELETE, POST"))
			require.Equal(t, tt.preflight, rec.Header().Get("Access-Control-Expose-Headers") != "")
			require.Equal(t, tt.lets, g.Check(r) == nil)
		})
	}
}
