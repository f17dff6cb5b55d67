package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/session/graph"
	"github.com/stretchr/testify/require"
)

// richDir holds notifications that OpenSSL encrypted, the first for key a and
// the second for key b.
const richDir = "../../session/graph/testdata/rich/"

// notificationRun runs "mixminus notification" and returns what is on standard
// output and on standard error.
func notificationRun(stdin string, args ...string) (string, string, error) {
	cmd := notificationCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out, errs bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), errs.String(), err
}

// captured returns the notifications, to be changed and encoded.
func captured(t *testing.T) []graph.ChangeNotification {
	t.Helper()
	text, err := os.ReadFile(richDir + "notification.json")
	require.NoError(t, err)
	all, err := graph.ParseCaptured(text)
	require.NoError(t, err)
	return all
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestNotificationDecrypt(t *testing.T) {
	plain, err := os.ReadFile(richDir + "plain-0.json")
	require.NoError(t, err)
	first := captured(t)[0]
	for name, in := range map[string]string{
		"a notification":   encoded(t, first),
		"a body of one":    encoded(t, graph.ChangeNotifications{Value: []graph.ChangeNotification{first}}),
		"encryptedContent": encoded(t, struct{ *graph.EncryptedContent }{first.EncryptedContent}),
	} {
		out, errs, err := notificationRun(in, "decrypt", "--key", richDir+"key-a.pem", "-")
		require.NoError(t, err, name+errs)
		require.JSONEq(t, string(plain), out)
		require.Greater(t, strings.Count(out, "\n"), 10, "pretty")
	}
	_, _, err = notificationRun(encoded(t, first), "decrypt", "--key", richDir+"key-a.pem")
	require.NoError(t, err, "standard input too if no file is named")
}

// TestNotificationDecryptSome: each notification is told by itself.
func TestNotificationDecryptSome(t *testing.T) {
	out, errs, err := notificationRun("", "decrypt", "--key", richDir+"key-b.pem", richDir+"notification.json")
	require.ErrorIs(t, err, errFailed)
	require.Contains(t, out, `"Reason": "Participant has left the meeting call."`)
	require.Contains(t, errs, `mixminus: notification 0: `)
	require.Contains(t, errs, `dataKey of 256 bytes: want 384 for this key`)
	require.Contains(t, errs, `use the private key of the certificate "a"`)

	out, errs, err = notificationRun("", "decrypt", "--json", "--key", richDir+"key-b.pem", richDir+"notification.json")
	require.ErrorIs(t, err, errFailed)
	require.Empty(t, errs)
	var told struct {
		OK    bool
		Items []struct {
			Index          int
			OK             bool
			SubscriptionID string `json:"subscription_id"`
			CertificateID  string `json:"certificate_id"`
			Resource       *graph.CallEvent
			Error          string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &told))
	require.False(t, told.OK)
	require.Len(t, told.Items, 2)
	require.False(t, told.Items[0].OK)
	require.NotEmpty(t, told.Items[0].Error)
	require.True(t, told.Items[1].OK)
	require.Equal(t, graph.RosterUpdated, told.Items[1].Resource.Kind())
	require.Equal(t, "b", told.Items[1].CertificateID)
	require.Equal(t, "76222963-cc7b-42d2-882d-8aaa69cb2ba3", told.Items[1].SubscriptionID)
}

func TestNotificationDecryptRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*graph.EncryptedContent)
		want   string
	}{
		"signature": {func(c *graph.EncryptedContent) { c.DataSignature = "AAAA" + c.DataSignature[4:] }, "the signature does not verify"},
		"data":      {func(c *graph.EncryptedContent) { c.Data = "AAAA" + c.Data[4:] }, "the signature does not verify"},
		"blocks":    {func(c *graph.EncryptedContent) { c.Data = c.Data[64:] }, "the signature does not verify"},
		"cut":       {func(c *graph.EncryptedContent) { c.Data = c.Data[:len(c.Data)-8] }, "it was cut"},
		"key":       {func(c *graph.EncryptedContent) { c.DataKey = "AAAA" + c.DataKey[4:] }, "the signature does not verify"},
	} {
		all := captured(t)[:1]
		c.change(all[0].EncryptedContent)
		out, errs, err := notificationRun(encoded(t, graph.ChangeNotifications{Value: all}), "decrypt", "--key", richDir+"key-a.pem")
		require.ErrorIs(t, err, errFailed, name)
		require.Empty(t, out)
		require.Contains(t, errs, c.want, name)
		require.Contains(t, errs, `capture the notification again, whole`)
	}
	// A certificate beside the key tells more.
	both := filepath.Join(t.TempDir(), "both.pem")
	var text []byte
	for _, name := range []string{"key-a.pem", "cert-a.pem"} {
		part, err := os.ReadFile(richDir + name)
		require.NoError(t, err)
		text = append(text, part...)
	}
	require.NoError(t, os.WriteFile(both, text, 0o600))
	_, errs, err := notificationRun("", "decrypt", "--key", both, richDir+"notification.json")
	require.ErrorIs(t, err, errFailed)
	require.Contains(t, errs, "encryptionCertificateThumbprint")
	require.Contains(t, errs, `use the private key of the certificate "b"`)
}

func TestNotificationDecryptErrors(t *testing.T) {
	key := []string{"decrypt", "--key", richDir + "key-a.pem"}
	for want, run := range map[string]struct {
		stdin string
		args  []string
	}{
		`"key" not set`:              {"{}", key[:1]},
		"no private key in PEM":      {"{}", []string{"decrypt", "--key", richDir + "cert-a.pem"}},
		"no such file":               {"{}", []string{"decrypt", "--key", filepath.Join(t.TempDir(), "none")}},
		"none: no such":              {"{}", append(key[:3:3], filepath.Join(t.TempDir(), "none"))},
		"unexpected end":             {"", key},
		"neither value":              {"{}", key},
		"has an encryptedContent":    {`{"value":[{"resourceData":{"id":"1"}}]}`, key},
		"value: cannot be number":    {`{"value":7}`, key},
		"none of 0 notifications":    {`{"value":[]}`, key},
		"accepts at most 1 arg":      {"", append(key[:3:3], "a", "b")},
		"longer than 16777216 bytes": {strings.Repeat(" ", maxCaptured+1), key},
	} {
		_, _, err := notificationRun(run.stdin, run.args...)
		require.ErrorContains(t, err, want)
	}
	cmd := notificationDecryptCommand()
	require.Contains(t, cmd.Example, "mixminus notification decrypt --key")
}
