package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/cpu"
)

// A lab has the test binaries of the packages, and counts what they do.
type lab struct {
	root      string // of the module
	dir       string // with the binaries
	exe       string // how they end
	toolchain toolchain
}

func newLab(ctx context.Context, list []benchmark) (*lab, error) {
	env, err := output(exec.CommandContext(ctx, "go", "env", "GOMOD", "GOEXE", "GOVERSION", "GOARCH", "GOAMD64", "GOEXPERIMENT"))
	if err != nil {
		return nil, err
	}
	v := strings.Split(env, "\n")
	l := &lab{root: filepath.Dir(v[0]), exe: ".test" + v[1]}
	l.toolchain = toolchain{Go: strings.TrimSpace(v[2] + " " + v[5]), Arch: strings.TrimSpace(v[3] + " " + v[4]), Vectors: vectors()}
	if text, err := output(exec.CommandContext(ctx, "valgrind", "--version")); err == nil {
		l.toolchain.Valgrind = strings.TrimSpace(text)
	}
	if l.dir, err = os.MkdirTemp("", "baseline-*"); err != nil {
		return nil, err
	}
	args := []string{"test", "-c", "-o", l.dir + string(filepath.Separator)}
	for _, b := range list {
		if pkg := "./" + b.pkg; !slices.Contains(args, pkg) {
			args = append(args, pkg)
		}
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = l.root
	if _, err := output(cmd); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) close() { os.RemoveAll(l.dir) }

// vectors are the only ones that assembly of ours, or of our libraries, makes
// use of and valgrind knows.
func vectors() string {
	if cpu.X86.HasAVX2 {
		return "avx2"
	}
	return "none"
}

var errNoValgrind = errors.New("valgrind is not installed, which counts instructions (Debian: apt-get install valgrind)")

// check returns why there is no point in counting.
func (l *lab) check(ci, update bool) error {
	switch {
	case l.toolchain.Valgrind != "":
		return nil
	case ci:
		return fmt.Errorf("CI=true: %w", errNoValgrind)
	case update:
		return fmt.Errorf("-update: %w", errNoValgrind)
	}
	return nil
}

// count runs the benchmarks, as many at once as there are cores.
func (l *lab) count(ctx context.Context, list []benchmark) (baseline, error) {
	out := baseline{l.toolchain, map[string]figures{}}
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	todo := make(chan benchmark)
	for range runtime.NumCPU() {
		wg.Go(func() {
			for b := range todo {
				f, ok, err := l.countOne(ctx, b)
				mu.Lock()
				switch {
				case err != nil:
					failed = errors.Join(failed, fmt.Errorf("%s: %w", b.name(), err))
				case ok:
					out.Benchmarks[b.name()] = f
				}
				mu.Unlock()
			}
		})
	}
	for _, b := range list {
		todo <- b
	}
	close(todo)
	wg.Wait()
	return out, failed
}

// countOne reports false if there is no such benchmark.
func (l *lab) countOne(ctx context.Context, b benchmark) (f figures, ok bool, err error) {
	text, err := output(l.command(ctx, b, b.n))
	if err != nil {
		return f, false, err
	}
	if f, ok, err = parse(text, b.function()); !ok || err != nil || l.toolchain.Valgrind == "" {
		return f, ok, err
	}
	// The difference of two runs is without what starting costs.
	few := b.n / 10
	var refs [2]int64
	for i, n := range []int{few, b.n} {
		if refs[i], err = l.instructions(ctx, b, n); err != nil {
			return f, false, err
		}
	}
	f.Instructions = (refs[1] - refs[0]) / int64(b.n-few)
	return f, true, nil
}

// command runs b n times, by itself if it is not given to another program.
func (l *lab) command(ctx context.Context, b benchmark, n int, under ...string) *exec.Cmd {
	args := slices.Concat(under, []string{
		filepath.Join(l.dir, path.Base(b.pkg)+l.exe),
		"-test.run", "^$", "-test.bench", b.pattern(), "-test.benchmem", "-test.benchtime", fmt.Sprint(n, "x"),
	})
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = filepath.Join(l.root, filepath.FromSlash(b.pkg))
	// A collection is work that no round asked for, and another thread's spins
	// are no work.
	cmd.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1")
	return cmd
}

func (l *lab) instructions(ctx context.Context, b benchmark, n int) (int64, error) {
	text, err := output(l.command(ctx, b, n, "valgrind", "--tool=cachegrind", "--cache-sim=no", "--branch-sim=no", "--cachegrind-out-file="+os.DevNull))
	if err != nil {
		return 0, err
	}
	return parseRefs(text)
}

// confirm judges, and counts again what seems to have risen: other threads of
// the process add instructions, never take them, so that the lesser count is
// nearer the truth.
func (l *lab) confirm(ctx context.Context, stored, now baseline) (*report, error) {
	var skipped []string
	if l.toolchain.Valgrind == "" {
		skipped = []string{errNoValgrind.Error()}
	}
	for range 2 {
		rep := judge(stored, now, skipped...)
		var again []benchmark
		for _, r := range rep.Rows {
			if i := slices.IndexFunc(hotPath, func(b benchmark) bool { return b.name() == r.Name }); i >= 0 && r.Now != nil && r.Stored != nil && len(r.Faults) > 0 {
				again = append(again, hotPath[i])
			}
		}
		if len(again) == 0 {
			return rep, nil
		}
		second, err := l.count(ctx, again)
		if err != nil {
			return nil, err
		}
		now = least(now, second)
	}
	return judge(stored, now, skipped...), nil
}

// least takes of each figure the lesser.
func least(a, b baseline) baseline {
	out := baseline{a.Toolchain, maps.Clone(a.Benchmarks)}
	for name, f := range b.Benchmarks {
		if was, ok := a.Benchmarks[name]; ok {
			f = figures{min(was.Allocs, f.Allocs), min(was.Bytes, f.Bytes), min(was.Instructions, f.Instructions)}
		}
		out.Benchmarks[name] = f
	}
	return out
}

// output returns all that cmd prints.
func output(cmd *exec.Cmd) (string, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out.Bytes())
	}
	return out.String(), nil
}

var (
	memory = regexp.MustCompile(`\s(\d+) B/op\s+(\d+) allocs/op`)
	refs   = regexp.MustCompile(`\bI\s+refs:\s+([\d,]+)`)
)

// parse finds the line of a benchmark in what a test binary prints.
func parse(text, function string) (f figures, ok bool, err error) {
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(line, " ")
		if name, _, _ = strings.Cut(name, "\t"); name != function {
			continue
		}
		m := memory.FindStringSubmatch(line)
		if m == nil {
			return f, false, fmt.Errorf("no B/op and allocs/op in %q", line)
		}
		if f.Bytes, err = strconv.ParseInt(m[1], 10, 64); err != nil {
			return f, false, err
		}
		f.Allocs, err = strconv.ParseInt(m[2], 10, 64)
		return f, err == nil, err
	}
	return f, false, nil
}

// parseRefs finds valgrind's count.
func parseRefs(text string) (int64, error) {
	m := refs.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("no %q of valgrind in %q", "I refs", text)
	}
	return strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
}
