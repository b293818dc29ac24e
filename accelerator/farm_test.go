package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ramjet/accelerator/proxy"
)

// farmLoad asks for pages until it is ended, and notes what fails.
type farmLoad struct {
	asked  atomic.Int64
	mu     sync.Mutex
	failed []string // guarded by mu
	stop   chan struct{}
	done   sync.WaitGroup
}

func loadFarm(p *process, clients int) *farmLoad {
	l := &farmLoad{stop: make(chan struct{})}
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	client := &http.Client{Transport: transport, Timeout: patience}
	for range clients {
		l.done.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if err := l.ask(client, fmt.Sprintf("http://%s/page?%d", p.listen, n)); err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, err.Error())
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

func (l *farmLoad) ask(client *http.Client, url string) error {
	l.asked.Add(1)
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || len(text) != 1000 {
		return fmt.Errorf("%s: status %d, %d bytes, %v", url, answer.StatusCode, len(text), err)
	}
	return nil
}

// end ends the load and returns what failed.
func (l *farmLoad) end() []string {
	close(l.stop)
	l.done.Wait()
	return l.failed
}

// Servers of the farm die, hang and are restarted, and no client notices: not one
// request fails.
func TestFarmUnderLoad(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			farmUnderLoad(t, setting)
		})
	}
}

func farmUnderLoad(t *testing.T, setting string) {
	dir := t.TempDir()
	write(t, dir, "site/page", strings.Repeat("x", 1000))
	// The servers of the farm are this program, too: what it forwards to is a real
	// server, whichever.
	serve := write(t, dir, "backend.json", `{"rules": {"query": "ignore", "unknown_type": "text/plain"}, "content": {"root": "site"}}`)
	var farm []*process
	var urls []string
	for range 3 {
		b := start(t, "-config", serve)
		farm = append(farm, b)
		urls = append(urls, fmt.Sprintf(`{"url": "http://%s"}`, b.listen))
	}
	front := start(t, "-config", write(t, dir, "front.json", `{`+setting+`
		"admin": "front.sock",
		"backends": [`+strings.Join(urls, ", ")+`],
		"forward": {"first_byte_timeout": "1s"},
		"health": {"check": "http", "path": "/page", "status": "200", "interval": "100ms", "timeout": "500ms", "rise": 2, "fall": 2},
	}`))
	times := func(text string) int {
		log, _ := front.lines()
		return len(slices.DeleteFunc(slices.Clone(log), func(l string) bool { return !strings.Contains(l, text) }))
	}
	waitFor := func(text string, n int) {
		t.Helper()
		for deadline := time.Now().Add(patience); times(text) < n; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not %d times in the log: %s", n, text)
			}
		}
	}
	settle := func() { time.Sleep(300 * time.Millisecond) } // Of load, with things as they are.
	restart := func(i int) {
		t.Helper()
		farm[i] = start(t, "-config", serve, "-listen", farm[i].listen)
	}
	load := loadFarm(front, 8)
	settle()

	farm[0].signal(syscall.SIGKILL)
	farm[0].end()
	down, up := "backend is down\" backend=http://", "backend is up again\" backend=http://"
	waitFor(down+farm[0].listen, 1)
	settle()
	restart(0)
	waitFor(up+farm[0].listen, 1)
	settle()

	farm[1].signal(syscall.SIGSTOP)
	waitFor(down+farm[1].listen, 1)
	settle()
	farm[1].signal(syscall.SIGCONT)
	waitFor(up+farm[1].listen, 1)
	settle()

	for i := range farm {
		before := times(up + farm[i].listen)
		farm[i].stop()
		restart(i)
		settle()
		waitFor(up+farm[i].listen, min(before, times(down+farm[i].listen)))
	}

	// Drained by hand, then switched off and on: nobody notices.
	ask := adminClient(t, filepath.Join(dir, "front.sock"))
	var states map[string]map[string]string
	set := func(i int, state string) {
		t.Helper()
		code, text := ask("PATCH", "/backends", fmt.Sprintf(`{"default": {"http://%s": %q}}`, farm[i].listen, state))
		if err := json.Unmarshal([]byte(text), &states); code != http.StatusOK || err != nil || len(states["default"]) != 3 || states["default"]["http://"+farm[i].listen] != state {
			t.Errorf("PATCH /backends: %d, %v: %s", code, err, text)
		}
	}
	set(2, "drain")
	time.Sleep(100 * time.Millisecond) // What is in flight ends.
	idle := inFlight(t, ask, farm[2].listen)
	settle()
	if requests, open := inFlight(t, ask, farm[2].listen), idle; open.InFlight != 0 || requests.Requests != open.Requests || open.State != "drain" {
		t.Errorf("drained, and still at work: %+v", requests)
	}
	farm[2].signal(syscall.SIGKILL)
	farm[2].end()
	restart(2)
	set(2, "ready")
	settle()
	if got := inFlight(t, ask, farm[2].listen); got.Requests == idle.Requests {
		t.Errorf("ready again, and without requests: %+v", got)
	}

	failed := load.end()
	t.Logf("%d requests", load.asked.Load())
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed, such as: %s", len(failed), load.asked.Load(), strings.Join(failed[:min(5, len(failed))], "\n"))
	}
	if load.asked.Load() < 100 {
		t.Error("that is no load")
	}

	var now status
	_, text := ask("GET", "/status")
	if err := json.Unmarshal([]byte(text), &now); err != nil || len(now.Backends) != 3 {
		t.Fatalf("%v: %s", err, text)
	}
	for _, b := range now.Backends {
		if b.Requests == 0 || b.InFlight != 0 || b.Weight != 1 || b.Health == "unchecked" {
			t.Errorf("in the end: %+v", b)
		}
	}
	_, text = ask("GET", "/metrics")
	for _, line := range []string{
		"ramjet_backend_up{backend=\"http://" + farm[0].listen + "\",pool=\"default\"} 1",
		"ramjet_backend_in_flight{backend=\"http://" + farm[2].listen + "\",pool=\"default\"} 0",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics have no %s in\n%s", line, text)
		}
	}
}

// inFlight is what the status says of one backend.
func inFlight(t *testing.T, ask func(method, path string, body ...string) (int, string), address string) backendStatus {
	t.Helper()
	var now status
	_, text := ask("GET", "/status")
	if err := json.Unmarshal([]byte(text), &now); err != nil {
		t.Fatal(err)
	}
	for _, b := range now.Backends {
		if b.URL == "http://"+address {
			return b
		}
	}
	t.Fatalf("no backend %s in %s", address, text)
	return backendStatus{}
}

// Two people change the farm at once, and no change is lost.
func TestBackendStates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := "http://"+deadAddress(t), "http://"+deadAddress(t)
	front := start(t, "-config", write(t, dir, "front.json", `{"admin": "front.sock", "health": {"check": "off"}, "backends": [{"url": "`+a+`"}, {"url": "`+b+`"}]}`))
	request := func(method, match, body string) (int, string, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://box/backends", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if match != "" {
			r.Header.Set("If-Match", match)
		}
		answer, err := socketClient(filepath.Join(dir, "front.sock")).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, answer.Header.Get("ETag"), string(text)
	}
	code, first, text := request("GET", "", "")
	if want := fmt.Sprintf("{\n  \"default\": {\n    %q: \"ready\",\n    %q: \"ready\"\n  }\n}\n", min(a, b), max(a, b)); code != 200 || first == "" || text != want {
		t.Errorf("%d, %s: %s", code, first, text)
	}
	code, second, _ := request("PATCH", first, `{"default": {"`+a+`": "drain"}}`)
	if code != 200 || second == first {
		t.Errorf("%d, %s", code, second)
	}
	if code, now, _ := request("PATCH", first, `{"default": {"`+b+`": "drain"}}`); code != http.StatusPreconditionFailed || now != second {
		t.Errorf("a change of what was changed since: %d, %s", code, now)
	}
	for body, want := range map[string]int{
		"": 400, "[]": 400, `{"` + a + `": "drain"}`: 400, `{"default": {"` + a + `": 1}}`: 400, `{"default": {"http://other": "drain"}}`: 422,
		`{"other": {"` + a + `": "drain"}}`: 422, `{"default": {"` + b + `": "drain", "` + a + `": "off"}}`: 422, strings.Repeat(" ", 2<<20): 413,
	} {
		if code, _, text := request("PATCH", second, body); code != want {
			t.Errorf("%.40q: %d %s, want %d", body, code, text, want)
		}
	}
	if _, now, text := request("GET", "", ""); now != second {
		t.Errorf("refused changes changed something: %s", text)
	}
	if code, _, text := request("PATCH", second, `{"default": {"`+a+`": "maint"}}`); code != 200 || !strings.Contains(text, `"`+a+`": "maint"`) {
		t.Errorf("%d %s", code, text)
	}
	if code, now, _ := request("PATCH", "*", `{"default": {"`+a+`": "drain"}}`); code != 200 || now != second {
		t.Errorf("%d, %s", code, now)
	}
	front.signal(syscall.SIGHUP)
	front.wait("msg=\"reloaded")
	if _, now, text := request("GET", "", ""); now != second {
		t.Errorf("a reload changed it: %s", text)
	}
	if code, _, text := request("PATCH", "", `{"default": {"`+b+`": "drain"}}`); code != http.StatusPreconditionRequired || !strings.Contains(text, "If-Match: *") {
		t.Errorf("by somebody who has seen nothing: %d %s", code, text)
	}
	if _, now, text := request("GET", "", ""); now != second {
		t.Errorf("and it changed something: %s", text)
	}
	if code, _, _ := request("PATCH", `"0", `+second, `{"default": {"`+b+`": "drain"}}`); code != 200 {
		t.Errorf("one of two tags: %d", code)
	}
	answer, err := http.Get("http://" + front.listen + "/page")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("all are drained: %v", answer)
	}
}

// The unused connections to a backend that is drained are closed at once, and one that is in use behind its answer.
func TestDrainEndsUnusedConnections(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			var open atomic.Int32
			asked, answer := make(chan struct{}, 1), make(chan struct{})
			address := rawBackend(t, func(c *net.TCPConn, in *bufio.Reader) {
				open.Add(1)
				defer open.Add(-1)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if r.URL.Path == "/slow" {
						asked <- struct{}{}
						<-answer
					}
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
				}
			})
			other := deadAddress(t)
			p := startHooked(t, t.TempDir(), setting+fmt.Sprintf(`"health": {"check": "off"}, "forward": {"balance": "round_robin"}, "backends": [{"url": "http://%s", "weight": 100}, {"url": "http://%s"}]`, address, other))
			get := func(path string) {
				answer, err := http.Get("http://" + p.listen + path)
				if err != nil {
					t.Error(err)
					return
				}
				answer.Body.Close()
			}
			get("/quick")
			slow := make(chan struct{})
			go func() { defer close(slow); get("/slow") }()
			<-asked
			get("/quick")                // On a connection of its own.
			if n := open.Load(); n < 2 { // Each loop has its own.
				t.Errorf("%d connections are open", n)
			}
			drained := time.Now()
			if code, text := p.ask("PATCH", "/backends", `{"default": {"http://`+address+`": "drain"}}`); code != 200 {
				t.Error(code, text)
			}
			left := func(want int32) {
				t.Helper()
				for deadline := time.Now().Add(patience); open.Load() != want && time.Now().Before(deadline); {
					time.Sleep(5 * time.Millisecond)
				}
				if n, waited := open.Load(), time.Since(drained); n != want || waited >= proxy.DefaultKeepAlive/2 {
					t.Errorf("%d connections are open after %v, want %d, and not by their age", n, waited, want)
				}
			}
			left(1)
			close(answer)
			<-slow
			left(0)
		})
	}
}

// An https backend with an authority and a name of its own, that wants to know
// who asks: requests and checks get through, and without the settings neither.
func TestBackendTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := newAuthority(t)
	write(t, dir, "ca.pem", authority.pem)
	certificate, key := authority.issue(t, "client")
	write(t, dir, "client.pem", certificate)
	write(t, dir, "client.key", key)
	certificate, key = authority.issue(t, "farm.example")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	farm := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello ", r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	farm.Config.ErrorLog = log.New(io.Discard, "", 0)
	farm.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.pool}
	farm.StartTLS()
	defer farm.Close()
	settings := func(tls string) string {
		return `{"backends": [{"url": "` + farm.URL + `"}], "forward": {"tls": ` + tls + `}, "health": {"check": "http", "interval": "100ms", "fall": 1}}`
	}
	p := start(t, "-config", write(t, dir, "good.json", settings(`{"ca": "ca.pem", "name": "farm.example", "certificate": "client.pem", "key": "client.key"}`)))
	p.wantBody("/x", "hello client")
	time.Sleep(300 * time.Millisecond)
	if log, _ := p.lines(); strings.Contains(strings.Join(log, "\n"), "is down") {
		t.Errorf("the checks do not get through:\n%s", strings.Join(log, "\n"))
	}
	for name, tls := range map[string]string{
		"the system's authorities": `{"name": "farm.example", "certificate": "client.pem", "key": "client.key"}`,
		"another name":             `{"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}`,
		"nobody":                   `{"ca": "ca.pem", "name": "farm.example"}`,
	} {
		p := start(t, "-config", write(t, dir, "bad.json", settings(tls)))
		if a, err := p.get("/x"); err != nil || a.status != http.StatusBadGateway {
			t.Errorf("%s: %v, %v", name, a, err)
		}
		p.wait("backend is down")
	}
	for file, want := range map[string]string{
		`{"ca": "none.pem"}`:                                    "forward.tls.ca: open " + filepath.Join(dir, "none.pem"),
		`{"ca": "client.key"}`:                                  "forward.tls.ca: " + filepath.Join(dir, "client.key") + " has no certificate",
		`{"certificate": "client.key", "key": "client.key"}`:    "forward.tls.certificate: " + filepath.Join(dir, "client.key"),
		`{"certificate": "client.pem", "key": "not-there.key"}`: "not-there.key",
	} {
		_, stderr, status := output(t, "-config", write(t, dir, "wrong.json", settings(file)), "-check")
		if status == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit status %d, no %q in %s", file, status, want, stderr)
		}
	}
	// A file that is missing is a mistake like any other: at the start the next
	// configuration is used, and on a reload the old one stays.
	wrong := write(t, dir, "wrong.json", settings(`{"ca": "none.pem"}`))
	next := start(t, "-config", wrong, "-config", filepath.Join(dir, "good.json"))
	next.wait("not valid, using the next in line")
	next.wantBody("/x", "hello client")
	write(t, dir, "good.json", settings(`{"ca": "none.pem"}`))
	p.signal(syscall.SIGHUP)
	p.wait("not reloaded, the old configuration stays")
	p.wantBody("/x", "hello client")
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
	pool        *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	var der []byte
	der, a.key = a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// sign makes a key and a certificate for it, signed by a, or by itself if a has none yet.
func (a *authority) sign(t *testing.T, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.certificate != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func (a *authority) issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	der, private := a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}
