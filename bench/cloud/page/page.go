// Package page is the web page by which a person with a microphone joins an
// emulated call: hand-written HTML, CSS and ES modules, embedded as they are.
// It knows nothing of the emulator; its scripts talk to the admin API that is
// served beside it (docs/EMULATOR.md, "People").
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var static embed.FS

// types says what the files are. It is our own table, for that of package mime
// depends on the machine, and a module of the wrong type is not run.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy lets the page load and ask nothing but what is served beside it, and
// nobody frame it: what it shows is a button that opens a microphone.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

type file struct {
	data []byte
	kind string
	etag string
}

// New returns a handler of GET and HEAD for the page at "/" and the files
// beside it. Anything else is 404.
func New() http.Handler {
	files := map[string]file{}
	entries, err := static.ReadDir("static")
	if err != nil {
		panic(fmt.Sprintf("page: %v", err)) // embedded: the build is broken
	}
	for _, e := range entries {
		data, err := fs.ReadFile(static, path.Join("static", e.Name()))
		kind, ok := types[path.Ext(e.Name())]
		if err != nil || !ok {
			panic(fmt.Sprintf("page: %s of type %q: %v", e.Name(), kind, err))
		}
		sum := sha256.Sum256(data)
		files["/"+e.Name()] = file{data, kind, `"` + hex.EncodeToString(sum[:12]) + `"`}
	}
	files["/"] = files["/index.html"]
	delete(files, "/index.html") // one address for one page
	return handler(files)
}

type handler map[string]file

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := h[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	header.Set("Content-Type", f.kind)
	// A browser asks each time, and is told mostly that nothing changed: a new
	// build must not meet the scripts of the last.
	header.Set("Cache-Control", "no-cache")
	header.Set("ETag", f.etag)
	header.Set("Content-Security-Policy", policy)
	header.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}
