package graph

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample reads one of the documents' samples.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "seeds", name+".json"))
	require.NoError(t, err)
	return data
}

// TestSamplesAreAllThere guards against one getting lost: each document is
// known to have so many.
func TestSamplesAreAllThere(t *testing.T) {
	for prefix, want := range map[string]int{"answer-v1-": 12, "answer-beta-": 12, "create-": 17, "events-": 7} {
		files, err := filepath.Glob(filepath.Join("testdata", "seeds", prefix+"*.json"))
		require.NoError(t, err)
		require.Len(t, files, want, prefix)
		for _, f := range files {
			require.True(t, json.Valid(sample(t, strings.TrimSuffix(filepath.Base(f), ".json"))), f)
		}
	}
}

// TestCallSamplesSurvive reads and writes every call, participant and roster
// in the samples.
func TestCallSamplesSurvive(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "seeds", "*.json"))
	require.NoError(t, err)
	calls, participants := 0, 0
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		t.Run(name, func(t *testing.T) {
			var doc any
			require.NoError(t, json.Unmarshal(sample(t, name), &doc))
			walk(doc, func(o map[string]any) {
				text, err := json.Marshal(o)
				require.NoError(t, err)
				switch o["@odata.type"] {
				case "#microsoft.graph.call":
					calls++
					survives[Call](t, text)
				case "#microsoft.graph.participant":
					participants++
					survives[Participant](t, text)
				}
			})
		})
	}
	require.Equal(t, 29, calls)
	require.Equal(t, 3, participants)
}

func walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, e := range v {
			walk(e, visit)
		}
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	}
}

func survives[T any](t *testing.T, text []byte) {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal(text, &v))
	again, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(again))
}
