package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// CheckListen checks an address to listen on, host:port with a numeric port, as for "listen". The error does not name the
// setting.
func CheckListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if _, numErr := strconv.ParseUint(s, 10, 16); numErr == nil {
			return fmt.Errorf("%s has no colon; write %s", quote(s), quote(":"+s))
		}
		return fmt.Errorf("%s is not host:port, such as \":8080\" or \"[::1]:8080\"", quote(s))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %s is not a number from 0 to 65535", quote(port))
	}
	if host != "" {
		return checkHost(host)
	}
	return nil
}

// parseListen is CheckListen in the form that the reader of "listen" needs.
func parseListen(s string) (string, error) { return s, CheckListen(s) }

// ParseBackend checks the URL of a backend as for "backends": where to connect and how, and nothing more. One slash behind
// the host is tolerated and dropped. The error does not name the setting.
func ParseBackend(s string) (*url.URL, error) {
	if !strings.Contains(s, ":/") {
		return nil, fmt.Errorf("%s has no scheme; write %s", quote(s), quote("http://"+strings.TrimLeft(s, "/")))
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL; write http://host:port", quote(s))
	case u.Scheme == "unix":
		return parseSocketURL(s)
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "http+srv" && u.Scheme != "https+srv":
		return nil, fmt.Errorf("scheme %s is not one of http, https, unix, http+srv, https+srv", quote(u.Scheme))
	case u.Opaque != "" || u.Hostname() == "":
		return nil, fmt.Errorf("%s has no host; write %s://host:port", quote(s), u.Scheme)
	case u.User != nil:
		return nil, errors.New("a user is not supported; remove it and the @")
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("path %s is not supported, requests are forwarded with their own path; remove it", quote(u.Path))
	case strings.Contains(s, "?"):
		return nil, errors.New("a query is not supported; remove it and the ?")
	case strings.Contains(s, "#"):
		return nil, errors.New("a fragment is not supported; remove it and the #")
	}
	if err := checkHost(u.Hostname()); err != nil {
		return nil, err
	}
	if service, is := strings.CutSuffix(u.Scheme, "+srv"); is {
		switch _, err := netip.ParseAddr(u.Hostname()); {
		case err == nil:
			return nil, fmt.Errorf("%s is an address, not the name of a service; write %s", quote(u.Host), quote(service+"://"+u.Host))
		case u.Host != u.Hostname():
			return nil, errors.New("a service has the ports of its SRV records; remove the port")
		}
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("port %s is not a number from 1 to 65535", quote(port))
		}
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

// parseSocketURL reads unix:///path: what is behind the two slashes is the path as it is, without escapes.
func parseSocketURL(s string) (*url.URL, error) {
	path, ok := strings.CutPrefix(s[len("unix:"):], "//")
	switch {
	case !ok || !strings.HasPrefix(path, "/"):
		return nil, fmt.Errorf("%s has no absolute path; write unix:///path/to.sock, with three slashes", quote(s))
	case strings.ContainsAny(path, "?#%\x00"):
		return nil, fmt.Errorf("%s has one of the characters ? # %% NUL; give the socket another path", quote(s))
	case strings.HasSuffix(path, "/") || filepath.Clean(path) == "/":
		return nil, fmt.Errorf("%s is a folder; add the name of the socket", quote(path))
	case len(path) > maxSocket:
		return nil, fmt.Errorf("%s is too long for a socket; the path can have %d bytes", quote(path), maxSocket)
	}
	return &url.URL{Scheme: "unix", Path: filepath.Clean(path)}, nil
}

// serverOf returns scheme, host and port of a URL that ParseBackend returned, always with a port; a socket or a service as
// it is.
func serverOf(u *url.URL) string {
	if u.Scheme == "unix" || strings.HasSuffix(u.Scheme, "+srv") {
		return u.String()
	}
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case u.Scheme == "https":
		port = 443
	default:
		port = 80
	}
	return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(port))
}

// maxHost is the longest DNS name in characters (RFC 1035 §2.3.4).
const maxHost = 253

// checkHost accepts IP addresses and names. Names of the letters that DNS and common hosts files use: the underscore is
// no host name by the book, but container networks have them.
func checkHost(host string) error {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Zone() == "" {
		return nil
	}
	if strings.ContainsAny(host, ":%") || strings.Trim(host, "0123456789.") == "" {
		return fmt.Errorf("%s is not an IP address", quote(host))
	}
	odd := func(r rune) bool {
		return r != '-' && r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if len(host) > maxHost || strings.ContainsFunc(host, odd) || strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return fmt.Errorf("%s is not a host name; write letters, digits, dots and hyphens", quote(host))
	}
	return nil
}

// parseDNSServer reads the address of a DNS server, and returns it with a port. A name would have to be resolved itself.
func parseDNSServer(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 53).String(), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil || a.Port() == 0 {
		return "", fmt.Errorf("%s is not an IP address with or without a port, such as \"10.0.0.1\" or \"[::1]:5353\"", quote(s))
	}
	return a.String(), nil
}

// parseNetwork reads an address, or a network in CIDR notation (RFC 4632).
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s is not a network, such as \"10.0.0.0/8\", or an address", quote(s))
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%s names an address inside of a network; write %s", quote(s), quote(p.Masked().String()))
	}
	return p, nil
}
