// Package hang is the story of an accelerator that hangs, and then of a kernel that does.
package hang

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/health"
	"ramjet/appliance/vmtest"
)

// edit shortens the time of the watchdog, which is 30 s.
func edit(config map[string]any) {
	config["KernelExtraArgs"] = append(config["KernelExtraArgs"].([]any), "i6300esb.heartbeat=8")
}

func TestHang(t *testing.T) {
	tree := vmtest.TempDir(t)
	if err := os.WriteFile(tree+"/index.html", []byte("it works"), 0o644); err != nil {
		t.Fatal(err)
	}
	box := vmtest.Boot(t, vmtest.Config{
		Content: vmtest.ContentDisk(t, tree, nil), Watchdog: true, Helper: true, Variant: "hang", Edit: edit,
	})
	box.WaitUp("/index.html")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, _, err := box.Machine.Serial.Wait(ctx, regexp.MustCompile("found hardware watchdog"), 0); err != nil {
		t.Fatal(err)
	}
	well(t, box)

	t.Run("the accelerator", func(t *testing.T) {
		box.Order("stop accelerator")
		wait(t, box, "it hangs", func(err error) bool { return err != nil })
		begun := time.Now()
		wait(t, box, "it serves again", func(err error) bool { return err == nil })
		took := time.Since(begun)
		t.Logf("no answer for %v", took)
		if took > 30*time.Second {
			t.Errorf("there was no answer for %v", took)
		}
		box.WaitLog("appliance", 30*time.Second, "the accelerator hung and was ended")
	})
	t.Run("the kernel", func(t *testing.T) {
		box.Order("panic")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		begun := time.Now()
		if err := box.Machine.QMP.WaitEvent(ctx, "WATCHDOG", ""); err != nil {
			t.Fatal(err)
		}
		t.Logf("reset after %v", time.Since(begun))
		box.WaitUp("/index.html")
	})
}

// wait asks once and again until the outcome is what is waited for.
func wait(t *testing.T, box *vmtest.Box, what string, is func(err error) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := box.Fetch(ctx, "/index.html", map[string]string{"Connection": "close"})
		cancel()
		if is(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s: %v", what, err)
		}
	}
}

// well waits until the box calls itself healthy, and looks at why.
func well(t *testing.T, box *vmtest.Box) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		status, text := box.Ask("GET", "/health", "", "")
		var r health.Report
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if status == http.StatusOK {
			var b strings.Builder
			if err := r.Write(&b); err != nil {
				t.Fatal(err)
			}
			t.Log(b.String())
			for _, c := range r.Checks {
				if strings.HasPrefix(c.Name, "serving/") && c.State != health.OK || c.Name == "network/gateway" && c.State != health.OK || c.Name == "programs/services" && c.State != health.OK {
					t.Errorf("%+v", c)
				}
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the box is not healthy: %s", r.Failed())
		}
	}
}
