package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// stream is what a publisher sends.
func stream(contents ...string) string {
	var b strings.Builder
	for _, c := range contents {
		b.WriteString(Content{sha256.Sum256([]byte(c)), int64(len(c)), 0}.Line() + c)
	}
	return b.String()
}

// Of a stream that is cut anywhere, or goes wrong, what came before counts, and nothing else.
func TestStream(t *testing.T) {
	contents := []string{"one", "", strings.Repeat("three", 100_000), "four", "one"}
	whole := stream(contents...)
	for _, n := range []int{0, 1, 66, 70, len(stream(contents[:1]...)), len(stream(contents[:2]...)) + 80, len(whole) - 71, len(whole) - 70, len(whole) - 1, len(whole)} {
		s := newStore(t, t.TempDir())
		got, err := s.Receive(context.Background(), strings.NewReader(whole[:n]))
		want := 0
		for want < len(contents) && len(stream(contents[:want+1]...)) <= n {
			want++
		}
		ends := n == len(stream(contents[:want]...))
		if got != want || ends != (err == nil) || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %d contents, want %d: %v", n, got, want, err)
		}
		files := site{}
		for i, c := range contents {
			files[fmt.Sprint(i)] = c
		}
		missing, err := announce(s, files.manifest())
		if wantMissing := 4 - min(want, 4); err != nil || len(missing) != wantMissing {
			t.Errorf("cut at %d: %d are missing, want %d: %v", n, len(missing), wantMissing, err)
		}
	}
	hash := strings.Repeat("ab", 32)
	s := newStore(t, t.TempDir())
	for wrong, want := range map[string]error{
		"\n": ErrRefused, "../../x 1 0\nx": ErrRefused, hash + " 1\nx": ErrRefused, hash + " -1 0\n": ErrRefused, hash + " 1 2\n": ErrRefused, hash + " 1 -1\nxx": ErrRefused,
		hash + " 9999999999999 0\n": ErrRefused, hash + " 1 0 \nx": ErrRefused, strings.ToUpper(hash) + " 1 0\nx": ErrRefused, strings.Repeat("x", 1<<20): ErrRefused,
		hash + " 1 0" + strings.Repeat(" ", 100) + "\n": ErrRefused, hash + " 1 0\nx": ErrMismatch, hash + " 0 0\n": ErrMismatch, hash + " 2000000 1000000\nx": ErrFrom,
		stream("right") + "and more": io.ErrUnexpectedEOF, stream("right") + "and more\n": ErrRefused,
	} {
		if n, err := s.Receive(context.Background(), strings.NewReader(wrong)); !errors.Is(err, want) || n > 1 {
			t.Errorf("%.100q: %d, %v", wrong, n, err)
		}
	}
	if left := read(t, s.Root+"/"+incomingName); len(left) != 1 || left[Hash(sha256.Sum256([]byte("right"))).String()] != "right" {
		t.Errorf("%d are left", len(left))
	}
}

func FuzzContent(f *testing.F) {
	f.Add(Content{sha256.Sum256(nil), 10, 5}.Line())
	f.Add(strings.Repeat("ab", 32) + " -0 +0")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseContent(line)
		if err != nil {
			return
		}
		again, err := parseContent(strings.TrimSuffix(c.Line(), "\n"))
		if err != nil || again != c || c.From < 0 || c.From > c.Size || c.Size > maxSize || len(c.Line()) > maxLine {
			t.Errorf("%q: %+v, then %+v, %v", line, c, again, err)
		}
	})
}

// A manifest that was announced is asked for again and committed by its hash, whatever the order of its lines was.
func TestAnnounce(t *testing.T) {
	s := newStore(t, t.TempDir())
	ctx := context.Background()
	files := site{"a/b": "1", "c": "2", "a.txt": "1"}
	m := files.manifest()
	slices.SortFunc(m, func(a, b Entry) int { return -comparePaths(a.Path, b.Path) })
	text := m.Text()
	manifest, missing, err := s.Announce(ctx, int64(len(text)), bytes.NewReader(text))
	if err != nil || len(missing) != 2 {
		t.Fatal(missing, err)
	}
	if _, err := s.CommitAnnounced(ctx, manifest, How{}); !errors.As(err, new(*MissingError)) {
		t.Errorf("committed: %v", err)
	}
	if n, err := s.Receive(ctx, strings.NewReader(stream("1", "2"))); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if missing, err := s.Missing(ctx, manifest); err != nil || len(missing) != 0 {
		t.Errorf("%v, %v", missing, err)
	}
	r, err := s.CommitAnnounced(ctx, manifest, How{By: "test"})
	if err != nil || !equal(live(t, s.Root), files) || r.Manifest != manifest {
		t.Errorf("%+v, %v", r, err)
	}
	if left := read(t, s.Root+"/"+incomingName); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := s.CommitAnnounced(ctx, manifest, How{}); !errors.Is(err, ErrNotAnnounced) {
		t.Errorf("%v", err)
	}
	// What is refused is not kept.
	for text, want := range map[string]error{
		"": ErrRefused, "no manifest": ErrRefused, strings.Repeat("ab", 32) + " 1 ../x\n": ErrRefused, strings.Repeat("ab", 32) + " 1000000000000 x\n": nil,
		strings.Repeat("ab", 32) + " 1 x\n" + strings.Repeat("ab", 32) + " 2 y\n": ErrRefused,
	} {
		_, _, err := s.Announce(ctx, int64(len(text)), strings.NewReader(text))
		if want == nil && !errors.As(err, new(*FullError)) || want != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for size, text := range map[int64]string{10: "short", 3: "longer", MaxManifest + 1: ""} {
		if _, _, err := s.Announce(ctx, size, strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken for %d bytes", text, size)
		}
	}
	if left := read(t, s.Root+"/"+incomingName); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A release can be made without a flip, and one can take the place of another, if that is still live.
func TestHow(t *testing.T) {
	s := newStore(t, t.TempDir())
	ctx := context.Background()
	commit := func(content string, how How) (Release, error) {
		t.Helper()
		files := site{"a": content}
		if _, err := send(s, files); err != nil {
			t.Fatal(err)
		}
		return s.Commit(ctx, files.manifest(), how)
	}
	one, err := commit("1", How{})
	if err != nil {
		t.Fatal(err)
	}
	two, err := commit("2", How{Stay: true})
	if err != nil || two.Live || !equal(live(t, s.Root), site{"a": "1"}) {
		t.Errorf("%+v, %v", two, err)
	}
	if again, err := commit("2", How{Stay: true}); err != nil || again.ID != two.ID {
		t.Errorf("%+v, %v", again, err)
	}
	if again, err := commit("2", How{}); err != nil || again.ID != two.ID || !equal(live(t, s.Root), site{"a": "2"}) {
		t.Errorf("%+v, %v", again, err)
	}
	if r, err := commit("3", How{Instead: one.ID}); !errors.Is(err, ErrOvertaken) {
		t.Errorf("%+v, %v", r, err)
	}
	three, err := commit("3", How{Instead: two.ID})
	all, _ := s.List()
	if err != nil || len(all) != 2 || all[0].ID != one.ID || all[1].ID != three.ID || !equal(live(t, s.Root), site{"a": "3"}) {
		t.Errorf("%+v of %+v, %v", three, all, err)
	}
	if r, err := s.Flip(ctx, Previous, ""); err != nil || r.ID != one.ID {
		t.Errorf("the one before is %+v, %v", r, err)
	}
}

// What somebody has left for a next try gives way to a release that needs the room, unless it may still be sent.
func TestMakeRoom(t *testing.T) {
	s := newStore(t, tmpfs(t, "8m"))
	if _, err := send(s, site{"left": strings.Repeat("x", 4_000_000)}); err != nil {
		t.Fatal(err)
	}
	wanted := site{"wanted": strings.Repeat("y", 5_000_000)}
	if _, err := announce(s, wanted.manifest()); !errors.As(err, new(*FullError)) {
		t.Errorf("what has arrived a moment ago gives way: %v", err)
	}
	s.Now = func() time.Time { return time.Now().Add(lull + time.Minute) }
	if r, err := publish(s, wanted); err != nil || !equal(live(t, s.Root), wanted) {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is asked for again has its patience from then on.
func TestStillWanted(t *testing.T) {
	s := newStore(t, t.TempDir())
	files := site{"a": "waits"}
	if _, err := send(s, files); err != nil {
		t.Fatal(err)
	}
	for day := range 3 {
		s.Now = func() time.Time { return time.Now().Add(time.Duration(day+1) * 20 * time.Hour) }
		if missing, err := announce(s, files.manifest()); err != nil || len(missing) > 0 {
			t.Errorf("%v are missing, %v", missing, err)
		}
	}
	if info, err := os.Stat(s.Root + "/" + incomingName + "/" + Hash(sha256.Sum256([]byte("waits"))).String()); err != nil || info.ModTime().Before(time.Now()) {
		t.Errorf("%v, %v", info, err)
	}
}
