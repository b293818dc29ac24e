// Appliance is the control plane of the box: it finds, mounts and follows the content partition, and says where the
// box can be reached. See README.md.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sync/errgroup"

	"ramjet/appliance/command"
	"ramjet/appliance/update/guard"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

// The exit statuses. gokrazy starts a program again unless it exits 0 or 125, so an end that nobody asked for is neither.
// An end by SIGTERM is not 0 either: gokrazy's "restart" button sends SIGTERM, and would wait for ever after a 0.
const (
	exitOK         = 0   // -version, -h
	exitFailed     = 1   // a task failed
	exitUsage      = 2   // wrong flags
	exitTerminated = 143 // SIGTERM or SIGINT, after a clean end
)

// Task is everything that lives as long as the program: it runs until the context ends, and an error ends the program.
type Task interface {
	Run(ctx context.Context) error
	String() string
}

func main() {
	guard.Main() // where this program is the first one of a kernel on trial
	os.Exit(run(os.Args[1:]))
}

// run is the program on the box, or, with the name of a command, that one for a box elsewhere.
func run(args []string) int {
	if len(args) > 0 && slices.Contains(command.Names, args[0]) {
		return command.Run(args, command.Standard())
	}
	s, status := parse(args)
	if s == nil {
		return status
	}
	recording := newRecording(s.state, s.admin)
	slog.SetDefault(slog.New(recording.flights.Handler(slog.NewTextHandler(os.Stderr, nil))))
	slog.Info("ramjet appliance", "version", version)
	return serve(s.first(), func() []Task { return s.rest(recording) })
}

// serve runs the first tasks at once and the others as soon as they are built, until a signal asks for the end, or one of
// them ends by itself.
func serve(first []Task, rest func() []Task) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	group, groupCtx := errgroup.WithContext(ctx)
	start := func(tasks []Task) {
		for _, t := range tasks {
			group.Go(func() error {
				if err := t.Run(groupCtx); err != nil {
					return fmt.Errorf("%s: %w", t, err)
				}
				if groupCtx.Err() == nil {
					return fmt.Errorf("%s: ended by itself", t)
				}
				return nil
			})
		}
	}
	start(first)
	start(rest())
	if err := group.Wait(); err != nil {
		slog.Error("the end", "err", err)
		return exitFailed
	}
	slog.Info("ended by a signal")
	return exitTerminated
}
