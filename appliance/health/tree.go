package health

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Row is one check of the tree.
type Row struct {
	Name   string // group/check
	Weight int    // what a failure costs, of 100
	Text   string // what must hold
	// Relative tells that it compares with what was before.
	Relative bool

	check func(*look) (State, string)
}

// accelerator is the name of the check that the gate knows.
const accelerator = "programs/accelerator"

// Checks are the leaves of the tree, in the order of its groups. The weights are 100 together. The README has the same table.
var Checks = []Row{
	{"serving/content", 15, "the accelerator is ready, and has loaded a snapshot of the content that is there", false, (*look).content},
	{"serving/probes", 15, "three files that are static are answered by its listener with the bytes that they have on the disk", false, (*look).probes},
	{"serving/ports", 10, "its port and those of the box accept connections", false, (*look).ports},
	{accelerator, 15, "it has run for 10 s, and was not started three times in 5 minutes", false, (*look).accelerator},
	{"programs/services", 5, "no other program was started three times in 5 minutes", false, (*look).services},
	{"network/gateway", 10, "the default gateway answers, if one did before", true, (*look).gateway},
	{"network/farm", 10, "each pool that had a backend which was up has one", true, (*look).farm},
	{"traffic/errors", 10, "the share of 5xx of its own is at most 1 % and twice that of before", true, (*look).errors},
	{"traffic/latency", 10, "99 of 100 events wait for their event loop at most 20 ms and twice as long as before", true, (*look).latency},
}

// Tree makes the checks. The fields may not change once it is used.
type Tree struct {
	Socket   string   // admin socket of the accelerator
	Site     string   // directory of the content, as the accelerator has it
	Gokrazy  string   // gokrazy's Unix socket; empty: none
	Ports    []string // TCP addresses that the box listens on besides the accelerator
	Program  string   // name of the accelerator's executable; empty: accelerator
	Baseline string   // file; empty: nothing is kept
	// Notes are shown behind the checks, and cost nothing.
	Notes func() []Check
	Log   *slog.Logger // nil means slog.Default()

	startsMu sync.Mutex // held for moments; mu is held during a whole look

	mu      sync.Mutex
	states  map[string]Check // guarded by mu: the last outcome of each
	starts  starts           // guarded by mu, and by startsMu during a look
	traffic traffic          // guarded by mu
	chosen  chosen           // guarded by mu
	before  *Baseline        // guarded by mu: nil until it is read
	saved   time.Time        // guarded by mu
}

// Timeout bounds one look at everything.
const Timeout = 8 * time.Second

// Check makes all checks, at the same time, and returns within Timeout.
func (t *Tree) Check(ctx context.Context) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	report, _ := t.look(ctx)
	return report
}

// look makes all checks. The lock is held.
func (t *Tree) look(ctx context.Context) (Report, *look) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	l := &look{Tree: t, ctx: ctx, now: time.Now(), before: t.baseline()}
	l.ask()
	report := Report{Time: l.now, Checks: make([]Check, len(Checks))}
	var done sync.WaitGroup
	for i, row := range Checks {
		done.Go(func() {
			state, detail := row.check(l)
			report.Checks[i] = Check{Name: row.Name, Weight: row.Weight, State: state, Detail: detail}
		})
	}
	done.Wait()
	if t.Notes != nil {
		for _, c := range t.Notes() {
			c.Weight = 0
			report.Checks = append(report.Checks, c)
		}
	}
	if t.states == nil {
		t.states = map[string]Check{}
	}
	for i := range report.Checks {
		c := &report.Checks[i]
		c.Since = l.now
		if last, ok := t.states[c.Name]; ok && last.State == c.State {
			c.Since = last.Since
		}
		t.states[c.Name] = *c
	}
	report.judge()
	return report, l
}

// look is one look at everything: what all checks may need is asked once, before them. They write what is their own alone.
type look struct {
	*Tree
	ctx    context.Context
	now    time.Time
	before *Baseline // never nil

	status  *status // nil: there is none
	trouble error   // why
	looping bool    // the accelerator is started again and again; written by its check alone

	// What a baseline would keep.
	via     string          // the gateway that answers
	pools   map[string]bool // of each, whether a backend is up
	share   *float64        // of 5xx
	waiting *float64        // seconds, of 99 of 100 events
}

func (l *look) ask() {
	l.status, l.trouble = l.askStatus()
	l.traffic.measure(l)
}

func (l *look) log() *slog.Logger { return cmp.Or(l.Log, slog.Default()) }

// silent is the outcome of a check that needs the accelerator's status.
func (l *look) silent() (State, string) {
	return Unknown, fmt.Sprintf("the accelerator's status is not to be had: %v", l.trouble)
}
