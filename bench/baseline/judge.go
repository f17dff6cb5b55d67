package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	tolerance = 0.05

	// fewBytes is what bytes may rise by in any case. They are a mean, with
	// what grows once in it. An allocation in each round shows in allocs.
	fewBytes = 16

	// still is how much an update leaves as it was stored, so that its diff
	// shows what changed.
	still = 0.01
)

// figures are those of a benchmark, for one of its rounds.
type figures struct {
	Allocs       int64 `json:"allocs"`
	Bytes        int64 `json:"bytes"`
	Instructions int64 `json:"instructions,omitempty"` // 0: not counted
}

// A toolchain is what instructions depend on, besides the code.
type toolchain struct {
	Go       string `json:"go"`
	Arch     string `json:"arch"`
	Vectors  string `json:"vectors"` // which our assembly looks for
	Valgrind string `json:"valgrind"`
}

// differs tells in what t is not the toolchain was.
func (t toolchain) differs(was toolchain) (how []string) {
	for _, f := range []struct{ what, is, was string }{
		{"Go", t.Go, was.Go}, {"architecture", t.Arch, was.Arch},
		{"vectors", t.Vectors, was.Vectors}, {"valgrind", t.Valgrind, was.Valgrind},
	} {
		if f.is != f.was && !samePatched(f.is, f.was) {
			how = append(how, fmt.Sprintf("%s is %q here, %q in the baseline", f.what, f.is, f.was))
		}
	}
	return how
}

// patch is the number of a patch release of Go, in which code is as it was, to
// a percent.
var patch = regexp.MustCompile(`^(go\d+\.\d+)\.\d+`)

// samePatched reports whether both are the same release of Go, but for patches.
func samePatched(is, was string) bool {
	a, b := patch.FindString(is), patch.FindString(was)
	return a != "" && b != "" && patch.ReplaceAllString(is, "$1") == patch.ReplaceAllString(was, "$1")
}

// A baseline is what is stored.
type baseline struct {
	Toolchain  toolchain          `json:"toolchain"`
	Benchmarks map[string]figures `json:"benchmarks"`
}

// keep forgets what is not on the list.
func (b baseline) keep(list []benchmark) {
	maps.DeleteFunc(b.Benchmarks, func(name string, _ figures) bool {
		return !slices.ContainsFunc(list, func(l benchmark) bool { return l.name() == name })
	})
}

// without returns what is on the list and not in b.
func (b baseline) without(list []benchmark) (names []string) {
	for _, l := range list {
		if _, ok := b.Benchmarks[l.name()]; !ok {
			names = append(names, l.name())
		}
	}
	return names
}

// settle returns what an update stores.
func settle(stored, now baseline) baseline {
	if len(now.Toolchain.differs(stored.Toolchain)) > 0 {
		return now
	}
	for name, is := range now.Benchmarks {
		was := stored.Benchmarks[name]
		moved := change(was.Instructions, is.Instructions)
		if is.Allocs == was.Allocs && max(is.Bytes-was.Bytes, was.Bytes-is.Bytes) <= fewBytes && -still < moved && moved < still {
			now.Benchmarks[name] = was
		}
	}
	return now
}

// A row is what became of one benchmark.
type row struct {
	Name   string   `json:"name"`
	Stored *figures `json:"stored,omitempty"`
	Now    *figures `json:"now,omitempty"`
	Faults []string `json:"faults,omitempty"`
	Fell   []string `json:"fell,omitempty"`
}

// A report is what the command has to say.
type report struct {
	OK        bool      `json:"ok"`
	Toolchain toolchain `json:"toolchain"`
	Skipped   []string  `json:"skipped,omitempty"` // why instructions are not compared
	Rows      []row     `json:"rows"`
}

// judge compares. skipped are reasons not to compare instructions, which it
// finds for itself in the toolchains.
func judge(stored, now baseline, skipped ...string) *report {
	if len(skipped) == 0 {
		skipped = now.Toolchain.differs(stored.Toolchain)
	}
	rep := &report{OK: true, Toolchain: now.Toolchain, Skipped: skipped}
	names := slices.AppendSeq(slices.Collect(maps.Keys(stored.Benchmarks)), maps.Keys(now.Benchmarks))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		r := row{Name: name}
		was, hasStored := stored.Benchmarks[name]
		is, hasNow := now.Benchmarks[name]
		switch {
		case !hasStored:
			r.Now, r.Faults = &is, []string{"is not in the baseline: -update"}
		case !hasNow:
			r.Stored, r.Faults = &was, []string{"was not measured: is it gone, or renamed?"}
		default:
			r.Stored, r.Now = &was, &is
			r.compare(len(skipped) == 0)
		}
		rep.OK = rep.OK && len(r.Faults) == 0
		rep.Rows = append(rep.Rows, r)
	}
	return rep
}

func (r *row) compare(instructions bool) {
	was, is := r.Stored, r.Now
	r.weigh("allocs/op", was.Allocs, is.Allocs, 0)
	r.weigh("B/op", was.Bytes, is.Bytes, fewBytes)
	if instructions {
		r.weigh("instructions/op", was.Instructions, is.Instructions, 0)
	}
}

func (r *row) weigh(what string, was, is, few int64) {
	c := change(was, is)
	switch {
	case c > tolerance && is-was > few:
		r.Faults = append(r.Faults, fmt.Sprintf("%s rose from %d to %d", what, was, is))
	case c < -tolerance && was-is > few:
		r.Fell = append(r.Fell, fmt.Sprintf("%s fell from %d to %d", what, was, is))
	}
}

// change is by which part of was is is more. From 0 on all is more.
func change(was, is int64) float64 {
	if was == 0 {
		return float64(is)
	}
	return float64(is-was) / float64(was)
}

// table writes all rows, what rose and fell, and what to do about it.
func (rep *report) table(w io.Writer) error {
	var b bytes.Buffer
	t := rep.Toolchain
	fmt.Fprintf(&b, "%s, %s, vectors %s, %s\n\n", t.Go, t.Arch, t.Vectors, cmp.Or(t.Valgrind, "no valgrind"))
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tab, "stored\tnow\tchange\tallocs\tnow\t  benchmark\n")
	faults, fell := 0, 0
	for _, r := range rep.Rows {
		faults += len(r.Faults)
		fell += len(r.Fell)
		fmt.Fprintf(tab, "%s\t  %s%s\n", r.cells(), r.Name, r.remark())
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	for _, why := range rep.Skipped {
		fmt.Fprintf(&b, "INSTRUCTIONS ARE NOT COMPARED: %s\n", why)
	}
	if fell > 0 {
		fmt.Fprintf(&b, "%d fell by more than %.0f %%. So that they stay there: go run ./bench/baseline -update\n", fell, tolerance*100)
	}
	if faults > 0 {
		fmt.Fprintf(&b, "%d rose by more than %.0f %%, or are not where they were. What is meant to be dearer is stored by\n"+
			"go run ./bench/baseline -update, and its commit says why. What is not is a regression.\n", faults, tolerance*100)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// cells are instructions and allocations, stored and now.
func (r *row) cells() string {
	was, is := figures{}, figures{}
	if r.Stored != nil {
		was = *r.Stored
	}
	if r.Now != nil {
		is = *r.Now
	}
	moved := "-"
	if was.Instructions > 0 && is.Instructions > 0 {
		moved = fmt.Sprintf("%+.1f %%", 100*change(was.Instructions, is.Instructions))
	}
	return fmt.Sprintf("%d\t%d\t%s\t%d\t%d", was.Instructions, is.Instructions, moved, was.Allocs, is.Allocs)
}

func (r *row) remark() string {
	var b strings.Builder
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "  FAULT: %s", f)
	}
	for _, f := range r.Fell {
		fmt.Fprintf(&b, "  %s", f)
	}
	return b.String()
}
