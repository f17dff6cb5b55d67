package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var here = toolchain{Go: "go1.26.8", Arch: "amd64 v1", Vectors: "avx2", Valgrind: "valgrind-3.19.0"}

func one(f figures) baseline { return baseline{here, map[string]figures{"engine/ring BenchmarkX": f}} }

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name     string
		was, is  figures
		ok, fell bool
		says     string
	}{
		{"the same", figures{1, 100, 1000}, figures{1, 100, 1000}, true, false, "+0.0 %"},
		{"4 % more", figures{0, 0, 1000}, figures{0, 0, 1040}, true, false, "+4.0 %"},
		{"6 % more", figures{0, 0, 1000}, figures{0, 0, 1060}, false, false, "FAULT: instructions/op rose from 1000 to 1060"},
		{"6 % less", figures{0, 0, 1000}, figures{0, 0, 940}, true, true, "instructions/op fell from 1000 to 940"},
		{"the first allocation", figures{0, 0, 1000}, figures{1, 8, 1000}, false, false, "FAULT: allocs/op rose from 0 to 1"},
		{"one of 30 allocations more", figures{30, 0, 1000}, figures{31, 0, 1000}, true, false, ""},
		{"an allocation less", figures{2, 64, 1000}, figures{1, 64, 1000}, true, true, "allocs/op fell from 2 to 1"},
		{"larger allocations", figures{1, 64, 1000}, figures{1, 128, 1000}, false, false, "FAULT: B/op rose from 64 to 128"},
		{"bytes that are a mean", figures{0, 2, 1000}, figures{0, 9, 1000}, true, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep := judge(one(c.was), one(c.is))
			require.Equal(t, c.ok, rep.OK)
			var b strings.Builder
			require.NoError(t, rep.table(&b))
			require.Contains(t, b.String(), c.says)
			require.Equal(t, !c.ok, strings.Contains(b.String(), "1 rose by more than 5 %"), b.String())
			require.Equal(t, c.fell, strings.Contains(b.String(), "1 fell by more than 5 %"), b.String())
			require.Equal(t, !c.ok || c.fell, strings.Contains(b.String(), "go run ./bench/baseline -update"))
		})
	}
}

// Neither what is gone nor what is new passes for unchanged.
func TestMissing(t *testing.T) {
	none := baseline{here, nil}
	gone := judge(one(figures{0, 0, 1}), none)
	require.False(t, gone.OK)
	require.Contains(t, gone.Rows[0].Faults[0], "was not measured")
	added := judge(none, one(figures{0, 0, 1}))
	require.False(t, added.OK)
	require.Contains(t, added.Rows[0].Faults[0], "not in the baseline")

	list := []benchmark{{pkg: "engine/ring", run: "X"}, {pkg: "engine/ring", run: "Y"}}
	require.Equal(t, []string{"engine/ring BenchmarkY"}, one(figures{}).without(list))
}

// A patch release of Go makes the same instructions: they are compared.
func TestPatchedToolchain(t *testing.T) {
	dearer := one(figures{0, 0, 2000})
	dearer.Toolchain = here
	dearer.Toolchain.Go = "go1.26.11"
	rep := judge(one(figures{0, 0, 1000}), dearer)
	require.False(t, rep.OK)
	require.Empty(t, rep.Skipped)
}

// Other toolchains make other instructions, but not other allocations.
func TestAnotherToolchain(t *testing.T) {
	for name, other := range map[string]toolchain{
		"Go": {"go1.27.0", here.Arch, here.Vectors, here.Valgrind}, "architecture": {here.Go, "arm64", here.Vectors, here.Valgrind},
		"vectors": {here.Go, here.Arch, "none", here.Valgrind}, "valgrind": {here.Go, here.Arch, here.Vectors, "valgrind-3.24.0"},
	} {
		t.Run(name, func(t *testing.T) {
			dearer := one(figures{0, 0, 2000})
			dearer.Toolchain = other
			rep := judge(one(figures{0, 0, 1000}), dearer)
			require.True(t, rep.OK)
			require.Len(t, rep.Skipped, 1)
			var b strings.Builder
			require.NoError(t, rep.table(&b))
			require.Contains(t, b.String(), "INSTRUCTIONS ARE NOT COMPARED: "+name+" is ")

			dearer.Benchmarks["engine/ring BenchmarkX"] = figures{1, 8, 2000}
			require.False(t, judge(one(figures{0, 0, 1000}), dearer).OK)
		})
	}
}

func TestWithoutValgrind(t *testing.T) {
	l := &lab{toolchain: toolchain{Go: here.Go}}
	require.NoError(t, l.check(false, false))
	require.ErrorIs(t, l.check(true, false), errNoValgrind)
	require.ErrorIs(t, l.check(false, true), errNoValgrind)
	l.toolchain.Valgrind = here.Valgrind
	require.NoError(t, l.check(true, true))

	l.toolchain.Valgrind = ""
	now := one(figures{0, 0, 0})
	now.Toolchain = l.toolchain
	rep, err := l.confirm(context.Background(), one(figures{0, 0, 1000}), now)
	require.NoError(t, err)
	require.True(t, rep.OK)
	require.Equal(t, []string{errNoValgrind.Error()}, rep.Skipped)
}

// An update's diff shows what changed, and nothing else.
func TestSettle(t *testing.T) {
	require.Equal(t, one(figures{0, 3, 1000}), settle(one(figures{0, 3, 1000}), one(figures{0, 1, 1009})))
	require.Equal(t, one(figures{0, 1, 1011}), settle(one(figures{0, 3, 1000}), one(figures{0, 1, 1011})))
	require.Equal(t, one(figures{1, 3, 1000}), settle(one(figures{0, 3, 1000}), one(figures{1, 3, 1000})))
	require.Equal(t, one(figures{1, 64, 1000}), settle(one(figures{1, 128, 1000}), one(figures{1, 64, 1000})))
	other := one(figures{0, 3, 1001})
	other.Toolchain.Go = "go1.27.0"
	require.Equal(t, other, settle(one(figures{0, 3, 1000}), baseline{other.Toolchain, maps.Clone(other.Benchmarks)}))
}

func TestLeast(t *testing.T) {
	require.Equal(t, one(figures{0, 4, 990}), least(one(figures{0, 9, 1060}), one(figures{1, 4, 990})))
}

func TestParse(t *testing.T) {
	const text = "goos: linux\npkg: x\nBenchmarkFrame/A-law/encode/ours  \t   30000\t       150.1 ns/op\t    32 B/op\t       2 allocs/op\nPASS\n"
	f, ok, err := parse(text, "BenchmarkFrame/A-law/encode/ours")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, figures{Allocs: 2, Bytes: 32}, f)
	_, ok, err = parse(text, "BenchmarkFrame/A-law/encode")
	require.NoError(t, err)
	require.False(t, ok)
	_, _, err = parse("BenchmarkX  \t 1\t 150.1 ns/op\n", "BenchmarkX")
	require.Error(t, err)

	n, err := parseRefs("==7== \n==7== I   refs:      1,234,567,890\n")
	require.NoError(t, err)
	require.EqualValues(t, 1_234_567_890, n)
	_, err = parseRefs("PASS")
	require.Error(t, err)
}

// What is stored is what is listed, and each is a benchmark of its package.
func TestList(t *testing.T) {
	stored, err := load("baseline.json", false)
	require.NoError(t, err)
	require.Len(t, stored.Benchmarks, len(hotPath))
	for _, b := range hotPath {
		f, ok := stored.Benchmarks[b.name()]
		require.True(t, ok, b.name())
		require.Positive(t, f.Instructions, b.name())
		require.GreaterOrEqual(t, f.Instructions*int64(b.n), int64(25e6), "%s: too few for what starting a program moves by", b.name())

		top, _, _ := strings.Cut(b.function(), "/")
		require.True(t, declares(t, filepath.Join("..", "..", b.pkg), top), b.name())
	}
}

func declares(t *testing.T, dir, function string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if regexp.MustCompile(`(?m)^func ` + function + `\(`).Match(text) {
			return true
		}
	}
	return false
}

func TestPattern(t *testing.T) {
	require.Equal(t, "^BenchmarkFrame$/^A-law$/^encode$", benchmark{run: "Frame/A-law/encode"}.pattern())
	require.Len(t, listed("transport/acsws "), 7)
}

func TestReportIsJSON(t *testing.T) {
	_, err := json.Marshal(judge(one(figures{0, 0, 0}), one(figures{1, 1, 1})))
	require.NoError(t, err)
}
