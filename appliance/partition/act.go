package partition

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// look looks at the machine and does what choose says about it. Errors are logged; the next look tries again what is left to do.
// Fresh reads all superblocks anew and tries again what failed.
func (w *Watcher) look(fresh bool) {
	if fresh {
		clear(w.failed)
	}
	v, err := w.view(fresh)
	if err != nil {
		w.Log.Error("cannot see block devices or mounts", "err", err)
		if v.link == "" {
			w.flip(w.Fallback)
		}
		return
	}
	mounted := false
	p := choose(v)
	for ; ; p = choose(v) { // ends, for every round but the last marks one more device as failed
		if p.pulled {
			w.Log.Warn("the content partition is gone; what is in memory goes on being served", "was", v.link)
			v.link = w.pulled()
		}
		for _, m := range p.drop {
			w.drop(m)
		}
		v.mounts = slices.DeleteFunc(v.mounts, func(m Mount) bool { return slices.Contains(p.drop, m) })
		if p.mount == nil {
			break
		}
		if mounted = w.mount(*p.mount); mounted {
			break
		}
		w.failed[p.mount.Device] = true
	}
	w.warnUnused(v, p)
	w.watchWritable(v.mounts)
	if p.link != v.link || mounted {
		w.flip(p.link)
	}
	w.tidy(v.mounts, p.use)
}

// mount mounts a partition in its place.
func (w *Watcher) mount(p Partition) bool {
	dir := filepath.Join(w.media(), p.Name)
	err := os.Mkdir(dir, 0o755)
	readOnly := false
	if err == nil || os.IsExist(err) {
		readOnly, err = w.host.mountPartition(p, dir)
	}
	if err != nil {
		os.Remove(dir)
		w.Log.Warn("cannot mount the content partition", "partition", p, "err", err, "advice", advice(err))
		return false
	}
	w.seqs[dir] = p.Seq
	w.Log.Info("content partition mounted", "partition", p, "dir", dir, "read_only", readOnly)
	return true
}

// drop takes a mount away whose device is gone, or that is not the one to use.
func (w *Watcher) drop(m Mount) {
	if err := w.host.unmount(m.Dir); err != nil {
		w.Log.Error("cannot unmount", "err", err)
		return
	}
	delete(w.seqs, m.Dir)
	delete(w.writable, m.Dir)
	w.Log.Info("unmounted", "dir", m.Dir)
}

// pulled makes the site link dangle, and returns what it says now. Nobody is told: there is nothing to load.
func (w *Watcher) pulled() string {
	nowhere := filepath.Join(w.media(), pulledName)
	if err := renameio.Symlink(nowhere, w.site()); err != nil {
		w.Log.Error("cannot make the site link dangle", "err", err)
	}
	return nowhere
}

// flip makes the site link say target, and tells so.
func (w *Watcher) flip(target string) {
	if target == w.Fallback {
		if err := os.MkdirAll(target, 0o755); err != nil {
			w.Log.Warn("cannot make the fallback directory; is there a permanent partition?", "err", err)
		}
	}
	if err := renameio.Symlink(target, w.site()); err != nil {
		w.Log.Error("cannot flip the site link", "err", err)
		return
	}
	w.Log.Info("site link flipped", "site", w.site(), "target", target)
	if w.Changed != nil {
		notify(w.Changed)
	}
}

// tidy removes mount directories that nothing is mounted on: from a mount that was dropped, failed, or ended with a crash.
// It removes empty directories alone, and the kernel refuses to remove one that is mounted on.
func (w *Watcher) tidy(mounts []Mount, use string) {
	entries, err := os.ReadDir(w.media())
	if err != nil {
		w.Log.Error("cannot tidy up", "err", err)
		return
	}
	for _, e := range entries {
		dir := filepath.Join(w.media(), e.Name())
		if e.Name() == use || slices.ContainsFunc(mounts, func(m Mount) bool { return m.Dir == dir }) {
			continue
		}
		if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
			w.Log.Error("cannot remove a mount directory", "dir", dir, "err", err)
		}
	}
}

// warnUnused names the partitions that carry the label and are not used, once for each change.
func (w *Watcher) warnUnused(v view, p plan) {
	var said strings.Builder
	for _, part := range p.unused {
		said.WriteString(part.String() + " beside " + p.use + "\n")
	}
	if said.String() == w.warned {
		return
	}
	w.warned = said.String()
	for _, part := range p.unused {
		switch {
		case part.Type == ExFAT:
			w.Log.Warn("exFAT is not supported", "partition", part, "advice", "format it as ext4 or FAT32, with the same label")
		case v.failed[part.Device]: // reported when it failed
		default:
			w.Log.Warn("two partitions carry the label; the first is used until it is pulled", "used", p.use, "not_used", part)
		}
	}
}

// watchWritable reports a file system that turned read-only, as ext4 does by itself after an error. It is still served.
func (w *Watcher) watchWritable(mounts []Mount) {
	for _, m := range mounts {
		if m.ReadOnly && w.writable[m.Dir] {
			w.Log.Error("the content partition turned read-only after an error; check it with e2fsck", "dir", m.Dir)
		}
		w.writable[m.Dir] = !m.ReadOnly
	}
}
