package content

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Handler answers GET and HEAD requests that the rules let through. It is not an
// http.Handler: it is given the Decision, and may decline.
type Handler struct {
	Rules *Rules
	// Server is sent as the Server field, unless it is empty.
	Server string
	// ErrorPage answers with an error status.
	ErrorPage func(w http.ResponseWriter, r *http.Request, status int)
}

// Serve answers the request with the object, and reports whether it did. It
// declines, with nothing sent, if the bytes cannot be had any more.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, o *Object) bool {
	if o.Location != "" {
		h.redirect(w, r, o)
		return true
	}
	representation := o.Select(strings.Join(r.Header["Accept-Encoding"], ","))
	if representation == nil {
		w.Header().Set("Vary", "Accept-Encoding")
		h.ErrorPage(w, r, http.StatusNotAcceptable)
		return true
	}
	representation, err := representation.whole()
	if err != nil {
		return false
	}
	body, err := representation.Open()
	if err != nil {
		return false
	}
	defer body.Close()
	header := w.Header()
	h.describe(header, o, representation)
	normalise(r, representation.Size)
	rw := &response{ResponseWriter: w, request: r, handler: h, length: representation.Size}
	http.ServeContent(rw, r, "", representation.ModTime, body)
	return true
}

// describe sets the fields of a 200; http.ServeContent takes from them what
// other answers do not have, and adds the length.
func (h *Handler) describe(header http.Header, o *Object, r *Representation) {
	h.Rules.each(h.Server, o, r, func(name, value string, _ bool) {
		if name != "Content-Length" {
			header[name] = []string{value}
		}
	})
}

func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, o *Object) {
	to := url.URL{Path: o.Location}
	location := to.EscapedPath()
	if _, query, ok := strings.Cut(r.RequestURI, "?"); ok {
		location += "?" + query
	}
	w.Header().Set("Location", location)
	h.ErrorPage(w, r, http.StatusMovedPermanently)
}

// normalise mends what http.ServeContent reads differently from RFC 9110: list
// fields sent in several lines (§5.3), dates sent in several, which are not
// valid (§13.1.3, §13.1.4), and Range.
func normalise(r *http.Request, size int64) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if lines := r.Header[name]; len(lines) > 1 {
			r.Header[name] = []string{strings.Join(lines, ", ")}
		}
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if len(r.Header[name]) > 1 {
			delete(r.Header, name)
		}
	}
	spec := ""
	if r.Method == http.MethodGet && len(r.Header["Range"]) == 1 && len(r.Header["If-Range"]) <= 1 {
		spec = canonicalRange(r.Header["Range"][0], size)
	}
	if spec == "" {
		delete(r.Header, "Range")
	} else {
		r.Header["Range"] = []string{spec}
	}
}

// response is the http.ResponseWriter given to http.ServeContent. It keeps
// sendfile, which an ordinary wrapper loses, and has errors answered by our own
// pages.
type response struct {
	http.ResponseWriter
	request *http.Request
	handler *Handler
	length  int64 // of the whole representation

	refused bool // an error page was sent, swallow the rest
}

// WriteHeader adds the length of an encoded representation, which ServeContent
// leaves out, and takes over errors.
func (w *response) WriteHeader(status int) {
	header := w.Header()
	switch {
	case status >= http.StatusBadRequest:
		w.refused = true
		for _, field := range []string{"Content-Type", "Content-Encoding", "Content-Length", "Cache-Control", "Etag", "Last-Modified", "Accept-Ranges"} {
			delete(header, field)
		}
		w.handler.ErrorPage(w.ResponseWriter, w.request, status)
		return
	case status == http.StatusOK && header["Content-Encoding"] != nil:
		header["Content-Length"] = []string{strconv.FormatInt(w.length, 10)}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom recognises our own Body behind ServeContent's limit and sends it the
// cheap way. An error of the body ends the connection: its length is declared,
// so the client notices.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		return io.Copy(onlyWriter{w}, src)
	}
	body, ok := limited.R.(*Body)
	if !ok || w.refused {
		return io.Copy(onlyWriter{w}, src)
	}
	readFrom := func(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }
	n, err := body.sendTo(w.ResponseWriter, readFrom, limited.N)
	limited.N -= n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
