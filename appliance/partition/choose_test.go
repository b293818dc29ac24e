package partition

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestChoose(t *testing.T) {
	var (
		sda1   = Device{Name: "sda1", Number: "8:1", Size: 1 << 20, Seq: 5}
		sdb1   = Device{Name: "sdb1", Number: "8:17", Size: 1 << 20, Seq: 6}
		other  = Device{Name: "sda1", Number: "8:1", Size: 1 << 20, Seq: 9} // the reader holds another card
		a      = Partition{sda1, Superblock{Ext4, "RAMJET", "a"}}
		b      = Partition{sdb1, Superblock{VFAT, "RAMJET", "b"}}
		exfat  = Partition{sda1, Superblock{ExFAT, "RAMJET", "c"}}
		card   = Partition{other, Superblock{Ext4, "RAMJET", "d"}}
		mountA = Mount{Dir: "/m/sda1", Number: "8:1", Seq: 5}
		mountB = Mount{Dir: "/m/sdb1", Number: "8:17", Seq: 6}
		oldA   = Mount{Dir: "/m/sda1", Number: "8:1"} // by a run of the program before
		stray  = Mount{Dir: "/m/sdb1", Number: "8:1"} // the device has another name by now
	)
	for _, test := range []struct {
		name string
		see  view
		want plan
	}{
		{"nothing, at start", view{}, plan{link: "/www"}},
		{"nothing, fallen back", view{link: "/www"}, plan{link: "/www"}},
		{"nothing has the label", view{devices: []Device{sda1, sdb1}}, plan{link: "/www"}},
		{"exFAT alone", view{parts: []Partition{exfat}}, plan{link: "/www", unused: []Partition{exfat}}},
		{"cannot be mounted, at start", view{parts: []Partition{a}, failed: map[Device]bool{sda1: true}},
			plan{link: "/www", unused: []Partition{a}}},
		{"pulled", view{link: "/m/sda1", mounts: []Mount{mountA}},
			plan{pulled: true, drop: []Mount{mountA}, link: "/m/pulled"}},
		{"pulled, and the mount dropped", view{link: "/m/pulled"}, plan{link: "/m/pulled"}},
		{"pulled, then nothing but what cannot be mounted",
			view{link: "/m/pulled", parts: []Partition{a}, failed: map[Device]bool{sda1: true}},
			plan{link: "/m/pulled", unused: []Partition{a}}},
		{"pulled while the program was down", view{link: "/m/sda1", mounts: []Mount{oldA}},
			plan{pulled: true, drop: []Mount{oldA}, link: "/m/pulled"}},
		{"another card in the reader", view{link: "/m/sda1", devices: []Device{other}, parts: []Partition{card}, mounts: []Mount{mountA}},
			plan{pulled: true, drop: []Mount{mountA}, use: "sda1", mount: &card, link: "/m/sda1"}},
		{"another card without a label", view{link: "/m/sda1", devices: []Device{other}, mounts: []Mount{mountA}},
			plan{pulled: true, drop: []Mount{mountA}, link: "/m/pulled"}},
		{"unmounted by somebody", view{link: "/m/sda1", parts: []Partition{a}},
			plan{pulled: true, use: "sda1", mount: &a, link: "/m/sda1"}},
		{"a mount in the place of another device", view{link: "/www", parts: []Partition{a}, mounts: []Mount{stray}},
			plan{drop: []Mount{stray}, use: "sda1", mount: &a, link: "/m/sda1"}},

		{"one, at start", view{parts: []Partition{a}}, plan{use: "sda1", mount: &a, link: "/m/sda1"}},
		{"one, later", view{link: "/www", parts: []Partition{b}}, plan{use: "sdb1", mount: &b, link: "/m/sdb1"}},
		{"in use", view{link: "/m/sda1", parts: []Partition{a}, mounts: []Mount{mountA}}, plan{use: "sda1", link: "/m/sda1"}},
		{"in use, though it cannot be read now", view{link: "/m/sda1", devices: []Device{sda1}, mounts: []Mount{mountA}},
			plan{use: "sda1", link: "/m/sda1"}},
		{"mounted, and the program died before the link", view{link: "/www", parts: []Partition{a}, mounts: []Mount{oldA}},
			plan{use: "sda1", link: "/m/sda1"}},
		{"both, at start: the first name", view{parts: []Partition{a, b}},
			plan{use: "sda1", mount: &a, link: "/m/sda1", unused: []Partition{b}}},
		{"both: the one in use stays", view{link: "/m/sdb1", parts: []Partition{a, b}, mounts: []Mount{mountB}},
			plan{use: "sdb1", link: "/m/sdb1", unused: []Partition{a}}},
		{"both: the first cannot be mounted", view{parts: []Partition{a, b}, failed: map[Device]bool{sda1: true}},
			plan{use: "sdb1", mount: &b, link: "/m/sdb1", unused: []Partition{a}}},
		{"both mounted, one in use", view{link: "/m/sdb1", parts: []Partition{a, b}, mounts: []Mount{mountA, mountB}},
			plan{drop: []Mount{mountA}, use: "sdb1", link: "/m/sdb1", unused: []Partition{a}}},
		{"pulled, and another is there", view{link: "/m/sda1", parts: []Partition{b}, mounts: []Mount{mountA}},
			plan{pulled: true, drop: []Mount{mountA}, use: "sdb1", mount: &b, link: "/m/sdb1"}},
		{"plugged in again", view{link: "/m/pulled", parts: []Partition{a}}, plan{use: "sda1", mount: &a, link: "/m/sda1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := test.see
			v.media, v.fallback = "/m", "/www"
			for _, p := range v.parts {
				v.devices = append(v.devices, p.Device)
			}
			if diff := cmp.Diff(test.want, choose(v), cmp.AllowUnexported(plan{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("difference (-want +got):\n%s", diff)
			}
		})
	}
}
