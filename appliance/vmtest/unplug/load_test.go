package unplug

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/site"
)

// outcome is what became of a request. There is no outcome for a wrong answer:
// that is an error.
type outcome int

const (
	served      outcome = iota // 200, whole and right, from the box
	farmed                     // 200, whole and right, from the farm
	unavailable                // 502, 503 or 504
	aborted                    // cut so that the client can tell
)

func (o outcome) String() string {
	return [...]string{"served", "served by the farm", "unavailable", "aborted"}[o]
}

// one asks for a file. Its error means an answer that is wrong: other bytes, a
// short body that claims to be whole, a status such as 404.
func one(ctx context.Context, box *vmtest.Box, f site.File) (outcome, error) {
	a, err := box.Fetch(ctx, vmtest.URLPath(f.Name), nil)
	switch {
	case err != nil:
		return aborted, nil
	case a.Status >= http.StatusBadGateway && a.Status <= http.StatusGatewayTimeout:
		return unavailable, nil
	}
	if err := vmtest.CheckFile(f, a); err != nil {
		return 0, err
	}
	if strings.HasPrefix(a.Header.Get("Server"), "Apache") {
		return farmed, nil
	}
	return served, nil
}

// tally counts outcomes.
type tally struct{ served, fromFarm, unavailable, aborted int }

func (c *tally) add(o outcome) {
	switch o {
	case served:
		c.served++
	case farmed:
		c.fromFarm++
	case unavailable:
		c.unavailable++
	case aborted:
		c.aborted++
	}
}

func (c tally) String() string {
	return fmt.Sprintf("%d served, %d by the farm, %d unavailable, %d aborted", c.served, c.fromFarm, c.unavailable, c.aborted)
}

// ask asks for each file once.
func ask(t *testing.T, box *vmtest.Box, files []site.File) tally {
	t.Helper()
	var c tally
	for _, f := range files {
		o, err := one(t.Context(), box, f)
		if err != nil {
			t.Error(err)
			continue
		}
		c.add(o)
	}
	return c
}

// load is a few clients that ask for files all the time and check every answer.
type load struct {
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu    sync.Mutex // guards the rest
	phase string
	order []string
	hot   map[string]*tally // by phase: files in memory
	warm  map[string]*tally // by phase: files on the stick
}

// startLoad starts two clients for the files in memory, which must be served
// always, and two for files on the stick, which may fail while it is out.
func startLoad(t *testing.T, box *vmtest.Box, hot, warm []site.File) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel, hot: map[string]*tally{}, warm: map[string]*tally{}}
	l.enter("before the pull")
	client := func(files []site.File, counts map[string]*tally, always bool) {
		for i := 0; ctx.Err() == nil; i++ {
			f := files[i%len(files)]
			o, err := one(ctx, box, f)
			if ctx.Err() != nil {
				return
			}
			if err == nil && always && o != served {
				err = fmt.Errorf("%s is in memory, and yet %v", f.Name, o)
			}
			if err != nil {
				t.Error(err)
				return
			}
			l.mu.Lock()
			counts[l.phase].add(o)
			l.mu.Unlock()
		}
	}
	for range 2 {
		l.clients.Go(func() { client(hot, l.hot, true) })
		l.clients.Go(func() { client(warm, l.warm, false) })
	}
	return l
}

// enter starts a phase: what is answered from now on counts for it.
func (l *load) enter(phase string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = phase
	l.order = append(l.order, phase)
	l.hot[phase], l.warm[phase] = &tally{}, &tally{}
}

// needs checks that files from memory were served in a phase.
func (l *load) needs(t *testing.T, phase string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hot[phase].served == 0 {
		t.Errorf("nothing from memory was served %s", phase)
	}
}

// stop ends the load.
func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}

func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, phase := range l.order {
		fmt.Fprintf(&b, "\n  %s: in memory: %v; on the stick: %v", phase, l.hot[phase], l.warm[phase])
	}
	return b.String()
}
