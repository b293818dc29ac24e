package cold

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
)

// load is clients with kept connections.
type load struct {
	address string
	next    atomic.Int64 // the cold file that nobody has asked for
}

func newLoad(t *testing.T, box *vmtest.Box) *load {
	t.Helper()
	return &load{address: strings.TrimPrefix(box.URL, "http://")}
}

// result is what a round has measured.
type result struct {
	hot  []time.Duration // in order
	cold int             // how many
	wait time.Duration   // the sum of theirs
}

func (r result) percentile(n int) time.Duration { return r.hot[(len(r.hot)*n-1)/100] }

func (r result) String() string {
	text := fmt.Sprintf("%d hot: p50 %v, p99 %v, at most %v", len(r.hot),
		round(r.percentile(50)), round(r.percentile(99)), round(r.hot[len(r.hot)-1]))
	if r.cold > 0 {
		text += fmt.Sprintf("; %d cold, %v on average", r.cold, round(r.wait/time.Duration(r.cold)))
	}
	return text + ";"
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// round has hot files asked for at a steady rate, and with cold for every seven
// of them three cold ones.
func (l *load) round(t *testing.T, cold bool) result {
	t.Helper()
	var r result
	var mu sync.Mutex // guards r
	var hot, others sync.WaitGroup
	turns := make(chan struct{}, 1<<10) // of cold requests
	var count atomic.Int64
	end := time.Now().Add(roundTime)
	for client := range hotClients {
		hot.Go(func() {
			l.client(t, func(ask func(string, int) time.Duration) {
				tick := time.NewTicker(hotEvery)
				defer tick.Stop()
				for i := client; time.Now().Before(end) && !t.Failed(); i++ {
					<-tick.C
					took := ask(hotName(i), hotSize)
					mu.Lock()
					r.hot = append(r.hot, took)
					mu.Unlock()
					if n := count.Add(1); cold && n*3/7 > (n-1)*3/7 {
						turns <- struct{}{}
					}
				}
			})
		})
	}
	for range coldClients {
		others.Go(func() {
			l.client(t, func(ask func(string, int) time.Duration) {
				for range turns {
					if time.Now().After(end) || t.Failed() {
						continue // What the card has not done by now is not asked for.
					}
					took := ask(coldName(int(l.next.Add(1))), coldSize)
					mu.Lock()
					r.cold, r.wait = r.cold+1, r.wait+took
					mu.Unlock()
				}
			})
		})
	}
	hot.Wait()
	close(turns)
	others.Wait()
	if len(r.hot) == 0 {
		t.Fatal("nothing was measured")
	}
	slices.Sort(r.hot)
	return r
}

// client opens a connection and hands out what asks on it for a file, checks the
// answer, and tells how long it took.
func (l *load) client(t *testing.T, use func(ask func(name string, size int) time.Duration)) {
	c, err := net.Dial("tcp", l.address)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	in := bufio.NewReader(c)
	use(func(name string, size int) time.Duration {
		started := time.Now()
		if err := ask(c, in, name, size); err != nil && !t.Failed() {
			t.Errorf("%s: %v", name, err)
		}
		return time.Since(started)
	})
}

func ask(c net.Conn, in *bufio.Reader, name string, size int) error {
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: box\r\n\r\n", name); err != nil {
		return err
	}
	a, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	got, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK || !bytes.Equal(got, body(name, size)) {
		return fmt.Errorf("%s, and %d bytes that are not the file's %d", a.Status, len(got), size)
	}
	return nil
}
