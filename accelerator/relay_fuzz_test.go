package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The relay against the proxy of the complete tier, from both sides: whatever
// bytes a client sends, the backend gets the same requests, and the client the same
// answers; whatever bytes a backend sends, the client gets the same answer.

// FuzzRelayRequests has a farm behind FuzzTiers: one that says what it got.
func FuzzRelayRequests(f *testing.F) {
	const end = getHead + "\r\n"
	for _, s := range append(slices.Clone(streams),
		"GET /farm"+end+"GET /digits.txt"+end+"GET /farm?a=b&c"+end,
		"POST /farm"+getHead+"Content-Length: 5\r\n\r\nhelloGET /farm"+end,
		"PUT /farm"+getHead+"Content-Length: 0\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\n\r\nDELETE /farm"+end,
		"POST /farm"+getHead+"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /farm"+end,
		"GET /farm"+getHead+"Connection: close, X-A\r\nX-A: b\r\nTE: trailers\r\n\r\n",
		"HEAD /farm"+end+"OPTIONS /farm"+end+"TRACE /farm"+end+"PATCH //farm"+end+"GET /../farm"+end+"GET /%2e%2e/%00?%zz"+end,
		"POST /farm"+getHead+"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
		"POST /farm"+end+"PUT /farm"+end+"PATCH /farm"+end, "GET /farm HTTP/1.0\r\n\r\n", "GET /farm HTTP/1.1\r\nhOST:b\r\nVia: 1.1 x\r\nKeep-Alive: 1\r\nX_Y: \t z \r\nCookie: a\r\nCookie: b\r\n\r\n",
		"GET /farm"+getHead+"X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-Host: b\r\nX-Forwarded-Proto: https\r\nForwarded: for=x\r\nCookie: b=c; a=d ;s=\"e\"\r\n\r\n",
		"GET /farm"+getHead+"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Host: [::1]\r\nX-Forwarded-Proto: ftp\r\nForwarded:\r\nCookie: s\r\nCookie: s=x\r\n\r\n",
		"GET /farm"+getHead+"X-Forwarded-For:\r\nX-Forwarded-Proto: http\r\nForwarded:\r\nCookie: s=\r\n\r\n",
	) {
		f.Add([]byte(s), uint64(2*len(s)))
		f.Add([]byte(s), uint64(2*len(s)+1))
	}
	const pause = 200 * time.Millisecond
	root, backend := fuzzSite(f), startEcho(f)
	// Once with as little as there is, once with all that makes the head another one.
	const all = `"balance": "hash", "hash_on": "cookie:a", "sticky_cookie": "s", "identity": "both", "trusted": ["127.0.0.1"], "host": "backend",`
	var loops, alone []string
	for _, forward := range []string{"", all} {
		loops = append(loops, inProcess(f, root, false, forward, backend))
		alone = append(alone, inProcess(f, root, true, forward, backend))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		skipStrange(t, stream)
		// A client that has said all is taken for one that has gone.
		patient := append(slices.Clone(stream), "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"...)
		var got, want string
		which := int(seed % uint64(len(loops)))
		// A reset may take an answer with it, and a busy machine be late: only what is always so counts.
		for pause := pause; pause < 16*time.Second; pause *= 8 {
			got, want = converse(t, loops[which], patient, seed, pause), converse(t, alone[which], patient, seed, pause)
			if got == want {
				return
			}
		}
		t.Errorf("through the relay\n%s\nand through the proxy\n%s\nto %q, cut by %d", brief(got), brief(want), stream, seed)
	})
}

// startEcho starts a backend whose answer says what it was asked.
func startEcho(t testing.TB) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		DisableGeneralOptionsHandler: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			// The proxy puts some targets that begin with // into the absolute-form.
			target := strings.TrimPrefix(r.RequestURI, "http://"+r.Host)
			delete(r.Header, "Via") // It has the version of what the client sent.
			lines := []string{}
			for name, values := range r.Header {
				if name == "Trailer" {
					values = namesIn(values)
				}
				lines = append(lines, fmt.Sprintf("%s: %q", name, values))
			}
			slices.Sort(lines)
			fmt.Fprintf(w, "%s %s, host %q, length %d, trailer %v\n%s\n%q\n", r.Method, target, r.Host, len(body), r.Trailer, strings.Join(lines, "\n"), body)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// FuzzRelayAnswers has a backend that sends whatever bytes come, in whatever
// pieces, and then closes, or keeps the connection for the next request: whoever asks
// that gets its own answer.
func FuzzRelayAnswers(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, s := range []string{
		ok + "Content-Length: 3\r\n\r\nabc", ok + "Content-Length: 3\r\n\r\nabcd", ok + "Content-Length: 4\r\n\r\nabc",
		ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
		ok + "\r\nuntil the end", "HTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
		ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		ok + "Content-Length: 03\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 101 x\r\nUpgrade: ws\r\nConnection: upgrade\r\n\r\n",
		ok + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", ok + "X : a\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200\nContent-Length: 1\n\na",
		ok + "Connection: close, X\r\nX: y\r\nKeep-Alive: a\r\nDate: x\r\nVia: 1.1 a\r\nContent-Length: 0\r\n\r\n",
		ok + "Content-Length: 3\r\n\r\nabc" + poison, ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + poison, "HTTP/1.1 204 No Content\r\n\r\n" + poison,
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc" + poison, ok + "Content-Length: 0\r\nConnection: close\r\n\r\n" + poison, ok + "Content-Length: 3\r\n\r\n" + poison,
		"", "HTTP/1.1 ", "garbage\r\n\r\n", ok + "Content-Length: -1\r\n\r\n", ok + "Content-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 999 \x01\r\n\r\n",
	} {
		for seed := range uint64(2) {
			f.Add([]byte(s), 2*uint64(len(s))+seed, false)
			f.Add([]byte(s), 2*uint64(len(s))+seed, true)
		}
	}
	backend, root := startRaw(f), fuzzSite(f)
	loops, alone := inProcess(f, root, false, "", backend.address), inProcess(f, root, true, "", backend.address)
	f.Fuzz(func(t *testing.T, text []byte, seed uint64, isHead bool) {
		if len(text) > 64<<10 {
			t.Skip("larger than any head")
		}
		backend.text.Store(&text)
		backend.seed.Store(seed)
		method := "GET"
		if isHead {
			method = "HEAD"
		}
		var got, want received
		for range 3 { // net/http may notice the end before the answer: only what is always so counts.
			got, want = backend.asked(t, loops, method), backend.asked(t, alone, method)
			if agree(got, want, text, method) {
				return
			}
		}
		t.Errorf("through the relay\n%+v\nand through the proxy\n%+v\nof %q", got, want, text)
	})
}

// namesIn are the names in a list of fields, which are the same in any case (RFC 9110 §5.1)
// and any order, however often they are there.
func namesIn(lists []string) []string {
	var names []string
	for _, name := range strings.Split(strings.ToLower(strings.Join(lists, ",")), ",") {
		if name = strings.Trim(name, " \t"); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// agree tells whether two clients were told the same. A broken answer is as good as
// another: how much of it went out before that was noticed is chance. The relay may
// refuse what the proxy lets pass if it is not strictly by the RFC. It leaves out fields
// that Connection names, which net/http forgets if it says close as well.
func agree(relay, proxy received, text []byte, method string) bool {
	if bytes.Contains(bytes.ToLower(text), []byte("connection")) {
		relay.fields, proxy.fields = "", ""
	}
	if relay.refused && proxy.whole {
		return !strict(text, method)
	}
	return relay == proxy || relay.refused || !relay.whole && !proxy.whole
}

// strict tells whether a text begins with an answer that nobody may refuse: the strict reader
// of the scripts takes it, it is small, and no field that decides about it is there twice.
func strict(text []byte, method string) bool {
	in := bufio.NewReader(bytes.NewReader(text))
	for {
		a, err := readAnswer(in, method)
		switch {
		case err != nil, len(text) > 4096, a.status == http.StatusSwitchingProtocols, len(a.values("Trailer")) > 1:
			return false
		case a.framing == "chunked" && a.version != "HTTP/1.1":
			return false
		case a.status >= 200:
			return true
		}
	}
}
