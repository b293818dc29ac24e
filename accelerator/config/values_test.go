package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inside writes a member "section.name" as a whole file, in one line, and says where its value begins.
func inside(setting, value string) (text string, column int) {
	section, name, ok := strings.Cut(setting, ".")
	if !ok {
		before := `{"` + section + `": `
		return before + value + "}", len(before) + 1
	}
	before := `{"` + section + `": {"` + name + `": `
	return before + value + "}}", len(before) + 1
}

func TestBadValues(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, tt := range []struct{ setting, value, want string }{
		{"listen", `""`, `"" is not host:port, such as ":8080" or "[::1]:8080"`},
		{"listen", `"8080"`, `"8080" has no colon; write ":8080"`},
		{"listen", `"localhost"`, `"localhost" is not host:port`},
		{"listen", `"::1:80"`, `"::1:80" is not host:port`},
		{"listen", `":http"`, `port "http" is not a number from 0 to 65535`},
		{"listen", `":65536"`, `port "65536" is not a number from 0 to 65535`},
		{"listen", `":-1"`, `port "-1" is not a number`},
		{"listen", `"1.2.3:80"`, `"1.2.3" is not an IP address`},
		{"listen", `"a b:80"`, `"a b" is not a host name`},
		{"server", `"a\r\nX: y"`, `has the character '\r', which a header field cannot have`},
		{"server", `"é"`, `"é" has the character 'é', which a header field cannot have`},
		{"server", `" a"`, `" a" begins or ends with a blank`},
		{"admin", `"/` + long + `"`, `is too long for a socket; the path can have 107 bytes`},
		{"admin", `"/run/"`, `"/run/" is a folder; add the name of the socket`},
		{"admin", `"."`, `"." is a folder; add the name of the socket`},
		{"admin", `"/a\u0000b"`, `"/a\x00b" has a NUL character, which no path can have`},
		{"log_level", `"trace"`, `"trace" is not one of "debug", "error", "info", "warn"`},
		{"content.root", `"\u0000"`, `"\x00" has a NUL character, which no path can have`},
		{"content.memory", `"91%"`, `"91%" is out of range; it can be 0% to 90%`},
		{"content.memory", `"-1%"`, `"-1%" is not a part; write whole percents, such as "25%"`},
		{"content.memory", `"99999999999999999999%"`, `is out of range; it can be 0% to 90%`},
		{"content.memory", `"12.5%"`, `"12.5%" is not a part; write whole percents, such as "25%"`},
		{"content.memory", `"1 MiB"`, `"1 MiB" is not a size; write digits and B, KB, MB, GB, KiB, MiB or GiB`},
		{"content.memory", `"1mib"`, `"1mib" is not a size`},
		{"content.memory", `"MiB"`, `"MiB" is not a size`},
		{"content.memory", `-1`, `"-1" is not a size`},
		{"content.memory", `1.5`, `"1.5" is not a size`},
		{"content.memory", `"9223372036854775808"`, `"9223372036854775808" is too large`},
		{"content.memory", `"9223372036GiB"`, `"9223372036GiB" is too large`},
		{"content.memory", `"1048577GiB"`, `"1048577GiB" is out of range; it can be 0 to 1048576GiB`},
		{"content.memory", `true`, `expected a part or a size such as "25%" or "512MiB", not true`},
		{"content.memory_per_file", `"2GiB"`, `"2GiB" is out of range; it can be 0 to 1GiB`},
		{"content.open_files", `-1`, `-1 is out of range; it can be 0 to 1000000`},
		{"content.open_files", `1e3`, `1e3 is not a whole number in plain digits`},
		{"content.open_files", `99999999999999999999`, `99999999999999999999 is out of range`},
		{"content.charset", `"utf 8"`, `"utf 8" is not the name of a charset, such as "utf-8"`},
		{"content.cache_control", `[{"match": "*.css", "value": "no-cache"}]`, `"*.css" is a pattern over the whole path; begin it with /, such as "/**.css"`},
		{"content.cache_control", `[{"match": "/` + strings.Repeat("*a", 600) + `", "value": "no-cache"}]`, `is too long; a pattern can have 1024 bytes`},
		{"content.settle", `"49ms"`, `"49ms" is out of range; it can be 50ms to 10s`},
		{"content.settle", `"10"`, `"10" has no unit; write ms, s, m or h behind it, such as "250ms"`},
		{"content.settle", `"soon"`, `"soon" is not a time; write digits and ms, s, m or h, such as "250ms"`},
		{"content.settle", `""`, `"" is not a time`},
		{"content.settle", `"-1s"`, `"-1s" is out of range`},
		{"content.settle", `"999999999999h"`, `"999999999999h" is not a time`},
		{"rules.perm_required", `4`, `expected text such as "0004", not the number 4`},
		{"rules.perm_required", `"0009"`, `"0009" is not a mode; write up to four octal digits as for chmod, such as "0004"`},
		{"rules.perm_required", `"10000"`, `"10000" is not a mode`},
		{"rules.perm_required", `"u+r"`, `"u+r" is not a mode`},
		{"rules.perm_required", `""`, `"" is not a mode`},
		{"rules.unknown_type", `""`, `"" is neither "forward" nor a media type such as "text/plain"`},
		{"rules.unknown_type", `"html"`, `"html" is neither "forward" nor a media type`},
		{"forward.connect_timeout", `"5m1s"`, `"5m1s" is out of range; it can be 10ms to 5m`},
		{"forward.idle_timeout", `"0s"`, `"0s" is out of range; it can be 10ms to 24h`},
		{"health.agent_port", `65536`, `65536 is out of range; it can be 0 to 65535`},
		{"health.agent_send", `"` + strings.Repeat("x", 101) + `"`, `is too long; an agent can be sent 100 bytes`},
		{"dns.server", `"ns.example.com"`, `"ns.example.com" is not an IP address with or without a port, such as "10.0.0.1" or "[::1]:5353"`},
		{"dns.server", `"10.0.0.1:0"`, `"10.0.0.1:0" is not an IP address`},
		{"dns.min_ttl", `"0s"`, `"0s" is out of range; it can be 100ms to 1h`},
		{"dns.addresses", `"ip4"`, `"ip4" is not one of "any", "ipv4", "ipv6"`},
		{"forward.total_timeout", `"25h"`, `"25h" is out of range; it can be 0s to 24h`},
		{"limits.streams", `1001`, `1001 is out of range; it can be 0 to 1000`},
		{"limits.head_bytes", `1023`, `"1023" is out of range; it can be 1KiB to 1MiB`},
		{"limits.connections", `0`, `0 is out of range; it can be 1 to 1000000`},
		{"limits.body_bytes", `"-1"`, `"-1" is not a size`},
		{"access_log.format", `"clf"`, `"clf" is not one of "combined", "common", "json", "off"`},
		{"access_log.to", `"sdtout"`, `"sdtout" is not "stdout", "syslog", syslog://host:port, or a path with a slash such as "/perm/log/access.log"`},
		{"access_log.to", `"tcp://a:514"`, `"tcp://a:514" is not "stdout", "syslog", syslog://host:port, or a path`},
		{"access_log.to", `""`, `"" is not "stdout"`},
		{"access_log.to", `"/var/log/"`, `"/var/log/" is a folder; add the name of a file`},
		{"access_log.to", `"/a\u0000"`, `has a NUL character, which no path can have`},
		{"access_log.to", `"syslog://"`, `"syslog://" has no host; write syslog://host:port`},
		{"access_log.to", `"syslog://a:b"`, `port "b" is not a number from 1 to 65535`},
		{"access_log.to", `"syslog://a b"`, `"a b" is not a host name`},
		{"access_log.rotate_bytes", `"255KiB"`, `"255KiB" is out of range; it can be 256KiB to 1GiB`},
		{"access_log.rotate_age", `"59s"`, `"59s" is out of range; it can be 1m to 8760h`},
		{"access_log.keep_bytes", `"1KiB"`, `"1KiB" is out of range; it can be 512KiB to 1024GiB`},
		{"limits.head_time", `"` + long + `"`, `"` + long[:60] + `…" is not a time`},
	} {
		t.Run(tt.setting+" "+tt.value[:min(len(tt.value), 40)], func(t *testing.T) {
			text, column := inside(tt.setting, tt.value)
			_, err := Parse("x", []byte(text))
			ms, ok := err.(Mistakes)
			if !ok || len(ms) != 1 {
				t.Fatalf("got %v", err)
			}
			m := ms[0]
			if !strings.HasPrefix(m.Field, tt.setting) || !strings.Contains(m.Text, tt.want) {
				t.Errorf("got %s: %s", m.Field, m.Text)
			}
			if m.Line != 1 || (m.Column != column && m.Field == tt.setting) {
				t.Errorf("at %d:%d, want 1:%d", m.Line, m.Column, column)
			}
		})
	}
}

// Mistakes in lists and in objects, whose place is inside the value.
func TestBadElements(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{`{"content": {"index": ["a", "b/c"]}}`, `1:29: content.index[1]: "b/c" is not a plain file name; write it without a folder, such as "index.html"`},
		{`{"content": {"index": [".."]}}`, `1:24: content.index[0]: ".." is not a plain file name; write it without a folder, such as "index.html"`},
		{`{"content": {"dotfiles": ["git"]}}`, `1:27: content.dotfiles[0]: "git" is not a name that begins with a dot, such as ".well-known"`},
		{`{"content": {"dotfiles": [".."]}}`, `1:27: content.dotfiles[0]: ".." is not a name that begins with a dot, such as ".well-known"`},
		{`{"content": {"types": {".WASM": "application/wasm"}}}`, `1:24: content.types[".WASM"]: ".WASM" is not in lower case; write ".wasm", which covers both`},
		{`{"content": {"types": {"wasm": "application/wasm"}}}`, `1:24: content.types.wasm: "wasm" is not an extension; write the last dot of a name and what follows, such as ".wasm"`},
		{`{"content": {"types": {".tar.gz": "application/gzip"}}}`, `1:24: content.types[".tar.gz"]: ".tar.gz" is not an extension; write the last dot of a name and what follows, such as ".wasm"`},
		{`{"content": {"types": {".a": "b"}}}`, `1:30: content.types[".a"]: "b" is not a media type, such as "text/plain"`},
		{`{"content": {"types": {".a": "b/c d"}}}`, `1:30: content.types[".a"]: "b/c d" is not a media type, such as "text/plain"`},
		{`{"content": {"types": {".a": "b/c; q=\"é\""}}}`, `1:30: content.types[".a"]: "b/c; q=\"é\"" has the character 'é', which a header field cannot have`},
		{`{"content": {"types": {".a": "b/c", ".a": "b/d"}}}`, `1:37: content.types[".a"]: set twice, first in line 1; keep one`},
		{`{"content": {"types": {".a": 1}}}`, `1:30: content.types[".a"]: expected text such as "application/wasm", not the number 1`},
		{`{"content": {"cache_control": [{"match": "/", "value": ""}]}}`, `1:56: content.cache_control[0].value: must not be empty`},
		{`{"content": {"cache_control": [{"match": "/***", "value": "a"}]}}`, `1:42: content.cache_control[0].match: "/***" has more than two * in a row; write * for a part of a segment, ** for any segments`},
		{`{"content": {"cache_control": [{"match": "/", "value": "a", "vary": "b"}]}}`, `1:61: content.cache_control[0].vary: unknown setting; known here: match, value`},
		{`{"rules": {"dynamic": [""]}}`, `1:24: rules.dynamic[0]: an empty text is in every path; remove it`},
		{`{"rules": {"dynamic": ["*.php"]}}`, `1:24: rules.dynamic[0]: "*.php" is a pattern over the whole path; begin it with /, such as "/**.php"`},
		{`{"rules": {"dynamic": ["php", 3]}}`, `1:31: rules.dynamic[1]: expected text such as "cgi-bin", not the number 3`},
		{`{"dns": {"min_ttl": "1h"}}`, `1:9: dns: min_ttl 1h is longer than max_ttl 5m; make one shorter or the other longer`},
		{`{"backends": [{"weight": 2, "url": "http+srv://_web._tcp.a"}]}`, `1:26: backends[0].weight: the servers of http+srv://_web._tcp.a have the weights of their SRV records; remove this one`},
		{`{"access_log": {"keep_bytes": "31MiB"}}`, `1:16: access_log: keep_bytes 31MiB is less than twice rotate_bytes 16MiB, so no file would be kept; make one larger or the other smaller`},
		{`{"rules": {"perm_forbid": "0007"}}`, `1:11: rules: perm_required 0004 and perm_forbid 0007 both have 0004, so no file would be static`},
	} {
		if got := mistakesIn(t, tt.text); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.text, got, tt.want)
		}
	}
}

func TestBadBackends(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"", `"" has no scheme; write "http://"`},
		{"10.0.0.2:8000", `"10.0.0.2:8000" has no scheme; write "http://10.0.0.2:8000"`},
		{"//a", `"//a" has no scheme; write "http://a"`},
		{"htp://a", `scheme "htp" is not one of http, https, unix, http+srv, https+srv`},
		{"unix:/run/x.sock", `"unix:/run/x.sock" has no absolute path; write unix:///path/to.sock, with three slashes`},
		{"unix://run/x.sock", `"unix://run/x.sock" has no absolute path; write unix:///path/to.sock, with three slashes`},
		{"unix:///run/", `"/run/" is a folder; add the name of the socket`},
		{"unix:///..", `"/.." is a folder; add the name of the socket`},
		{"unix:///run/x?y", `"unix:///run/x?y" has one of the characters ? # % NUL; give the socket another path`},
		{"unix:///run/%20", `"unix:///run/%20" has one of the characters ? # % NUL; give the socket another path`},
		{"unix:///" + strings.Repeat("x", 107), `"/` + strings.Repeat("x", 59) + `…" is too long for a socket; the path can have 107 bytes`},
		{"http+srv://", `"http+srv://" has no host; write http+srv://host:port`},
		{"http+srv://a:80", `a service has the ports of its SRV records; remove the port`},
		{"https+srv://10.0.0.1", `"10.0.0.1" is an address, not the name of a service; write "https://10.0.0.1"`},
		{"http+srv://a/b", `path "/b" is not supported, requests are forwarded with their own path; remove it`},
		{"http:/a", `"http:/a" has no host; write http://host:port`},
		{"http://", `"http://" has no host; write http://host:port`},
		{"http://:80", `"http://:80" has no host; write http://host:port`},
		{"http://u:p@a", `a user is not supported; remove it and the @`},
		{"http://a/b", `path "/b" is not supported, requests are forwarded with their own path; remove it`},
		{"http://a?", `a query is not supported; remove it and the ?`},
		{"http://a#", `a fragment is not supported; remove it and the #`},
		{"http://a:0", `port "0" is not a number from 1 to 65535`},
		{"http://a:65536", `port "65536" is not a number from 1 to 65535`},
		{"http://a:", `port "" is not a number from 1 to 65535`},
		{"http://a:b", `"http://a:b" is not a URL; write http://host:port`},
		{"http://[::1", `"http://[::1" is not a URL; write http://host:port`},
		{"http://[::1%25eth0]", `"::1%eth0" is not an IP address`},
		{"http://256.1.1.1", `"256.1.1.1" is not an IP address`},
		{"http://a..b", `"a..b" is not a host name; write letters, digits, dots and hyphens`},
		{"http://bücher.example", `"bücher.example" is not a host name; write letters, digits, dots and hyphens`},
		{"http://a%0ab", `"http://a%0ab" is not a URL; write http://host:port`},
	} {
		want := `1:22: backends[0].url: ` + tt.want
		if got := mistakesIn(t, `{"backends":[{"url": "`+tt.url+`"}]}`); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.url, got, want)
		}
	}
	got := mistakesIn(t, `{"backends":[{"url": "http://A"}, {"url": "https://a"}, {"url": "http://a:080/"}]}`)
	if want := `1:65: backends[2].url: http://a:80 is the same server as backends[0].url; keep one`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEverySettingSet(t *testing.T) {
	const text = `{
	"listen": "[::1]:0", "proxy_protocol_from": ["10.0.0.1", "2001:db8::/32"], "server": "Apache/1.3 (Unix)", "admin": "run/x.sock", "log_level": "error",
	"content": {
		"root": "../www", "index": [], "memory": "0%", "memory_per_file": 65536, "open_files": 0, "charset": "",
		"types": {".x": "text/x; charset=utf-8"}, "cache_control": [{"value": "no-cache", "match": "/a/*?"}],
		"dotfiles": [], "settle": "10s",
	},
	"rules": {"query": "ignore", "perm_required": "0", "perm_forbid": "7777", "dynamic": ["a", "/b/*"], "unknown_type": "text/html"},
	"backends": [{"url": "https://Web_1.Example:8443/", "weight": 1000}, {"url": "http://[::1]"}, {"url": "https+srv://_web._tcp.example.com"}, {"url": "unix:///run/x"}],
	"forward": {"connect_timeout": "10ms", "first_byte_timeout": "24h", "idle_timeout": "1.5s", "total_timeout": "24h", "protocol": "http1", "host": "backend", "balance": "hash", "hash_on": "header:X-User", "sticky_cookie": "b", "identity": "both", "proxy_protocol": "v1", "tls": {"ca": "ca.pem", "name": "b.example", "certificate": "/c.pem", "key": "k.pem"}, "trusted": ["10.0.0.0/8", "192.0.2.1"], "in_flight": 1, "queue": 0, "queue_time": "10ms", "hold": "24h", "slow_start": "1h", "retries": 10, "retry_share": 100},
	"limits": {
		"head_bytes": 1024, "head_time": "1s", "idle_time": "2s", "stall_time": "3s", "streams": 0, "drain_time": "1h1m",
		"connections": 1000000, "body_bytes": "64MB",
	},
	"health": {
		"check": "http", "path": "/h?x", "host": "h.example", "status": "200-204", "body": "ok", "agent_port": 65535, "agent_send": "a\n",
		"interval": "100ms", "timeout": "10ms", "rise": 1, "fall": 100,
	},
	"ejection": {"failures": 0, "time": "1h", "most": 100},
	"dns": {"server": "10.0.0.1", "min_ttl": "100ms", "max_ttl": "24h", "addresses": "ipv6"},
	"access_log": {
		"format": "json", "to": "log/access.log", "rotate_bytes": "256KiB", "rotate_age": "1m", "keep_bytes": "512KiB",
	},
}`
	want := &Config{
		Listen: "[::1]:0", ProxyProtocolFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("2001:db8::/32")}, Server: "Apache/1.3 (Unix)", Admin: "/srv/box/run/x.sock", LogLevel: slog.LevelError,
		Content: Content{
			Root: "/srv/www", Index: []string{}, MemoryPerFile: 65536, Types: map[string]string{".x": "text/x; charset=utf-8"},
			CacheControl: []CacheControl{{Match: "/a/*?", Value: "no-cache"}}, Dotfiles: []string{}, Settle: 10 * time.Second,
		},
		Rules:    Rules{IgnoreQuery: true, PermForbid: 0o7777, Dynamic: []string{"a", "/b/*"}, UnknownType: "text/html"},
		Backends: []Backend{{&url.URL{Scheme: "https", Host: "web_1.example:8443"}, 1000}, {&url.URL{Scheme: "http", Host: "[::1]"}, 1}, {&url.URL{Scheme: "https+srv", Host: "_web._tcp.example.com"}, 1}, {&url.URL{Scheme: "unix", Path: "/run/x"}, 1}},
		Forward:  Forward{ConnectTimeout: 10 * time.Millisecond, FirstByteTimeout: 24 * time.Hour, IdleTimeout: 1500 * time.Millisecond, TotalTimeout: 24 * time.Hour, Protocol: "http1", Balance: "hash", HashOn: HashOn{"header", "X-User"}, StickyCookie: "b", Identity: "both", ProxyProtocol: "v1", TLS: TLS{"/srv/box/ca.pem", "b.example", "/c.pem", "/srv/box/k.pem"}, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}, InFlight: 1, QueueTime: 10 * time.Millisecond, Hold: 24 * time.Hour, SlowStart: time.Hour, Retries: 10, RetryShare: 100},
		Health: Health{Check: "http", Path: "/h?x", Host: "h.example", Status: []StatusRange{{200, 204}}, Body: "ok", AgentPort: 65535, AgentSend: "a\n",
			Interval: 100 * time.Millisecond, Timeout: 10 * time.Millisecond, Rise: 1, Fall: 100},
		Ejection: Ejection{Time: time.Hour, Most: 100}, Pools: []Pool{}, Routes: []Route{},
		DNS: DNS{Server: "10.0.0.1:53", MinTTL: 100 * time.Millisecond, MaxTTL: 24 * time.Hour, Addresses: "ipv6"},
		Limits: Limits{HeadBytes: 1024, HeadTime: time.Second, IdleTime: 2 * time.Second, StallTime: 3 * time.Second,
			DrainTime: 61 * time.Minute, Connections: 1e6, BodyBytes: 64e6},
		AccessLog: AccessLog{
			Format: "json", To: LogTarget{File: "/srv/box/log/access.log"}, RotateBytes: 256 << 10, RotateAge: time.Minute, KeepBytes: 512 << 10,
		},
	}
	got, err := Parse("/srv/box/ramjet.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, prefixes); diff != "" {
		t.Error(diff)
	}
}

// The flags of the quick start are checked as the file is, without the place.
func TestFlagValues(t *testing.T) {
	if err := CheckListen("80"); err == nil || err.Error() != `"80" has no colon; write ":80"` {
		t.Errorf("got %v", err)
	}
	if err := CheckListen("localhost:80"); err != nil {
		t.Error(err)
	}
	if _, err := ParseBackend("htp://x"); err == nil || err.Error() != `scheme "htp" is not one of http, https, unix, http+srv, https+srv` {
		t.Errorf("got %v", err)
	}
	if u, err := ParseBackend("unix:///run//farm.sock"); err != nil || u.Path != "/run/farm.sock" || u.String() != "unix:///run/farm.sock" {
		t.Errorf("got %v, %v", u, err)
	}
	if u, err := ParseBackend("http://127.0.0.1:8000/"); err != nil || u.String() != "http://127.0.0.1:8000" {
		t.Errorf("got %v, %v", u, err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		`0`: 0, `"0"`: 0, `"0GiB"`: 0, `1`: 1, `"1B"`: 1, `"2KB"`: 2000, `"2KiB"`: 2048, `"3MB"`: 3e6, `"3MiB"`: 3 << 20, `"4GB"`: 4e9, `"1024GiB"`: 1 << 40,
	} {
		c, err := Parse("x", []byte(`{"limits": {"body_bytes": `+text+`}}`))
		if err != nil {
			t.Error(err)
		} else if c.Limits.BodyBytes != want {
			t.Errorf("%s is %d", text, c.Limits.BodyBytes)
		}
	}
}

func TestLogTargets(t *testing.T) {
	for text, want := range map[string]LogTarget{
		"stdout": {}, "syslog": {Network: "unixgram", Address: "/dev/log"}, "/var/log/x": {File: "/var/log/x"}, "./x": {File: "/srv/x"},
		"syslog://Loghost": {Network: "udp", Address: "Loghost:514"}, "syslog://10.0.0.9:1514": {Network: "udp", Address: "10.0.0.9:1514"},
		"syslog://[::1]": {Network: "udp", Address: "[::1]:514"}, "syslog://[::1]:515": {Network: "udp", Address: "[::1]:515"},
		"syslog://::1": {Network: "udp", Address: "[::1]:514"},
	} {
		c, err := Parse("/srv/ramjet.json", []byte(`{"access_log": {"to": "`+text+`"}}`))
		if err != nil {
			t.Error(err)
		} else if c.AccessLog.To != want {
			t.Errorf("%s is %+v", text, c.AccessLog.To)
		}
	}
}

func TestMemoryOf(t *testing.T) {
	for _, tt := range []struct {
		memory      Memory
		total, want int64
	}{
		{Memory{}, 1 << 30, 0},
		{Memory{Percent: 90}, 0, 0},
		{Memory{Percent: 25}, 1000, 250},
		{Memory{Percent: 90}, 1 << 62, 1 << 62 / 100 * 90},
		{Memory{Bytes: 77}, 10, 77},
	} {
		if got := tt.memory.Of(tt.total); got != tt.want {
			t.Errorf("%+v of %d is %d, want %d", tt.memory, tt.total, got, tt.want)
		}
	}
}

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]string{
		"200": "[{200 200}]", "200-399,404": "[{200 399} {404 404}]", "200, 204": "[{200 200} {204 204}]",
		"": "", "2xx": "", "199": "", "600": "", "300-200": "", "200,": "", "200-": "", "-200": "", "0x200": "",
	} {
		got, err := parseStatus(text)
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestParseCheckPathAndHost(t *testing.T) {
	for s, ok := range map[string]bool{
		"/": true, "/health?deep=1": true, "/a%20b": true, "": false, "health": false, "http://a/": false, "/a b": false, "/a#b": false, "/%zz": false, "*": false,
	} {
		if _, err := parseCheckPath(s); (err == nil) != ok {
			t.Errorf("path %q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{
		"": true, "www.example.org": true, "a:8080": true, "[::1]:80": true, "a b": false, "a/b": false, "u@a": false, "a\n": false,
	} {
		if _, err := parseCheckHost(s); (err == nil) != ok {
			t.Errorf("host %q: %v", s, err)
		}
	}
}

func TestParseNetwork(t *testing.T) {
	for s, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "2001:db8::/32": "2001:db8::/32", "::1": "::1/128", "0.0.0.0/0": "0.0.0.0/0",
		"": "", "10.0.0.1/8": "", "10.0.0.0/33": "", "localhost": "", "fe80::1%eth0": "", "::ffff:10.0.0.0/104": "",
	} {
		got, err := parseNetwork(s)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

func TestParseHashOnAndCookie(t *testing.T) {
	for s, want := range map[string]HashOn{
		"address": {"address", ""}, "path": {"path", ""}, "header:X-User": {"header", "X-User"}, "cookie:sid": {"cookie", "sid"},
		"": {}, "address:x": {}, "header": {}, "header:": {}, "cookie:a b": {}, "query:q": {}, "cookie:a=b": {},
	} {
		if got, err := parseHashOn(s); got != want || (err == nil) != (want != HashOn{}) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for s, ok := range map[string]bool{"": true, "backend": true, "a b": false, "a=b": false, "a;b": false} {
		if _, err := parseCookieName(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestTLSNeedsBoth(t *testing.T) {
	got := mistakesIn(t, `{"forward": {"tls": {"certificate": "c.pem"}}}`)
	if want := "1:21: forward.tls: certificate and key belong together; set both or none"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A connection of HTTP/2 has many clients, and the PROXY protocol names one.
func TestProtocols(t *testing.T) {
	got := mistakesIn(t, `{"forward": {"protocol": "http2", "proxy_protocol": "v2"}}`)
	if want := "1:13: forward: protocol http2 and proxy_protocol do not go together, "; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}
