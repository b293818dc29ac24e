package http1

import (
	"bytes"
	"net/netip"
)

// validHost reports whether b is a Host value: uri-host [ ":" port ], RFC 9112
// §3.2 and RFC 3986 §3.2.2. It may be empty. A zone in an IPv6 address and
// addresses of the future (IPvFuture) are refused, and a port above 65535.
func validHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		i := bytes.IndexByte(b, ']')
		if i < 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(b[1:i]))
		return err == nil && addr.Is6() && addr.Zone() == "" && validPort(b[i+1:])
	}
	i := bytes.IndexByte(b, ':')
	if i < 0 {
		i = len(b)
	}
	if i == 0 && len(b) > 0 {
		return false // a port of nothing
	}
	name := b[:i]
	for j, c := range name {
		if class[c]&hostByte == 0 {
			return false
		}
		if c == '%' && (j+2 >= len(name) || class[name[j+1]]&class[name[j+2]]&hexByte == 0) {
			return false
		}
	}
	return validPort(b[i:])
}

// validPort accepts nothing, or a colon and at most a port number.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' {
		return false
	}
	if len(b) == 1 {
		return true
	}
	n, ok := parseLength(b[1:])
	return ok && n <= 65535
}
