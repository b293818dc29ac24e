package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/api"
)

// write writes files of a site.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// publish runs the command, with the token of a publisher, and returns what it says on its standard output and elsewhere.
func (p *publisher) publish(status int, box string, words ...string) (out, says string) {
	p.b.t.Helper()
	if err := os.WriteFile(p.b.path("token"), []byte(p.token), 0o600); err != nil {
		p.b.t.Fatal(err)
	}
	args := append([]string{"publish", "-known", p.b.path("known"), "-accept-new", "-token-file", p.b.path("token"), "-cache", p.b.path("cache")}, words...)
	cmd := program(p.b.t.Context(), append(args, "https://"+box)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if got := exitStatus(p.b.t, cmd.Run()); got != status {
		p.b.t.Errorf("%q: exit status %d, want %d:\n%s%s", words, got, status, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// served compares what the accelerator serves with the files of a folder.
func (p *publisher) served(files map[string]string) {
	p.b.t.Helper()
	for name, text := range files {
		got, err := fetch(http.DefaultClient, "http://"+p.b.Listen+"/"+strings.TrimSuffix(name, "index.html"))
		if err != nil || got.text != text {
			p.b.t.Errorf("%s: %d bytes, want %d: %v", name, len(got.text), len(text), err)
		}
	}
}

// noise is text that does not repeat.
func noise(seed uint64, n int) string {
	b := make([]byte, n)
	random := rand.NewPCG(seed, 0)
	for i := range b {
		b[i] = byte(random.Uint64())
	}
	return string(b)
}

// Folders are published through the real program, API and accelerator: only what changed is sent, and what is wrong is said.
func TestPublish(t *testing.T) {
	b := startBox(t)
	p := b.publisher()
	dir := b.path("public")
	files := map[string]string{"index.html": "first", "twin.txt": "first", "a/größe.txt": "text", "empty.txt": "", "big.txt": noise(1, 9_000_000)}
	for i := range 2000 {
		files[fmt.Sprintf("many/%d/%d.txt", i%20, i)] = fmt.Sprint("small ", i)
	}
	write(t, dir, files)
	write(t, dir, map[string]string{".git/config": "secret", "ramjet.json": "{}"})
	want := func(out, word string) {
		t.Helper()
		if !strings.Contains(out, word) {
			t.Errorf("no %q in:\n%s", word, out)
		}
	}
	out, says := p.publish(0, b.api, "-dry-run", dir)
	want(says, "2004 of 2005 files would be sent, 9.0 MB")
	want(out, "many/19/1999.txt\n")
	if _, err := fetch(http.DefaultClient, "http://"+b.Listen+"/big.txt"); err == nil {
		t.Error("a dry run has published")
	}
	out, says = p.publish(0, b.api, dir)
	want(out, "is live: 2004 of 2005 files sent, 9.0 MB in ")
	want(says, "left out: names that begin with a dot, which are not served: [\".git/\"]")
	want(says, "left out: ramjet.json at the top belongs to the layout")
	want(says, "appliance rollback -box "+b.api)
	p.served(files)
	first, _, _ := strings.Cut(out, " ")

	out, _ = p.publish(0, b.api, dir)
	want(out, first+" is live: 0 of 2005 files sent, 0 bytes in ")
	files["index.html"] = "second"
	write(t, dir, map[string]string{"index.html": "second"})
	out, _ = p.publish(0, b.api, dir)
	want(out, "is live: 1 of 2005 files sent, 6 bytes in ")
	p.served(files)
	if got := b.command(0, "rollback"); got != first+" is live" || b.page(t).text != "first" {
		t.Errorf("rollback: %s", got)
	}
	write(t, dir, map[string]string{"index.html": "third"})
	out, says = p.publish(0, b.api, "-no-flip", dir)
	want(out, "is there, and not live: 1 of 2005")
	third, _, _ := strings.Cut(out, " ")
	want(says, "to have it live: appliance rollback -box "+b.api+" "+third)
	if b.page(t).text != "first" || b.command(0, "rollback", third) != third+" is live" || b.page(t).text != "third" {
		t.Errorf("%q is served", b.page(t).text)
	}

	_, says = p.publish(1, b.api, dir+"/none")
	want(says, "no such file or directory")
	_, says = p.publish(1, b.api, t.TempDir())
	want(says, "there are no files")
	_, says = p.publish(2, b.api)
	want(says, "see appliance publish -h")
	for _, wrong := range []string{"http://" + b.api, "ftp://x", "", "https://", b.api + "/x", "user@" + b.api} {
		if got := b.command(2, "publish", dir, wrong); !strings.Contains(got, "such as https://ramjet:8443") {
			t.Errorf("%q: %s", wrong, got)
		}
	}
	other := *p
	lines := strings.Split(b.command(0, "token", "make", "other", "status,config"), "\n")
	other.token = lines[len(lines)-1]
	_, says = other.publish(1, b.api, dir)
	want(says, "this token is not for publish")
	if b.page(t).text != "third" {
		t.Error("what was refused is live")
	}
	if left, err := os.ReadDir(b.path("site/.ramjet/incoming")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// cutter is between a publisher and the box, and cuts each connection that has carried so much, as often as it is told to.
type cutter struct {
	net.Listener
	to    string
	after int64 // bytes
	cuts  atomic.Int64
}

func newCutter(t *testing.T, to string, after, cuts int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, to: to, after: after}
	c.cuts.Store(cuts)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(conn)
		}
	}()
	return c
}

func (c *cutter) carry(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(from, to)
		from.Close()
	}()
	_, err = io.CopyN(to, from, c.after)
	if err == nil && c.cuts.Add(-1) >= 0 {
		return
	}
	_, _ = io.Copy(to, from)
}

// Cut again and again, a publisher goes on where it was.
func TestPublishCut(t *testing.T) {
	b := startBox(t)
	p := b.publisher()
	dir := b.path("public")
	files := map[string]string{"big.txt": noise(1, 20_000_000), "big2.txt": noise(2, 6_000_000), "index.html": "home"}
	for i := range 300 {
		files[fmt.Sprintf("small/%d.txt", i)] = noise(uint64(i+10), 20_000)
	}
	write(t, dir, files)
	c := newCutter(t, b.api, 3_000_000, 6)
	began := time.Now()
	out, says := p.publish(0, c.Addr().String(), "-compress=false", dir)
	if !strings.Contains(out, "303 of 303 files sent") || !strings.Contains(says, "trying again") || c.cuts.Load() > 0 {
		t.Errorf("%s%s%d cuts are left", out, says, c.cuts.Load())
	}
	// All that is sent twice is what was on its way at a cut, and contents below 1 MiB: not the large ones.
	var mb float64
	if _, rest, ok := strings.Cut(out, "files sent, "); !ok {
		t.Error(out)
	} else if _, err := fmt.Sscanf(rest, "%f MB", &mb); err != nil || mb < 32 || mb > 32+6*4 {
		t.Errorf("%f MB were sent, %v:\n%s", mb, err, out)
	}
	t.Logf("%v: %s%s", time.Since(began), out, says)
	p.served(files)
	// A box that does not come back is given up, and what it has got is there the next time.
	write(t, dir, map[string]string{"index.html": "again"})
	c = newCutter(t, "127.0.0.1:1", 0, 0)
	if _, says := p.publish(1, c.Addr().String(), dir); strings.Contains(says, "trying again") {
		t.Errorf("who has never answered is asked again:\n%s", says)
	}
}

// Who publishes at the same time gets a release of its own, whole; and one of them is live.
func TestPublishers(t *testing.T) {
	b := startBox(t)
	p := b.publisher()
	ended := make(chan bool)
	all := map[string]map[string]string{}
	for _, name := range []string{"one", "two", "three"} {
		files := map[string]string{"index.html": name, "shared.txt": "shared", "big.txt": name + noise(1, 3_000_000)}
		for i := range 200 {
			files[fmt.Sprintf("small/%d.txt", i)] = fmt.Sprint("small ", i/2, name[:i%2])
		}
		all[name] = files
		write(t, b.path(name), files)
		if err := os.WriteFile(b.path("token"), []byte(p.token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name := range all {
		go func() {
			defer func() { ended <- true }()
			cmd := program(t.Context(), "publish", "-known", b.path("known"), "-accept-new", "-token-file", b.path("token"), "-cache", b.path("cache"), b.path(name), b.api)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		}()
	}
	for range all {
		<-ended
	}
	p.served(all[b.page(t).text])
	var releases api.Releases
	if err := json.Unmarshal([]byte(p.want(200, "", "GET", "/releases", "")), &releases); err != nil || len(releases.Releases) != 3 || !releases.Releases[2].Live {
		t.Fatalf("%+v, %v", releases, err)
	}
	for _, r := range releases.Releases {
		b.command(0, "rollback", r.ID)
		p.served(all[b.page(t).text])
	}
}

// What does not fit is refused before anything of it is sent, and what is live stays.
func TestPublishFull(t *testing.T) {
	b := startBox(t)
	if err := unix.Mount("none", b.path("site"), "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("no mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(b.path("site"), unix.MNT_DETACH) })
	p := b.publisher()
	dir := b.path("public")
	write(t, dir, map[string]string{"index.html": "home"})
	p.publish(0, b.api, dir)
	write(t, dir, map[string]string{"index.html": "too much", "big.txt": noise(1, 20_000_000)})
	if _, says := p.publish(1, b.api, dir); !strings.Contains(says, " MB are missing: the release takes 2") {
		t.Errorf("it says:\n%s", says)
	}
	if left, err := os.ReadDir(b.path("site/.ramjet/incoming")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	p.served(map[string]string{"index.html": "home"})
	write(t, dir, map[string]string{"big.txt": noise(1, 2_000_000)})
	p.publish(0, b.api, dir)
	p.served(map[string]string{"index.html": "too much"})
}

// A folder that is being written is read again, until it stands.
func TestPublishWhileWriting(t *testing.T) {
	b := startBox(t)
	p := b.publisher()
	dir := b.path("public")
	write(t, dir, map[string]string{"index.html": "home", "log.txt": noise(1, 3_000_000)})
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for n := range 20 {
			_ = os.WriteFile(dir+"/log.txt", []byte(noise(uint64(n), 3_000_000)), 0o644)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	p.publish(0, b.api, dir)
	<-ended
	p.publish(0, b.api, dir)
	p.served(map[string]string{"index.html": "home", "log.txt": noise(19, 3_000_000)})
}
