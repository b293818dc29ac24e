// Package powercut is the story of a box whose power is cut at moments that are spread over an update.
package powercut

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
)

var (
	cuts  = flag.Int("cuts", 2, "how often the power is cut")
	board = flag.String("board", "amd64", "kind of box: amd64, arm64 or rpi")
)

const page = "/index.html"

// backLimit is from power-on to the first answer, in an emulated machine.
const backLimit = 90 * time.Second

func TestPowerCuts(t *testing.T) {
	config := vmtest.Config{
		Board: *board, Perm: map[string]string{"www/index.html": "a page\n"}, Updates: map[string]func(map[string]any){"one": nil, "other": nil},
	}
	if *board == "rpi" {
		config.Helper, config.Variant = true, "helper"
	}
	box := vmtest.Boot(t, config)
	box.WaitUp(page)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	begun := time.Now()
	if err := box.Update(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	whole, running := time.Since(begun), "one"
	for i := range *cuts {
		next := "one"
		if running == next {
			next = "other"
		}
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			after := whole * time.Duration(2*i+1) / time.Duration(2**cuts)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- box.Update(ctx, next) }()
			select {
			case <-time.After(after): // The moment of the cut, not a wait for something.
			case <-ctx.Done():
			}
			box.PowerCut()
			cancel()
			<-ended
			box.PowerOn()
			back := box.WaitUp(page).Sub(box.Machine.Started)
			got, s := box.Version(), box.UpdateStatus()
			end := "no update"
			if n := len(s.History); n > 0 {
				end = s.History[n-1].Outcome + ": " + s.History[n-1].Reason
			}
			t.Logf("cut after %.1f s of %.1f; back after %.1f s on %s, root %d; the last update: %s",
				after.Seconds(), whole.Seconds(), back.Seconds(), got, s.Root, end)
			if back > backLimit {
				t.Errorf("that is more than %v", backLimit)
			}
			if got != running && got != next || s.Version != got || s.OnTrial || s.Trial != nil {
				t.Errorf("it runs %q, was %q, the next one %q; of its updates it says %+v", got, running, next, s)
			}
			running = got
		})
	}
}
