package bench

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
)

// A tree is the source of a module as far as the rules look at it: every Go
// file that is not below testdata, node_modules, or a folder that begins with
// "." or "_" or is ignored by the root's .gitignore.
type tree struct {
	fset    *token.FileSet
	folders []string // at the top, dot folders left out
	nested  []string // folders that hold a go.mod of their own
	sources []*source
}

type source struct {
	path   string // below the root, with slashes
	text   []byte
	file   *ast.File // nil if it does not parse
	err    error     // why not
	test   bool
	nested bool // belongs to a nested module
}

func (s *source) pkg() string { return path.Dir(s.path) }

// script reports whether s is run by hand (go run, go generate) and belongs
// to no build.
func (s *source) script() bool {
	return slices.ContainsFunc(s.file.Comments, func(c *ast.CommentGroup) bool {
		return c.Pos() < s.file.Package && slices.ContainsFunc(c.List, func(c *ast.Comment) bool { return c.Text == "//go:build ignore" })
	})
}

func readTree(root fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	ignored, err := ignoredAtTop(root)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case !d.IsDir():
			return t.read(root, name)
		case skipped(name, ignored):
			return fs.SkipDir
		case !strings.Contains(name, "/"):
			t.folders = append(t.folders, name)
		}
		return nil
	})
	for _, s := range t.sources {
		s.nested = slices.ContainsFunc(t.nested, func(dir string) bool { return strings.HasPrefix(s.path, dir+"/") })
	}
	return t, err
}

// skipped reports whether a folder is no part of the tree.
func skipped(name string, ignored []string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules" ||
		slices.ContainsFunc(ignored, func(pattern string) bool {
			ok, err := path.Match(pattern, name)
			return ok && err == nil
		})
}

func (t *tree) read(root fs.FS, name string) error {
	if path.Base(name) == "go.mod" && name != "go.mod" {
		t.nested = append(t.nested, path.Dir(name))
	}
	if path.Ext(name) != ".go" {
		return nil
	}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	s := &source{path: name, text: text, test: strings.HasSuffix(name, "_test.go")}
	s.file, s.err = parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if s.err != nil {
		s.file = nil
	}
	t.sources = append(t.sources, s)
	return nil
}

// ignoredAtTop returns the folders that the root's .gitignore names by
// "/pattern": what a demo leaves behind is not part of the house.
func ignoredAtTop(root fs.FS) ([]string, error) {
	text, err := fs.ReadFile(root, ".gitignore")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		if rooted, ok := strings.CutPrefix(strings.TrimSpace(line), "/"); ok {
			patterns = append(patterns, strings.TrimSuffix(rooted, "/"))
		}
	}
	return patterns, err
}

// packages returns the folders that hold Go files, and their files.
func (t *tree) packages() iter.Seq2[string, []*source] {
	files := map[string][]*source{}
	for _, s := range t.sources {
		files[s.pkg()] = append(files[s.pkg()], s)
	}
	return func(yield func(string, []*source) bool) {
		for _, pkg := range slices.Sorted(maps.Keys(files)) {
			if !yield(pkg, files[pkg]) {
				return
			}
		}
	}
}

func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}
