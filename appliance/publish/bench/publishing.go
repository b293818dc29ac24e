package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lab is where it is measured.
type lab struct {
	dir      string
	network  *network
	programs programs
}

// took is how long both needed for the same.
type took struct {
	publish, rsync time.Duration
	synced         time.Duration // rsync, until what it has written is on the disk
}

// published is what a round has found.
type published struct{ first, again took }

// The site that is published.
const (
	siteFiles = 5_000
	siteBytes = 200 << 20
)

// publishing measures a first publishing, and one after a page has changed.
func (l *lab) publishing(ctx context.Context, rounds int) (all []published, err error) {
	site := filepath.Join(l.dir, "site")
	if err := makeSite(site, siteFiles, siteBytes); err != nil {
		return nil, err
	}
	for round := range rounds {
		p, err := l.publishOnce(ctx, site, round)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "round %d: first %v, rsync %v; after a change %v, rsync %v\n", round+1, p.first.publish, p.first.rsync, p.again.publish, p.again.rsync)
		all = append(all, p)
	}
	return all, nil
}

// publishOnce is a round: a new box and an empty module of rsync, which take turns in who comes first. Nothing is removed
// behind it; see newDisk.
func (l *lab) publishOnce(ctx context.Context, site string, round int) (p published, err error) {
	b, err := l.newBox(ctx, fmt.Sprint("box", round))
	if err != nil {
		return p, err
	}
	defer b.close()
	m, err := l.newModule(ctx, fmt.Sprint("module", round))
	if err != nil {
		return p, err
	}
	defer m.end()
	both := func(times *took) error {
		measure := func(d *time.Duration, do func() error) error {
			unix.Sync() // What others have written is not to be waited for.
			began := time.Now()
			err := do()
			*d = time.Since(began).Round(time.Millisecond)
			return err
		}
		publish := func() error {
			return measure(&times.publish, func() error { _, err := b.publish(ctx, site); return err })
		}
		rsync := func() error {
			err := measure(&times.rsync, func() error { return m.rsync(ctx, site) })
			began := time.Now()
			unix.Sync()
			times.synced = times.rsync + time.Since(began)
			return err
		}
		if round%2 == 1 {
			publish, rsync = rsync, publish
		}
		if err := publish(); err != nil {
			return err
		}
		return rsync()
	}
	if err := both(&p.first); err != nil {
		return p, err
	}
	if err := change(site, round+1); err != nil {
		return p, err
	}
	if err := both(&p.again); err != nil {
		return p, err
	}
	return p, sameSites(site, b.path("site/current"), m.dir)
}

// sameSites looks whether all has arrived.
func sameSites(site string, copies ...string) error {
	for _, dir := range copies {
		if out, err := exec.Command("diff", "-rq", site, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("what was sent is not what has arrived: %w: %.500s", err, out)
		}
	}
	return nil
}

// module is what an rsync daemon lets be written.
type module struct {
	*server
	dir string
}

func (l *lab) newModule(ctx context.Context, name string) (*module, error) {
	m := &module{dir: filepath.Join(l.dir, name)}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(l.dir, "rsyncd.conf")
	text := []string{"use chroot = no", "uid = 0", "gid = 0", "[site]", "path = " + m.dir, "read only = no", ""}
	if err := os.WriteFile(config, []byte(strings.Join(text, "\n")), 0o600); err != nil {
		return nil, err
	}
	var err error
	m.server, err = l.serve(ctx, "873", "rsync", "--daemon", "--no-detach", "--config="+config)
	return m, err
}

// rsync sends a folder as an expert would: whole files, for there is nothing to be gained from parts of them on a fast link.
func (m *module) rsync(ctx context.Context, site string) error {
	out, err := exec.CommandContext(ctx, "rsync", "-a", "--whole-file", "--delete", site+"/", "rsync://"+there+"/site/").CombinedOutput()
	if err != nil {
		return fmt.Errorf("rsync: %w\n%s", err, out)
	}
	return nil
}
