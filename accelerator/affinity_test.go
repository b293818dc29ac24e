package main

import (
	"fmt"
	"strings"
	"testing"
)

// What belongs together is the same for both tiers: a request goes to the same backend,
// whoever forwards it, or half of a session's requests would come to another one.
func TestAffinityInBothTiers(t *testing.T) {
	t.Parallel()
	var backends []string
	for n := range 16 {
		backends = append(backends, fmt.Sprintf(`{"url": %q}`, startHeld(t, fmt.Sprint(n)).URL))
	}
	paths := func(all ...string) (requests []string) {
		for _, path := range all {
			requests = append(requests, "GET "+path+" HTTP/1.1\r\nHost: example\r\n\r\n")
		}
		return requests
	}
	fields := func(all ...string) (requests []string) {
		for _, f := range all {
			requests = append(requests, "GET /x HTTP/1.1\r\nHost: example\r\n"+strings.ReplaceAll(f, "\n", "\r\n")+"\r\n\r\n")
		}
		return requests
	}
	for on, requests := range map[string][]string{
		"address": fields("X-A: b", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-For: 192.0.2.1, 127.0.0.2",
			"X-Forwarded-For: 192.0.2.3\nX-Forwarded-For: 127.0.0.3", "X-Forwarded-For: nobody", "X-Forwarded-For: ::1", "X-Forwarded-For: ::ffff:192.0.2.1", "X-Forwarded-For:",
			"Forwarded: for=192.0.2.4"),
		"path": paths("/a", "/a?b", "/b", "/a/", "//a", "/%61", "/a%2Fb", "/a%20b", "/a+b", "/a/../b", "/%C3%A4", "/a;b", "/a?b/c", "/%zz?", "/%00", "/"),
		"header:X-User": fields("X-User: a", "x-user:a", "X-User: \t a  ", "X-User: a\nX-User: b", "X-User: b\nX-User: a", "X-User:", "X-User: \xc3\xa4", "X-Other: a",
			"X-User: a, b", "X_User: a"),
		"cookie:user": fields("Cookie: user=a", "Cookie: user=\"a\"", "Cookie: b=c; user=a", "Cookie: user=; user=a", "Cookie: user=a b", "Cookie: user=\"a b\"", "Cookie: user",
			"Cookie: USER=a; user=b", "Cookie: b=c\nCookie: user=a", "Cookie: user=a\\b; user=c", "Cookie: user = a", "Cookie: user=a=b", "Cookie: user=a,b"),
	} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			settings := fmt.Sprintf(`"health": {"check": "off"}, "forward": {"balance": "hash", "hash_on": %q, "trusted": ["127.0.0.0/8"]}, "backends": [%s]`, on, strings.Join(backends, ", "))
			got, seen := map[string]string{}, map[string]bool{}
			for tier, setting := range tiers {
				p := startHooked(t, t.TempDir(), setting+settings)
				for _, request := range requests {
					first := ""
					for range 6 { // Without a key all alike come once in a million times.
						c := p.dial()
						fmt.Fprint(c, request)
						a, err := readAnswer(c.in, "GET")
						c.Close()
						if err != nil || a.status != 200 && a.status != 400 {
							t.Fatalf("%q: %v, %v", request, err, a)
						}
						if now := string(a.body); first == "" {
							first = now
						} else if now != first {
							first = "any"
						}
					}
					if other, ok := got[request]; ok && other != first {
						t.Errorf("%q: to %s by the tier %s, and to %s by the other", request, first, tier, other)
					}
					got[request] = first
					seen[first] = true
				}
			}
			if len(seen) < 3 {
				t.Errorf("all requests go to %v", seen)
			}
		})
	}
}
