package config

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// pathUnder returns a check of a path that makes it relative to folder. An empty one stays empty.
func pathUnder(folder string) func(string) (string, error) {
	return func(s string) (string, error) {
		switch {
		case strings.ContainsRune(s, 0):
			return "", fmt.Errorf("%s has a NUL character, which no path can have", quote(s))
		case s == "" || filepath.IsAbs(s):
			return s, nil
		}
		return filepath.Join(folder, s), nil
	}
}

// maxSocket is the longest path of a Unix socket in bytes, the 108 of sun_path less a NUL; unix(7).
const maxSocket = 107

// socketUnder is pathUnder for a Unix socket.
func socketUnder(folder string) func(string) (string, error) {
	complete := pathUnder(folder)
	return func(s string) (string, error) {
		p, err := complete(s)
		switch {
		case err != nil:
			return "", err
		case len(p) > maxSocket:
			return "", fmt.Errorf("%s is too long for a socket; the path can have %d bytes", quote(p), maxSocket)
		case p != "" && (strings.HasSuffix(s, "/") || filepath.Base(p) == "." || filepath.Base(p) == ".."):
			return "", fmt.Errorf("%s is a folder; add the name of the socket", quote(s))
		}
		return p, nil
	}
}

// parseFieldValue checks the value of a header field: visible ASCII, and blanks between (RFC 9110 §5.5, without its
// obsolete parts).
func parseFieldValue(s string) (string, error) {
	if s != strings.TrimSpace(s) {
		return "", fmt.Errorf("%s begins or ends with a blank", quote(s))
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			return "", fmt.Errorf("%s has the character %q, which a header field cannot have", quote(s), r)
		}
	}
	return s, nil
}

// notEmpty refuses an empty text before parse sees it.
func notEmpty(parse func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == "" {
			return "", errors.New("must not be empty")
		}
		return parse(s)
	}
}

// parseFileName checks the name of a file without a folder.
func parseFileName(s string) (string, error) {
	if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00") {
		return "", fmt.Errorf("%s is not a plain file name; write it without a folder, such as \"index.html\"", quote(s))
	}
	return s, nil
}

// parseDotfile checks a path segment that begins with a dot.
func parseDotfile(s string) (string, error) {
	if !strings.HasPrefix(s, ".") || s == "." || s == ".." || strings.ContainsAny(s, "/\x00") {
		return "", fmt.Errorf("%s is not a name that begins with a dot, such as \".well-known\"", quote(s))
	}
	return s, nil
}

// parseCharset checks a charset name, a token (RFC 9110 §8.3.2).
func parseCharset(s string) (string, error) {
	if s != "" && !isToken(s) {
		return "", fmt.Errorf("%s is not the name of a charset, such as \"utf-8\"", quote(s))
	}
	return s, nil
}

// checkExtension checks the extension of a file name as path.Ext gives it.
func checkExtension(s string) error {
	if len(s) < 2 || s[0] != '.' || strings.ContainsAny(s[1:], "./\x00") {
		return fmt.Errorf("%s is not an extension; write the last dot of a name and what follows, such as \".wasm\"", quote(s))
	}
	if s != strings.ToLower(s) {
		return fmt.Errorf("%s is not in lower case; write %s, which covers both", quote(s), quote(strings.ToLower(s)))
	}
	return nil
}

// parseMediaType checks a media type with its parameters (RFC 9110 §8.3.1).
func parseMediaType(s string) (string, error) {
	essence, _, err := mime.ParseMediaType(s)
	class, kind, _ := strings.Cut(essence, "/")
	if err != nil || !isToken(class) || !isToken(kind) {
		return "", fmt.Errorf("%s is not a media type, such as \"text/plain\"", quote(s))
	}
	return parseFieldValue(s)
}

// parseUnknownType is parseMediaType with one more word.
func parseUnknownType(s string) (string, error) {
	if s == "forward" {
		return "", nil
	}
	if _, err := parseMediaType(s); err != nil {
		return "", fmt.Errorf("%s is neither \"forward\" nor a media type such as \"text/plain\"", quote(s))
	}
	return s, nil
}

// parseDynamic checks an entry of "dynamic": part of a path, or a glob.
func parseDynamic(s string) (string, error) {
	if s == "" {
		return "", errors.New("an empty text is in every path; remove it")
	}
	if strings.ContainsAny(s, "*?") {
		return parseGlob(s)
	}
	return s, nil
}

// maxGlob bounds the work of matching one path.
const maxGlob = 1024

// parseGlob checks a pattern over a whole path.
func parseGlob(s string) (string, error) {
	switch {
	case len(s) > maxGlob:
		return "", fmt.Errorf("%s is too long; a pattern can have %d bytes", quote(s), maxGlob)
	case !strings.HasPrefix(s, "/"):
		return "", fmt.Errorf("%s is a pattern over the whole path; begin it with /, such as %s", quote(s), quote("/**"+strings.TrimLeft(s, "*")))
	case strings.Contains(s, "***"):
		return "", fmt.Errorf("%s has more than two * in a row; write * for a part of a segment, ** for any segments", quote(s))
	}
	return s, nil
}

// parseCheckPath checks the request target of a health check: origin-form (RFC 9112 §3.2.1).
func parseCheckPath(s string) (string, error) {
	u, err := url.ParseRequestURI(s)
	if err != nil || !strings.HasPrefix(s, "/") || u.Fragment != "" || strings.ContainsAny(s, " #") {
		return "", fmt.Errorf("%s is not the path of a URL, such as \"/health\"", quote(s))
	}
	return s, nil
}

// parseAgentSend checks what is sent to an agent.
func parseAgentSend(s string) (string, error) {
	if len(s) > 100 {
		return "", fmt.Errorf("%s is too long; an agent can be sent 100 bytes", quote(s))
	}
	return s, nil
}

// parseCheckHost checks a Host field (RFC 9110 §7.2).
func parseCheckHost(s string) (string, error) {
	if s != "" && (!httpguts.ValidHostHeader(s) || strings.ContainsAny(s, "/@ ")) {
		return "", fmt.Errorf("%s is not a host name, such as \"www.example.org\"", quote(s))
	}
	return s, nil
}

// parseStatus reads status codes and ranges of them (RFC 9110 §15): "200-399,404".
func parseStatus(s string) ([]StatusRange, error) {
	var out []StatusRange
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || a < 200 || b > 599 || a > b {
			return nil, fmt.Errorf("%s is not a list of status codes from 200 to 599, such as \"200-399,404\"", quote(s))
		}
		out = append(out, StatusRange{int(a), int(b)})
	}
	return out, nil
}

// isToken reports whether s is a token (RFC 9110 §5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !httpguts.IsTokenRune(r) })
}
