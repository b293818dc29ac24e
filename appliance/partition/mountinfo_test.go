package partition

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mountinfoOfABox = `21 1 259:2 / / ro,relatime - squashfs /dev/root ro,errors=continue
23 21 0:21 / /run rw,relatime shared:2 - tmpfs tmpfs rw
29 21 259:4 / /perm rw,relatime shared:9 - ext4 /dev/sda4 rw
31 23 8:17 / /run/ramjet/media/sdb1 rw,nosuid,nodev,noexec,noatime shared:11 master:3 - ext4 /dev/sdb1 rw,errors=remount-ro
32 23 8:33 / /run/ramjet/media/sdc1 rw,nosuid,nodev,noexec,noatime - ext4 /dev/sdc1 ro,errors=remount-ro
33 23 8:48 / /run/ramjet/media/a\040b\134 ro,noatime - vfat /dev/sdd ro,fmask=0133
34 31 0:50 / /run/ramjet/media/sdb1/inside rw - tmpfs tmpfs rw
35 23 8:64 / /run/ramjet/media/sdb1 ro - ext4 /dev/sde ro
`

func TestParseMountinfo(t *testing.T) {
	const below = "/run/ramjet/media"
	for _, test := range []struct {
		name, text string
		want       []Mount
		bad        bool
	}{
		{name: "no dash", text: "31 23 8:17 / /run/ramjet/media/sdb1 rw,noatime ext4 /dev/sdb1 rw\n", bad: true},
		{name: "dash too early", text: "31 23 8:17 - / /run/ramjet/media/sdb1 rw ext4 /dev/sdb1 rw\n", bad: true},
		{name: "cut short", text: "31 23 8:17 / /run/ramjet/media/sdb1 rw - ext4\n", bad: true},
		{name: "an empty line", text: "\n", bad: true},
		{name: "nothing mounted"},
		{name: "a box", text: mountinfoOfABox, want: []Mount{
			{Dir: "/run/ramjet/media/sdc1", Number: "8:33", ReadOnly: true},
			{Dir: `/run/ramjet/media/a b\`, Number: "8:48", ReadOnly: true},
			{Dir: "/run/ramjet/media/sdb1", Number: "8:64", ReadOnly: true}, // the upper one of two
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseMountinfo(strings.NewReader(test.text), below)
			if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.bad {
				t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
			}
		})
	}
}

// FuzzParseMountinfo: names in it come from whoever made directories and labels.
func FuzzParseMountinfo(f *testing.F) {
	f.Add(mountinfoOfABox)
	f.Add(`1 2 3:4 / /run/ramjet/media/\04 rw - a b c`)
	f.Add(`1 2 3:4 / /run/ramjet/media/\777\0400 rw - a b c`)
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMountinfo(strings.NewReader(text), "/run/ramjet/media")
		if err != nil && mounts != nil {
			t.Errorf("both mounts and error %v", err)
		}
		for _, m := range mounts {
			if filepath.Dir(m.Dir) != "/run/ramjet/media" {
				t.Errorf("%q is not directly below", m.Dir)
			}
		}
	})
}
