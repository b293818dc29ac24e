package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// meet compares an answer with one line of the script; all are all of them.
func (r *runner) meet(a *answer, e expectation, all []expectation) error {
	switch e.kind {
	case "field":
		return r.field(a.fields, e, all)
	case "absent":
		return absent(a.fields, e.text)
	case "like":
		return like(a.fields, e.text)
	case "keep":
		return r.keep(a, e.text)
	case "within":
		return r.within(e.text)
	case "body":
		return r.body(a.body, e.text)
	case "parts":
		return r.parts(a, e.text)
	}
	return r.farm(a, e, all)
}

// field wants the field's lines to be those that all has for it, in order.
func (r *runner) field(fields []field, e expectation, all []expectation) error {
	name, _, ok := strings.Cut(e.text, ":")
	if !ok {
		return fmt.Errorf("%q is not a field", e.text)
	}
	var want []string
	for _, other := range all {
		n, value, _ := strings.Cut(other.text, ":")
		if other.kind != e.kind || !strings.EqualFold(n, name) {
			continue
		}
		value, err := expand(strings.TrimSpace(value), r.kept)
		if err != nil {
			return err
		}
		want = append(want, value)
	}
	if got := valuesOf(fields, name); !slices.Equal(got, want) {
		return fmt.Errorf("%s: %q was expected and %q came", name, want, got)
	}
	return nil
}

func absent(fields []field, name string) error {
	if got := valuesOf(fields, name); len(got) > 0 {
		return fmt.Errorf("%s: %q came and should not be there", name, got)
	}
	return nil
}

// like wants exactly one line of the field, and it to match.
func like(fields []field, text string) error {
	name, pattern, _ := strings.Cut(text, ":")
	re, err := regexp.Compile(strings.TrimSpace(pattern))
	if err != nil {
		return err
	}
	if got := valuesOf(fields, name); len(got) != 1 || !re.MatchString(got[0]) {
		return fmt.Errorf("%s: one like %s was expected and %q came", name, re, got)
	}
	return nil
}

// keep remembers a value: "ETag as etag".
func (r *runner) keep(a *answer, text string) error {
	name, as, ok := strings.Cut(text, " as ")
	values := a.values(name)
	if !ok || len(values) != 1 {
		return fmt.Errorf("cannot keep %q: %q", text, values)
	}
	r.kept[as] = values[0]
	return nil
}

// within wants the answer to have come in that time after the last byte sent.
func (r *runner) within(text string) error {
	limit, err := time.ParseDuration(text)
	if err == nil && r.took > limit {
		err = fmt.Errorf("the answer took %v", r.took)
	}
	return err
}

// quoted reads a text in double quotes.
func quoted(text string, kept map[string]string) (string, error) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", fmt.Errorf("%s is not in double quotes", text)
	}
	return expand(text[1:len(text)-1], kept)
}

// body compares a body with what is said of it.
func (r *runner) body(body []byte, text string) error {
	what, rest, _ := strings.Cut(text, " ")
	switch what {
	case "empty":
		if len(body) > 0 {
			return fmt.Errorf("no body was expected and %.200q came", body)
		}
		return nil
	case "file":
		m := filePart.FindStringSubmatch(rest)
		want, err := r.slice(m[1], m[2])
		if err == nil && !bytes.Equal(body, want) {
			err = fmt.Errorf("%s, %d bytes, was expected and %d others came: %.100q", rest, len(want), len(body), body)
		}
		return err
	case "sha256":
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != rest {
			return fmt.Errorf("a body with the SHA-256 %s was expected and one with %x came", rest, sum)
		}
		return nil
	case "contains", "lacks":
		want, err := quoted(rest, r.kept)
		if err == nil && bytes.Contains(body, []byte(want)) != (what == "contains") {
			err = fmt.Errorf("a body that %s %q was expected", what, want)
		}
		return err
	}
	want, err := quoted(text, r.kept)
	if err == nil && want != string(body) {
		err = fmt.Errorf("the body %.300q was expected and %.300q came", want, body)
	}
	return err
}

// filePart is a file of the site, whole or from first to last byte.
var filePart = regexp.MustCompile(`^(.*?)(?: (\d+-\d+))?$`)

// slice returns the bytes of a file of the site, or those from first to last,
// both included: "3-5".
func (r *runner) slice(name, part string) ([]byte, error) {
	file, ok := r.files[name]
	if !ok {
		return nil, fmt.Errorf("no file %q in site.list", name)
	}
	if part == "" {
		return file, nil
	}
	var first, last int
	if n, _ := fmt.Sscanf(part, "%d-%d", &first, &last); n != 2 || first > last || last >= len(file) {
		return nil, fmt.Errorf("no bytes %s in %s", part, name)
	}
	return file[first : last+1], nil
}

// parts wants a multipart/byteranges body (RFC 9110 §14.6) of these parts of a
// file: "digits.txt 0-3 10-19".
func (r *runner) parts(a *answer, text string) error {
	words := strings.Fields(text)
	mediaType, params, err := mime.ParseMediaType(strings.Join(a.values("Content-Type"), ","))
	if err != nil || mediaType != "multipart/byteranges" {
		return fmt.Errorf("not multipart/byteranges: %q, %v", mediaType, err)
	}
	reader := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for _, part := range words[1:] {
		p, err := reader.NextRawPart()
		if err != nil {
			return fmt.Errorf("instead of part %s: %w", part, err)
		}
		want, err := r.slice(words[0], part)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("part %s: %q was expected and %q came, %v", part, want, got, err)
		}
		field := fmt.Sprintf("bytes %s/%d", part, len(r.files[words[0]]))
		if got := p.Header.Get("Content-Range"); got != field || p.Header.Get("Content-Type") == "" {
			return fmt.Errorf("part %s: header %v", part, p.Header)
		}
	}
	if _, err := reader.NextRawPart(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("behind the last part: %w", err)
	}
	return nil
}

// farm looks at the request that the farm received and sent back.
func (r *runner) farm(a *answer, e expectation, all []expectation) error {
	if !slices.Equal(a.values("X-Farm"), []string{"echo"}) {
		return errors.New("this is not from the farm")
	}
	in := bufio.NewReader(bytes.NewReader(a.body))
	line, err := readLine(in)
	if err != nil {
		return err
	}
	fields, err := readFields(in)
	if err != nil {
		return err
	}
	switch e.kind {
	case "farm absent":
		return absent(fields, e.text)
	case "farm like":
		return like(fields, e.text)
	case "farm body":
		body, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		return r.body(body, e.text)
	}
	if !strings.HasSuffix(e.text, " HTTP/1.1") {
		return r.field(fields, e, all)
	}
	want, err := expand(e.text, r.kept)
	if err == nil && line != want {
		err = fmt.Errorf("the farm should have received %q and got %q", want, line)
	}
	return err
}

// headEqualsGet sends the case's GET requests again as HEAD, each on a connection
// of its own, and wants the same head without a body (RFC 9110 §9.3.2).
func (r *runner) headEqualsGet() error {
	if len(r.gets) == 0 {
		return errors.New("there was no GET")
	}
	for _, request := range r.gets {
		var heads [2]string
		for i, method := range []string{"GET", "HEAD"} {
			if err := r.connect(); err != nil {
				return err
			}
			if _, err := io.WriteString(r.conn, method+strings.TrimPrefix(request, "GET")); err != nil {
				return err
			}
			a, err := readAnswer(r.in, method)
			if err != nil {
				return fmt.Errorf("%s: %w", method, err)
			}
			heads[i] = describe(a)
			if method == "HEAD" {
				if err := r.open(); err != nil {
					return fmt.Errorf("behind the answer to HEAD: %w", err)
				}
			}
		}
		if heads[0] != heads[1] {
			return fmt.Errorf("GET has the head\n%s\nand HEAD\n%s", heads[0], heads[1])
		}
	}
	return nil
}

// describe returns the head without what may differ from one answer to the next.
func describe(a *answer) string {
	lines := []string{strconv.Itoa(a.status)}
	for _, f := range a.fields {
		if name := textproto.CanonicalMIMEHeaderKey(f.name); name != "Date" {
			lines = append(lines, name+": "+f.value)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
