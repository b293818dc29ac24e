package main

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"ramjet/appliance/release"
)

// publisher speaks the protocol of publishing by hand.
type publisher struct {
	b     *box
	c     *http.Client
	token string
}

func (b *box) publisher() *publisher {
	b.t.Helper()
	lines := strings.Split(b.command(0, "token", "make", "ci", "publish"), "\n")
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // Another test looks at it.
	b.t.Cleanup(c.CloseIdleConnections)
	return &publisher{b, c, lines[len(lines)-1]}
}

// want makes a call, and returns its answer.
func (p *publisher) want(status int, says, method, path, body string) string {
	p.b.t.Helper()
	got, text := p.b.steer(p.c, p.token, method, path, []byte(body))
	if got != status || !strings.Contains(text, says) {
		p.b.t.Errorf("%s %s: %d %s, want %d and %q", method, path, got, text, status, says)
	}
	return text
}

func hashOf(text string) release.Hash { return sha256.Sum256([]byte(text)) }

func content(text string) string {
	return release.Content{Hash: hashOf(text), Size: int64(len(text))}.Line() + text
}

func manifestOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var m release.Manifest
	for path, text := range files {
		m = append(m, release.Entry{Hash: hashOf(text), Size: int64(len(text)), Path: path})
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return string(m.Text())
}

// cut sends the head of a request and a part of its body, and hangs up.
func (p *publisher) cut(path, body string, n int) {
	p.b.t.Helper()
	c, err := tls.Dial("tcp", p.b.api, &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", path, p.token, len(body), body[:n])
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		p.b.t.Fatal(err)
	}
}

// The protocol, as the README has it: only what the box lacks is sent; what is wrong is refused, and what is cut goes on.
func TestProtocol(t *testing.T) {
	b := startBox(t)
	p := b.publisher()
	big := strings.Repeat("0123456789abcdef", 500_000)
	files := map[string]string{"index.html": "first", "big.txt": big, "again.txt": "first"}
	text := manifestOf(t, files)
	at := "/releases/manifests/" + hashOf(text).String()
	if got, want := p.want(201, "", "POST", "/releases/manifests", text), fmt.Sprintf("%s 0\n", hashOf("first")); strings.Count(got, "\n") != 2 || !strings.Contains(got, want) {
		t.Errorf("missing:\n%s", got)
	}
	p.want(409, "have not arrived", "POST", at+"/commit", "")
	p.want(422, "not what its hash says", "POST", "/releases/contents", strings.Replace(content("first"), "first", "FIRST", 1))
	p.want(422, "a line has to say", "POST", "/releases/contents", content("first")+"and more\n")
	p.want(422, "cannot be published", "POST", "/releases/manifests", hashOf("x").String()+" 1 ../../etc/passwd\n")
	p.want(422, "cannot be published", "POST", "/releases/manifests", hashOf("x").String()+" 1 /etc/passwd\n")
	p.want(422, "is no size", "POST", "/releases/manifests", hashOf("x").String()+" 99999999999999999 x\n")
	p.want(507, "are missing", "POST", "/releases/manifests", hashOf("x").String()+" 1000000000000 x\n")
	p.want(404, "no such manifest", "GET", "/releases/manifests/"+hashOf("x").String(), "")
	p.want(404, "no such manifest", "GET", "/releases/manifests/x", "")
	p.want(404, "no such manifest", "POST", "/releases/manifests/"+hashOf("x").String()+"/commit", "")
	for _, query := range []string{"?live=no", "?x=1", "?live=false&live=false", "?instead="} {
		p.want(400, "query is wrong", "POST", at+"/commit"+query, "")
	}
	p.want(412, "another release is live", "POST", at+"/commit?instead=000099-00000000", "")
	q, err := http.NewRequest("POST", "https://"+b.api+"/releases/manifests", io.MultiReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+p.token)
	if a, err := p.c.Do(q); err != nil || a.StatusCode != 411 {
		t.Errorf("no length: %v, %v", a, err)
	} else {
		a.Body.Close()
	}
	lines := strings.Split(b.command(0, "token", "make", "other", "status,config,network"), "\n")
	for _, call := range []string{"POST /releases/manifests", "GET " + at, "POST /releases/contents", "POST " + at + "/commit"} {
		method, path, _ := strings.Cut(call, " ")
		if status, says := b.steer(p.c, lines[len(lines)-1], method, path, []byte(text)); status != 403 {
			t.Errorf("%s: %d %s", call, status, says)
		}
	}

	// Cut in the middle of the large one, and resumed.
	stream := content("first") + content(big)
	const there = 5_000_000
	p.cut("/releases/contents", stream, len(stream)-len(big)+there)
	wait(t, "what has arrived", func() bool {
		return p.want(200, "", "GET", at, "") == fmt.Sprintf("%s %d\n", hashOf(big), there)
	})
	rest := release.Content{Hash: hashOf(big), Size: int64(len(big)), From: there}
	p.want(409, "has not arrived before", "POST", "/releases/contents", release.Content{Hash: hashOf("x"), Size: there + 1, From: there}.Line()+"x")
	p.want(200, `"contents": 1`, "POST", "/releases/contents", rest.Line()+big[there:])
	if got := p.want(200, "", "GET", at, ""); got != "" {
		t.Errorf("missing:\n%s", got)
	}
	p.want(201, `"live": false`, "POST", at+"/commit?live=false", "")
	if _, err := fetch(http.DefaultClient, "http://"+b.Listen+"/big.txt"); err == nil {
		t.Error("a release is served that is not live")
	}
	p.want(201, "", "POST", "/releases/manifests", text)
	p.want(201, `"live": true`, "POST", at+"/commit", "")
	if got, err := fetch(http.DefaultClient, "http://"+b.Listen+"/big.txt"); err != nil || got.text != big || b.page(t).text != "first" {
		t.Errorf("%d bytes, %v", len(got.text), err)
	}

	// Two at once: each release is whole, and the last flip wins.
	ended := make(chan string)
	for _, name := range []string{"one", "two"} {
		go func() {
			last := ""
			for n := range 20 {
				own := map[string]string{"index.html": fmt.Sprint(name, n), "b.txt": fmt.Sprint(name, n), "shared.txt": fmt.Sprint("shared ", n)}
				text := manifestOf(t, own)
				p.want(201, "", "POST", "/releases/manifests", text)
				p.want(200, "", "POST", "/releases/contents", content(own["index.html"])+content(own["shared.txt"]))
				p.want(201, `"live": true`, "POST", "/releases/manifests/"+hashOf(text).String()+"/commit", "")
				last = own["index.html"]
			}
			ended <- last
		}()
	}
	last := []string{<-ended, <-ended}
	page := b.page(t).text
	other, err := fetch(http.DefaultClient, "http://"+b.Listen+"/b.txt")
	if err != nil || page != last[1] && page != last[0] || other.text != page {
		t.Errorf("%q is live with %q, and %q came last: %v", page, other.text, last, err)
	}
}
