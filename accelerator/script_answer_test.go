package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// answer is an answer as it came.
type answer struct {
	version, reason string
	status          int
	fields          []field
	body            []byte
	trailer         []field
	framing         string // "none", "length", "chunked" or "close"
}

type field struct{ name, value string }

// values returns the lines of a field.
func (a *answer) values(name string) []string { return valuesOf(a.fields, name) }

func valuesOf(fields []field, name string) (values []string) {
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

// String shows the answer for a person.
func (a *answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %s\n", a.version, a.status, a.reason)
	for _, f := range a.fields {
		fmt.Fprintf(&b, "%s: %s\n", f.name, f.value)
	}
	fmt.Fprintf(&b, "body, %d bytes (%s): %.60q", len(a.body), a.framing, a.body)
	return b.String()
}

var (
	statusForm = regexp.MustCompile(`^(HTTP/1\.[01]) ([1-5]\d\d) (.*)$`)
	fieldForm  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$")
	lengthForm = regexp.MustCompile(`^\d{1,9}$`)
	chunkForm  = regexp.MustCompile(`^[0-9A-Fa-f]{1,7}$`)
)

// readAnswer reads one answer to a request of that method, as RFC 9112 wants it
// and no other way.
func readAnswer(r *bufio.Reader, method string) (*answer, error) {
	line, err := readLine(r)
	if err != nil {
		return nil, err
	}
	m := statusForm.FindStringSubmatch(line)
	if m == nil || !isText(m[3]) {
		return nil, fmt.Errorf("%.200q is not a status line", line)
	}
	a := &answer{version: m[1], reason: m[3], framing: "none"}
	if a.status, err = strconv.Atoi(m[2]); err != nil {
		return nil, err
	}
	if a.fields, err = readFields(r); err != nil {
		return a, err
	}
	if err := a.readBody(r, method); err != nil {
		return a, fmt.Errorf("the body: %w", err)
	}
	return a, nil
}

// readBody reads what RFC 9112 §6.3 says is the body.
func (a *answer) readBody(r *bufio.Reader, method string) (err error) {
	lengths, codings := a.values("Content-Length"), a.values("Transfer-Encoding")
	switch {
	case len(lengths) > 1 || len(lengths) == 1 && !lengthForm.MatchString(lengths[0]):
		return fmt.Errorf("Content-Length %q", lengths)
	case len(codings) > 1 || len(codings) == 1 && (codings[0] != "chunked" || len(lengths) > 0):
		return fmt.Errorf("Transfer-Encoding %q, Content-Length %q", codings, lengths)
	case a.status/100 == 1 || a.status == 204:
		if len(lengths)+len(codings) > 0 {
			return fmt.Errorf("%d with a length", a.status)
		}
	case method == "HEAD" || a.status == 304 || method == "CONNECT" && a.status/100 == 2:
	case len(codings) == 1:
		a.framing = "chunked"
		a.body, a.trailer, err = readChunks(r)
	case len(lengths) == 1:
		a.framing = "length"
		n, err := strconv.Atoi(lengths[0])
		if err != nil {
			return err
		}
		a.body = make([]byte, n)
		got, err := io.ReadFull(r, a.body)
		if err != nil {
			return fmt.Errorf("%d of %d bytes, then %w", got, n, err)
		}
	default:
		a.framing = "close"
		a.body, err = io.ReadAll(r)
	}
	return err
}

// readLine reads a line that ends in CR LF.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		if line != "" && errors.Is(err, io.EOF) {
			err = fmt.Errorf("broken off after %.200q", line)
		}
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(text, "\r\x00") {
		return "", fmt.Errorf("the line %.200q does not end in CR LF alone", line)
	}
	return text, nil
}

// readFields reads field lines up to the empty line.
func readFields(r *bufio.Reader) (fields []field, err error) {
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return fields, err
		}
		m := fieldForm.FindStringSubmatch(line)
		if m == nil || !isText(m[2]) {
			return fields, fmt.Errorf("%.200q is not a field line", line)
		}
		fields = append(fields, field{m[1], m[2]})
	}
}

// isText tells whether s has no control characters: RFC 9110 §5.5.
func isText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// readChunks reads a chunked body.
func readChunks(r *bufio.Reader) (body []byte, trailer []field, err error) {
	for {
		line, err := readLine(r)
		if err != nil {
			return body, nil, err
		}
		if !chunkForm.MatchString(line) {
			return body, nil, fmt.Errorf("%.40q is not the size of a chunk", line)
		}
		n, err := strconv.ParseInt(line, 16, 64)
		if err != nil {
			return body, nil, err
		}
		if n == 0 {
			trailer, err = readFields(r)
			return body, trailer, err
		}
		chunk := make([]byte, n)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return body, nil, err
		}
		body = append(body, chunk...)
		if end, err := readLine(r); err != nil || end != "" {
			return body, nil, fmt.Errorf("a chunk ends in %q, %v", end, err)
		}
	}
}

// single are fields of which an answer has at most one line.
var single = []string{
	"Content-Type", "Content-Length", "Content-Range", "Content-Encoding", "Date", "ETag", "Last-Modified", "Location", "Server", "Connection",
}

var dateForm = regexp.MustCompile(`^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$`)

// judge says what is wrong with any answer, whatever was asked.
func (a *answer) judge() error {
	for _, name := range single {
		if v := a.values(name); len(v) > 1 {
			return fmt.Errorf("%s is there %d times: %q", name, len(v), v)
		}
	}
	for _, name := range []string{"Date", "Last-Modified"} {
		if v := a.values(name); len(v) > 0 && !dateForm.MatchString(v[0]) {
			return fmt.Errorf("%s: %q is not an IMF-fixdate, RFC 9110 §5.6.7", name, v)
		}
	}
	// What must be there: RFC 9110 §15.5.6, §15.3.7, §15.5.17, §15.4.2.
	needs := map[int][]string{405: {"Allow"}, 416: {"Content-Range"}, 301: {"Location"}, 206: {"Content-Type"}}
	for _, name := range needs[a.status] {
		if len(a.values(name)) == 0 {
			return fmt.Errorf("%d without %s", a.status, name)
		}
	}
	if a.status == 206 && (len(a.values("Content-Range")) == 0) != strings.HasPrefix(a.values("Content-Type")[0], "multipart/byteranges") {
		return errors.New("206 must have either Content-Range or a multipart body")
	}
	if slices.Contains([]int{400, 431}, a.status) && !slices.Contains(a.values("Connection"), "close") {
		return fmt.Errorf("%d without Connection: close", a.status)
	}
	return nil
}
