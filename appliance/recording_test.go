package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// recorded is what the status of the box says of its flight recorder.
func (b *box) recorded() (s boxStatus) {
	b.t.Helper()
	out, exit := b.say("", "status")
	var all struct{ Box *boxStatus }
	all.Box = &s
	if err := json.Unmarshal([]byte(out), &all); exit != 0 || err != nil {
		b.t.Fatalf("exit status %d, %v: %s", exit, err, out)
	}
	return s
}

// waitTurn returns when the recorder has written the next time.
func (b *box) waitTurn() {
	b.t.Helper()
	written := func() time.Time {
		info, err := os.Stat(b.path("state/recorder/ring"))
		if err != nil {
			b.t.Fatal(err)
		}
		return info.ModTime()
	}
	before := written()
	wait(b.t, "the recorder's next turn", func() bool { return written().After(before) })
}

// A change that is taken back, and a program that is killed, leave flights, which say who did what; appliance status shows
// the newest.
func TestFlights(t *testing.T) {
	b := startBox(t)
	t.Setenv("XDG_CONFIG_HOME", b.Dir)
	b.want(0, "", "", "config", "-accept-new", "show")
	wait(t, "the flight recorder", func() bool { return b.recorded().Recorder.LastRun != nil })
	if s := b.recorded().Recorder; !s.LastRun.Clean || len(s.Flights) != 0 {
		t.Errorf("at the first start: %+v", s)
	}

	for range 2 {
		b.waitTurn() // Metrics are in it.
	}
	b.want(0, "on trial", `{"server": "tried"}`, "config", "put", "-")
	b.want(0, "taken back", "", "config", "revert")
	wait(t, "a flight of the change that was taken back", func() bool { return len(b.recorded().Recorder.Flights) > 0 })
	s := b.recorded().Recorder
	if !strings.Contains(s.Flights[0].Why, "of config, by gokrazy, was taken back") {
		t.Errorf("why: %s", s.Flights[0].Why)
	}
	events := strings.Join(s.Newest.Events, "\n")
	for _, word := range []string{"asked: gokrazy from 127.0.0.1: PUT /config?within=1m0s at port " + port(t, b.api) + ": 200", "config: gokrazy: change 2: reverted"} {
		if !strings.Contains(events, word) {
			t.Errorf("the events do not have %q:\n%s", word, events)
		}
	}
	if !strings.Contains(s.Newest.Metrics, "accelerator: cpu") {
		t.Errorf("metrics: %s", s.Newest.Metrics)
	}

	b.waitTurn() // What is in the flight already makes no second one.
	b.kill()
	b.start()
	wait(t, "a flight of the program that was killed", func() bool { return len(b.recorded().Recorder.Flights) > 1 })
	if why := b.recorded().Recorder.Flights[0].Why; !strings.Contains(why, "ended without a word") {
		t.Errorf("why: %s", why)
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// The ports that show logs and flights do so to nobody without the password.
func TestFlightsAreNotForStrangers(t *testing.T) {
	b := startBox(t)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/flights", "/flights/1", "/logs", "/logs/kernel"} {
		answer, err := client.Get("https://" + b.api + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}
