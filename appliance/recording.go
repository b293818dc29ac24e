package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ramjet/appliance/access"
	"ramjet/appliance/logs"
	"ramjet/appliance/recorder"
	"ramjet/appliance/trial"
)

// recording is what outlives the power: the logs, and the last minutes before something went wrong.
type recording struct {
	logs    *logs.Keeper
	flights *recorder.Recorder
}

// newRecording: state is the directory on /perm, admin the accelerator's socket.
func newRecording(state, admin string) *recording {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id := strings.TrimSpace(string(boot))
	wait := func(ctx context.Context) { started(ctx, admin) }
	flights := &recorder.Recorder{
		Ring: filepath.Join(state, "recorder", "ring"), Flights: filepath.Join(state, "flights"), Boot: id, Version: version,
		Socket: admin, Wait: wait,
	}
	return &recording{flights: flights, logs: &logs.Keeper{
		Dir: filepath.Join(state, "logs"), Gokrazy: gokrazySocket, Kernel: kernelLog(), Boot: id, Wait: wait, Heard: flights.Heard,
	}}
}

// kernelLog is the kernel's log of a box; that of another machine is no business of this program.
func kernelLog() string {
	if _, err := os.Stat("/gokrazy/init"); err != nil {
		return ""
	}
	return "/dev/kmsg"
}

// started returns when the accelerator has had its start, or takes too long: nothing that can wait is to slow it down.
func started(ctx context.Context, admin string) {
	const most, after = 15 * time.Second, 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for ctx.Err() == nil {
		pause := 500 * time.Millisecond
		conn, err := new(net.Dialer).DialContext(ctx, "unix", admin)
		if err == nil {
			conn.Close()
			pause = after
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		if err == nil {
			return
		}
	}
}

func (r *recording) tasks() []Task { return []Task{r.flights, r.logs} }

// asked records who changes something at the ports where everybody has the same name.
func (r *recording) asked(next http.Handler) http.Handler { return r.flights.Asked(access.User, next) }

// ended records how a change has ended. What was taken back has had a reason, which the last minutes may tell.
func (r *recording) ended(e trial.Entry) {
	r.flights.Note(e.Subject, e.Who, fmt.Sprintf("change %d: %s %s", e.ID, e.How, e.Why))
	if e.How == trial.Reverted {
		r.flights.Keep(fmt.Sprintf("change %d of %s, by %s, was taken back: %s", e.ID, e.Subject, e.Who, e.Why))
	}
}

// pages are what the ports with a password show of it.
func (r *recording) pages() map[string]http.Handler {
	return map[string]http.Handler{"GET /logs": r.logs, "GET /logs/{name}": r.logs, "GET /flights": r.flights, "GET /flights/{id}": r.flights}
}
