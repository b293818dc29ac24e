package proxy

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Who is believed what, and what the backend gets to know.
func TestIdentity(t *testing.T) {
	t.Parallel()
	const claims = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX-Forwarded-Host: www.example\r\nX-Forwarded-Proto: https\r\n" +
		"Forwarded: for=192.0.2.3;proto=https\r\n"
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		name     string
		identity Identity
		trusted  []netip.Prefix
		ip       string
		fields   string
		want     []string
	}{
		{"nobody is believed", XForwarded, nil, "127.0.0.1", claims,
			[]string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: site:80", "X-Forwarded-Proto: http"}},
		{"a stranger", XForwarded, trusted[:1], "127.0.0.1", claims,
			[]string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: site:80", "X-Forwarded-Proto: http"}},
		{"a proxy of ours", XForwarded, trusted, "127.0.0.1", claims,
			[]string{"X-Forwarded-For: 192.0.2.1, 192.0.2.2, 127.0.0.1", "X-Forwarded-Host: www.example", "X-Forwarded-Proto: https"}},
		{"over IPv6", XForwarded, trusted, "::1", claims,
			[]string{"X-Forwarded-For: 192.0.2.1, 192.0.2.2, ::1", "X-Forwarded-Host: www.example", "X-Forwarded-Proto: https"}},
		{"it says nothing", XForwarded, trusted, "127.0.0.1", "",
			[]string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: site:80", "X-Forwarded-Proto: http"}},
		{"it says nonsense", XForwarded, trusted, "127.0.0.1", "X-Forwarded-Host: a b\r\nX-Forwarded-Proto: gopher\r\n",
			[]string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: site:80", "X-Forwarded-Proto: http"}},
		{"RFC 7239", Forwarded, nil, "127.0.0.1", claims,
			[]string{`Forwarded: for=127.0.0.1;host="site:80";proto=http`}},
		{"RFC 7239, believed", Forwarded, trusted, "127.0.0.1", claims,
			[]string{`Forwarded: for=192.0.2.3;proto=https, for=127.0.0.1;host="site:80";proto=http`}},
		{"RFC 7239, IPv6", Forwarded, nil, "::1", "",
			[]string{`Forwarded: for="[::1]";host="site:80";proto=http`}},
		{"both", Both, trusted, "127.0.0.1", claims, []string{
			`Forwarded: for=192.0.2.3;proto=https, for=127.0.0.1;host="site:80";proto=http`,
			"X-Forwarded-For: 192.0.2.1, 192.0.2.2, 127.0.0.1", "X-Forwarded-Host: www.example", "X-Forwarded-Proto: https"}},
	} {
		heads := make(chan string, 1)
		b := rawBackend(t, func(w *wire) {
			heads <- w.head()
			w.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		})
		p := &Proxy{Identity: c.identity, Trusted: c.trusted}
		f := startFront(t, p, b)
		addr := f.addr
		if c.ip == "::1" {
			if addr = onIPv6(t, f); addr == "" {
				continue
			}
		}
		if _, err := roundTrip(t, addr, "GET / HTTP/1.1\r\nHost: site:80\r\nConnection: close\r\n"+c.fields+"\r\n"); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := regexp.MustCompile(`(?m)^(X-)?Forwarded.*$`).FindAllString(strings.ReplaceAll(<-heads, "\r", ""), -1)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

// onIPv6 serves the front on ::1, "" if this machine has none.
func onIPv6(t *testing.T, f *front) string {
	t.Helper()
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Log("no IPv6 here")
		return ""
	}
	probe.Close()
	return serveOn(t, listenAt(t, net.IPv6loopback), f.Proxy)
}
