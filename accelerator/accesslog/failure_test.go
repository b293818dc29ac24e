package accesslog

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A destination that fails is said once. Requests go on; the ring keeps what it
// can, the rest is dropped and counted. When it works again, what was kept is
// written.
func TestFailureAndRecovery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	if err := os.WriteFile(folder, nil, 0o644); err != nil { // Where a folder should be.
		t.Fatal(err)
	}
	path := filepath.Join(folder, "log")
	l := run(t, Options{Format: Common, To: Destination{File: path}, RingBytes: 16 << 10})
	ring := l.NewRing()
	eventually(t, "the failure is noticed", func() bool { return l.Stats().WriteErrors > 0 })
	const requests = 1000
	start := time.Now()
	for range requests {
		ring.Append(request("/kept"))
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("%d requests were held up for %s", requests, took)
	}
	dropped := l.Stats().Dropped
	if dropped == 0 || dropped > requests {
		t.Errorf("%d dropped", dropped)
	}
	eventually(t, "it is tried again", func() bool { return l.Stats().WriteErrors > 1 })
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	l.Reopen() // Instead of a longer pause.
	eventually(t, "what was kept is written", func() bool { return l.Stats().Lines == requests-dropped })
	l.end()
	if got := targets(t, path); uint64(len(got)) != requests-dropped {
		t.Errorf("%d lines", len(got))
	}
	said := l.told.String()
	if strings.Count(said, "level=ERROR") != 1 || !strings.Contains(said, "not a directory") || strings.Count(said, "written again") != 1 {
		t.Errorf("said:\n%s", said)
	}
}

// What cannot be written at the end is counted, and the end comes.
func TestFailureToTheEnd(t *testing.T) {
	t.Parallel()
	l := run(t, Options{Format: JSON, To: Destination{File: "/dev/full"}})
	ring := l.NewRing()
	ring.Append(usual())
	eventually(t, "writing fails", func() bool { return l.Stats().WriteErrors > 0 })
	ring.Append(usual())
	l.end()
	if s := l.Stats(); s.Dropped != 2 || s.Lines != 0 {
		t.Errorf("%+v", s)
	}
	if said := l.told.String(); !strings.Contains(said, "no space left") || !strings.Contains(said, "dropped=2") {
		t.Errorf("said:\n%s", said)
	}
}

// A pipe that nobody reads holds up neither requests nor the end.
func TestPipeThatLags(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l := run(t, Options{Format: Combined, To: Destination{File: path}, RingBytes: 64 << 10})
	ring := l.NewRing()
	const requests = 10_000
	start := time.Now()
	for range requests {
		ring.Append(usual())
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("%d requests were held up for %s", requests, took)
	}
	eventually(t, "the pipe is full", func() bool { return l.Stats().WriteErrors > 0 })
	l.end()
	if s := l.Stats(); s.Dropped == 0 || s.Lines+s.Dropped != requests {
		t.Errorf("%+v", s)
	}
}

// message is the form of RFC 3164, as syslog daemons want it.
var message = regexp.MustCompile(`^<190>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S+ )?ramjet: (.*)$`)

// receive reads messages until there are as many.
func receive(t *testing.T, conn net.PacketConn, count int, local bool) {
	t.Helper()
	buffer := make([]byte, 64<<10)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("after %d messages: %v", i, err)
		}
		m := message.FindStringSubmatch(string(buffer[:n]))
		if m == nil || (m[1] == "") != local || !strictCLF.MatchString(m[2]+"\n") {
			t.Fatalf("not a message: %q", buffer[:n])
		}
	}
}

func TestSyslogSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, Options{Format: Combined, To: Destination{Network: "unixgram", Address: path}})
	ring := l.NewRing()
	for range 5 {
		ring.Append(usual())
	}
	receive(t, conn, 5, true)

	// The daemon is started anew: nothing is lost but time.
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(path)
	ring.Append(usual())
	eventually(t, "it fails", func() bool { return l.Stats().WriteErrors > 0 })
	if conn, err = net.ListenPacket("unixgram", path); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	receive(t, conn, 1, true)
	l.end()
	if s := l.Stats(); s.Lines != 6 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// A daemon that hangs with a full queue holds up neither requests nor the end.
func TestSyslogThatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := run(t, Options{Format: Combined, To: Destination{Network: "unixgram", Address: path}})
	ring := l.NewRing()
	for range 3000 {
		ring.Append(usual())
	}
	eventually(t, "it fails", func() bool { return l.Stats().WriteErrors > 0 })
	l.end()
	if s := l.Stats(); s.Dropped == 0 || s.Lines+s.Dropped != 3000 {
		t.Errorf("%+v", s)
	}
}

func TestSyslogOverUDP(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := run(t, Options{Format: Common, To: Destination{Network: "udp", Address: conn.LocalAddr().String()}})
	ring := l.NewRing()
	for range 10 {
		ring.Append(usual())
	}
	l.end()
	receive(t, conn, 10, false)
}

// stdout is the descriptor itself: the test gives it a pipe for a moment.
func TestStdout(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	saved, err := syscall.Dup(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Dup3(saved, 1, 0); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Dup3(int(w.Fd()), 1, 0); err != nil {
		t.Fatal(err)
	}
	w.Close()
	l := run(t, Options{Format: Common})
	ring := l.NewRing()
	ring.Append(request("/one"))
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || !strings.Contains(line, "/one") {
		t.Errorf("%q, %v", line, err)
	}
	r.Close()
	ring.Append(request("/two")) // A broken pipe is no end of the program.
	eventually(t, "it fails", func() bool { return l.Stats().WriteErrors > 0 })
}
