// Package command is the command line for boxes, on any computer: it speaks with the API of a box.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Names are the commands; all other words are for the program on the box.
var Names = []string{"config", "network", "status", "health", "token", "releases", "rollback", "keep", "assets", "publish", "sign", "update"}

// Usage is the help for all of them.
const Usage = `Steer a box from any computer:

  appliance config show                 the configuration of the accelerator, as it is
  appliance config edit                 change it in $EDITOR
  appliance config set KEY VALUE        change one setting, such as: set forward.retries 3
  appliance config unset KEY            take it out of the file again
  appliance config put FILE             replace it; - is the standard input
  appliance config history [N]          the last 50 changes, or the text of one
  appliance config restore N            have that text back
  appliance config confirm | revert     end the trial that is on

  appliance network ...                 the same for the network of the box
  appliance status                      how the box is, and whether a trial is on
  appliance health                      whether the box is well; 1 if it is not
  appliance publish DIR URL             publish a site: only what the box lacks is sent; -h says more
  appliance releases                    the releases of the site, the live one marked with *
  appliance rollback [ID]               have the release before the live one back, or that one
  appliance keep N                      keep the last N releases, 1 to 1000
  appliance assets [GLOB ...]           which files of these stay reachable for pages loaded before a flip; or change it
  appliance token list | make NAME SCOPE,... | revoke ID

  appliance sign -h                     sign an update with a key of minisign
  appliance update -h                   send a signed update

Each change of a setting is a trial: you see what would change, it is applied, and unless it is confirmed in time over a new
connection, the box takes it back by itself. So nothing that you do here can cut you off for good.

Flags, behind the first word:
`

// Terminal is where a command reads and writes.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	// Screen is true if a line of Err can be written over.
	Screen bool
	// Asks is true if somebody is there to answer.
	Asks bool
	// Password reads one without showing it; nil: nobody is there.
	Password func() (string, error)
	// Edit lets somebody edit a file.
	Edit func(ctx context.Context, file string) error
}

// Standard is the terminal that the program was started in.
func Standard() *Terminal {
	t := &Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Screen: term.IsTerminal(int(os.Stderr.Fd())), Asks: term.IsTerminal(int(os.Stdin.Fd())), Edit: editor}
	if t.Asks {
		t.Password = func() (string, error) {
			text, err := term.ReadPassword(int(os.Stdin.Fd()))
			fmt.Fprintln(os.Stderr)
			return string(text), err
		}
	}
	return t
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// options are the flags.
type options struct {
	box, user, passwordFile, tokenFile string
	known, fingerprint                 string
	acceptNew, yes                     bool
	within                             time.Duration
}

func (o *options) flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet("appliance "+name, flag.ContinueOnError)
	o.connection(f)
	f.BoolVar(&o.yes, "yes", false, "do not ask: try, and confirm if the box can be reached over a new connection")
	f.DurationVar(&o.within, "within", time.Minute, "`time` to confirm a change, until it is taken back")
	return f
}

// connection are the flags of all that speaks with the API.
func (o *options) connection(f *flag.FlagSet) {
	f.StringVar(&o.box, "box", envOr("RAMJET_BOX", "ramjet"), "`name` or address of the box, with :port if it is not 8443; from $RAMJET_BOX, if that is set")
	f.StringVar(&o.user, "user", "gokrazy", "`name` that goes with the password")
	f.StringVar(&o.passwordFile, "password-file", "", "`file` that holds the box's password; else it is asked for")
	f.StringVar(&o.tokenFile, "token-file", "", "`file` that holds a token, instead of name and password")
	f.StringVar(&o.known, "known", knownFile(), "`file` of the fingerprints of the boxes' certificates")
	f.StringVar(&o.fingerprint, "fingerprint", "", "what the `fingerprint` of a box that is not known yet must be; the box logs it at its start")
	f.BoolVar(&o.acceptNew, "accept-new", false, "trust a box that is not known yet, without asking")
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// Run does what args say, and returns the exit status.
func Run(args []string, t *Terminal) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch args[0] {
	case "publish":
		return finish(t, "publish", publishSite(ctx, args[1:], t))
	case "sign":
		return finish(t, "sign", sign(args[1:], t))
	case "update":
		return finish(t, "update", sendUpdate(ctx, args[1:], t))
	}
	var o options
	flags := o.flags(args[0])
	flags.SetOutput(io.Discard)
	err := flags.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		Help(t.Out)
		return exitOK
	case err == nil:
		err = o.run(ctx, t, args[0], flags.Args())
	default:
		err = usageError{err}
	}
	return finish(t, args[0], err)
}

// finish says what was wrong, and returns the exit status.
func finish(t *Terminal, name string, err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, new(usageError)):
		fmt.Fprintln(t.Err, "appliance:", err)
		fmt.Fprintf(t.Err, "see appliance %s -h\n", name)
		return exitUsage
	}
	fmt.Fprintln(t.Err, "appliance:", err)
	return exitFailed
}

// Help prints the help.
func Help(out io.Writer) {
	fmt.Fprint(out, Usage)
	flags := new(options).flags("")
	flags.SetOutput(out)
	flags.PrintDefaults()
}

func (o *options) run(ctx context.Context, t *Terminal, name string, words []string) error {
	box, err := o.open(t)
	if err != nil {
		return err
	}
	verb := ""
	if len(words) > 0 {
		verb, words = words[0], words[1:]
	}
	wants := func(n int) error {
		if len(words) != n {
			return usageError{fmt.Errorf("%s %s: %d words expected, not %d", name, verb, n, len(words))}
		}
		return nil
	}
	switch name {
	case "status", "health":
		if verb != "" {
			return usageError{fmt.Errorf("unexpected word %q", verb)}
		}
		err := box.show(ctx, "/"+name)
		if r := (refusal{}); errors.As(err, &r) && name == "health" && r.status == http.StatusServiceUnavailable {
			fmt.Fprintln(t.Out, r.text)
			return errors.New("the box is not healthy")
		}
		return err
	case "releases", "rollback", "keep":
		return box.releases(ctx, name, append([]string{verb}, words...))
	case "assets":
		return box.assets(ctx, append([]string{verb}, words...))
	case "token":
		return box.token(ctx, verb, words)
	}
	s := setting{box: box, t: t, name: name, yes: o.yes, within: o.within}
	for _, v := range verbs {
		if v.name == verb && (v.most == len(words) || v.least == len(words)) {
			return v.do(&s, ctx, words)
		}
		if v.name == verb {
			return wants(v.least)
		}
	}
	var names []string
	for _, v := range verbs {
		names = append(names, v.name)
	}
	return usageError{fmt.Errorf("%s what? One of %s", name, strings.Join(names, ", "))}
}

// ask asks for yes or no. No is the answer of who says nothing.
func (t *Terminal) ask(question string) bool {
	fmt.Fprint(t.Err, question+" [y/N] ")
	line := strings.ToLower(strings.TrimSpace(t.line()))
	return line == "y" || line == "yes"
}

// line reads one, and nothing behind it.
func (t *Terminal) line() string {
	var line []byte
	for one := make([]byte, 1); len(line) < 1000; {
		n, err := t.In.Read(one)
		if n > 0 && one[0] != '\n' {
			line = append(line, one[0])
		} else if n > 0 || err != nil {
			break
		}
	}
	return string(line)
}
