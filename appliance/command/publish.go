package command

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ramjet/appliance/publish"
	"ramjet/appliance/publish/tree"
	"ramjet/appliance/release"
)

const publishUsage = `Publish a site: appliance publish [flags] DIR [URL]

  appliance publish public https://ramjet:8443
  appliance publish -token-file token -dry-run public

The files of DIR become a release. Only what the box lacks is sent; if the connection is cut, it goes on where it was. The
release is live when all of it has arrived, and then at once and whole; until then the old one is. To have that back:

  appliance rollback

Text is compressed before, as far as that was not done the last time; -quick goes live first.

Left out is what the box does not serve: names that begin with a dot, devices and the like, links that lead out of DIR, programs
and files that not everybody may read; ramjet.json at the top. It says so. Without URL, -box says which box it is.

`

// publishing are the flags.
type publishing struct {
	options
	dotfiles, cache       string
	anyMode, only, noflip bool
	compress, quick       bool
	dir                   string
}

func (o *publishing) parse(args []string, t *Terminal) error {
	flags := flag.NewFlagSet("appliance publish", flag.ContinueOnError)
	o.connection(flags)
	flags.StringVar(&o.dotfiles, "dotfiles", ".well-known", "`names` that begin with a dot and are published, with commas in between: those of content.dotfiles in the box's configuration")
	flags.BoolVar(&o.anyMode, "any-mode", false, "publish programs, and what not everybody may read, as well: all can read it then")
	flags.BoolVar(&o.only, "dry-run", false, "say what would be sent, and change nothing")
	flags.BoolVar(&o.noflip, "no-flip", false, "make the release, but leave the other one live; appliance rollback ID flips to it")
	flags.BoolVar(&o.compress, "compress", true, "add compressed forms of text (brotli, zstd, gzip) where they save 5 % and the site has none of its own")
	flags.BoolVar(&o.quick, "quick", false, "go live without them first, and once more when they are made")
	flags.StringVar(&o.cache, "cache", cacheDir(), "`directory` that remembers what was hashed and compressed; empty: none")
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(t.Out, publishUsage)
		flags.SetOutput(t.Out)
		flags.PrintDefaults()
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() < 1 || flags.NArg() > 2 || strings.HasPrefix(flags.Arg(0), "https://"):
		return usageError{errors.New("publish what? A folder, and the URL of a box, behind all flags")}
	case o.quick && (o.noflip || !o.compress):
		return usageError{errors.New("-quick goes live twice, the second time with compressed forms: not with -no-flip or -compress=false")}
	case flags.NArg() == 2:
		box, err := boxOf(flags.Arg(1))
		if err != nil {
			return usageError{err}
		}
		o.box = box
	}
	o.dir = flags.Arg(0)
	return nil
}

// boxOf is what -box takes, of a URL or of the same.
func boxOf(url string) (string, error) {
	box, isURL := strings.CutPrefix(url, "https://")
	if box = strings.TrimSuffix(box, "/"); box == "" || strings.ContainsAny(box, "/@?#") {
		if strings.HasPrefix(url, "http://") {
			return "", errors.New("a box is published to over https, such as https://ramjet:8443")
		}
		return "", fmt.Errorf("%q is not the URL of a box, such as https://ramjet:8443", url)
	}
	if host := strings.HasSuffix(box, "]") || !strings.Contains(box, ":"); isURL && host {
		box = net.JoinHostPort(strings.Trim(box, "[]"), "8443")
	}
	return box, nil
}

func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "ramjet", "publish")
}

// files is where the hashes of a folder are remembered.
func (o *publishing) files() (string, error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil || o.cache == "" {
		return "", err
	}
	return filepath.Join(o.cache, fmt.Sprintf("%.8x.files", sha256.Sum256([]byte(dir)))), nil
}

// publishSite is the command.
func publishSite(ctx context.Context, args []string, t *Terminal) error {
	var o publishing
	if err := o.parse(args, t); err != nil {
		return err
	}
	cache, err := o.files()
	if err != nil {
		return err
	}
	box, err := o.open(t)
	if err != nil {
		return err
	}
	if _, err := box.allReleases(ctx); err != nil { // So who may not publish knows it before the folder is read.
		return err
	}
	forms := o.cache
	if forms == "" && o.compress {
		if forms, err = os.MkdirTemp("", "publish-"); err != nil {
			return err
		}
		defer os.RemoveAll(forms)
	}
	client, hangUp := box.client()
	defer hangUp()
	p := &publish.Publisher{
		Box: &publish.Box{URL: "https://" + box.address, Client: client, Authorize: box.auth}, Dir: o.dir, Stay: o.noflip, Only: o.only,
		Compress: o.compress, Forms: forms, Quick: o.quick,
		Tree:     tree.Options{Dotfiles: strings.Split(o.dotfiles, ","), AnyMode: o.anyMode, Cache: cache},
		Progress: &publish.Progress{Out: t.Err, Screen: t.Screen},
	}
	began := time.Now()
	r, err := p.Run(ctx)
	sayLeft(t.Err, r.Left)
	if err != nil {
		return err
	}
	if o.only {
		slices.Sort(r.Sent)
		for _, path := range r.Sent {
			fmt.Fprintln(t.Out, path)
		}
		fmt.Fprintf(t.Err, "%d of %d files would be sent, %s\n", len(r.Sent), r.Files, release.Bytes(r.Bytes))
		return nil
	}
	if err := troubleOf(r.Release); err != nil {
		return err
	}
	state, forms := "is live", ""
	if r.Forms > 0 {
		forms = fmt.Sprintf(" (%d compressed forms among them)", r.Forms)
	}
	if !r.Release.Live {
		state = "is there, and not live"
	}
	fmt.Fprintf(t.Out, "%s %s: %d of %d files%s sent, %s in %.1f s\n", r.Release.ID, state, len(r.Sent), r.Files, forms, release.Bytes(r.Bytes), time.Since(began).Seconds())
	if r.Release.Live {
		fmt.Fprintf(t.Err, "to have the release before it back: appliance rollback -box %s\n", box.address)
	} else {
		fmt.Fprintf(t.Err, "to have it live: appliance rollback -box %s %s\n", box.address, r.Release.ID)
	}
	return nil
}

// shownNames is how many names of a kind are shown.
const shownNames = 5

// sayLeft says what was left out, in groups.
func sayLeft(out io.Writer, left []tree.Left) {
	groups := map[string][]string{}
	for _, l := range left {
		groups[l.Why] = append(groups[l.Why], l.Path)
	}
	for _, l := range left { // In the order of the folder.
		names := groups[l.Why]
		if names == nil {
			continue
		}
		delete(groups, l.Why)
		more := ""
		if n := len(names) - shownNames; n > 0 {
			names, more = names[:shownNames], fmt.Sprintf(" and %d more", n)
		}
		fmt.Fprintf(out, "left out: %s: %q%s\n", l.Why, names, more)
	}
}

// client is for many requests, over a few connections.
func (b *box) client() (*http.Client, func()) {
	transport := &http.Transport{
		DialContext:     (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig: b.known.config(b.address), TLSHandshakeTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second, WriteBufferSize: 128 << 10,
	}
	// A box does not send anybody elsewhere.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: stay}, transport.CloseIdleConnections
}
