package site

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

//go:embed page.html
var pageText string

// pageTemplate is parsed when it is needed first: an emulated box takes a twentieth of a second for it.
var pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// sentences say in plain words what an error status means to somebody who only
// wanted to see a page.
var sentences = map[int]string{
	http.StatusMovedPermanently:             "The page is at another address.",
	http.StatusBadRequest:                   "The request could not be understood.",
	http.StatusForbidden:                    "This file is not public.",
	http.StatusNotFound:                     "There is nothing at this address.",
	http.StatusMethodNotAllowed:             "This address cannot be used that way.",
	http.StatusNotAcceptable:                "This is not available in a form that was asked for.",
	http.StatusPreconditionFailed:           "What was asked for has changed meanwhile.",
	http.StatusRequestEntityTooLarge:        "What was sent is larger than is accepted here.",
	http.StatusRequestedRangeNotSatisfiable: "The part that was asked for lies outside the file.",
	http.StatusBadGateway:                   "The server behind this address cannot be reached. Please try again in a moment.",
	http.StatusServiceUnavailable:           "The service is not available at the moment. Please try again shortly.",
	http.StatusGatewayTimeout:               "The server behind this address took too long to answer. Please try again.",
}

// ErrorPage answers with an error status: with the site's own page of that name
// (502.html) if it has one, else with a small one of ours. reason replaces its
// sentence unless it is empty.
func (s *Site) ErrorPage(w http.ResponseWriter, r *http.Request, status int, reason string) {
	header := w.Header()
	s.own(w)
	if status >= http.StatusInternalServerError {
		header.Set("Cache-Control", "no-store")
	}
	if status >= http.StatusBadRequest && s.sitePage(w, status) {
		return
	}
	if reason == "" {
		reason = sentences[status]
	}
	var page strings.Builder
	err := pageTemplate().Execute(&page, map[string]any{
		"Status": status, "Title": http.StatusText(status), "Reason": reason, "Location": header.Get("Location"),
	})
	if err != nil { // The template is ours and the builder takes all: a bug.
		panic(fmt.Sprintf("error page: %v", err))
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page.String()) // A client that is gone is not our error.
}

// plainPage is ErrorPage as the content handler wants it.
func (s *Site) plainPage(w http.ResponseWriter, r *http.Request, status int) {
	s.ErrorPage(w, r, status, "")
}

// sitePage sends the site's own page for a status, if it has one that is public.
func (s *Site) sitePage(w http.ResponseWriter, status int) bool {
	d := s.Rules.Decide(s.Store.Snapshot(), http.MethodGet, fmt.Sprintf("/%d.html", status))
	if d.Failed != nil || d.Object.Location != "" {
		return false
	}
	representation := d.Object.Representations[0]
	body, err := representation.Open()
	if err != nil {
		return false
	}
	defer body.Close()
	header := w.Header()
	header["Content-Type"] = []string{d.Object.ContentType}
	header.Set("Content-Length", strconv.FormatInt(representation.Size, 10))
	w.WriteHeader(status)
	_, _ = io.Copy(w, body)
	return true
}
