package config

import (
	"fmt"
	"strings"
)

// HashOn says what requests that belong together have in common.
type HashOn struct {
	Kind string // address, path, header or cookie
	Name string // of the header field or the cookie
}

// parseHashOn reads "address", "path", "header:NAME" or "cookie:NAME".
func parseHashOn(s string) (HashOn, error) {
	kind, name, named := strings.Cut(s, ":")
	switch kind {
	case "address", "path":
		if !named {
			return HashOn{Kind: kind}, nil
		}
	case "header", "cookie":
		if named && isToken(name) {
			return HashOn{kind, name}, nil
		}
	}
	return HashOn{}, fmt.Errorf("%s is not one of \"address\", \"path\", \"header:NAME\", \"cookie:NAME\"", quote(s))
}

// parseCookieName checks the name of a cookie, a token (RFC 6265 §4.1.1). Empty is none.
func parseCookieName(s string) (string, error) {
	if s != "" && !isToken(s) {
		return "", fmt.Errorf("%s is not the name of a cookie; write letters, digits, - and _", quote(s))
	}
	return s, nil
}
