package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// level is what a program has open.
type level struct{ files, goroutines int }

func (s *soak) level() level { return level{s.files(), s.goroutines()} }

// start returns the level at rest, when all that is started once has been started.
func (s *soak) start() level {
	s.t.Helper()
	for _, path := range []string{"/", "/farm"} {
		if _, err := s.get(path); err != nil {
			s.t.Fatal(err)
		}
	}
	s.reload() // Which closes the connection to the farm.
	for before := (level{}); ; time.Sleep(300 * time.Millisecond) {
		now := s.level()
		if now == before {
			return now
		}
		before = now
	}
}

// back wants all to be given back that was taken: the garbage collector closes
// the files of old releases, and a reload the connections to the farm.
func (s *soak) back(before level) {
	s.t.Helper()
	var now level
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		s.reload()
		s.ask("GET", "/debug/pprof/heap?gc=1")
		if now = s.level(); now.files <= before.files+3 && now.goroutines <= before.goroutines+5 {
			s.t.Logf("in the end %d descriptors, %d goroutines; at the start %d, %d", now.files, now.goroutines, before.files, before.goroutines)
			return
		}
	}
	s.t.Errorf("in the end %d descriptors, %d goroutines; at the start %d, %d", now.files, now.goroutines, before.files, before.goroutines)
}

// stoodStill is what the test itself has missed at most: on a machine that
// suspends it, what clients say of time-outs says nothing of the program.
func (s *soak) stoodStill() {
	const tick = 20 * time.Millisecond
	most, last := time.Duration(0), time.Now()
	for s.ctx.Err() == nil {
		time.Sleep(tick)
		now := time.Now()
		most = max(most, now.Sub(last)-tick)
		last = now
	}
	if most > time.Second {
		s.t.Logf("the test itself stood still for %v once: the machine has other work, and time-outs may come of that", most.Round(time.Millisecond))
	}
}

// soakReport measures from time to time.
type soakReport struct {
	*soak
	tick  *time.Ticker
	began time.Time
	told  time.Time // when it was said last

	series  []int // resident bytes, as told
	settled int   // resident bytes at most in the first fifth of the time
	most    int   // later
}

// tellEvery is how often a long soak says how it goes.
const tellEvery = time.Minute

func newSoakReport(s *soak) *soakReport {
	now := time.Now()
	return &soakReport{soak: s, tick: time.NewTicker(500 * time.Millisecond), began: now, told: now}
}

// measure looks at the memory.
func (r *soakReport) measure() {
	now := r.memory()
	if time.Since(r.began) < *soakTime/5 {
		r.settled = max(r.settled, now)
	} else {
		r.most = max(r.most, now)
	}
	if time.Since(r.told) >= tellEvery {
		r.tell()
	}
}

// tell says how it goes.
func (r *soakReport) tell() {
	r.told = time.Now()
	r.series = append(r.series, r.memory())
	now := r.level()
	m := r.all()
	kinds := slices.Sorted(maps.Keys(r.counts))
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s %d", kind, r.counts[kind].Load())
	}
	r.t.Logf("%v: RSS %s, %d descriptors, %d goroutines, %.0f connections\n  right: %s\n  handed off: %s\n"+
		"  loops: %.0f requests, timeouts %.0f idle %.0f head %.0f stall, %.0f resets, %.0f crowded, %.0f moved, %.0f cold reads, %.0f hand-offs dropped\n"+
		"  access log: %.0f lines, %.0f dropped; edition %d; %d reloads; lag p99 %v",
		time.Since(r.began).Round(time.Second), megabytes(r.memory()), now.files, now.goroutines, m.sum("connections"),
		strings.Join(kinds, ", "), m.labels("handoffs_total", "reason"),
		m.sum("loop_requests_total"), m.sum("loop_idle_timeouts_total"), m.sum("loop_head_timeouts_total"), m.sum("loop_stall_timeouts_total"),
		m.sum("loop_resets_total"), m.sum("loop_crowded_total"), m.sum("loop_moved_total"), m.sum("loop_cold_reads_total"), m.sum("loop_handoff_dropped_total"),
		m.sum("access_log_lines_total"), m.sum("access_log_dropped_total"), r.site.number, r.reloads, m.lag(0.99))
}

// end says the last, and judges.
func (r *soakReport) end() {
	r.t.Helper()
	r.tick.Stop()
	r.tell()
	var series []string
	for _, n := range r.series {
		series = append(series, megabytes(n))
	}
	r.t.Logf("RSS from minute to minute: %s; at most %s in the first fifth of the time, %s later",
		strings.Join(series, ", "), megabytes(r.settled), megabytes(r.most))
	bound := r.settled + r.settled*15/100 + 16<<20
	// Before a minute has passed much grows that grows once; the race detector's
	// memory is its own.
	if *soakTime >= time.Minute && !underRace && r.most > bound {
		r.t.Errorf("the memory grows: %s, more than %s", megabytes(r.most), megabytes(bound))
	}
	for kind, n := range r.counts {
		if n.Load() == 0 && *soakTime >= time.Minute {
			r.t.Errorf("no client of the kind %q was served", kind)
		}
	}
	m := r.all()
	for _, name := range []string{"loop_handoff_dropped_total", "access_log_write_errors_total", "accept_errors_total"} {
		if n := m.sum(name); n > 0 {
			r.t.Errorf("ramjet_%s is %.0f", name, n)
		}
	}
}

func megabytes(n int) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// metricLines are the lines of GET /metrics.
type metricLines [][]string // all, name, labels, value

var metricForm = regexp.MustCompile(`(?m)^ramjet_(\w+)(?:\{(.*)\})? (\S+)$`)

func (s *soak) all() metricLines {
	_, text := s.ask("GET", "/metrics")
	return metricForm.FindAllStringSubmatch(text, -1)
}

// sum returns the sum of a metric over all its labels.
func (m metricLines) sum(name string) (sum float64) {
	for _, line := range m {
		if n, err := strconv.ParseFloat(line[3], 64); line[1] == name && err == nil {
			sum += n
		}
	}
	return sum
}

// labels lists what a metric counts by a label, but for zeros.
func (m metricLines) labels(name, label string) string {
	var list []string
	for _, line := range m {
		if line[1] == name && line[3] != "0" {
			list = append(list, strings.Trim(strings.TrimPrefix(line[2], label+"="), `"`)+" "+line[3])
		}
	}
	return strings.Join(list, ", ")
}

// lag returns the bound below which that part of the waits of events lies.
func (m metricLines) lag(part float64) time.Duration {
	all := m.sum("loop_lag_seconds_count")
	for _, line := range m { // The buckets come in their order.
		if line[1] != "loop_lag_seconds_bucket" {
			continue
		}
		n, _ := strconv.ParseFloat(line[3], 64)
		bound, err := strconv.ParseFloat(strings.Trim(strings.TrimPrefix(line[2], "le="), `"`), 64)
		if err == nil && n >= part*all && !math.IsInf(bound, 1) {
			return time.Duration(bound * float64(time.Second))
		}
	}
	return math.MaxInt64
}
