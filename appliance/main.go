// Appliance is the control plane of the box: it finds, mounts and follows the content partition, and says where the
// box can be reached. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sync/errgroup"

	"ramjet/appliance/access"
	"ramjet/appliance/command"
	"ramjet/appliance/configuration"
	"ramjet/appliance/control"
	"ramjet/appliance/partition"
	"ramjet/appliance/update"
	"ramjet/appliance/update/disk"
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

// run parses the flags, builds the tasks and runs them. With the name of a command it is that, for a box elsewhere.
func run(args []string) int {
	if len(args) > 0 && slices.Contains(command.Names, args[0]) {
		return command.Run(args, command.Standard())
	}
	flags := flag.NewFlagSet("appliance", flag.ContinueOnError)
	label := flags.String("label", "RAMJET", "`label` of the content partition's file system")
	dir := flags.String("run", "/run/ramjet", "`directory` for mounts and the site link")
	fallback := flags.String("fallback", "/perm/www", "`directory` of the site until a content partition turns up")
	admin := flags.String("admin", "/run/ramjet/accelerator.sock", "Unix `socket` of the accelerator, to be told of a new site")
	listen := flags.String("control", ":8081", "TCP `address` at which that socket is reached with the box's password; empty: none")
	updates := flags.String("update", ":8080", "TCP `address` for status, logs and updates, with the box's password; empty: none")
	steer := flags.String("api", ":8443", "TCP `address` of the API, HTTPS with the box's password; empty: none")
	password := flags.String("password", access.Default.Image, "`file` that holds the box's password, unless "+access.Default.Own+" does")
	state := flags.String("state", "/perm/ramjet", "`directory` for certificate, tokens, network, logs, trials and their history")
	config := flags.String("config", "/perm/ramjet.json", "`file` of the accelerator's configuration")
	accelerator := flags.String("accelerator", "/user/accelerator", "the accelerator's `program`, which checks configurations")
	probe := flags.String("probe", "http://127.0.0.1/", "`URL` of the home page at the accelerator's port, asked for while a new version is on trial; its host and port are probed all the time")
	reboot := flags.Bool("reboot", false, "the machine is the box's own: reboot it when nothing else helps, at most once an hour, and feed a second watchdog")
	showVersion := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(flags.Output(), "\nThese are for the program on the box. To steer one from elsewhere: appliance config -h\n")
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(flags.Output(), "appliance: unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	case *showVersion:
		fmt.Println(version)
		return exitOK
	}

	flipped := make(chan struct{}, 1)
	tasks := []Task{
		&partition.Watcher{Label: *label, Dir: *dir, Fallback: *fallback, Changed: flipped},
		&partition.Reloader{Socket: *admin, Changed: flipped},
		newAddresses(),
	}
	recording := newRecording(*state, *admin)
	slog.SetDefault(slog.New(recording.flights.Handler(slog.NewTextHandler(os.Stderr, nil))))
	slog.Info("ramjet appliance", "version", version)
	steering := newSteering(*state, *dir, *steer, &configuration.File{Path: *config, Socket: *admin, Program: *accelerator})
	tasks = append(tasks, steering.desk, steering.network)
	ports := []string{*listen, *updates, *steer}
	who, err := access.Open(access.Files{Image: *password, Own: access.Default.Own})
	if err != nil {
		ports = nil
	}
	watching := newWatching(*state, filepath.Join(*dir, "site"), *admin, *accelerator, *probe, *reboot, ports...)
	tasks = append(tasks, watching.tasks(steering.trying)...)
	steering.desk.Ended = recording.ended
	tasks = append(tasks, recording.tasks()...)
	if err != nil {
		slog.Warn("nobody can steer the box over the network: there is no password", "err", err)
		return serve(tasks)
	}
	if *listen != "" {
		tasks = append(tasks, &control.Server{Listen: *listen, Socket: *admin, Access: who, Health: watching.tree, Pages: recording.pages(), Asked: recording.asked})
	}
	if *steer != "" {
		tasks = append(tasks, steering.api(who, watching.tree, recording))
	}
	if *updates != "" {
		updater, err := newUpdater(*admin, *probe)
		if err != nil {
			slog.Warn("updates are no trials on this machine: gokrazy makes them", "err", err)
		} else {
			tasks = append(tasks, updater)
		}
		tasks = append(tasks, &update.Server{Listen: *updates, Gokrazy: gokrazySocket, Access: who, Updates: updater, Pages: recording.pages(), Asked: recording.asked})
	}
	return serve(tasks)
}

// gokrazySocket is where gokrazy's own interface is.
const gokrazySocket = "/run/gokrazy-http.sock"

// newUpdater returns what makes updates trials, or why it cannot be done.
func newUpdater(admin, probe string) (*update.Updater, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	here, err := disk.Find(string(line), "/sys", "/dev")
	if err != nil {
		return nil, err
	}
	u := &update.Updater{
		Dir: "/perm/ramjet/update", Memory: "/run/ramjet/update", Disk: here, Name: version, Line: string(line),
		Health: &update.Probe{URL: probe, Admin: admin, Gokrazy: gokrazySocket},
	}
	if err := u.Open(); err != nil {
		return nil, err
	}
	return u, nil
}

// serve runs the tasks until a signal asks for the end, or one of them ends by itself.
func serve(tasks []Task) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	group, groupCtx := errgroup.WithContext(ctx)
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
	if err := group.Wait(); err != nil {
		slog.Error("the end", "err", err)
		return exitFailed
	}
	slog.Info("ended by a signal")
	return exitTerminated
}
