// Command peers measures mixminus side by side with what one would write or
// pick instead, by the same generator in one run, and prints the table of
// docs/PERFORMANCE.md.
//
//	go run ./bench/peers
//	go run ./bench/peers -calls 10,100,1000 -servers floor,mixminus -duration 20s
//
// Every server is an echo of ACS audio streaming, in a process of its own that
// is started anew for each number of calls. On Linux, with two cores or more,
// it is held on one and the generator on another.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mixminus/mixminus/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// A row is one server at one number of calls.
type row struct {
	Server string       `json:"server"`
	Calls  int          `json:"calls"`
	Ratio  float64      `json:"cpu_to_floor,omitempty"` // 0: the floor was not measured
	Report *load.Report `json:"report"`
}

func run(ctx context.Context) error {
	calls := flag.String("calls", "100,250,500,1000", "numbers of calls, with commas")
	names := flag.String("servers", strings.Join(serverNames(), ","), "which servers, with commas")
	duration := flag.Duration("duration", 8*time.Second, "of each measurement")
	rounds := flag.Int("rounds", 1, "how often to measure everything; the table has the round of median CPU")
	asJSON := flag.Bool("json", false, "print all reports as JSON instead of the table")
	binary := flag.String("mixminus", "", "binary of mixminus (default: one that is built for the run)")
	flag.Parse()

	counts, err := numbers(*calls)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4)) // its threads sleep in the kernel
	shed, err := newShed(*binary)
	if err != nil {
		return err
	}
	defer shed.close()
	servers, err := shed.pick(strings.Split(*names, ","))
	if err != nil {
		return err
	}
	if err := stayOn(generatorCPU()); err != nil {
		return err
	}
	var rows []row
	for round := range *rounds {
		for _, n := range counts {
			for _, s := range servers {
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %d calls\n", round+1, *rounds, s.name, n)
				rep, err := shed.measure(ctx, s, n, *duration)
				if err != nil {
					return fmt.Errorf("%s, %d calls: %w", s.name, n, err)
				}
				rows = append(rows, row{Server: s.name, Calls: n, Report: rep})
			}
		}
	}
	rows = medians(rows, *rounds)
	if *asJSON {
		return json.NewEncoder(os.Stdout).Encode(rows)
	}
	return table(os.Stdout, rows, servers)
}

func numbers(list string) (out []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-calls %q: want numbers with commas", list)
		}
		out = append(out, n)
	}
	return out, nil
}
