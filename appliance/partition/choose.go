package partition

import (
	"path/filepath"
	"slices"
)

// view is what the watcher sees in one look at the machine.
type view struct {
	media    string          // directory of the mounts
	fallback string          // directory of the site while there has never been a partition
	link     string          // what the site link says; "" if there is none
	devices  []Device        // all block devices, in the order of their names
	parts    []Partition     // those that carry the label, in the same order
	mounts   []Mount         // what is mounted below media
	failed   map[Device]bool // devices that could not be mounted since the last change
}

// plan is what the watcher does about it, in this order.
type plan struct {
	pulled bool        // the link names what is not mounted any more: point it to the place that never exists
	drop   []Mount     // to be unmounted and their directories removed
	use    string      // name of the device to use; "" for none
	mount  *Partition  // to be mounted first; nil if use is mounted already
	link   string      // what the site link is to say in the end
	unused []Partition // carry the label too, but are not used
}

// pulledName is a name below media that never exists. The link points there after a pull, and not to the mount directory
// that was: that one exists for a moment without its mount, before it goes and when it is made again, and the accelerator
// would take it for a site without a page.
const pulledName = "pulled"

// choose decides which partition is the content partition and where the site link points. It is a pure function.
//
//  1. A mount whose device is gone, or was replaced by another under the same name, is dropped.
//  2. The partition in use (the link names it and it is mounted) stays, whatever else there is.
//  3. Else one that is mounted already (by a run of the program that ended between mount and link) is used.
//  4. Else the first in the order of device names that is not known to fail.
//  5. With none, a link that named a partition is left dangling, and one that names the fallback directory stays. Only where
//     there is no link yet, it is made, to the fallback directory.
//
// The dangling link of rule 5 is on purpose. The accelerator then keeps the snapshot it has: what is in memory goes on, the
// rest is forwarded or gets 503, which a client tries again. The fallback directory holds another site, or none: half of
// the pages would turn into 404, and be cached as such, while the other half came from the old site.
func choose(v view) plan {
	p := plan{link: v.link}
	var live []string // names of the devices that are mounted where they belong
	for _, m := range v.mounts {
		if i := slices.IndexFunc(v.devices, func(d Device) bool { return belongs(v.media, m, d) }); i >= 0 {
			live = append(live, v.devices[i].Name)
		} else {
			p.drop = append(p.drop, m)
		}
	}
	if filepath.Dir(v.link) == v.media {
		if name := filepath.Base(v.link); slices.Contains(live, name) {
			p.use = name
		} else {
			p.pulled = name != pulledName
			p.link = filepath.Join(v.media, pulledName)
		}
	}
	for i := 0; i < len(v.parts) && p.use == ""; i++ {
		if slices.Contains(live, v.parts[i].Name) {
			p.use = v.parts[i].Name
		}
	}
	for i := 0; i < len(v.parts) && p.use == ""; i++ {
		if part := v.parts[i]; part.Type != ExFAT && !v.failed[part.Device] {
			p.use, p.mount = part.Name, &part
		}
	}
	for _, m := range v.mounts {
		if name := filepath.Base(m.Dir); slices.Contains(live, name) && name != p.use {
			p.drop = append(p.drop, m)
		}
	}
	for _, part := range v.parts {
		if part.Name != p.use {
			p.unused = append(p.unused, part)
		}
	}
	switch {
	case p.use != "":
		p.link = filepath.Join(v.media, p.use)
	case v.link == "":
		p.link = v.fallback
	}
	return p
}

// belongs reports whether the mount is that of the device, in its place. While a mount holds a device, the kernel gives its
// number to no other, so a number that is there belongs to the disk that was mounted; the disk's own running number tells
// whether a reader holds another card by now.
func belongs(media string, m Mount, d Device) bool {
	return m.Dir == filepath.Join(media, d.Name) && m.Number == d.Number && (m.Seq == 0 || m.Seq == d.Seq)
}
