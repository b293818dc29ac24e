// Package badupdate is the story of a box that gets bad versions over the air, by the stock gok: each goes by itself.
package badupdate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/update/disk"
	"ramjet/appliance/vmtest"
)

var (
	all   = flag.Bool("all", false, "send all bad versions, not only the first one")
	board = flag.String("board", "amd64", "kind of box: amd64, arm64 or rpi")
)

// page is what the box serves.
const page = "/index.html"

// backLimit is from the start of a bad version to the first answer of the old one, in an emulated machine.
const backLimit = 90 * time.Second

var (
	begun    = regexp.MustCompile(`ramjet: starting the version on trial`)
	reverted = regexp.MustCompile(`ramjet: update to .* reverted: (.*)`)
)

// program returns the settings of one of ours in a configuration.
func program(config map[string]any, name string) map[string]any {
	return config["PackageConfig"].(map[string]any)[name].(map[string]any)
}

// tooLittle has a kernel panic before its first program: for want of memory, or, since an arm64 kernel that has too little of
// that hangs before it knows of panic=10, for want of that program.
var tooLittle = map[string][]any{"amd64": {"mem=24M"}, "arm64": {"rdinit=/nowhere", "init=/nowhere"}}

// mistake is one that somebody could make in a configuration.
type mistake struct {
	name   string
	edit   func(config map[string]any)
	says   string // what the box says to it
	unseen string // the board whose trials do not show it: they run with the kernel in use
}

var bad = []mistake{
	{"accelerator ends at once", func(c map[string]any) {
		program(c, "ramjet/accelerator")["CommandLineFlags"] = []string{"-no-such-flag"}
	}, "was started", ""},
	{"appliance ends at once", func(c map[string]any) {
		program(c, "ramjet/appliance")["CommandLineFlags"] = []string{"-no-such-flag"}
	}, "no program of the new version has looked after the trial", ""},
	{"no network", func(c map[string]any) {
		c["GokrazyPackages"] = []string{"github.com/gokrazy/gokrazy/cmd/randomd"}
	}, "there is no default route; before", ""},
	{"accelerator answers 500", func(c map[string]any) {
		c["Packages"] = []string{"ramjet/appliance/vmtest/badupdate/accelerator", "ramjet/appliance"}
		delete(c["PackageConfig"].(map[string]any), "ramjet/accelerator")
	}, "nobody has its admin socket", ""},
	{"init panics", func(c map[string]any) {
		c["InternalCompatibilityFlags"].(map[string]any)["InitPkg"] = "ramjet/appliance/vmtest/badupdate/init"
	}, "crash, hang or power cut", ""},
	{"kernel does not boot", func(c map[string]any) {
		c["KernelExtraArgs"] = append(c["KernelExtraArgs"].([]any), tooLittle[*board]...)
	}, "crash, hang or power cut", "rpi"},
}

// version names the i-th of them.
func version(i int) string { return fmt.Sprintf("bad-%d", i+1) }

func TestBadUpdates(t *testing.T) {
	var list []mistake
	for _, b := range bad {
		if b.unseen != *board && (*all || len(list) == 0) {
			list = append(list, b)
		}
	}
	config := vmtest.Config{
		Board: *board, Perm: map[string]string{"www/index.html": "a page\n"}, Updates: map[string]func(map[string]any){},
	}
	if *board == "rpi" {
		config.Helper, config.Variant = true, "helper"
	}
	for i, b := range list {
		config.Updates[version(i)] = b.edit
	}
	box := vmtest.Boot(t, config)
	box.WaitUp(page)
	for i, b := range list {
		t.Run(b.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- box.Update(ctx, version(i)) }()
			start, _, err := box.Machine.Serial.Wait(ctx, begun, i)
			if err != nil {
				cancel()
				t.Fatal(errors.Join(err, <-ended))
			}
			_, said, err := box.Machine.Serial.Wait(ctx, reverted, i)
			if err != nil {
				t.Fatal(err)
			}
			back := box.WaitUp(page).Sub(start.At)
			cancel()
			if err := <-ended; err == nil {
				t.Error("gok says that the update succeeded")
			}
			t.Logf("back after %.1f s: %s", back.Seconds(), said[1])
			if back > backLimit {
				t.Errorf("that is more than %v", backLimit)
			}
			if !strings.Contains(said[1], b.says) {
				t.Errorf("it does not say %q", b.says)
			}
			if got := box.ActiveRoot(); got != disk.RootA {
				t.Errorf("the box runs from root partition %d", got)
			}
			s := box.UpdateStatus()
			if n := len(s.History); n != i+1 || s.Version != vmtest.Version || s.OnTrial || s.History[n-1].Outcome != "reverted" || !strings.Contains(s.History[n-1].Reason, b.says) {
				t.Errorf("it says of its updates: %+v", s)
			}
		})
	}
}
