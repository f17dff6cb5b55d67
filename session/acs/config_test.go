package acs

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestParseConnectionString(t *testing.T) {
	for _, s := range []string{
		"endpoint=https://contoso.communication.azure.com/;accesskey=" + testKey,
		"Endpoint=https://contoso.communication.azure.com/;AccessKey=" + testKey + ";",
		"accesskey=" + testKey + ";ENDPOINT=https://contoso.communication.azure.com/",
		" endpoint = https://contoso.communication.azure.com/ ; accesskey = " + testKey + " ",
	} {
		endpoint, key, err := ParseConnectionString(s)
		require.NoError(t, err, s)
		require.Equal(t, "https://contoso.communication.azure.com/", endpoint)
		require.Equal(t, testKey, key)
	}
	_, key, err := ParseConnectionString("endpoint=https://x;accesskey=YWJjZA==")
	require.NoError(t, err)
	require.Equal(t, "YWJjZA==", key, "padding is not a separator")
	for s, want := range map[string]string{
		"":                                  "endpoint is missing",
		"endpoint=https://x":                "accesskey is missing",
		"accesskey=a":                       "endpoint is missing",
		"endpoint=;accesskey=":              "endpoint is missing",
		"endpoint":                          "a segment has no '='",
		"endpoint=a;key=b":                  `unknown name "key"`,
		"endpoint=a;endpoint=b;accesskey=c": "endpoint stands twice",
	} {
		_, _, err := ParseConnectionString(s)
		require.ErrorContains(t, err, want, s)
	}
}

func TestNewClientChecks(t *testing.T) {
	with := func(change func(*ClientConfig)) ClientConfig {
		c := ClientConfig{Endpoint: "https://contoso.communication.azure.com", AccessKey: testKey}
		change(&c)
		return c
	}
	for want, c := range map[string]ClientConfig{
		"endpoint is empty":      {AccessKey: testKey},
		"want no path":           with(func(c *ClientConfig) { c.Endpoint += "/x" }),
		"query":                  with(func(c *ClientConfig) { c.Endpoint += "?a=b" }),
		"want https://host":      with(func(c *ClientConfig) { c.Endpoint = "ftp://x" }),
		"user information":       with(func(c *ClientConfig) { c.Endpoint = "https://u:p@x" }),
		"is not a URL":           with(func(c *ClientConfig) { c.Endpoint = "https://x:y z" }),
		"loopback":               with(func(c *ClientConfig) { c.Endpoint = "http://contoso.example" }),
		"is not base64":          with(func(c *ClientConfig) { c.AccessKey = "s3cret!" }),
		"of 0 characters":        with(func(c *ClientConfig) { c.AccessKey = "" }),
		`"2023-03-06"`:           with(func(c *ClientConfig) { c.APIVersion = "2023-03-06" }),
		"negative retry setting": with(func(c *ClientConfig) { c.MaxAttempts = -1 }),
		"excludes":               with(func(c *ClientConfig) { c.ConnectionString = "endpoint=https://x;accesskey=YQ==" }),
	} {
		_, err := NewClient(c)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for given, want := range map[string]string{
		"https://Contoso.Communication.azure.com/": "https://contoso.communication.azure.com",
		"https://x:443":          "https://x",
		"http://127.0.0.1:80/":   "http://127.0.0.1",
		"http://localhost:8080":  "http://localhost:8080",
		"http://[::1]:8080":      "http://[::1]:8080",
		"https://x.example:8443": "https://x.example:8443",
	} {
		c, err := NewClient(ClientConfig{ConnectionString: "endpoint=" + given + ";accesskey=" + testKey})
		require.NoError(t, err, given)
		require.Equal(t, want, c.config.Endpoint)
		require.Equal(t, Version2026, c.APIVersion())
		require.Equal(t, "acs", c.Name())
	}
	_, err := NewClient(ClientConfig{Endpoint: "http://contoso.example", AccessKey: testKey, Insecure: true})
	require.NoError(t, err)
}

func TestConfigHidesItsSecrets(t *testing.T) {
	c := ClientConfig{Endpoint: "https://x", AccessKey: testKey, ConnectionString: "accesskey=" + testKey}
	c.HTTPClient = nil
	b, err := json.Marshal(struct{ A, C string }{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprint(&c)})
	require.NoError(t, err)
	require.NotContains(t, string(b), testKey)
	require.Contains(t, string(b), "https://x")
}
