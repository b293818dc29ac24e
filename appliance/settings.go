package main

import (
	"errors"
	"flag"
	"fmt"

	"ramjet/appliance/access"
)

// settings are the flags of the program on the box. The README has a table of them.
type settings struct {
	label, dir, fallback  string
	admin, accelerator    string
	control, update, api  string
	password, state, file string
	probe                 string
	reboot                bool
}

// parse reads the flags. Without settings the program ends with that exit status.
func parse(args []string) (*settings, int) {
	s := new(settings)
	flags := flag.NewFlagSet("appliance", flag.ContinueOnError)
	flags.StringVar(&s.label, "label", "RAMJET", "`label` of the content partition's file system")
	flags.StringVar(&s.dir, "run", "/run/ramjet", "`directory` for mounts and the site link")
	flags.StringVar(&s.fallback, "fallback", "/perm/www", "`directory` of the site until a content partition turns up")
	flags.StringVar(&s.admin, "admin", "/run/ramjet/accelerator.sock", "Unix `socket` of the accelerator, to be told of a new site")
	flags.StringVar(&s.control, "control", ":8081", "TCP `address` at which that socket is reached with the box's password; empty: none")
	flags.StringVar(&s.update, "update", ":8080", "TCP `address` for status, logs and updates, with the box's password; empty: none")
	flags.StringVar(&s.api, "api", ":8443", "TCP `address` of the API, HTTPS with the box's password; empty: none")
	flags.StringVar(&s.password, "password", access.Default.Image, "`file` that holds the box's password, unless "+access.Default.Own+" does")
	flags.StringVar(&s.state, "state", "/perm/ramjet", "`directory` for certificate, tokens, network, logs, trials and their history")
	flags.StringVar(&s.file, "config", "/perm/ramjet.json", "`file` of the accelerator's configuration")
	flags.StringVar(&s.accelerator, "accelerator", "/user/accelerator", "the accelerator's `program`, which checks configurations")
	flags.StringVar(&s.probe, "probe", "http://127.0.0.1/", "`URL` at the accelerator's port, which is probed until the accelerator itself says where it listens")
	flags.BoolVar(&s.reboot, "reboot", false, "the machine is the box's own: reboot it when nothing else helps, at most once an hour, and feed a second watchdog")
	showVersion := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(flags.Output(), "\nThese are for the program on the box. To steer one from elsewhere: appliance config -h\n")
		return nil, exitOK
	case err != nil:
		return nil, exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(flags.Output(), "appliance: unexpected argument %q\n", flags.Arg(0))
		return nil, exitUsage
	case *showVersion:
		fmt.Println(version)
		return nil, exitOK
	}
	return s, exitOK
}
