package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"ramjet/accelerator/resolver/dnstest"
)

// failingAnswers are the ways in which DNS has no address for a name, or none that is any good.
var failingAnswers = map[string]func(*dnsmessage.Message) []byte{
	"nxdomain": func(m *dnsmessage.Message) []byte {
		m.RCode, m.Answers = dnsmessage.RCodeNameError, nil
		return packed(m)
	},
	"servfail": func(m *dnsmessage.Message) []byte {
		m.RCode, m.Answers = dnsmessage.RCodeServerFailure, nil
		return packed(m)
	},
	"empty":   func(m *dnsmessage.Message) []byte { m.Answers = nil; return packed(m) },
	"silence": func(*dnsmessage.Message) []byte { return nil },
	"garbage": func(*dnsmessage.Message) []byte { return []byte("who knows") },
	"forged":  func(m *dnsmessage.Message) []byte { m.ID++; return packed(m) },
	"unusable": func(m *dnsmessage.Message) []byte {
		for i := range m.Answers {
			m.Answers[i].Body = &dnsmessage.AResource{}
		}
		return packed(m)
	},
}

func packed(m *dnsmessage.Message) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err) // It was unpacked a moment ago.
	}
	return b
}

// failNames makes the answers for each name, NAME.test, fail in the way of that name.
func failNames(dns *dnstest.Server) {
	dns.Lie(func(question, answer []byte) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			return nil
		}
		for way, fail := range failingAnswers {
			if bytes.Contains(question, []byte(way+"\x04test")) {
				return fail(&m)
			}
		}
		return answer
	})
}

// However DNS fails, who is known keeps getting requests, and for who is not nobody waits: the
// answer is 502 at once. When DNS is well again, all goes where it says.
func TestNamesThatFail(t *testing.T) {
	t.Parallel()
	for tier, setting := range tiers {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			farm := newNamedFarm(t, "127.0.0.37", "127.0.0.38")
			dns := dnstest.Start(t)
			resolve := func(ip string) {
				for way := range failingAnswers {
					dns.Set(way+".test", "0 A "+ip)
				}
			}
			var pools, routes []string
			for way := range failingAnswers {
				pools = append(pools, fmt.Sprintf(`%q: {"backends": [{"url": "http://%s.test:%s"}]}`, way, way, farm.port))
				routes = append(routes, fmt.Sprintf(`{"path": "/%s", "pool": %q}`, way, way))
			}
			run := func() *hooked {
				dir := t.TempDir()
				return &hooked{start(t, "-config", write(t, dir, "front.json", `{`+setting+`"admin": "a.sock", "health": {"check": "off"},
					"dns": {"server": "`+dns.Addr+`", "min_ttl": "100ms", "max_ttl": "200ms", "addresses": "ipv4"},
					"backends": [{"url": "http://127.0.0.37:`+farm.port+`"}],
					"pools": {`+strings.Join(pools, ", ")+`}, "routes": [`+strings.Join(routes, ", ")+`]}`)), adminClient(t, filepath.Join(dir, "a.sock"))}
			}
			resolve("127.0.0.37")
			known := run()
			failNames(dns)
			unknown := run()
			for way := range failingAnswers {
				if got := askAtOnce(t, unknown.process, way); !strings.HasPrefix(got, "502 ") {
					t.Errorf("%s, and no address is known: %s", way, got)
				}
			}
			failed := func() (n int) {
				var now status
				if _, text := known.ask("GET", "/status"); json.Unmarshal([]byte(text), &now) != nil || len(now.Names) != len(failingAnswers) {
					t.Fatal(text)
				}
				for _, name := range now.Names {
					if name.Error != "" {
						n++
					}
				}
				return n
			}
			// Silence is noticed late.
			for deadline := time.Now().Add(2 * patience); failed() < len(failingAnswers); time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					_, text := known.ask("GET", "/status")
					t.Fatal(text)
				}
			}
			for way := range failingAnswers {
				if got := askAtOnce(t, known.process, way); got != "200 127.0.0.37" {
					t.Errorf("%s, and an address is known: %s", way, got)
				}
			}

			resolve("127.0.0.38")
			dns.Lie(nil)
			for _, p := range []*hooked{known, unknown} {
				for way := range failingAnswers {
					got := ""
					for deadline := time.Now().Add(patience); got != "200 127.0.0.38" && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
						got = askAtOnce(t, p.process, way)
					}
					if got != "200 127.0.0.38" {
						t.Errorf("%s, and DNS is well again: %s", way, got)
					}
				}
			}
		})
	}
}

// askAtOnce asks for a page, wants an answer that nobody has waited for, and returns it.
func askAtOnce(t *testing.T, p *process, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	began := time.Now()
	answer, err := client.Get("http://" + p.listen + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if took := time.Since(began); err != nil || took > 3*time.Second {
		t.Errorf("%s after %v, %v", path, took, err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}
