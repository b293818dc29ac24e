package content

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// follow runs a store on root until the test ends.
func follow(t *testing.T, o Options) *Store {
	t.Helper()
	store, _ := load(t, o)
	run(t, store)
	return store
}

func run(t *testing.T, store *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits for a path to have a body, "" for no answer at all.
func eventually(t *testing.T, store *Store, path, body string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got = ""
		if o := store.Snapshot().Lookup(path); o != nil {
			got = string(o.Representations[0].body)
		}
		if got == body {
			return
		}
	}
	t.Fatalf("%s stays %q, want %q", path, got, body)
}

func TestFollow(t *testing.T) {
	root := tree(t, map[string]string{"a.html": "a", "sub/b.html": "b"})
	store := follow(t, options(root))
	put(t, root, "a.html", "a2")
	eventually(t, store, "/a.html", "a2")
	put(t, root, "new/deep/c.html", "c")
	eventually(t, store, "/new/deep/c.html", "c")
	put(t, root, "new/deep/c.html", "c2")
	eventually(t, store, "/new/deep/c.html", "c2")
	if err := os.RemoveAll(filepath.Join(root, "sub")); err != nil {
		t.Fatal(err)
	}
	eventually(t, store, "/sub/b.html", "")
	if err := os.Rename(filepath.Join(root, "new"), filepath.Join(root, "sub")); err != nil {
		t.Fatal(err)
	}
	eventually(t, store, "/sub/deep/c.html", "c2")
	put(t, root, "sub/deep/c.html", "c3")
	eventually(t, store, "/sub/deep/c.html", "c3")
}

// A file that never comes to rest must not keep the others from appearing.
func TestFollowBusyTree(t *testing.T) {
	root := tree(t, map[string]string{"a.html": "a"})
	store := follow(t, options(root))
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				_ = os.WriteFile(filepath.Join(root, "busy.log"), fmt.Append(nil, i), 0o644)
			}
		}
	}()
	put(t, root, "a.html", "a2")
	eventually(t, store, "/a.html", "a2")
	close(stop)
	<-ended
}

// The root may be a link that is turned, or that comes later.
func TestFollowRoot(t *testing.T) {
	one := tree(t, map[string]string{"a.html": "one"})
	two := tree(t, map[string]string{"a.html": "two"})
	link := filepath.Join(t.TempDir(), "site")
	turn(t, link, one)
	store := follow(t, options(link))
	eventually(t, store, "/a.html", "one")
	turn(t, link, two)
	eventually(t, store, "/a.html", "two")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	eventually(t, store, "/a.html", "two") // What was there stays.
	turn(t, link, one)
	eventually(t, store, "/a.html", "one")
	put(t, one, "a.html", "one more")
	eventually(t, store, "/a.html", "one more")
}

func turn(t *testing.T, link, to string) {
	t.Helper()
	if err := os.Symlink(to, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

// A release is what its link says, and nothing else.
func TestFollowRelease(t *testing.T) {
	root := tree(t, map[string]string{"releases/1/a.html": "one", "releases/2/a.html": "two"})
	turn(t, filepath.Join(root, "current"), "releases/1")
	store := follow(t, options(root))
	eventually(t, store, "/a.html", "one")
	if got := store.Snapshot().Release; got != "1" {
		t.Errorf("release %q", got)
	}
	put(t, root, "releases/1/a.html", "changed in place")
	time.Sleep(300 * time.Millisecond)
	eventually(t, store, "/a.html", "one")
	turn(t, filepath.Join(root, "current"), "releases/2")
	eventually(t, store, "/a.html", "two")
	turn(t, filepath.Join(root, "current"), "releases/gone")
	time.Sleep(200 * time.Millisecond)
	eventually(t, store, "/a.html", "two")
	turn(t, filepath.Join(root, "current"), "../../etc")
	time.Sleep(200 * time.Millisecond)
	eventually(t, store, "/a.html", "two")
}

func TestPacer(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	p := pacer{settle: 100 * time.Millisecond}
	if p.wait(at(0)) < time.Minute {
		t.Error("loads without a change")
	}
	p.changed(at(0))
	if got := p.wait(at(0)); got != 100*time.Millisecond {
		t.Errorf("waits %v for quiet", got)
	}
	for ms := 50; ms < 400; ms += 50 {
		p.changed(at(ms))
	}
	if got := p.wait(at(0)); got != 200*time.Millisecond {
		t.Errorf("a busy tree is read after %v", got)
	}
	p.loaded(at(1000), 3*time.Second)
	p.changed(at(1000))
	if got := p.wait(at(1000)); got != 6*time.Second {
		t.Errorf("rests %v after a load of 3 s", got)
	}
}

// Turning the link publishes the whole release at once, however fresh its files
// are, and never a mixture.
func TestFollowFreshRelease(t *testing.T) {
	root := tree(t, map[string]string{"releases/1/a.html": "one", "releases/1/b.html": "one"})
	turn(t, filepath.Join(root, "current"), "releases/1")
	store := follow(t, options(root))
	for i := range 10 {
		text := fmt.Sprint("release ", i)
		dir := filepath.Join(root, "releases", fmt.Sprint(i))
		for _, name := range []string{"a.html", "b.html"} {
			put(t, dir, name, text)
		}
		turn(t, filepath.Join(root, "current"), filepath.Join("releases", fmt.Sprint(i)))
		for {
			s := store.Snapshot()
			a, b := string(s.Lookup("/a.html").Representations[0].body), string(s.Lookup("/b.html").Representations[0].body)
			if a != b {
				t.Fatalf("a mixture: %q and %q", a, b)
			}
			if a == text {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// What changes between the first load and Run is noticed, and what did not is
// not read again.
func TestWatchBeforeLoad(t *testing.T) {
	root := tree(t, map[string]string{"a.html": "a"})
	store := NewStore(options(root), slog.New(slog.DiscardHandler))
	var loads atomic.Int32
	store.Loaded = func(*Snapshot) { loads.Add(1) }
	if err := store.Watch(); err != nil {
		t.Fatal(err)
	}
	date(t, filepath.Join(root, "a.html"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	time.Sleep(100 * time.Millisecond) // Settled: its ctime is older than Settle.
	if err := store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := loads.Load()
	run(t, store)
	time.Sleep(300 * time.Millisecond)
	if again := loads.Load() - first; again != 0 {
		t.Errorf("%d loads of a tree that did not change", again)
	}
	put(t, root, "a.html", "a2")
	eventually(t, store, "/a.html", "a2")

	root = tree(t, map[string]string{"a.html": "a"})
	store = NewStore(options(root), slog.New(slog.DiscardHandler))
	if err := store.Watch(); err != nil {
		t.Fatal(err)
	}
	if err := store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, root, "a.html", "before Run")
	run(t, store)
	eventually(t, store, "/a.html", "before Run")
}
