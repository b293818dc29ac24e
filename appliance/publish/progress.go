package publish

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"ramjet/appliance/release"
)

// Progress tells people how far it is.
type Progress struct {
	Out io.Writer // nil: nobody is told
	// Screen is true if a line of Out can be written over. Else there is a new one now and then.
	Screen bool

	writing      sync.Mutex // of lines, one at a time
	mu           sync.Mutex
	what         string
	files, total count
	moved        int64 // bytes, those that were sent in vain as well
	began        time.Time
	stop         chan struct{}
	stopped      sync.WaitGroup
}

type count struct{ done, of int64 }

// How often a line is written, on a screen and elsewhere.
const (
	screenTime = 200 * time.Millisecond
	lineTime   = 10 * time.Second
)

// begin begins something new.
func (p *Progress) begin(what string, files int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.files, p.total, p.moved = what, count{of: int64(files)}, count{of: bytes}, 0
	p.began = time.Now()
	stop := make(chan struct{})
	p.stop = stop
	if p.Out == nil {
		return
	}
	every := lineTime
	if p.Screen {
		every = screenTime
	}
	p.stopped.Go(func() {
		for tick := time.NewTicker(every); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				p.show()
			}
		}
	})
}

// end ends it, and returns how many bytes were moved.
func (p *Progress) end() int64 {
	if p.stop == nil {
		return 0
	}
	close(p.stop)
	p.stop = nil
	p.stopped.Wait()
	p.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

func (p *Progress) add(files int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files.done += int64(files)
	p.total.done += bytes
	p.moved += bytes
}

// left corrects what was sent in vain.
func (p *Progress) left(files int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files.done, p.total.done = p.files.of-int64(files), p.total.of-bytes
}

// say writes a line that stays.
func (p *Progress) say(format string, args ...any) {
	if p.Out != nil {
		p.writing.Lock()
		defer p.writing.Unlock()
		p.clear()
		fmt.Fprintf(p.Out, format+"\n", args...)
	}
}

func (p *Progress) clear() {
	if p.Out != nil && p.Screen {
		fmt.Fprint(p.Out, "\r\x1b[K")
	}
}

func (p *Progress) show() {
	line := p.line()
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.Screen {
		fmt.Fprint(p.Out, "\r\x1b[K"+line)
	} else {
		fmt.Fprintln(p.Out, line)
	}
}

// line is such as "sending: 120 of 5000 files, 3.1 MB of 200.0 MB, 5.0 MB/s, 39s left".
func (p *Progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of %d files, %s of %s", p.what, p.files.done, p.files.of, release.Bytes(p.total.done), release.Bytes(p.total.of))
	took := time.Since(p.began)
	if rate := float64(p.moved) / took.Seconds(); rate >= 1 {
		left := time.Duration(float64(p.total.of-p.total.done) / rate * float64(time.Second))
		fmt.Fprintf(&b, ", %s/s, %v left", release.Bytes(int64(rate)), left.Round(time.Second))
	}
	return b.String()
}
