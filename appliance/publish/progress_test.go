package publish

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &Progress{Out: &out, Screen: true}
	if n := p.end(); n != 0 {
		t.Errorf("%d bytes were moved before the begin", n)
	}
	p.begin("sending", 10, 5_000_000)
	p.add(1, 2_000_000)
	p.mu.Lock()
	p.began = time.Now().Add(-1990 * time.Millisecond)
	p.mu.Unlock()
	if got, want := p.line(), "sending: 1 of 10 files, 2.0 MB of 5.0 MB, 1.0 MB/s, 3s left"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.left(10, 4_500_000)
	if got := p.line(); !strings.HasPrefix(got, "sending: 0 of 10 files, 500.0 kB of 5.0 MB, ") {
		t.Error(got)
	}
	time.Sleep(screenTime + 100*time.Millisecond)
	if n := p.end(); n != 2_000_000 {
		t.Errorf("%d bytes were moved", n)
	}
	if got := out.String(); strings.Contains(got, "\n") || !strings.Contains(got, "\r\x1b[Ksending: ") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("on the screen: %q", got)
	}
	out.Reset()
	p.Screen = false
	p.begin("sending", 1, 1)
	p.say("to %s", "read")
	p.end()
	if got := out.String(); got != "to read\n" {
		t.Errorf("elsewhere: %q", got)
	}
	p.Out = nil
	p.begin("sending", 1, 1)
	p.say("nobody")
	p.end()
}
