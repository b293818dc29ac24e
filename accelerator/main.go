// Command accelerator serves static files at the speed of the machine and
// forwards everything else, unaltered, to a farm. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	status := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	if status == exitTerminated {
		// End by the signal itself, so that the supervisor sees what it did:
		// systemd takes that for a clean end, and gokrazy's restart button
		// would take a 0 for "done, do not start again".
		signal.Reset(syscall.SIGTERM)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(time.Second) // Process 1 of a container is not ended by it.
	}
	os.Exit(status)
}

// run is main with its surroundings as arguments. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		return exitUsage
	case o.version:
		fmt.Fprintln(stdout, version)
		return exitDone
	}
	level := new(slog.LevelVar)
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log) // What the standard library logs on its own ends up in the same place.
	if o.demo {
		stop, err := startDemo(o)
		if err != nil {
			return report(stderr, err)
		}
		defer stop()
	}
	if !o.check && o.explain == "" {
		log.Info("ramjet accelerator", "version", version)
		o.waitForRoot(ctx, log)
	}
	source := &source{options: o, log: log}
	l, err := source.first()
	if err != nil {
		return report(stderr, err)
	}
	c := l.config
	level.Set(c.LogLevel)
	switch {
	case o.check:
		err = check(ctx, l, o.farm, stdout)
	case o.explain != "":
		err = explain(ctx, c, o.explain, stdout)
	default:
		err = serve(ctx, &server{config: c, loaded: l, source: source, log: log, level: level, demo: o.demo, out: stdout, wait: o.wait > 0})
	}
	return report(stderr, err)
}
