package release

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// archive makes a tar archive.
func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.PAXRecords["test.content"]
		h.PAXRecords = nil
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Name: name, PAXRecords: map[string]string{"test.content": content}}
}

func TestTar(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	big := strings.Repeat("big", 1_000_000)
	text := archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, file("./index.html", "home"), file("a/größe.txt", "text"), file("a/empty", ""), file("big", big),
		file("big again", big), tar.Header{Name: "link", Typeflag: tar.TypeLink, Linkname: "./a/größe.txt"})
	want := site{"index.html": "home", "a/größe.txt": "text", "a/empty": "", "big": big, "big again": big, "link": "text"}
	one, err := s.Tar(context.Background(), bytes.NewReader(text), "curl")
	if err != nil || !equal(live(t, root), want) {
		t.Fatal(one, err)
	}
	if again, err := s.Tar(context.Background(), bytes.NewReader(text), "curl"); err != nil || again.ID != one.ID {
		t.Errorf("the same once more: %+v, %v", again, err)
	}
	// One at a time: another one is told to come again, and the first goes on.
	slow, feed := io.Pipe()
	ended := make(chan error)
	go func() {
		_, err := s.Tar(context.Background(), slow, "curl")
		ended <- err
	}()
	if _, err := feed.Write(text[:1000]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tar(context.Background(), bytes.NewReader(text), "curl"); !errors.Is(err, ErrBusy) {
		t.Errorf("two at once: %v", err)
	}
	if _, err := feed.Write(text[1000:]); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	if err := <-ended; err != nil {
		t.Errorf("the first one: %v", err)
	}
	if left := read(t, root+"/"+incomingName); len(left) > 0 {
		t.Errorf("%d files are left", len(left))
	}
	// Cut anywhere, it changes nothing.
	for _, n := range []int{0, 1, 512, 700, 512 + 1024, len(text) / 2, len(text) - 1025, len(text) - 1024, len(text) - 512} {
		other := bytes.Replace(text, []byte("home"), []byte("HOME"), 1)
		if r, err := s.Tar(context.Background(), bytes.NewReader(other[:n]), "curl"); err == nil {
			t.Errorf("cut at %d: %+v", n, r)
		}
	}
	if !equal(live(t, root), want) {
		t.Error("a cut archive is live")
	}
}

func TestTarRefused(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	for name, h := range map[string]tar.Header{
		"escape": file("../x", "x"), "absolute": file("/etc/passwd", "x"), "inside escape": file("a/../../x", "x"), "empty component": file("a//x", "x"),
		"symbolic link": {Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"link outside":  {Name: "x", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"},
		"device":        {Name: "x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, "FIFO": {Name: "x", Typeflag: tar.TypeFifo},
		"program": {Name: "x", Mode: 0o755}, "private": {Name: "x", Mode: 0o600}, "sticky": {Name: "x", Mode: 0o1644},
		"twice": file("ok", "again"), "file and directory": file("ok/x", "x"), "reserved": file("ramjet.json", "{}"),
	} {
		if r, err := s.Tar(context.Background(), bytes.NewReader(archive(t, file("ok", "ok"), h)), ""); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	for name, text := range map[string]string{"no tar": strings.Repeat("<html>", 200), "compressed": "\x1f\x8b" + strings.Repeat("\x08", 2000), "short": "no tar", "cut at nothing": "", "nothing in it": strings.Repeat("\x00", 10240)} {
		if r, err := s.Tar(context.Background(), strings.NewReader(text), ""); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if r, err := newStore(t, tmpfs(t, "4m")).Tar(context.Background(), bytes.NewReader(archive(t, file("big", strings.Repeat("x", 9_000_000)))), ""); !errors.As(err, new(*FullError)) {
		t.Errorf("%+v, %v", r, err)
	}
}
