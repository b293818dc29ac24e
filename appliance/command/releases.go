package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ramjet/appliance/api"
	"ramjet/appliance/release"
)

// releases lists them, flips to another one, or sets how many are kept. The words are never none; the first may be empty.
func (b *box) releases(ctx context.Context, name string, words []string) error {
	word := words[0]
	switch {
	case len(words) > 1, name == "releases" && word != "", name == "keep" && word == "":
		return usageError{errors.New("releases, rollback [ID], or keep N")}
	case name == "releases":
		return b.listReleases(ctx)
	case name == "keep":
		_, err := b.ask(ctx, http.MethodPut, "/releases/keep", "", []byte(word))
		return err
	case word == "":
		word = release.Previous
	}
	a, err := b.ask(ctx, http.MethodPost, "/releases/"+escape(word)+"/live", "", nil)
	if err != nil {
		return err
	}
	var r release.Release
	if err := json.Unmarshal(a.text, &r); err != nil {
		return err
	}
	if err := troubleOf(r); err != nil {
		return err
	}
	fmt.Fprintln(b.t.Out, r.ID, "is live")
	return nil
}

// assets shows or sets which files stay reachable after a flip. The words are never none; the first may be empty.
func (b *box) assets(ctx context.Context, globs []string) error {
	if globs[0] != "" {
		_, err := b.ask(ctx, http.MethodPut, "/releases/assets", "", []byte(strings.Join(globs, "\n")))
		return err
	}
	all, err := b.allReleases(ctx)
	for _, glob := range all.Assets {
		fmt.Fprintln(b.t.Out, glob)
	}
	return err
}

func troubleOf(r release.Release) error {
	if r.Trouble == "" {
		return nil
	}
	return fmt.Errorf("%s is the release to serve now, but the accelerator does not serve it yet: %s", r.ID, r.Trouble)
}

func (b *box) allReleases(ctx context.Context) (all api.Releases, err error) {
	a, err := b.ask(ctx, http.MethodGet, "/releases", "", nil)
	if err == nil {
		err = json.Unmarshal(a.text, &all)
	}
	return all, err
}

func (b *box) listReleases(ctx context.Context) error {
	all, err := b.allReleases(ctx)
	if err != nil {
		return err
	}
	for _, r := range all.Releases {
		mark := " "
		if r.Live {
			mark = "*"
		}
		if r.Created.IsZero() {
			fmt.Fprintf(b.t.Out, "%s %s  made by hand\n", mark, r.ID)
			continue
		}
		fmt.Fprintf(b.t.Out, "%s %s  %s  %d files, %s  by %s\n", mark, r.ID, r.Created.Local().Format(time.DateTime), r.Files, release.Bytes(r.Bytes), r.By)
	}
	fmt.Fprintf(b.t.Err, "the last %d are kept\n", all.Keep)
	b.sayScrub(all.Scrub)
	return nil
}

// sayScrub says what the last scrub has found.
func (b *box) sayScrub(last *release.Scrubbed) {
	if last == nil {
		return
	}
	when := last.Time.Local().Format(time.DateTime)
	if len(last.Rotten) == 0 {
		fmt.Fprintf(b.t.Err, "all files were read on %s, and are what they were\n", when)
		return
	}
	fmt.Fprintf(b.t.Err, "ROTTEN: all files were read on %s, and these have changed on the disk by themselves. Publish the site again, and look after the disk:\n", when)
	for _, r := range last.Rotten {
		for _, name := range r.Files {
			fmt.Fprintf(b.t.Err, "  %s: %s\n", name, r.Why)
		}
	}
}
