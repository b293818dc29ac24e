package content

import (
	"io"
	"net/http"
	"net/textproto"
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
	body, err := representation.Open()
	if err != nil {
		return false
	}
	defer body.Close()
	header := w.Header()
	h.describe(header, o, representation)
	normalise(r)
	rw := &response{ResponseWriter: w, request: r, handler: h, length: representation.Size}
	http.ServeContent(rw, r, "", representation.ModTime, body)
	return true
}

// describe sets the fields of a 200; http.ServeContent takes from them what
// other answers do not have.
func (h *Handler) describe(header http.Header, o *Object, r *Representation) {
	header["Content-Type"] = []string{h.Rules.typeOf(o)}
	header["Etag"] = []string{r.ETag}
	header["Accept-Ranges"] = []string{"bytes"}
	if h.Server != "" {
		header["Server"] = []string{h.Server}
	}
	if r.LastModified != "" {
		header["Last-Modified"] = []string{r.LastModified}
	}
	if o.CacheControl != "" {
		header["Cache-Control"] = []string{o.CacheControl}
	}
	if r.Encoding != "" {
		header["Content-Encoding"] = []string{r.Encoding}
	}
	if o.Vary() {
		header["Vary"] = []string{"Accept-Encoding"}
	}
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

// maxRanges bounds how many parts one response may have. More than this is
// either a mistake or an attack; RFC 9110 §14.2 lets a server ignore the field.
const maxRanges = 32

// normalise mends what http.ServeContent reads differently from RFC 9110: list
// fields sent in several lines (§5.3), Range on other methods than GET and
// with units it does not know, both to be ignored (§14.2), and range units in
// capitals (§14.1).
func normalise(r *http.Request) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if lines := r.Header[name]; len(lines) > 1 {
			r.Header[name] = []string{strings.Join(lines, ", ")}
		}
	}
	if spec, ok := usableRange(r.Method, r.Header["Range"]); ok {
		r.Header["Range"] = []string{spec}
	} else {
		delete(r.Header, "Range")
	}
}

// usableRange returns the Range field to act on, and whether there is one.
func usableRange(method string, lines []string) (string, bool) {
	if method != http.MethodGet || len(lines) != 1 {
		return "", false
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	if !ok || !strings.EqualFold(textproto.TrimString(unit), "bytes") || strings.Count(set, ",") >= maxRanges {
		return "", false
	}
	return "bytes=" + set, true
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
