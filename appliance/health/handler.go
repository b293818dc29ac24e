package health

import (
	"encoding/json"
	"net/http"
	"strings"
)

// ServeHTTP answers GET /health: 200 when the box is healthy, 503 when it is not, as JSON, or as text for who asks for
// that alone.
func (t *Tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	report := t.Check(r.Context())
	w.Header().Set("Cache-Control", "no-store")
	status := http.StatusOK
	if !report.Healthy {
		status = http.StatusServiceUnavailable
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_ = report.Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(report)
}
