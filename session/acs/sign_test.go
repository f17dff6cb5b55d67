package acs

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSign(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString(testKey)
	require.NoError(t, err)
	const prefix = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="
	for _, c := range []struct {
		name, target, host, date, body, hash, signature string
	}{
		{
			"vector", "/calling/callConnections?api-version=2022-04-07-preview", "127.0.0.1:8080",
			"Sun, 06 Nov 1994 08:49:37 GMT", `{"hello":"acs"}`,
			"kxGVv1aNXTYGhLmpTGbY8rmbJAn1WU1cUnipt3aU0sY=", "INEZNy/cIrS8n2TUlmXr66km8TwpyzJiOajFyW9TYQs=",
		},
		{
			"capture of the official client", "/calling/callConnections?api-version=2026-03-12", "127.0.0.1:36073",
			"Sun, 22 Nov 2026 03:47:01 GMT", strings.TrimSpace(string(golden(t, "create-2026-request.json"))),
			"Y1KuemBEj0NaQ5pa5mTHqp7YjRgiBU5ASkAzM4sI854=", "0EY3Rx5qHZCGE9hlGjxcoM/4JFBICkUk4AQLfzla2oY=",
		},
	} {
		s := sign(key, "POST", c.target, c.host, c.date, []byte(c.body))
		require.Equal(t, c.hash, s.contentHash, c.name)
		require.Equal(t, prefix+c.signature, s.authorization, c.name)
		require.Equal(t, c.date, s.date, c.name)
	}
	require.Equal(t, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", sign(key, "GET", "/", "h", "d", nil).contentHash)
}
