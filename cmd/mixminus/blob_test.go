package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mixminus/mixminus/session/blob"
	"github.com/stretchr/testify/require"
)

const sampleBlob = "../../session/blob/testdata/audio-2018.json"

// blobRun runs "mixminus blob" with what is on standard input.
func blobRun(stdin string, args ...string) (string, error) {
	cmd := blobCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), err
}

func TestBlobParse(t *testing.T) {
	text, err := os.ReadFile(sampleBlob)
	require.NoError(t, err)

	out, err := blobRun("", "parse", sampleBlob)
	require.NoError(t, err)
	for _, want := range []string{"net.tcp://bot.contoso.com:18732", "sendrecv, 16 kHz mono", "video      none", "cannot host it"} {
		require.Contains(t, out, want)
	}
	out, err = blobRun(string(text), "parse", "--emit", "-")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(text)), strings.TrimSpace(out))

	out, err = blobRun(string(text), "parse", "--json")
	require.NoError(t, err)
	var s blob.Summary
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	require.Equal(t, "1b69b141-7f1a-4033-9c34-202737190a20", s.CallID)

	_, err = blobRun("", "parse", filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = blobRun(`{"mpUri":[]}`, "parse")
	require.ErrorContains(t, err, "mpUri")
}

func TestBlobBuildThenCheck(t *testing.T) {
	out, err := blobRun("", "build", "--mp-uri", "wss://h/media", "--audio", "recvonly", "--string")
	require.NoError(t, err)
	b, err := blob.Parse([]byte(out))
	require.NoError(t, err)
	require.Equal(t, "recvonly", b.Summary().Audio)
	require.NoError(t, b.Hostable())

	checked, err := blobRun(out, "check")
	require.NoError(t, err)
	require.Equal(t, "ok\n", checked)
	checked, err = blobRun(strings.Replace(out, "Pcm16K", "Pcm8K", 1), "check", "--json")
	require.ErrorIs(t, err, errFailed)
	require.Contains(t, checked, `"key":"supportedAudioFormat","value":"Pcm8K"`)

	for _, args := range [][]string{
		{"build"},
		{"build", "--mp-uri", "x"},
		{"build", "--mp-uri", "wss://h", "--audio", "both"},
		{"build", "--mp-uri", "wss://h", "--call-id", "7"},
		{"build", "--mp-uri", "wss://h", "--format", "Opus"},
	} {
		_, err := blobRun("", args...)
		require.Error(t, err, args)
	}
}
