package config

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Whatever the text, Parse returns: mistakes with their places, or values within the documented bounds.
func FuzzParse(f *testing.F) {
	f.Add(Reference)
	for _, s := range Settings() {
		section, name, ok := strings.Cut(s.Name, ".")
		if !ok {
			f.Add([]byte("{" + s.Example + "}"))
			continue
		}
		f.Add([]byte(`{"` + section + `": {` + s.Example + "}}"))
		f.Add([]byte(`{"` + section + `": {"` + name + `": "` + "\xff" + `"}}`))
	}
	for _, text := range []string{"", "{", `{"a":}`, "\uFEFF[", "//", "/*", `{"content":{"types":{".a":"b/c",".A":"x"}}}`, `{"rules":{"perm_forbid":"7777"}}`, `{"routes":[{"pool":"a","strip_prefix":"/"}],"pools":{"a":{"backends":[{"url":"http://b"}]}}}`, "\"\\\n"} {
		f.Add([]byte(text))
	}
	line := regexp.MustCompile(`^dir/ramjet\.json:[1-9][0-9]*:[1-9][0-9]*: [^\n]+$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("dir/ramjet.json", text)
		if err == nil {
			checkBounds(t, c)
			return
		}
		var ms Mistakes
		if !errors.As(err, &ms) || len(ms) == 0 || c != nil {
			t.Fatalf("%T with configuration %v", err, c)
		}
		for _, m := range ms {
			if !line.MatchString(m.Error()) || strings.ContainsAny(m.Error(), "\r\x00") {
				t.Errorf("not a line with its place: %q", m.Error())
			}
			if m.Line > 1+strings.Count(string(text), "\n") || m.Column > 1+len(text) {
				t.Errorf("%d:%d is outside of the text", m.Line, m.Column)
			}
		}
	})
}

func checkBounds(t *testing.T, c *Config) {
	between := func(name string, v, low, high int64) {
		if v < low || v > high {
			t.Errorf("%s is %d", name, v)
		}
	}
	ms, day := int64(time.Millisecond), int64(24*time.Hour)
	between("memory", c.Content.Memory.Bytes, 0, 1<<50)
	between("memory in percent", int64(c.Content.Memory.Percent), 0, 90)
	between("memory_per_file", c.Content.MemoryPerFile, 0, 1<<30)
	between("open_files", int64(c.Content.OpenFiles), 0, 1e6)
	between("settle", int64(c.Content.Settle), 50*ms, 10000*ms)
	between("mode bits", int64(c.Rules.PermRequired|c.Rules.PermForbid), 0, 0o7777)
	between("impossible mode bits", int64(c.Rules.PermRequired&c.Rules.PermForbid), 0, 0)
	between("connect_timeout", int64(c.Forward.ConnectTimeout), 10*ms, int64(5*time.Minute))
	between("first_byte_timeout", int64(c.Forward.FirstByteTimeout), 10*ms, day)
	between("total_timeout", int64(c.Forward.TotalTimeout), 0, day)
	between("streams", int64(c.Limits.Streams), 0, 1000)
	between("idle_timeout", int64(c.Forward.IdleTimeout), 10*ms, day)
	between("head_bytes", int64(c.Limits.HeadBytes), 1<<10, 1<<20)
	between("head_time", int64(c.Limits.HeadTime), 10*ms, day)
	between("idle_time", int64(c.Limits.IdleTime), 10*ms, day)
	between("stall_time", int64(c.Limits.StallTime), 10*ms, day)
	between("drain_time", int64(c.Limits.DrainTime), 10*ms, day)
	between("connections", int64(c.Limits.Connections), 1, 1e6)
	between("connections_per_address", int64(c.Limits.ConnectionsPerAddress), 0, 1e6)
	between("loops", int64(c.EventLoop.Loops), 0, 1024)
	between("body_bytes", c.Limits.BodyBytes, 0, 1<<50)
	between("length of the socket path", int64(len(c.Admin)), 0, 107)
	known := map[string]bool{}
	var backends []Backend
	for _, p := range c.AllPools() {
		if len(p.Backends) == 0 || known[p.Name] {
			t.Errorf("pool %q, there already: %v, has %d backends", p.Name, known[p.Name], len(p.Backends))
		}
		known[p.Name] = true
		backends = append(backends, p.Backends...)
	}
	for _, r := range c.Routes {
		if !known[r.Pool] || strings.HasSuffix(r.StripPrefix, "/") || strings.HasSuffix(r.ReplacePrefix, "/") || strings.ContainsAny(r.ReplacePrefix, " %?#\r\n") {
			t.Errorf("route %+v", r)
		}
		if l := r.PerClient; l != (PerClient{}) {
			between("rate", int64(l.Rate.Requests), 0, 1e6)
			between("burst", int64(l.Burst), min(1, int64(l.Rate.Requests)), 1e6)
			between("in_flight", int64(l.InFlight), 0, 1e5)
			between("bits of an address", int64(l.IPv4Prefix+l.IPv6Prefix), 8+16, 32+128)
		}
		for _, f := range append(r.RequestHeader.Set, r.ResponseHeader.Set...) {
			if !httpguts.ValidHeaderFieldName(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) || f.Name == "Content-Length" {
				t.Errorf("route that sets %q", f)
			}
		}
	}
	for _, b := range backends {
		if b.URL == nil || b.URL.Hostname() == "" || b.URL.Path != "" || b.URL.User != nil || (b.URL.Scheme != "http" && b.URL.Scheme != "https") {
			t.Errorf("backend %v", b.URL)
		}
	}
	for _, cc := range c.Content.CacheControl {
		if !strings.HasPrefix(cc.Match, "/") || cc.Value == "" || strings.ContainsAny(cc.Value, "\r\n\x00") {
			t.Errorf("cache_control %q", cc)
		}
	}
	for ext, mediaType := range c.Content.Types {
		if !strings.HasPrefix(ext, ".") || !strings.Contains(mediaType, "/") || strings.ContainsAny(mediaType, "\r\n\x00") {
			t.Errorf("type %q: %q", ext, mediaType)
		}
	}
	if strings.ContainsAny(c.Server+c.Content.Charset+c.Rules.UnknownType, "\r\n\x00") {
		t.Errorf("header fields %q %q %q", c.Server, c.Content.Charset, c.Rules.UnknownType)
	}
}
