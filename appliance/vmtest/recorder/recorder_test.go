// Package recorder is the story of a box whose power is cut while it serves: it tells afterwards how it was until then.
package recorder

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/recorder"
	"ramjet/appliance/vmtest"
)

// turn is the time between what the recorder writes.
const turn = 2 * time.Second

func TestRecorder(t *testing.T) {
	box := vmtest.Boot(t, vmtest.Config{Perm: map[string]string{"www/index.html": "home"}})
	box.WaitUp("/index.html")
	box.WaitAPI()
	recorded := func() (s recorder.Status) {
		status, text, err := box.API("GET", "/status", "")
		var all struct {
			Box struct{ Recorder *recorder.Status }
		}
		all.Box.Recorder = &s
		if err == nil && status == http.StatusOK {
			if err := json.Unmarshal([]byte(text), &all); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	box.WaitFor("the flight recorder", func() bool { return recorded().LastRun != nil })
	if s := recorded(); !s.LastRun.Clean || len(s.Flights) != 0 {
		t.Errorf("at the first start: %+v, %+v", s, s.LastRun)
	}
	// Once the change is in the log, the requests were before it.
	for range 50 {
		box.Get("/index.html", nil)
	}
	box.MustAPI(http.StatusOK, "PUT", "/config", `{"server": "tried"}`)
	box.WaitFor("the logs", func() bool {
		return strings.Contains(box.MustAPI(http.StatusOK, "GET", "/logs/accelerator", ""), "msg=ready")
	})
	time.Sleep(5 * turn) // The moment of the cut: what was two turns ago is on the disk.
	box.PowerCut()

	box.PowerOn()
	box.WaitUp("/index.html")
	box.WaitAPI()
	box.WaitFor("the flight", func() bool { return len(recorded().Flights) > 0 })
	s := recorded()
	oldest := s.Flights[len(s.Flights)-1] // There may be a newer one, of the change that was taken back.
	if s.LastRun.Clean || s.LastRun.Flight != oldest.ID || !strings.Contains(oldest.Why, "power cut") {
		t.Errorf("%+v, %+v", s, s.LastRun)
	}
	flight := box.MustAPI(http.StatusOK, "GET", fmt.Sprintf("/flights/%d", oldest.ID), "")
	for what, word := range map[string]string{
		"metrics": "; accelerator: cpu", "requests": `requests{outcome="static"} +`, "a log": "accelerator: ", "who": "asked: gokrazy from 10.0.2.2: PUT /config at port 8443: 200",
	} {
		if !strings.Contains(flight, word) {
			t.Errorf("the flight has nothing of %s:\n%s", what, flight)
		}
	}
	box.WaitFor("the logs of both starts", func() bool {
		return strings.Count(box.MustAPI(http.StatusOK, "GET", "/logs/accelerator", ""), "msg=ready") > 1
	})
}
