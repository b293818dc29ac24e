package accesslog

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Destination says where lines go. The zero value is the standard output.
type Destination struct {
	// File is the path of a file, which is rotated if it is a regular one.
	// Folders that do not exist are made.
	File string

	// Network and Address are those of a syslog daemon: unixgram and the path of
	// its socket, or udp and host:port.
	Network, Address string
}

// String returns the destination as the configuration has it.
func (d Destination) String() string {
	switch {
	case d.File != "":
		return d.File
	case d.Network == "udp":
		return "syslog://" + d.Address
	case d.Network != "":
		return "syslog:" + d.Address
	default:
		return "stdout"
	}
}

// destination is one that is open. It is used by the writer alone.
type destination interface {
	// write writes whole lines and returns how many bytes of whole lines it
	// wrote; fewer than there are only with an error.
	write(lines []byte) (n int, err error)
	// tick is called each time the writer wakes, at least once a second.
	tick(now time.Time) error
	// sync waits until the lines are where they should be.
	sync() error
	close() error
}

// open opens the destination.
func (o *Options) open(now time.Time) (destination, error) {
	switch {
	case o.To.File != "":
		return openFile(o, now)
	case o.To.Network != "":
		return dialSyslog(o.To)
	default:
		return openStdout()
	}
}

// stdout is the standard output.
type stdout struct{ *os.File }

// openStdout duplicates the descriptor: a broken pipe at descriptor 1 itself would
// end the program (os/signal, SIGPIPE).
func openStdout() (stdout, error) {
	fd, err := unix.FcntlInt(uintptr(unix.Stdout), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return stdout{}, fmt.Errorf("fcntl: %w", err)
	}
	return stdout{os.NewFile(uintptr(fd), "stdout")}, nil
}

// write counts the part of a line that a broken pipe took as not written.
func (s stdout) write(lines []byte) (int, error) {
	n, err := s.Write(lines)
	return wholeLines(lines[:n]), err
}

func (s stdout) tick(time.Time) error { return nil }
func (s stdout) sync() error          { return nil }
func (s stdout) close() error         { return s.Close() }
