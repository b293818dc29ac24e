package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"ramjet/accelerator/resolver/dnstest"
)

// namedFarm are servers at several addresses of loopback and the same port. Each
// answers with its address, and tunnels what wants an upgrade.
type namedFarm struct {
	port    string
	servers map[string]*http.Server
}

func newNamedFarm(t *testing.T, ips ...string) *namedFarm {
	t.Helper()
	for range 20 { // The port may be taken at one of them.
		f := &namedFarm{port: "0", servers: map[string]*http.Server{}}
		complete := true
		for _, ip := range ips {
			l, err := net.Listen("tcp", net.JoinHostPort(ip, f.port))
			if err != nil {
				complete = false
				break
			}
			_, f.port, _ = net.SplitHostPort(l.Addr().String())
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerAs(w, r, ip) })}
			f.servers[ip] = s
			go s.Serve(l)
			t.Cleanup(func() { s.Close() })
		}
		if complete {
			return f
		}
	}
	t.Fatal("no port is free at all addresses")
	return nil
}

func answerAs(w http.ResponseWriter, r *http.Request, ip string) {
	switch {
	case r.Header.Get("Upgrade") != "":
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(conn, rw)
	case r.URL.Path == "/slow":
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "1")
		http.NewResponseController(w).Flush()
		time.Sleep(500 * time.Millisecond)
		io.WriteString(w, "2")
	default:
		io.WriteString(w, ip)
	}
}

// who gets n requests from new clients.
func who(t *testing.T, address string, n int) string {
	t.Helper()
	seen := map[string]bool{}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for range n {
		answer, err := client.Get("http://" + address + "/who?")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%d %s, %v", answer.StatusCode, text, err)
		}
		seen[string(text)] = true
	}
	var all []string
	for ip := range seen {
		all = append(all, ip)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// becomes waits until the requests are for these.
func becomes(t *testing.T, address, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = who(t, address, 20); got == want {
			return
		}
	}
	t.Fatalf("requests go to %s, want %s", got, want)
}

// A farm that moves: whoever comes gets requests, whoever leaves ends what it has
// begun, and while DNS fails all stays as it was.
func TestFarmThatMoves(t *testing.T) {
	t.Parallel()
	farm := newNamedFarm(t, "127.0.0.31", "127.0.0.32", "127.0.0.33")
	dns := dnstest.Start(t)
	dns.Set("app.test", "0 A 127.0.0.31")
	dir := t.TempDir()
	url := "http://app.test:" + farm.port
	text := `{"admin": "front.sock", "health": {"interval": "100ms"}, "dns": {"server": "` + dns.Addr + `", "min_ttl": "100ms"},
		"forward": {"balance": "round_robin"}, "backends": [{"url": "` + url + `"}]}`
	front := start(t, "-config", write(t, dir, "front.json", text))
	if got := who(t, front.listen, 4); got != "127.0.0.31" {
		t.Errorf("at once: %s", got)
	}
	tunnel, err := net.Dial("tcp", front.listen)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	tunnel.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(tunnel, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(tunnel)
	echo := func(when string) {
		t.Helper()
		fmt.Fprintln(tunnel, when)
		if got, err := in.ReadString('\n'); got != when+"\n" || err != nil {
			t.Errorf("the tunnel %s: %q, %v", when, got, err)
		}
	}
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	echo("at first")
	slow := make(chan string)
	go func() {
		answer, err := http.Get("http://" + front.listen + "/slow?")
		if err != nil {
			slow <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		slow <- fmt.Sprint(string(text), err)
	}()
	load := &farmLoad{stop: make(chan struct{})}
	client := &http.Client{Timeout: patience}
	load.done.Go(func() {
		for {
			select {
			case <-load.stop:
				return
			default:
			}
			load.asked.Add(1)
			answer, err := client.Get("http://" + front.listen + "/?")
			if err == nil {
				_, err = io.ReadAll(answer.Body)
				answer.Body.Close()
				if err == nil && answer.StatusCode != 200 {
					err = fmt.Errorf("status %d", answer.StatusCode)
				}
			}
			if err != nil {
				load.failed = append(load.failed, err.Error())
			}
		}
	})

	dns.Set("app.test", "0 A 127.0.0.31", "0 A 127.0.0.32")
	becomes(t, front.listen, "127.0.0.31 127.0.0.32")
	echo("with another one there")
	dns.Set("app.test", "0 CNAME other.test")
	dns.Set("other.test", "0 A 127.0.0.32", "0 A 127.0.0.33")
	becomes(t, front.listen, "127.0.0.32 127.0.0.33")
	echo("at one that left")
	if got := <-slow; got != "12<nil>" {
		t.Errorf("an answer across the change: %s", got)
	}

	dns.Refuse(dnsmessage.RCodeServerFailure)
	front.wait("name not resolved")
	becomes(t, front.listen, "127.0.0.32 127.0.0.33")
	ask := adminClient(t, filepath.Join(dir, "front.sock"))
	var now status
	if _, text := ask("GET", "/status"); json.Unmarshal([]byte(text), &now) != nil || len(now.Names) != 1 || len(now.Backends) != 2 ||
		now.Names[0].Name != "app.test" || !slices.Equal(now.Names[0].Targets, []string{"127.0.0.32", "127.0.0.33"}) || now.Names[0].Error == "" ||
		now.Backends[0].URL != url+"#127.0.0.32" {
		t.Error(text)
	}
	if _, text := ask("GET", "/metrics"); !strings.Contains(text, `ramjet_backend_up{backend="`+url+`#127.0.0.33",pool="default"} 1`) ||
		!strings.Contains(text, `ramjet_name_lookups_total{result="bad"}`) {
		t.Error(text)
	}

	// A reload while DNS is away keeps what is known.
	if code, text := ask("POST", "/reload"); code != 200 {
		t.Error(code, text)
	}
	becomes(t, front.listen, "127.0.0.32 127.0.0.33")
	// One address is drained, then all.
	if code, text := ask("PATCH", "/backends", `{"default": {"`+url+`#127.0.0.32": "drain"}}`); code != 200 {
		t.Error(code, text)
	}
	becomes(t, front.listen, "127.0.0.33")
	if code, text := ask("PATCH", "/backends", `{"default": {"`+url+`": "drain", "`+url+`#127.0.0.32": "ready"}}`); code != 200 {
		t.Error(code, text)
	}
	becomes(t, front.listen, "127.0.0.32")
	if code, text := ask("PATCH", "/backends", `{"default": {"`+url+`": "ready"}}`); code != 200 {
		t.Error(code, text)
	}
	dns.Refuse(0)
	dns.Set("other.test", "0 A 127.0.0.31")
	becomes(t, front.listen, "127.0.0.31")
	echo("at one that came back")
	if failed := load.end(); len(failed) > 0 || load.asked.Load() < 100 {
		t.Errorf("%d of %d requests failed: %v", len(failed), load.asked.Load(), failed)
	}
}

// A service has the ports, priorities and weights of its records. Before there is
// any answer requests wait, if they may.
func TestService(t *testing.T) {
	t.Parallel()
	first, second := newNamedFarm(t, "127.0.0.34", "127.0.0.35"), newNamedFarm(t, "127.0.0.36")
	dns := dnstest.Start(t)
	dns.Refuse(dnsmessage.RCodeServerFailure)
	dir := t.TempDir()
	front := start(t, "-config", write(t, dir, "front.json", `{
		"admin": "front.sock", "health": {"interval": "100ms", "fall": 1, "rise": 1}, "forward": {"hold": "20s"},
		"dns": {"server": "`+dns.Addr+`", "min_ttl": "100ms", "addresses": "ipv4"}, "backends": [{"url": "http+srv://_web._tcp.test"}]}`))
	ask := adminClient(t, filepath.Join(dir, "front.sock"))
	if _, text := ask("GET", "/explain?url=/a?"); !strings.Contains(text, "http://_web._tcp.test, weight 1: no address is known for its name yet") {
		t.Error(text)
	}
	held := make(chan string)
	go func() {
		answer, err := http.Get("http://" + front.listen + "/?")
		if err != nil {
			held <- err.Error()
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		held <- string(text)
	}()
	dns.Set("a.test", "0 A 127.0.0.34", "0 A 127.0.0.35")
	dns.Set("b.test", "0 A 127.0.0.36")
	dns.Set("_web._tcp.test", "0 SRV 1 65535 "+first.port+" a.test", "0 SRV 2 0 "+second.port+" b.test")
	dns.Refuse(0)
	if got := <-held; got != "127.0.0.34" && got != "127.0.0.35" {
		t.Errorf("held: %q", got)
	}
	becomes(t, front.listen, "127.0.0.34 127.0.0.35")
	if _, text := ask("GET", "/explain?url=/a?"); !strings.Contains(text, "http://a.test:"+first.port+"#127.0.0.34, weight 1000: gets ") {
		t.Error(text)
	}
	first.servers["127.0.0.34"].Close()
	first.servers["127.0.0.35"].Close()
	becomes(t, front.listen, "127.0.0.36")
	dns.Set("_web._tcp.test", "0 SRV 0 0 "+second.port+" b.test")
	front.wait(`addresses="[b.test:` + second.port + ` at 127.0.0.36, priority 0, weight 0]"`)
	becomes(t, front.listen, "127.0.0.36")
}
