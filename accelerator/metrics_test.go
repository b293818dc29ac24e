package main

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// The metrics have names, units and words as Prometheus advises.
func TestMetricsLint(t *testing.T) {
	t.Parallel()
	server := startHeld(t, "well")
	p := startHooked(t, siteOf(t, "home"), `"backends": [{"url": "`+server.URL+`", "weight": 7}]`)
	p.wantBody("/x?", "well") // Some have no line before they count something.
	_, text := p.ask("GET", "/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || !strings.Contains(text, "\nramjet_backend_weight{backend=\""+server.URL+"\",pool=\"default\"} 7\n") {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
