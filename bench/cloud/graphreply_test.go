package cloud

import (
	"fmt"
	"net/http"
)

// reply is a response of the emulator.
type reply struct {
	status int
	header http.Header
	text   []byte
	body   map[string]any
}

func (r reply) code() any    { return r.sub("error")["code"] }
func (r reply) str() string  { return fmt.Sprintf("HTTP %d %s", r.status, r.text) }
func (r reply) says() string { s, _ := r.sub("error")["message"].(string); return s }
func (r reply) id() string   { s, _ := r.body["id"].(string); return s }
func (r reply) sub(key string) map[string]any {
	m, _ := r.body[key].(map[string]any)
	return m
}
