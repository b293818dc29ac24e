// Package config reads ramjet.json, the one configuration file of the accelerator, into validated types.
//
// The file is JSON with comments and trailing commas. It is read strictly: whatever cannot be meant as written is a
// mistake with line and column, and all mistakes are reported at once. Every setting has a default; an empty file is a
// working server. The commented file reference.json is the manual and the only place where defaults are kept; the
// comments below begin with the setting and its default as it stands there, and a test compares the two.
package config

import (
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config is the content of ramjet.json. It is not changed after it was parsed.
type Config struct {
	// "listen": ":8080". TCP address for HTTP, host:port; no host means all addresses, port 0 any free port.
	// Takes a restart to change.
	Listen string
	// "proxy_protocol_from": []. Networks of proxies whose connections begin with a header of the PROXY protocol, v1 or v2, and
	// are closed if they do not. Takes a restart to change.
	ProxyProtocolFrom []netip.Prefix
	// "server": "ramjet". Server field of every answer of our own (RFC 9110 §10.2.4); empty sends none.
	Server string
	// "admin": "". Path of the Unix socket for status, metrics, reload and explain; empty means none. A relative path
	// counts from the folder of the file. Whoever may write to the socket controls the server. Takes a restart to change.
	Admin string
	// "log_level": "info". Least level that is logged: debug, info, warn or error.
	LogLevel slog.Level
	// "content": the files that are served.
	Content Content
	// "rules": which requests are static; the others are forwarded.
	Rules Rules
	// "backends": []. The farm; requests are forwarded to its servers as "forward.balance" says. None means there is nobody to forward
	// to, and the accelerator answers everything itself that no route takes.
	Backends []Backend
	// "forward": how requests are forwarded.
	Forward Forward
	// "health": how the backends are checked.
	Health Health
	// "ejection": when a backend is left out because its requests fail.
	Ejection Ejection
	// "pools": {}. More farms by their names, for the routes; here in the order of the file.
	Pools []Pool
	// "routes": []. Which requests go to which pool; the first that matches counts, and what matches none goes to the backends above.
	Routes []Route
	// "dns": how the names of backends are resolved.
	DNS DNS
	// "limits": what one client may use.
	Limits Limits
	// "eventloop": the fast path for simple requests.
	EventLoop EventLoop
	// "access_log": one line for each request.
	AccessLog AccessLog
}

// Content says what is served from files, and with which header fields.
type Content struct {
	// "root": "". Folder of the site; a relative path counts from the folder of the file. Empty means no static content.
	Root string
	// "index": ["index.html"]. File names tried in turn when a directory is asked for; none means directories are
	// never static.
	Index []string
	// "memory": "25%". Memory for file bodies: percent of the machine's memory (0 to 90) or a size; 0 keeps none.
	Memory Memory
	// "memory_per_file": "1MiB". Bytes; larger files are sent from disk and kept open. 0 keeps every file on disk.
	MemoryPerFile int64
	// "open_files": 4096. Number of files kept open because they are not in memory; those beyond it are opened for
	// each request. Mind the process's limit of open files.
	OpenFiles int
	// "charset": "utf-8". The charset parameter added to text types that have none; empty adds none.
	Charset string
	// "types": {}. File name extension, with its dot and in lower case, to media type; comes before the built-in table.
	Types map[string]string
	// "cache_control": []. Cache-Control fields by path; the first match wins, no match sends no field.
	CacheControl []CacheControl
	// "dotfiles": [".well-known"]. Names beginning with a dot that are content after all; a path with any other
	// such segment is never static.
	Dotfiles []string
	// "settle": "250ms". Time without a change after which a changed folder is read again, 50ms to 10s. Shorter shows
	// changes sooner, longer avoids reading half a copy.
	Settle time.Duration
}

// CacheControl is one line of the list "cache_control".
type CacheControl struct {
	// "match": a glob over the whole decoded path; it starts with "/". * stays within a segment, ** spans segments, ?
	// is one character other than "/".
	Match string
	// "value": the Cache-Control field sent (RFC 9111 §5.2), for example "public, max-age=3600".
	Value string
}

// Memory is an amount of memory, absolute or as a part of the machine's. The zero value is none.
type Memory struct {
	Bytes   int64 // used when Percent is 0
	Percent int   // of the machine's memory, 0 to 90
}

// Of returns the amount in bytes on a machine with total bytes of memory.
func (m Memory) Of(total int64) int64 {
	if m.Percent > 0 {
		return total / 100 * int64(m.Percent)
	}
	return m.Bytes
}

// Rules are the settings of kHTTPd's rules. A request that fails one of them is forwarded unaltered.
type Rules struct {
	// "query": "forward". A path with a query is forwarded; with "ignore" (true here) it is the file named before the "?".
	IgnoreQuery bool
	// "perm_required": "0004". Octal mode bits as for chmod, all of which a file needs to be static.
	PermRequired uint32
	// "perm_forbid": "1111". Octal mode bits as for chmod, none of which a static file may have. The rule is about
	// files: a directory is served through its index file.
	PermForbid uint32
	// "dynamic": ["..", "cgi-bin"]. What the decoded path of a static file must not contain. An entry with * or ? is a
	// glob over the whole path, as in cache_control.
	Dynamic []string
	// "unknown_type": "forward". A file of an unknown type is forwarded (empty here), or sent as this media type.
	UnknownType string
}

// Backend is one server of the farm, or those behind one name.
type Backend struct {
	// "url": http://host:port or https://host:port. The host is in lower case and there is no path, so URL.Host with
	// the scheme's port says where to connect. Or unix:///path of a Unix socket, with HTTP; or http+srv://service or
	// https+srv://service, whose servers DNS knows (RFC 2782).
	URL *url.URL
	// "weight": 1 to 1000, 1 if it is not there. Its share of the requests against the others'; that of each address
	// of a name. Not for a service: its records have weights of their own.
	Weight int
}

// DefaultPool is the name of the pool of the top-level backends.
const DefaultPool = "default"

// Pool is a farm: one of "pools", or that of the top-level backends. What its sections leave out is as in the top-level
// sections of the same name.
type Pool struct {
	// Name is its name in "pools": letters, digits, - and _.
	Name string
	// "backends": its servers, at least one.
	Backends []Backend
	// "forward": how requests are forwarded to them.
	Forward Forward
	// "health": how they are checked.
	Health Health
	// "ejection": when one is left out because its requests fail.
	Ejection Ejection
}

// AllPools returns the pools: first that of the top-level backends if there are any, then "pools".
func (c *Config) AllPools() []Pool {
	var all []Pool
	if len(c.Backends) > 0 {
		all = append(all, Pool{DefaultPool, c.Backends, c.Forward, c.Health, c.Ejection})
	}
	return append(all, c.Pools...)
}

// Route says which requests go to a pool, and what is changed on the way.
type Route struct {
	// "host": a host name, or "*.example.com" for all names below that; empty is any.
	Host string
	// "path": a prefix that ends between two segments, or a glob over the whole decoded path; empty is any.
	Path string
	// "methods": those that match, and HEAD where GET does; none is any.
	Methods []string
	// "pool": the name of the pool; "default" if it is not there.
	Pool string
	// "strip_prefix": what is removed from the beginning of the path; without a slash at its end here.
	StripPrefix string
	// "replace_prefix": what comes in its place; without a slash at its end here.
	ReplacePrefix string
	// "request_header": fields that are changed for the backend.
	RequestHeader FieldChanges
	// "response_header": fields of the backend's answer that are changed.
	ResponseHeader FieldChanges
	// "per_client": how much one client may ask.
	PerClient PerClient
}

// PerClient says how much one client may ask of a route. The zero value has no limit.
type PerClient struct {
	// "rate": requests in a time, such as "50/s"; more get 429. None is no limit.
	Rate Rate
	// "burst": how many of them may come at once, 1 to 100000; as many as the rate names if it is not there.
	Burst int
	// "in_flight": requests at a time, 1 to 100000; more get 429. 0, if it is not there, is no limit.
	InFlight int
	// "ipv4_prefix": how many bits of an IPv4 address make a client, 8 to 32; 32 if it is not there.
	IPv4Prefix int
	// "ipv6_prefix": how many bits of an IPv6 address make a client, 16 to 128; 64 if it is not there.
	IPv6Prefix int
}

// Rate is a number of requests in a time.
type Rate struct {
	Requests int // 1 to 1000000; 0 is no rate
	Per      time.Duration
}

// FieldChanges are header fields that are set, whatever they were, or removed. Names are in canonical form.
type FieldChanges struct {
	// "set": {}. Values by name; in the order of the file here.
	Set []Field
	// "remove": []. Names.
	Remove []string
}

// Field is a header field.
type Field struct{ Name, Value string }

// Service returns the scheme of the servers of a service, or false if the backend is none.
func (b *Backend) Service() (scheme string, is bool) { return strings.CutSuffix(b.URL.Scheme, "+srv") }

// Named reports whether the servers are what DNS says.
func (b *Backend) Named() bool {
	_, err := netip.ParseAddr(b.URL.Hostname())
	return err != nil && b.URL.Scheme != "unix"
}

// Forward says how a request is passed on.
type Forward struct {
	// "connect_timeout": "3s". Time for one backend to accept a connection, 10ms to 5m; then the next one is tried.
	ConnectTimeout time.Duration
	// "first_byte_timeout": "60s". Time from the end of the request to the first byte of the answer, 10ms to 24h; then 504.
	FirstByteTimeout time.Duration
	// "total_timeout": "0s". Longest time for a whole exchange, 0 to 24h; then 504, or the answer is cut. Tunnels and event
	// streams have no end. 0 means no limit.
	TotalTimeout time.Duration
	// "protocol": "http1". What is spoken to the backends: http1, or http2, with those of https only if they offer it.
	Protocol string
	// "idle_timeout": "60s". Longest time between two bytes of an answer, 10ms to 24h; then the connection is cut.
	IdleTimeout time.Duration
	// "host": "preserve". The backend sees the client's Host field (true here), or its own name with "backend".
	PreserveHost bool
	// "identity": "x_forwarded". By which fields the backend learns of the client: x_forwarded, forwarded or both.
	Identity string
	// "proxy_protocol": "off". The header of the PROXY protocol that each connection to a backend begins with: off, v1 or v2.
	// With one a connection is for one request.
	ProxyProtocol string
	// "tls": how https backends are spoken to.
	TLS TLS
	// "trusted": []. Networks of proxies in front whose fields of that kind are believed.
	Trusted []netip.Prefix
	// "balance": "two_choices". Which backend gets a request: two_choices, least_connections, round_robin or hash.
	Balance string
	// "hash_on": "address". Of hash: requests with the same address, path, header field or cookie go to the same backend.
	HashOn HashOn
	// "sticky_cookie": "". Name of a cookie that keeps a client with its backend; empty means none.
	StickyCookie string
	// "in_flight": 0. Requests at one backend at a time, 0 to 1000000; more wait in a queue. 0 means no limit.
	InFlight int
	// "queue": 1000. Requests that may wait, 0 to 1000000; more get 503.
	Queue int
	// "queue_time": "10s". Time that one waits, 10ms to 24h; then it gets 503.
	QueueTime time.Duration
	// "hold": "0s". How long a request waits for a backend to come back when none can be connected to, 0 to 24h.
	Hold time.Duration
	// "slow_start": "0s". How long a backend that was down or left out takes to come back to its full weight, 0 to 1h.
	SlowStart time.Duration
	// "retries": 2. To how many other backends an idempotent request, with at most 16 KiB of a body, goes when one fails it before its
	// answer begins, 0 to 10.
	Retries int
	// "retry_share": 20. Most of such repetitions in percent of the requests, 0 to 100.
	RetryShare int
}

// TLS says whom an https backend has to be, and who the accelerator is to it. A relative path counts from the folder of
// the file.
type TLS struct {
	// "ca": "". File with the certificates of the authorities that are believed, PEM; empty means those of the system.
	CA string
	// "name": "". The name that the backend's certificate has to have; empty means the host of its URL.
	Name string
	// "certificate": "". File with the accelerator's own certificate, PEM; empty means that it has none.
	Certificate string
	// "key": "". File with the key of that certificate, PEM.
	Key string
}

// Health says how the backends are asked how they are.
type Health struct {
	// "check": "tcp". What is asked: tcp makes a connection, http sends a GET, off asks nothing.
	Check string
	// "path": "/". Of an http check: the path that is asked for, with a query if there is one.
	Path string
	// "host": "". Of an http check: the Host field; empty is the backend's own.
	Host string
	// "status": "200-399". Of an http check: the status codes that are good.
	Status []StatusRange
	// "body": "". Of an http check: text that a good answer has in its first 64 KiB; empty: any.
	Body string
	// "agent_port": 0. Port of the agent beside each backend, 0 to 65535; 0 means that there is none. It is asked as often as
	// the check, whichever that is, and within the same time.
	AgentPort int
	// "agent_send": "". What is sent to the agent first, at most 100 characters.
	AgentSend string
	// "interval": "2s". Time from one check to the next, 100ms to 1h, give or take a tenth.
	Interval time.Duration
	// "timeout": "2s". Time for one check, 10ms to 1m.
	Timeout time.Duration
	// "rise": 2. Good checks in a row after which a backend that was down is up, 1 to 100.
	Rise int
	// "fall": 3. Bad checks in a row after which a backend is down, 1 to 100.
	Fall int
}

// StatusRange is the status codes from First to Last.
type StatusRange struct{ First, Last int }

// Ejection says when a backend is left out because of what its requests came to.
type Ejection struct {
	// "failures": 5. Failed requests in a row, 0 to 1000; 0 never leaves one out.
	Failures int
	// "time": "10s". How long it is left out the first time, 100ms to 1h; twice as long the second time in succession,
	// and so on, at most ten times.
	Time time.Duration
	// "most": 50. Percent of the backends that may be left out at once, 0 to 100; never the only one.
	Most int
}

// DNS says how the names of backends are resolved.
type DNS struct {
	// "server": "". Address of a DNS server, with a port if that is not 53; empty means those of /etc/resolv.conf.
	Server string
	// "min_ttl": "1s". An answer is good for no less than this, 100ms to 1h.
	MinTTL time.Duration
	// "max_ttl": "5m". An answer is good for no longer than this, 100ms to 24h.
	MaxTTL time.Duration
	// "addresses": "any". Which addresses of a name are taken: any, ipv4 or ipv6.
	Addresses string
}

// Limits bound what a client may use. Times are at most 24h.
type Limits struct {
	// "head_bytes": "32KiB". Bytes of request line and header together, 1KiB to 1MiB; more gets 431.
	HeadBytes int
	// "head_time": "10s". Time for the whole head of a request to arrive, 10ms or more.
	HeadTime time.Duration
	// "idle_time": "75s". Time a kept connection may wait for its next request, 10ms or more.
	IdleTime time.Duration
	// "stall_time": "30s". Time without progress after which a body that is sent or received is given up, 10ms or more.
	StallTime time.Duration
	// "drain_time": "10s". Time that requests in flight have to finish when the server stops, 10ms or more.
	DrainTime time.Duration
	// "connections": 10000. Connections at a time, 1 to 1000000; new ones wait in the listen queue.
	Connections int
	// "connections_per_address": 0. Connections at a time from one address (of IPv6 from one /64), 0 to 1000000; more are
	// closed at once. 0 means no limit.
	ConnectionsPerAddress int
	// "streams": 100. Requests at a time on one HTTP/2 connection, 0 to 1000. 0 means that clients have no HTTP/2.
	Streams int
	// "body_bytes": 0. Bytes of a request body; more gets 413. 0 means no limit.
	BodyBytes int64
}

// EventLoop is about the fast path, which answers simple requests for static files.
type EventLoop struct {
	// "disabled": false. Every request goes to the complete tier, which answers the same, only at a higher price.
	Disabled bool
	// "loops": 0. Number of loops, 0 to 1024. 0 means one for each CPU that the process may use.
	Loops int
}

// AccessLog says what is written about requests. All of it can be changed by a reload.
type AccessLog struct {
	// "format": "off". Form of the lines: off, common, combined or json.
	Format string
	// "to": "stdout". Where they go: stdout, syslog (the socket of this machine), syslog://host:port (UDP, port 514 if
	// there is none), or a path with a slash in it; a relative one counts from the folder of the file.
	To LogTarget
	// "rotate_bytes": "16MiB". Bytes of one file, 256KiB to 1GiB; the next one is begun before it has more.
	RotateBytes int64
	// "rotate_age": "24h". Age at which a file is ended, 1m to 8760h.
	RotateAge time.Duration
	// "keep_bytes": "128MiB". Bytes of all files together, 512KiB to 1024GiB and at least twice rotate_bytes; the oldest
	// are removed.
	KeepBytes int64
}
