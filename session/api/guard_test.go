package api

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mixminus/mixminus/session"
)

func TestTokenOverHTTP(t *testing.T) {
	w := newWorld(t, Config{Token: "s3cret"}, session.Config{})
	_, err := w.Stats(t.Context())
	require.NoError(t, err)
	w.Token = ""
	_, err = w.Stats(t.Context())
	require.Equal(t, "unauthorized", code(t, err, 401).Code)
	resp, err := w.server.Client().Get(w.server.URL + "/v1/stats")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "Bearer", resp.Header.Get("WWW-Authenticate"))
}
