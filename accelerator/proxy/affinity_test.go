package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"ramjet/accelerator/backend"
)

// farmOf is three backends that say which they are.
func farmOf(t *testing.T, p *Proxy, s backend.Settings) *front {
	t.Helper()
	var addresses []string
	for i := range 3 {
		addresses = append(addresses, answering(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n%d", i)))
	}
	f := startFront(t, p, addresses...)
	f.Pool = remade(t, f.Pool, s)
	return f
}

// askWith sends a GET and returns the whole answer and which backend gave it.
func askWith(t *testing.T, f *front, target, fields string) (answer, who string) {
	t.Helper()
	answer, err := roundTrip(t, f.addr, "GET "+target+" HTTP/1.1\r\nHost: site\r\nConnection: close\r\n"+fields+"\r\n")
	if err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Fatalf("%v: %q", err, answer)
	}
	return answer, answer[len(answer)-1:]
}

func TestHashOn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		on      HashOn
		hash    string
		request func(key int) (target, fields string)
	}{
		{"path", HashPath, "", func(key int) (string, string) { return fmt.Sprintf("/p%d?%p", key, &key), "" }},
		{"header", HashHeader, "X-User", func(key int) (string, string) { return "/", fmt.Sprintf("X-User: u%d\r\n", key) }},
		{"cookie", HashCookie, "sid", func(key int) (string, string) { return "/", fmt.Sprintf("Cookie: a=b; sid=u%d\r\n", key) }},
		{"address, told by a trusted proxy", HashAddress, "", func(key int) (string, string) {
			return "/", fmt.Sprintf("X-Forwarded-For: 8.8.8.8, 192.0.2.%d, 127.0.0.2\r\n", key)
		}},
	} {
		f := farmOf(t, &Proxy{HashOn: c.on, HashName: c.hash, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, backend.Settings{Balance: backend.Hash})
		all := map[string]bool{}
		for key := range 20 {
			var first string
			for i := range 4 {
				target, fields := c.request(key)
				_, who := askWith(t, f, target, fields)
				if i == 0 {
					first = who
				}
				if who != first {
					t.Errorf("%s: key %d went to %s and to %s", c.name, key, first, who)
				}
			}
			all[first] = true
		}
		if len(all) != 3 {
			t.Errorf("%s: 20 keys went to %v", c.name, all)
		}
	}
}

func TestClientOf(t *testing.T) {
	p := &Proxy{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, c := range []struct {
		remote string
		said   []string
		want   string
	}{
		{"192.0.2.1:5", nil, "192.0.2.1"},
		{"192.0.2.1:5", []string{"8.8.8.8"}, "192.0.2.1"},
		{"10.0.0.1:5", nil, "10.0.0.1"},
		{"10.0.0.1:5", []string{"8.8.8.8"}, "8.8.8.8"},
		{"10.0.0.1:5", []string{"8.8.8.8, 9.9.9.9"}, "9.9.9.9"},
		{"10.0.0.1:5", []string{"8.8.8.8, 9.9.9.9,10.1.1.1"}, "9.9.9.9"},
		{"10.0.0.1:5", []string{"8.8.8.8", "9.9.9.9", "10.1.1.1"}, "9.9.9.9"},
		{"10.0.0.1:5", []string{"8.8.8.8, nonsense, 10.1.1.1"}, "10.1.1.1"},
		{"10.0.0.1:5", []string{"10.2.2.2"}, "10.2.2.2"},
		{"[::ffff:10.0.0.1]:5", []string{"2001:db8::1"}, "2001:db8::1"},
	} {
		got := p.clientOf(&http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.said}})
		if got.String() != c.want {
			t.Errorf("%s, %q: %s, want %s", c.remote, c.said, got, c.want)
		}
	}
}

// The cookie keeps a client with its backend, and is set anew only when that
// changes.
func TestStickyCookie(t *testing.T) {
	t.Parallel()
	f := farmOf(t, &Proxy{StickyCookie: "farm"}, backend.Settings{Balance: backend.RoundRobin})
	set := regexp.MustCompile(`(?m)^Set-Cookie: farm=([0-9a-z]+); Path=/; HttpOnly; SameSite=Lax\r$`)
	answer, who := askWith(t, f, "/", "Cookie: other=x\r\n")
	cookie := set.FindStringSubmatch(answer)
	if cookie == nil || !strings.Contains(answer, "\r\nCache-Control: private\r\n") {
		t.Fatalf("%q", answer)
	}
	for range 10 {
		answer, again := askWith(t, f, "/", "Cookie: farm="+cookie[1]+"\r\n")
		if again != who || strings.Contains(answer, "Set-Cookie") {
			t.Errorf("first %s, then %s: %q", who, again, answer)
		}
	}
	f.Pool.ByID(cookie[1]).Drain(true)
	if _, again := askWith(t, f, "/", "Cookie: farm="+cookie[1]+"\r\n"); again != who {
		t.Error("a drained backend loses its clients")
	}
	if _, other := askWith(t, f, "/", ""); other == who {
		t.Error("a drained backend gets new clients")
	}
	for _, value := range []string{"nonsense", "", strings.Repeat("x", 1000)} {
		if answer, _ := askWith(t, f, "/", "Cookie: farm="+value+"\r\n"); !set.MatchString(answer) {
			t.Errorf("cookie %.20q: %q", value, answer)
		}
	}
}
