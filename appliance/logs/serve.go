package logs

import (
	"fmt"
	"net/http"
	"strconv"
)

// What GET /logs/NAME answers with: so many lines unless it is asked for another number, and never more bytes.
const (
	usualLines  = 1000
	answerBytes = 4 << 20
)

// ServeHTTP answers GET /logs with the names and sizes of all logs, GET /logs/NAME with the last lines of one;
// ?lines=100 says how many.
func (k *Keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if name == "" {
		for _, s := range k.all() {
			if size := s.file.bytesKept(); size > 0 {
				fmt.Fprintf(w, "%-24s %8d bytes\n", s.name, size)
			}
		}
		return
	}
	lines := usualLines
	if text := r.URL.Query().Get("lines"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			http.Error(w, "lines is a number, such as ?lines=100", http.StatusBadRequest)
			return
		}
		lines = n
	}
	for _, s := range k.all() {
		if s.name != name {
			continue
		}
		text, err := s.tail(lines)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(text)
		return
	}
	http.Error(w, "there is no such log: GET /logs lists them", http.StatusNotFound)
}

// tail returns the last lines, those as well that are not written yet.
func (s *stream) tail(lines int) ([]byte, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	text := append([]byte(nil), s.pending...)
	s.mu.Unlock()
	return s.file.tail(text, lines, answerBytes)
}
