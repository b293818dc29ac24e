package health

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ramjet/appliance/process"
)

const (
	enough       = 100                   // requests, or events, in a window
	window       = 10 * time.Second      // at least
	errorMargin  = 0.01                  // of the requests, whatever was before
	waitMargin   = 20 * time.Millisecond // whatever was before
	worseAtMost  = 2.0                   // times what was before
	percentile   = 0.99
	requestsName = "ramjet_requests_total"
	lagName      = "ramjet_loop_lag_seconds"
	eventsName   = "ramjet_forward_events_total"
)

// ownErrors are the events of forwarded requests that a client sees as a 5xx, or as a broken answer. A backend's own 500
// passes as it is: it is an answer.
var ownErrors = []string{
	"no_connection", "connect_timeout", "first_byte_timeout", "bad_answer", "backend_aborted", "backend_stalled", "total_timeout",
	"queue_full", "queue_timeout", "all_drained",
}

// sample is what was counted until a moment.
type sample struct {
	at       time.Time
	of       process.ID
	requests float64
	errors   float64
	waits    []bucket
}

// bucket is one of a histogram: how many were at most so large.
type bucket struct {
	atMost float64
	n      float64
}

// traffic compares what was counted in a window: from its first look on, or since the last one that saw enough.
type traffic struct {
	first  *sample
	errors *float64
	waits  *float64
	why    string // there is nothing to say
}

// measure takes a sample. Windows follow on each other.
func (t *traffic) measure(l *look) {
	now, err := l.sample()
	switch {
	case err != nil:
		*t = traffic{why: fmt.Sprintf("the accelerator's counters are not to be had: %v", err)}
		return
	case t.first == nil || t.first.of != now.of:
		*t = traffic{first: now, why: "there is no traffic yet to judge by"}
		return
	case now.at.Sub(t.first.at) < window:
		return
	}
	t.errors, t.waits, t.why = nil, nil, "there is too little traffic to judge by"
	if n := now.requests - t.first.requests; n >= enough {
		share := max(now.errors-t.first.errors, 0) / n
		t.errors = &share
		t.waits = quantile(t.first.waits, now.waits) // Without requests of clients, it is that of the start alone.
	}
	t.first = now
}

// sample reads the counters.
func (l *look) sample() (*sample, error) {
	id, err := process.OfSocket(l.Socket)
	if err != nil {
		return nil, cause(err)
	}
	text, err := get(l.ctx, l.Socket, "/metrics", 2*time.Second)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	s := &sample{at: l.now, of: id}
	for _, m := range families[requestsName].GetMetric() {
		s.requests += m.GetCounter().GetValue()
		if label(m, "outcome") == "unreadable" {
			s.errors += m.GetCounter().GetValue()
		}
	}
	for _, m := range families[eventsName].GetMetric() {
		if slices.Contains(ownErrors, label(m, "event")) {
			s.errors += m.GetCounter().GetValue()
		}
	}
	for _, m := range families[lagName].GetMetric() {
		for _, b := range m.GetHistogram().GetBucket() {
			s.waits = append(s.waits, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount())})
		}
	}
	return s, nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// quantile returns the bound below which 99 of 100 were between two samples of a histogram, nil if there were too few.
func quantile(from, to []bucket) *float64 {
	if len(from) != len(to) || len(to) == 0 {
		return nil
	}
	all := to[len(to)-1].n - from[len(from)-1].n
	if all < enough {
		return nil
	}
	largest := 0.0
	for i := range to {
		if !math.IsInf(to[i].atMost, 0) {
			largest = to[i].atMost
		}
		if to[i].n-from[i].n >= percentile*all {
			break
		}
	}
	return &largest
}

// errors compares the share of requests that ended badly for the accelerator's or the farm's fault.
func (l *look) errors() (State, string) {
	if l.traffic.errors == nil {
		return Unknown, l.traffic.why
	}
	share := *l.traffic.errors
	l.share = &share
	text := fmt.Sprintf("%.2f %%", 100*share)
	limit := errorMargin
	if l.before.Errors != nil {
		text += fmt.Sprintf(", before %.2f %%", 100**l.before.Errors)
		limit = max(limit, worseAtMost**l.before.Errors)
	}
	if share > limit {
		return Failed, text
	}
	return OK, text
}

// latency compares how long events wait for their event loop: the part of the time of a request that is the accelerator's
// own, whatever its client, its size and the farm are.
func (l *look) latency() (State, string) {
	if l.traffic.waits == nil {
		return Unknown, l.traffic.why
	}
	wait := *l.traffic.waits
	l.waiting = &wait
	text := seconds(wait)
	limit := waitMargin.Seconds()
	if l.before.Waiting != nil {
		text += ", before " + seconds(*l.before.Waiting)
		limit = max(limit, worseAtMost**l.before.Waiting)
	}
	if wait > limit {
		return Failed, text
	}
	return OK, text
}

func seconds(s float64) string { return time.Duration(s * float64(time.Second)).String() }
