package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	return w.Result()
}

func TestFilesAreServedWithTypeAndPolicy(t *testing.T) {
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/page.css": "text/css; charset=utf-8",
		"/main.js": "text/javascript; charset=utf-8", "/favicon.svg": "image/svg+xml",
	} {
		resp := get(t, "GET", path)
		require.Equal(t, 200, resp.StatusCode, path)
		require.Equal(t, kind, resp.Header.Get("Content-Type"), path)
		require.Equal(t, "no-cache", resp.Header.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), path)
		require.True(t, strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'self';"), path)
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	tag := get(t, "GET", "/main.js").Header.Get("ETag")
	require.NotEmpty(t, tag)
	resp := get(t, "GET", "/main.js", "If-None-Match", tag)
	require.Equal(t, http.StatusNotModified, resp.StatusCode)
	require.NotEqual(t, tag, get(t, "GET", "/page.css").Header.Get("ETag"))
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/index.html", "/static/main.js", "/page.go", "/nope", "//", "/../page.go"} {
		require.Equal(t, 404, get(t, "GET", path).StatusCode, path)
	}
	require.Equal(t, 405, get(t, "POST", "/").StatusCode)
	require.Equal(t, 200, get(t, "HEAD", "/").StatusCode)
}

// TestPageIsSelfContained: what the page and its modules name is embedded, all
// that is embedded is named, and nothing comes from elsewhere.
func TestPageIsSelfContained(t *testing.T) {
	entries, err := static.ReadDir("static")
	require.NoError(t, err)
	unused := map[string]bool{}
	for _, e := range entries {
		unused[e.Name()] = true
	}
	named := regexp.MustCompile(`(?:href|src)="([^"#]+)"|from "\./([^"]+)"|url\(([^)]+)\)`)
	foreign := regexp.MustCompile(`https?://|//[a-z]+\.[a-z]`)
	for _, e := range entries {
		text, err := static.ReadFile("static/" + e.Name())
		require.NoError(t, err)
		body := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")
		require.NotRegexp(t, foreign, body, e.Name())
		require.NotContains(t, body, " style=", "%s: the policy refuses styles in the page", e.Name())
		for _, m := range named.FindAllStringSubmatch(body, -1) {
			name := strings.TrimPrefix(m[1]+m[2]+m[3], "/")
			require.Contains(t, unused, name, "%s names it", e.Name())
			unused[name] = false
		}
	}
	unused["index.html"] = false
	for name, is := range unused {
		require.False(t, is, "%s is named nowhere", name)
	}
}
