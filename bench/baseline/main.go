// Command baseline keeps the hot path from getting dearer by and by: it counts
// the allocations and the instructions of its benchmarks (list.go) and compares
// them with those that were stored on purpose.
//
//	go run ./bench/baseline                 compare; exits 1 if something rose
//	go run ./bench/baseline -only acsws     the benchmarks whose name holds "acsws"
//	go run ./bench/baseline -update         store what is counted now
//
// It measures no time. A shared machine's nanoseconds move by a factor of two
// from hour to hour, while the instructions of a deterministic loop stay within
// a percent, whatever else runs. They are counted by valgrind, since virtual
// machines seldom have the counters of the processor.
//
// Not seen by it: cache misses, waiting for other cores, and system calls. For
// those there are the benchmarks themselves.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

var errRose = errors.New("the hot path got dearer")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "baseline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer) error {
	update := flag.Bool("update", false, "store what is counted now")
	asJSON := flag.Bool("json", false, "print JSON instead of the table")
	only := flag.String("only", "", "only the benchmarks whose name holds this text")
	flag.Parse()
	if *update && *only != "" {
		return fmt.Errorf("-only %q: -update stores all of them", *only)
	}
	list := listed(*only)
	if len(list) == 0 {
		return fmt.Errorf("-only %q: no name holds that", *only)
	}

	lab, err := newLab(ctx, list)
	if err != nil {
		return err
	}
	defer lab.close()
	if err := lab.check(os.Getenv("CI") == "true", *update); err != nil {
		return err
	}
	file := filepath.Join(lab.root, "bench", "baseline", "baseline.json")
	stored, err := load(file, *update)
	if err != nil {
		return err
	}
	now, err := lab.count(ctx, list)
	if err != nil {
		return err
	}
	if *update {
		if gone := now.without(list); gone != nil {
			return fmt.Errorf("-update: no benchmark is called %q", gone)
		}
		return store(file, settle(stored, now))
	}
	if *only != "" {
		stored.keep(list)
	}
	rep, err := lab.confirm(ctx, stored, now)
	if err != nil {
		return err
	}
	if *asJSON {
		err = json.NewEncoder(w).Encode(rep)
	} else {
		err = rep.table(w)
	}
	if err == nil && !rep.OK {
		err = errRose
	}
	return err
}

func listed(only string) (list []benchmark) {
	for _, b := range hotPath {
		if strings.Contains(b.name(), only) {
			list = append(list, b)
		}
	}
	return list
}

// load reads what was stored. A file that is to be written need not be there.
func load(file string, update bool) (b baseline, err error) {
	text, err := os.ReadFile(file)
	if update && errors.Is(err, os.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

func store(file string, b baseline) error {
	text, err := json.MarshalIndent(b, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
