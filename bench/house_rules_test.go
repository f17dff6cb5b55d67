package bench

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// matches reports whether any of the patterns in list fits name.
func matches(list, name string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(pattern string) bool {
		prefix, deep := strings.CutSuffix(pattern, "...")
		if !deep {
			return pattern == name
		}
		return strings.HasPrefix(name+"/", prefix)
	})
}

// rules are applied in this order; each returns one line per fault.
var rules = []struct {
	name  string
	check func(*tree) []string
}{
	{"folders", foldersRule},
	{"gofmt", gofmtRule},
	{"names", namesRule},
	{"imports", importsRule},
	{"cores", coresRule},
	{"package comments", packageCommentsRule},
	{"doc comments", docCommentsRule},
}

func foldersRule(t *tree) (faults []string) {
	for _, dir := range t.folders {
		if !matches(folders, dir) {
			faults = append(faults, fmt.Sprintf("%s: no such floor: the folders at the top are %s", dir, folders))
		}
	}
	for _, dir := range t.nested {
		if !matches("bench/...", dir) {
			faults = append(faults, fmt.Sprintf("%s: a go.mod outside bench is a way round the table of imports", dir))
		}
	}
	return faults
}

func gofmtRule(t *tree) (faults []string) {
	for _, s := range t.sources {
		if s.err != nil {
			faults = append(faults, s.err.Error())
			continue
		}
		if want, err := format.Source(s.text); err != nil || !bytes.Equal(want, s.text) {
			faults = append(faults, fmt.Sprintf("%s: not gofmt'ed (%v)", s.path, err))
		}
	}
	return faults
}

func namesRule(t *tree) (faults []string) {
	for pkg, files := range t.packages() {
		names := []string{path.Base(pkg)}
		for _, s := range files {
			if s.file != nil {
				names = append(names, strings.TrimSuffix(s.file.Name.Name, "_test"))
			}
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if matches(nameless, name) {
				faults = append(faults, fmt.Sprintf("%s: a package is named for what it holds, not %q", pkg, name))
			}
		}
	}
	return faults
}

func importsRule(t *tree) (faults []string) {
	for pkg, files := range t.packages() {
		if _, ok := roomOf(pkg); !ok && !files[0].nested {
			faults = append(faults, fmt.Sprintf("%s: has no room in the table of house_test.go", pkg))
		}
	}
	for _, s := range t.sources {
		if s.file == nil || s.nested {
			continue
		}
		for _, spec := range s.file.Imports {
			if why := wrongImport(s, imported(spec)); why != "" {
				faults = append(faults, fmt.Sprintf("%s: %s imports %s: %s", t.at(spec), s.pkg(), imported(spec), why))
			}
		}
	}
	return faults
}

// imported returns what an import names: ours by its path below the module.
func imported(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value
	}
	return strings.TrimPrefix(p, module+"/")
}

func roomOf(pkg string) (room, bool) {
	i := slices.IndexFunc(rooms, func(r room) bool { return matches(r.at, pkg) })
	if i < 0 {
		return room{}, false
	}
	return rooms[i], true
}

// wrongImport returns why s must not import imp, or "".
func wrongImport(s *source, imp string) string {
	r, ok := roomOf(s.pkg())
	if ok && matches(r.may, imp) {
		return ""
	}
	for _, b := range bans {
		if (!s.test || b.tests) && matches(b.in, s.pkg()) && matches(b.never, imp) && !matches(b.except, imp) {
			return b.why
		}
	}
	if top, _, _ := strings.Cut(imp, "/"); ok && !s.test && matches(folders, top) {
		return r.why
	}
	return ""
}

func coresRule(t *tree) (faults []string) {
	for _, s := range t.sources {
		if s.file == nil || s.nested || s.test {
			continue
		}
		i := slices.IndexFunc(cores, func(c core) bool { return matches(c.at, s.path) || matches(c.at, s.pkg()) })
		if i < 0 {
			continue
		}
		for _, found := range t.impurities(s, cores[i]) {
			faults = append(faults, fmt.Sprintf("%s; %s is sans-IO: %s", found, s.path, cores[i].why))
		}
	}
	return faults
}

// impurities returns what in s a sans-IO core must not do.
func (t *tree) impurities(s *source, c core) (found []string) {
	clockName := ""
	for _, spec := range s.file.Imports {
		imp := imported(spec)
		switch {
		case matches(coreNever, imp) && !matches(coreExcept, imp) && !matches(c.except, imp):
			found = append(found, fmt.Sprintf("%s: imports %s", t.at(spec), imp))
		case imp != "time":
		case spec.Name == nil:
			clockName = "time"
		case spec.Name.Name == ".":
			found = append(found, fmt.Sprintf("%s: imports time under no name, which hides its calls", t.at(spec)))
		default:
			clockName = spec.Name.Name
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, fmt.Sprintf("%s: starts a goroutine", t.at(n)))
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && clockName != "" && x.Name == clockName && matches(clock, n.Sel.Name) {
				found = append(found, fmt.Sprintf("%s: uses time.%s", t.at(n), n.Sel.Name))
			}
		}
		return true
	})
	return found
}

func packageCommentsRule(t *tree) (faults []string) {
	for pkg, files := range t.packages() {
		files = slices.DeleteFunc(files, func(s *source) bool { return s.test || s.file == nil || s.script() })
		if len(files) == 0 {
			continue
		}
		name := files[0].file.Name.Name
		if !slices.ContainsFunc(files, func(s *source) bool { return opensWith(s.file.Doc, name) }) {
			faults = append(faults, fmt.Sprintf(`%s: no file opens with a comment "Package %s …": what it is for, and what it never does`, pkg, name))
		}
	}
	return faults
}

// opensWith reports whether doc is a package comment in Go's form. That of a
// command may open as it likes.
func opensWith(doc *ast.CommentGroup, name string) bool {
	if name == "main" {
		return doc.Text() != ""
	}
	return strings.HasPrefix(doc.Text(), "Package "+name+" ")
}

func docCommentsRule(t *tree) (faults []string) {
	for _, s := range t.sources {
		if s.file == nil || s.test || s.file.Name.Name == "main" || ast.IsGenerated(s.file) {
			continue
		}
		for _, decl := range s.file.Decls {
			for _, name := range bare(decl) {
				faults = append(faults, fmt.Sprintf("%s: %s is exported and has no doc comment", t.at(name), name.Name))
			}
		}
	}
	return faults
}

// bare returns the exported names that decl declares without a comment. A
// comment on a group, or at the end of the line, counts for what it covers.
func bare(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && public(d) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		if d.Doc != nil || d.Tok == token.IMPORT {
			return nil
		}
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
					names = append(names, spec.Name)
				}
			case *ast.ValueSpec:
				if spec.Doc == nil && spec.Comment == nil {
					names = append(names, exported(spec.Names)...)
				}
			}
		}
	}
	return names
}

func exported(names []*ast.Ident) []*ast.Ident {
	return slices.DeleteFunc(slices.Clone(names), func(n *ast.Ident) bool { return !n.IsExported() })
}

// public reports whether d is a function, or a method that its package's
// users see and whose contract they cannot guess.
func public(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	if matches(undocumented, d.Name.Name) {
		return false
	}
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.ParenExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}
