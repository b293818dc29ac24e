package command

import (
	"bytes"
	"testing"
	"time"

	"ramjet/appliance/release"
)

func TestSayScrub(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, test := range []struct {
		found *release.Scrubbed
		want  string
	}{
		{nil, ""},
		{&release.Scrubbed{Time: when}, "all files were read on 2026-01-02 03:04:05, and are what they were\n"},
		{
			&release.Scrubbed{Time: when, Rotten: []release.Rotten{{Files: []string{"000001-aa/a.txt"}, Why: "its bytes are others"}}},
			"ROTTEN: all files were read on 2026-01-02 03:04:05, and these have changed on the disk by themselves. Publish the site again, and look after the disk:\n" +
				"  000001-aa/a.txt: its bytes are others\n",
		},
	} {
		var out bytes.Buffer
		(&box{t: &Terminal{Err: &out}}).sayScrub(test.found)
		if got := out.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
