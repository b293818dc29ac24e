// Command bench compares the accelerator with other servers, whole, as a client
// on the network would see them: what a request costs the server in CPU time,
// and how long it takes, when it is for a file and when it is for a backend.
//
// All servers get the same files and send the same bytes; that is checked. They
// run on one core and the client on another, in turn, a short slice each, round
// after round, so that what disturbs the machine disturbs all of them. What
// counts is the ratio within a round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const usage = `bench compares the accelerator with tuned nginx, H2O and lighttpd, and with a C
program that does nothing but answer; as a proxy with nginx and HAProxy. It
installs what is missing (Debian, where it may), and takes about 20 minutes on
two quiet cores.

  make bench                                      all of it; writes RESULTS.md and charts
  go run ./accelerator/bench -cases ^forward -out accelerator/bench
                                                  forwarding alone; the rest of RESULTS.md stays
  go run ./accelerator/bench -cases '^1k$' -rounds 3 -slice 500ms
  go run ./accelerator/bench -servers ramjet,nginx

Flags:
`

// options are the command line.
type options struct {
	cases   *regexp.Regexp
	servers []string
	plan    plan
	ramjet  string
	out     string
	install bool
	part    bool // something is left out
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{cases: regexp.MustCompile("")}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(stderr, usage)
		f.PrintDefaults()
	}
	f.Func("cases", "only the benchmarks whose names match this `REGEXP`: "+strings.Join(names(), ", "), func(s string) (err error) {
		o.part = true
		o.cases, err = regexp.Compile(s)
		return err
	})
	f.Func("servers", "only these, a comma-separated `LIST` of ramjet, net/http, nginx, h2o, lighttpd, haproxy, C floor", func(s string) error {
		o.part = true
		o.servers = strings.Split(s, ",")
		return nil
	})
	f.IntVar(&o.plan.rounds, "rounds", 5, "`NUMBER` of slices that each server gets")
	f.DurationVar(&o.plan.slice, "slice", 1500*time.Millisecond, "`TIME` of a slice")
	f.DurationVar(&o.plan.warm, "warm", 300*time.Millisecond, "`TIME` of load before each slice that is not measured")
	f.StringVar(&o.ramjet, "ramjet", "", "measure this `PROGRAM` instead of building the accelerator")
	f.StringVar(&o.out, "out", "", "write RESULTS.md and charts into this `DIR` (default: accelerator/bench if nothing is left out)")
	f.BoolVar(&o.install, "install", true, "install the servers that are missing")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || o.plan.rounds < 1 || o.plan.slice <= 0 {
		err := fmt.Errorf("bench: wrong usage: %q; see -h", args)
		fmt.Fprintln(stderr, err)
		return nil, err
	}
	return o, nil
}

func names() []string {
	var all []string
	for _, b := range benchmarks() {
		all = append(all, b.name)
	}
	return all
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	// Ended by a signal, it ends its servers first.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = bench(ctx, o)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; its servers have ended, and no results were written")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench does it all.
func bench(ctx context.Context, o *options) error {
	l, err := setUp(ctx, o)
	if err != nil {
		return err
	}
	defer l.close()
	var outcomes []outcome
	line := newLine(os.Stderr)
	for _, b := range l.chosen(o) {
		outcome, err := l.carryOut(ctx, b, line.say)
		line.end()
		if err != nil {
			return err
		}
		outcomes = append(outcomes, outcome)
		writeTable(os.Stdout, outcomes[len(outcomes)-1:])
	}
	writeTargets(os.Stdout, outcomes)
	dir, err := o.outDir()
	if err != nil || dir == "" {
		return err
	}
	fmt.Printf("\nwriting RESULTS.md and charts into %s\n", dir)
	return l.writeResults(dir, outcomes)
}

// outDir is where to write results. Those of a part of the benchmark do not
// replace those of the whole.
func (o *options) outDir() (string, error) {
	if o.out != "" || o.part {
		return o.out, nil
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "ramjet").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w; say with -out where to write the results", err)
	}
	return filepath.Join(strings.TrimSpace(string(module)), "accelerator", "bench"), nil
}
