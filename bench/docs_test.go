package bench

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocumentsNameWhatIs holds the documents to their word: each test,
// benchmark and example that one names is there.
func TestDocumentsNameWhatIs(t *testing.T) {
	root := filepath.Join("..")
	written := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz|Example)\w*)\(`)
	have := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range written.FindAllStringSubmatch(string(text), -1) {
			have[m[1]] = true
		}
		return err
	}))
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	documents = append(documents, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md"))
	named := regexp.MustCompile(`\b(?:Test|Benchmark|Fuzz)[A-Z]\w*`)
	total := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, name := range named.FindAllString(string(text), -1) {
			total++
			require.True(t, have[name], "%s names %s, which is nowhere", document, name)
		}
	}
	require.Greater(t, total, 50)
}
