package config

import (
	"bytes"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/tailscale/hujson"
)

// The names of the file and the fields they set: one table for each object of the file.

// maxTime is the longest of the times that have no reason for a smaller bound: long polls and big uploads over slow
// lines are real, a day of silence is not.
const maxTime = 24 * time.Hour

// minTime is the shortest of most times; below it every client would fail.
const minTime = 10 * time.Millisecond

// read sets the fields that text names. The result is of no use after an error.
func (c *Config) read(name string, text []byte) error {
	_, err := decode(name, text, c.readRoot)
	return err
}

// decode parses text and has its value read, if there is one, and returns it. An error is of the type Mistakes.
func decode(name string, text []byte, read func(node)) (*hujson.Value, error) {
	d := &decoder{name: name, text: bytes.TrimPrefix(text, []byte("\uFEFF"))}
	root, err := parseTree(d.text)
	switch {
	case err != nil:
		d.fail(err.offset, "", err.text)
	case root != nil:
		read(node{d: d, value: *root})
	}
	if len(d.mistakes) > 0 {
		slices.SortStableFunc(d.mistakes, func(a, b Mistake) int {
			return slices.Compare([]int{a.Line, a.Column}, []int{b.Line, b.Column})
		})
		return nil, d.mistakes
	}
	return root, nil
}

func (c *Config) readRoot(n node) {
	folder := filepath.Dir(n.d.name)
	known, finish := c.farmKeys(folder)
	maps.Copy(known, keys{
		"listen":              text(&c.Listen, `":8080"`, parseListen),
		"proxy_protocol_from": networks(&c.ProxyProtocolFrom),
		"server":              text(&c.Server, `"ramjet"`, parseFieldValue),
		"admin":               text(&c.Admin, `"/run/ramjet/accelerator.sock"`, socketUnder(folder)),
		"log_level": choice(&c.LogLevel, map[string]slog.Level{
			"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
		}),
		"content": func(n node) { c.Content.read(n, folder) },
		"rules":   c.Rules.read,
		"limits":  c.Limits.read,

		"eventloop":  c.EventLoop.read,
		"access_log": func(n node) { c.AccessLog.read(n, folder) },
	})
	n.object(`{"listen": ":8080"}`, known)
	finish()
}

// farmKeys are the sections of the farm. finish comes after all of them are read: pools and routes build on the rest.
func (c *Config) farmKeys(folder string) (known keys, finish func()) {
	var pools, routes *node
	return keys{
			"backends": readBackends(&c.Backends),
			"forward":  func(n node) { c.Forward.read(n, folder) },
			"health":   c.Health.read,
			"ejection": c.Ejection.read,
			"dns":      c.DNS.read,
			"pools":    func(n node) { pools = &n },
			"routes":   func(n node) { routes = &n },
		}, func() {
			if pools != nil {
				c.readPools(*pools, folder)
			}
			if routes != nil {
				c.readRoutes(*routes)
			}
		}
}

// networks returns a reader of a list of networks.
func networks(dst *[]netip.Prefix) func(node) {
	return list(dst, `["10.0.0.0/8"]`, func(n node, p *netip.Prefix) { text(p, `"10.0.0.0/8"`, parseNetwork)(n) })
}

func (c *Content) read(n node, folder string) {
	n.object(`{"root": "/var/www"}`, keys{
		"root":            text(&c.Root, `"/var/www"`, pathUnder(folder)),
		"index":           texts(&c.Index, `"index.html"`, parseFileName),
		"memory":          scalar(&c.Memory, `"0`, "a part or a size", `"25%" or "512MiB"`, parseMemory),
		"memory_per_file": size(&c.MemoryPerFile, `"1MiB"`, 0, 1<<30),
		"open_files":      number(&c.OpenFiles, "4096", 0, 1_000_000),
		"charset":         text(&c.Charset, `"utf-8"`, parseCharset),
		"types":           c.readTypes,
		"cache_control": list(&c.CacheControl, exampleCacheControl, func(n node, cc *CacheControl) {
			n.object(exampleCacheControl, keys{
				"match": text(&cc.Match, `"/assets/**"`, parseGlob),
				"value": text(&cc.Value, `"no-cache"`, notEmpty(parseFieldValue)),
			}, "match", "value")
		}),
		"dotfiles": texts(&c.Dotfiles, `".well-known"`, parseDotfile),
		"settle":   duration(&c.Settle, `"250ms"`, 50*time.Millisecond, 10*time.Second),
	})
}

const exampleCacheControl = `{"match": "/assets/**", "value": "public, max-age=3600"}`

// readTypes reads "types", whose names are not fixed.
func (c *Content) readTypes(n node) {
	obj, ok := n.value.Value.(*hujson.Object)
	known := keys{}
	types := make(map[string]string)
	for i := 0; ok && i < len(obj.Members); i++ {
		name := obj.Members[i].Name
		ext := name.Value.(hujson.Literal).String()
		known[ext] = func(value node) {
			if err := checkExtension(ext); err != nil {
				node{n.d, value.path, name}.fail("%v", err)
				return
			}
			var mediaType string
			text(&mediaType, `"application/wasm"`, parseMediaType)(value)
			types[ext] = mediaType
		}
	}
	n.object(`{".wasm": "application/wasm"}`, known)
	c.Types = types
}

func (r *Rules) read(n node) {
	n.object(`{"query": "ignore"}`, keys{
		"query":         choice(&r.IgnoreQuery, map[string]bool{"forward": false, "ignore": true}),
		"perm_required": text(&r.PermRequired, `"0004"`, parseMode),
		"perm_forbid":   text(&r.PermForbid, `"1111"`, parseMode),
		"dynamic":       texts(&r.Dynamic, `"cgi-bin"`, parseDynamic),
		"unknown_type":  text(&r.UnknownType, `"forward" or "application/octet-stream"`, parseUnknownType),
	})
	if both := r.PermRequired & r.PermForbid; both != 0 && len(n.d.mistakes) == 0 {
		n.fail("perm_required %04o and perm_forbid %04o both have %04o, so no file would be static", r.PermRequired, r.PermForbid, both)
	}
}

// readBackends returns a reader of "backends"; two of the same server are a slip of the pen, not a weight.
func readBackends(dst *[]Backend) func(node) {
	first := make(map[string]string) // address -> path of the setting that named it
	return list(dst, "["+exampleBackend+"]", func(n node, b *Backend) {
		b.Weight = 1
		var weight *node
		n.object(exampleBackend, keys{"weight": func(n node) {
			weight = &n
			number(&b.Weight, "2", 1, 1000)(n)
		}, "url": func(n node) {
			text(&b.URL, `"http://10.0.0.2:8000"`, ParseBackend)(n)
			if b.URL == nil {
				return
			}
			address := serverOf(b.URL)
			if before, ok := first[address]; ok {
				n.fail("%s is the same server as %s; keep one", address, before)
				return
			}
			first[address] = n.path
		}}, "url")
		if b.URL == nil || weight == nil {
			return
		}
		if _, is := b.Service(); is {
			weight.fail("the servers of %s have the weights of their SRV records; remove this one", b.URL)
		}
	})
}

const exampleBackend = `{"url": "http://10.0.0.2:8000"}`

func (f *Forward) read(n node, folder string) {
	n.object(`{"connect_timeout": "3s"}`, keys{
		"connect_timeout":    duration(&f.ConnectTimeout, `"3s"`, minTime, 5*time.Minute),
		"first_byte_timeout": duration(&f.FirstByteTimeout, `"60s"`, minTime, maxTime),
		"idle_timeout":       duration(&f.IdleTimeout, `"60s"`, minTime, maxTime),
		"total_timeout":      duration(&f.TotalTimeout, `"5m"`, 0, maxTime),
		"protocol":           words(&f.Protocol, "http1", "http2"),
		"host":               choice(&f.PreserveHost, map[string]bool{"preserve": true, "backend": false}),
		"identity":           words(&f.Identity, "x_forwarded", "forwarded", "both"),
		"proxy_protocol":     words(&f.ProxyProtocol, "off", "v1", "v2"),
		"tls":                func(n node) { f.TLS.read(n, folder) },
		"trusted":            networks(&f.Trusted),
		"balance":            words(&f.Balance, "two_choices", "least_connections", "round_robin", "hash"),
		"hash_on":            text(&f.HashOn, `"path"`, parseHashOn),
		"sticky_cookie":      text(&f.StickyCookie, `"backend"`, parseCookieName),
		"in_flight":          number(&f.InFlight, "100", 0, 1_000_000),
		"queue":              number(&f.Queue, "1000", 0, 1_000_000),
		"queue_time":         duration(&f.QueueTime, `"10s"`, minTime, maxTime),
		"hold":               duration(&f.Hold, `"5s"`, 0, maxTime),
		"slow_start":         duration(&f.SlowStart, `"30s"`, 0, time.Hour),
		"retries":            number(&f.Retries, "2", 0, 10),
		"retry_share":        number(&f.RetryShare, "20", 0, 100),
	})
	if f.Protocol == "http2" && f.ProxyProtocol != "off" {
		n.fail("protocol http2 and proxy_protocol do not go together, for a connection of HTTP/2 is used for many clients; set one of them")
	}
}

func (t *TLS) read(n node, folder string) {
	n.object(`{"ca": "ca.pem"}`, keys{
		"ca":          text(&t.CA, `"ca.pem"`, pathUnder(folder)),
		"name":        text(&t.Name, `"backend.example.org"`, parseCheckHost),
		"certificate": text(&t.Certificate, `"client.pem"`, pathUnder(folder)),
		"key":         text(&t.Key, `"client.key"`, pathUnder(folder)),
	})
	if (t.Certificate == "") != (t.Key == "") {
		n.fail("certificate and key belong together; set both or none")
	}
}

func (h *Health) read(n node) {
	n.object(`{"check": "http", "path": "/health"}`, keys{
		"check":      words(&h.Check, "tcp", "http", "off"),
		"path":       text(&h.Path, `"/health"`, parseCheckPath),
		"host":       text(&h.Host, `"www.example.org"`, parseCheckHost),
		"status":     text(&h.Status, `"200-399"`, parseStatus),
		"body":       text(&h.Body, `"ok"`, func(s string) (string, error) { return s, nil }),
		"agent_port": number(&h.AgentPort, "8999", 0, 65535),
		"agent_send": text(&h.AgentSend, `"site\n"`, parseAgentSend),
		"interval":   duration(&h.Interval, `"2s"`, 100*time.Millisecond, time.Hour),
		"timeout":    duration(&h.Timeout, `"2s"`, minTime, time.Minute),
		"rise":       number(&h.Rise, "2", 1, 100),
		"fall":       number(&h.Fall, "3", 1, 100),
	})
}

func (e *Ejection) read(n node) {
	n.object(`{"failures": 5}`, keys{
		"failures": number(&e.Failures, "5", 0, 1000),
		"time":     duration(&e.Time, `"10s"`, 100*time.Millisecond, time.Hour),
		"most":     number(&e.Most, "50", 0, 100),
	})
}

func (d *DNS) read(n node) {
	n.object(`{"max_ttl": "30s"}`, keys{
		"server":    text(&d.Server, `"10.0.0.1"`, parseDNSServer),
		"min_ttl":   duration(&d.MinTTL, `"1s"`, 100*time.Millisecond, time.Hour),
		"max_ttl":   duration(&d.MaxTTL, `"5m"`, 100*time.Millisecond, 24*time.Hour),
		"addresses": words(&d.Addresses, "any", "ipv4", "ipv6"),
	})
	if d.MinTTL > d.MaxTTL && len(n.d.mistakes) == 0 {
		n.fail("min_ttl %s is longer than max_ttl %s; make one shorter or the other longer", formatDuration(d.MinTTL), formatDuration(d.MaxTTL))
	}
}

func (l *Limits) read(n node) {
	n.object(`{"head_bytes": "32KiB"}`, keys{
		"head_bytes":              size(&l.HeadBytes, `"32KiB"`, 1<<10, 1<<20),
		"head_time":               duration(&l.HeadTime, `"10s"`, minTime, maxTime),
		"idle_time":               duration(&l.IdleTime, `"75s"`, minTime, maxTime),
		"stall_time":              duration(&l.StallTime, `"30s"`, minTime, maxTime),
		"drain_time":              duration(&l.DrainTime, `"10s"`, minTime, maxTime),
		"connections":             number(&l.Connections, "10000", 1, 1_000_000),
		"connections_per_address": number(&l.ConnectionsPerAddress, "100", 0, 1_000_000),
		"streams":                 number(&l.Streams, "100", 0, 1000),
		"body_bytes":              size(&l.BodyBytes, `"10MB"`, 0, maxBody),
	})
}

func (e *EventLoop) read(n node) {
	n.object(`{"disabled": true}`, keys{
		"disabled": flag(&e.Disabled),
		"loops":    number(&e.Loops, "2", 0, 1024),
	})
}

// maxBody is beyond every disk of a farm, and far from overflow.
const maxBody = 1 << 50

func (a *AccessLog) read(n node, folder string) {
	n.object(`{"format": "combined"}`, keys{
		"format":       words(&a.Format, "off", "common", "combined", "json"),
		"to":           text(&a.To, `"/perm/log/access.log"`, logTargetUnder(folder)),
		"rotate_bytes": size(&a.RotateBytes, `"16MiB"`, 256<<10, 1<<30),
		"rotate_age":   duration(&a.RotateAge, `"24h"`, time.Minute, 8760*time.Hour),
		"keep_bytes":   size(&a.KeepBytes, `"128MiB"`, 512<<10, 1<<40),
	})
	if a.KeepBytes < 2*a.RotateBytes && len(n.d.mistakes) == 0 {
		n.fail("keep_bytes %s is less than twice rotate_bytes %s, so no file would be kept; make one larger or the other smaller",
			formatSize(a.KeepBytes), formatSize(a.RotateBytes))
	}
}
