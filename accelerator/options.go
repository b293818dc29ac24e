package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// version is set by the linker: -ldflags "-X main.version=…".
var version = "dev"

// options are the command line.
type options struct {
	configs       []string // -config, may be given several times
	listen        string
	listenDefault string
	root          string
	backend       string
	admin         string
	farm          string
	wait          time.Duration
	demo          bool

	check   bool
	explain string
	version bool
}

const usage = `accelerator serves static files itself and forwards everything else to a farm.

Quick start, kHTTPd's three settings:

  accelerator -listen :8080 -root /srv/www -backend http://10.0.0.2:8000

Everything else is set in a file:

  accelerator -config ramjet.json

Ask before you start:

  accelerator -config ramjet.json -check              is all of it right?
  accelerator -root /srv/www -explain /cgi-bin/hello  static or not, and why?

Flags:
`

const exits = `
Signals: SIGHUP reloads configuration and content and opens the access log again;
SIGTERM and SIGINT finish what is in flight and exit; a second one exits at once.
Exit status: 0 ended as asked, 1 failed while running, 2 wrong usage or configuration;
after SIGTERM the program ends by that signal.
`

// parse reads the command line. Help that was asked for is printed to out and
// returns flag.ErrHelp; all other errors have been printed to stderr.
func parse(args []string, out, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("accelerator", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {} // Not after each mistake.
	f.Func("config", "read settings from `FILE`; given several times, the first that exists and is\nvalid counts, and if none is, the defaults", func(s string) error {
		if s == "" {
			return errors.New("the name of a file is missing")
		}
		o.configs = append(o.configs, s)
		return nil
	})
	f.StringVar(&o.listen, "listen", "", "accept connections at `ADDRESS`, whatever the file says (default \":8080\")")
	f.StringVar(&o.listenDefault, "listen-default", "", "accept connections at `ADDRESS` unless the file says otherwise")
	f.StringVar(&o.root, "root", "", "serve the files below `DIR`, whatever the file says")
	f.StringVar(&o.backend, "backend", "", "forward what is not static to `URL`, whatever the file says")
	f.StringVar(&o.admin, "admin", "", "answer status, metrics, reload and explain on the Unix socket at `PATH`")
	f.StringVar(&o.farm, "farm", "", "keep in `FILE` the farm that was changed and saved over the admin socket; while it\nexists, it counts instead of the farm of the configuration and -backend")
	f.DurationVar(&o.wait, "wait", 0, "wait up to this `TIME` for -root to appear, then serve without it until it does")
	f.BoolVar(&o.demo, "demo", false, "serve a small built-in site with a dynamic page, to try things out")
	f.BoolVar(&o.check, "check", false, "read configuration and content, say what is there, and exit")
	f.Func("explain", "say whether a GET for `URL` is static, rule by rule, or else who gets what of it,\nand exit", func(s string) error {
		if s == "" {
			return errors.New("the URL is missing")
		}
		o.explain = s
		return nil
	})
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.SetOutput(out)
		fmt.Fprint(out, usage)
		f.PrintDefaults()
		fmt.Fprint(out, exits)
		return nil, err
	}
	if err != nil {
		fmt.Fprintln(stderr, "see accelerator -h")
		return nil, err
	}
	if f.NArg() > 0 {
		err := fmt.Errorf("unexpected argument %q; see -h", f.Arg(0))
		fmt.Fprintln(stderr, "accelerator:", err)
		return nil, err
	}
	return o, nil
}
