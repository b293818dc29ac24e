package config

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// farms are pools for the tests of routes; the line of the route itself is 2.
const farms = `"backends": [{"url": "http://a"}], "pools": {"api": {"backends": [{"url": "http://b"}]}}`

func TestRouteMistakes(t *testing.T) {
	for _, tt := range []struct{ route, want string }{
		{`{"pool": "apii"}`, `2:10: routes[0].pool: "apii" is not a pool; there are "default", "api"`},
		{`{"host": ""}`, `2:10: routes[0].host: must not be empty; leave the setting out for any host`},
		{`{"host": "a.*.b"}`, `2:10: routes[0].host: "a.*.b" has a * in another place than the beginning; write a name, or "*.example.com" for all names below one`},
		{`{"host": "a:80"}`, `2:10: routes[0].host: "a:80" has a port; leave it out, a route is for all ports`},
		{`{"host": "*.10.0.0.1"}`, `2:10: routes[0].host: "*.10.0.0.1": there are no names below an address`},
		{`{"host": "a b"}`, `2:10: routes[0].host: "a b" is not a host name; write letters, digits, dots and hyphens`},
		{`{"path": "api"}`, `2:10: routes[0].path: "api" does not begin with /; write "/api"`},
		{`{"path": "/a%20b"}`, `2:10: routes[0].path: "/a%20b" has a %-escape; paths are compared decoded, so write "/a b"`},
		{`{"path": "/a\nb"}`, `2:10: routes[0].path: "/a\nb" has a control character`},
		{`{"path": "/a/../b"}`, `2:10: routes[0].path: "/a/../b" has an empty segment, or one of dots`},
		{`{"path": "*.php"}`, `2:10: routes[0].path: "*.php" is a pattern over the whole path; begin it with /, such as "/**.php"`},
		{`{"methods": []}`, `2:13: routes[0].methods: without a method there is no request; leave the setting out for any`},
		{`{"methods": ["get"]}`, `2:14: routes[0].methods[0]: "get" is not in capitals; write "GET"`},
		{`{"methods": ["GET", "GET"]}`, `2:13: routes[0].methods: "GET" is there twice; keep one`},
		{`{"methods": ["A B"]}`, `2:14: routes[0].methods[0]: "A B" is not a method, such as "GET"`},
		{`{"replace_prefix": "/café"}`, `2:20: routes[0].replace_prefix: "/café" has a character that cannot be sent as it is; write letters, digits and -._~!$&'()+,;=:@/`},
		{`{"strip_prefix": "/a*"}`, `2:18: routes[0].strip_prefix: "/a*" has a * or ?; a prefix is plain`},
		{`{"path": "/api/", "strip_prefix": "/v1"}`, `2:1: routes[0]: no path begins with both the path "/api/" and strip_prefix "/v1"`},
		{`{"replace_prefix": "/a%2f"}`, `2:20: routes[0].replace_prefix: "/a%2f" has a character that cannot be sent as it is; write letters, digits and -._~!$&'()+,;=:@/`},
		{`{"request_header": {"set": {"host": "evil"}}}`, `2:29: routes[0].request_header.set.host: "Host" cannot be changed by a route; see forward.host`},
		{`{"request_header": {"remove": ["x-forwarded-for"]}}`, `2:32: routes[0].request_header.remove[0]: "X-Forwarded-For" cannot be changed by a route; see forward.identity`},
		{`{"request_header": {"set": {"Content_Length": "5"}}}`, `2:29: routes[0].request_header.set.Content_Length: "Content_length" belongs to the connection and not to the message behind it; it cannot be changed`},
		{`{"response_header": {"set": {"transfer-encoding": "chunked"}}}`, `2:30: routes[0].response_header.set["transfer-encoding"]: "Transfer-Encoding" belongs to the connection and not to the message behind it; it cannot be changed`},
		{`{"response_header": {"set": {"X-A": "a\r\nb"}}}`, `2:37: routes[0].response_header.set["X-A"]: "a\r\nb" has the character '\r', which a header field cannot have`},
		{`{"response_header": {"set": {"X-A": "a", "x-a": "b"}}}`, `2:42: routes[0].response_header.set["x-a"]: "X-A" is there twice; keep one`},
		{`{"response_header": {"set": {"X-A": "a"}, "remove": ["X-A"]}}`, `2:21: routes[0].response_header: "X-A" is set and removed; setting it replaces what was there, so it need not be removed`},
		{`{"response_header": {"remove": ["X A"]}}`, `2:33: routes[0].response_header.remove[0]: "X A" is not the name of a header field, such as "X-Zone"`},
		{`{"per_client": {}}`, `2:16: routes[0].per_client: nothing is limited; write {"rate": "50/s"}`},
		{`{"per_client": {"burst": 5, "in_flight": 1}}`, `2:16: routes[0].per_client: a burst needs a rate; write {"rate": "50/s"}`},
		{`{"per_client": {"rate": "50"}}`, `2:25: routes[0].per_client.rate: "50" is not a rate; write a number and /s, /m or /h, such as "50/s"`},
		{`{"per_client": {"rate": 50}}`, `2:25: routes[0].per_client.rate: expected text such as "50/s", not the number 50`},
		{`{"per_client": {"rate": "0/s"}}`, `2:25: routes[0].per_client.rate: "0/s" is out of range; it can be 1 to 1000000 in a time`},
		{`{"per_client": {"rate": "50/d"}}`, `2:25: routes[0].per_client.rate: "50/d" is not a rate; write a number and /s, /m or /h, such as "50/s"`},
		{`{"per_client": {"in_flight": 0}}`, `2:30: routes[0].per_client.in_flight: 0 is out of range; it can be 1 to 100000`},
		{`{"per_client": {"rate": "5/m", "ipv6_prefix": 129}}`, `2:47: routes[0].per_client.ipv6_prefix: 129 is out of range; it can be 16 to 128`},
		{`{"weight": 1}`, `2:2: routes[0].weight: unknown setting; known here: host, methods, path, per_client, pool, replace_prefix, request_header, response_header, strip_prefix`},
		{`"/api"`, `2:1: routes[0]: expected an object such as {"path": "/api/", "pool": "api"}, not the text "/api"`},
	} {
		// Routes may stand before what they name.
		if got := mistakesIn(t, "{\"routes\": [\n"+tt.route+"], "+farms+"}"); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.route, got, tt.want)
		}
	}
	for text, want := range map[string]string{
		`{"routes": [{"path": "/"}]}`:        `1:13: routes[0]: the pool is missing: "default" are the top-level backends, and there are none; write "backends", or name one of "pools"`,
		`{"routes": [{"pool": "a"}]}`:        `1:22: routes[0].pool: "a" is not a pool; there are none, write "pools"`,
		`{"pools": {"default": {}}}`:         `1:12: pools.default: "default" is the pool of the top-level backends; write them there`,
		`{"pools": {"a b": {}}}`:             `1:12: pools["a b"]: "a b" is not the name of a pool; write up to 60 letters, digits, - and _`,
		`{"pools": {"a": {}}}`:               `1:17: pools.a: "backends" is missing; write {"backends": [{"url": "http://10.0.0.2:8000"}]}`,
		`{"pools": {"a": {"backends": []}}}`: `1:30: pools.a.backends: a pool needs at least one backend; write [{"url": "http://10.0.0.2:8000"}]`,
		"{\"pools\": {\n\"a\": {\"backends\": [{\"url\": \"http://x\"}]},\n\"a\": {}}}":                                                                                         `3:1: pools.a: set twice, first in line 2; keep one`,
		`{"pools": {"a": {"backends": [{"url": "http://x"}], "forward": {"sticky_cookie": "c"}}, "b": {"backends": [{"url": "http://x"}], "forward": {"sticky_cookie": "c"}}}}`: `1:94: pools.b: its sticky_cookie "c" is that of pools.a too; give each another`,
		`{"pools": []}`: `1:11: pools: expected an object such as {"api": {"backends": [{"url": "http://10.0.0.2:8000"}]}}, not a list`,
	} {
		if got := mistakesIn(t, text); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", text, got, want)
		}
	}
}

// A route that no request can get to is a mistake; one that some can is not.
func TestRouteCovered(t *testing.T) {
	for _, tt := range []struct {
		earlier, later string
		covered        bool
	}{
		{`{}`, `{"path": "/x"}`, true},
		{`{"path": "/api"}`, `{"path": "/api/"}`, true},
		{`{"path": "/api/"}`, `{"path": "/api/v1"}`, true},
		{`{"path": "/api/"}`, `{"path": "/api/*.json"}`, true},
		{`{"path": "/"}`, `{"path": "/**.php"}`, true},
		{`{"path": "/api/**"}`, `{"path": "/api/v1"}`, true},
		{`{"path": "/*.php"}`, `{"path": "/*.php", "host": "a"}`, true},
		{`{"host": "*.a.b"}`, `{"host": "x.y.a.b"}`, true},
		{`{"host": "*.a.b"}`, `{"host": "*.c.a.b"}`, true},
		{`{"methods": ["GET"]}`, `{"methods": ["HEAD"]}`, true},
		{`{"methods": ["GET", "PUT"], "path": "/a"}`, `{"methods": ["PUT"], "path": "/a/b", "host": "c"}`, true},
		{`{"path": "/"}`, `{}`, false},
		{`{"path": "/api"}`, `{"path": "/apis"}`, false},
		{`{"path": "/api/v1"}`, `{"path": "/api"}`, false},
		{`{"path": "/api"}`, `{"path": "/api*/x"}`, false},
		{`{"path": "/api/**"}`, `{"path": "/api"}`, false},
		{`{"path": "/api/*"}`, `{"path": "/api/v1"}`, false},
		{`{"host": "a"}`, `{}`, false},
		{`{"host": "*.a.b"}`, `{"host": "a.b"}`, false},
		{`{"host": "x.a.b"}`, `{"host": "*.a.b"}`, false},
		{`{"methods": ["GET"]}`, `{}`, false},
		{`{"methods": ["GET"]}`, `{"methods": ["GET", "POST"]}`, false},
	} {
		text := `{` + farms + `, "routes": [` + tt.earlier + ",\n" + tt.later + `]}`
		if !tt.covered {
			if _, err := Parse("ramjet.json", []byte(text)); err != nil {
				t.Errorf("%s before %s: %v", tt.earlier, tt.later, err)
			}
			continue
		}
		const want = `2:1: routes[1]: no request gets here, for routes[0] takes all that match this one; put this one before it, or remove it`
		if got := mistakesIn(t, text); got != want {
			t.Errorf("%s before %s: got\n%s", tt.earlier, tt.later, got)
		}
	}
}

// A pool takes from the top-level sections what it does not say itself, wherever these stand.
func TestPoolsAndRoutes(t *testing.T) {
	const text = `{
	"routes": [
		{
			"host": "*.Example.com", "path": "/api/", "methods": ["GET", "POST"], "pool": "api", "strip_prefix": "/api/", "replace_prefix": "/",
			"request_header": {"set": {"x-b": "2", "X-A": "1"}, "remove": ["cookie"]}, "response_header": {"remove": ["server"]},
		},
		{"path": "/*.php", "per_client": {"rate": "100/m"}},
		{"path": "/log in/é/", "strip_prefix": "/log in/", "per_client": {"rate": "1/h", "burst": 3, "in_flight": 4, "ipv4_prefix": 24, "ipv6_prefix": 48}},
	],
	"pools": {
		"web-2": {"backends": [{"url": "http://b"}], "forward": {"sticky_cookie": "mine", "retries": 0}},
		"api": {"backends": [{"url": "http://a", "weight": 3}], "health": {"rise": 7}, "ejection": {"most": 1}},
	},
	"backends": [{"url": "http://a"}],
	"forward": {"sticky_cookie": "s", "retries": 5, "hold": "5s"},
	"health": {"path": "/h", "fall": 9},
	"ejection": {"failures": 8},
}`
	got, err := Parse("ramjet.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	base := Default()
	base.Forward.StickyCookie, base.Forward.Retries, base.Forward.Hold = "s", 5, 5*time.Second
	base.Health.Path, base.Health.Fall, base.Ejection.Failures = "/h", 9, 8
	server := func(host string, weight int) []Backend {
		return []Backend{{&url.URL{Scheme: "http", Host: host}, weight}}
	}
	plain := Pool{DefaultPool, server("a", 1), base.Forward, base.Health, base.Ejection}
	web, api := plain, plain
	web.Name, web.Backends, web.Forward.StickyCookie, web.Forward.Retries = "web-2", server("b", 1), "mine", 0
	api.Name, api.Backends, api.Forward.StickyCookie, api.Health.Rise, api.Ejection.Most = "api", server("a", 3), "s_api", 7, 1
	if diff := cmp.Diff([]Pool{plain, web, api}, got.AllPools(), prefixes); diff != "" {
		t.Error(diff)
	}
	want := []Route{{
		Host: "*.example.com", Path: "/api/", Methods: []string{"GET", "POST"}, Pool: "api", StripPrefix: "/api",
		RequestHeader:  FieldChanges{Set: []Field{{"X-B", "2"}, {"X-A", "1"}}, Remove: []string{"Cookie"}},
		ResponseHeader: FieldChanges{Remove: []string{"Server"}},
	},
		{Path: "/*.php", Pool: DefaultPool, PerClient: PerClient{Rate: Rate{100, time.Minute}, Burst: 100, IPv4Prefix: 32, IPv6Prefix: 64}},
		{Path: "/log in/é/", Pool: DefaultPool, StripPrefix: "/log in", PerClient: PerClient{Rate: Rate{1, time.Hour}, Burst: 3, InFlight: 4, IPv4Prefix: 24, IPv6Prefix: 48}},
	}
	if diff := cmp.Diff(want, got.Routes); diff != "" {
		t.Error(diff)
	}
}
