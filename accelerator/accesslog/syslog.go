package accesslog

import (
	"bytes"
	"net"
	"os"
	"time"
)

// syslog sends each line as a message in the form of RFC 3164, which every
// receiver understands: <190>Nov 25 12:56:57 host ramjet: line. To a socket of the
// same machine without the host, as syslog(3) does it. Facility local7, severity
// info, as nginx has it.
//
// log/syslog of the standard library would do, but for its waiting: it has no
// deadline, so a daemon that hangs would hang the end of the program too.
type syslog struct {
	conn    net.Conn
	host    string // "" for the same machine
	message []byte
}

const (
	syslogPriority = "<190>" // local7 (23) * 8 + info (6)
	syslogTag      = "ramjet: "

	// syslogPatience bounds the sending of a batch, and the search for the host.
	syslogPatience = time.Second
)

func dialSyslog(d Destination) (*syslog, error) {
	conn, err := net.DialTimeout(d.Network, d.Address, syslogPatience)
	if err != nil {
		return nil, err
	}
	s := &syslog{conn: conn}
	if d.Network != "unixgram" {
		if s.host, err = os.Hostname(); err != nil || s.host == "" {
			s.host = "ramjet"
		}
	}
	return s, nil
}

func (s *syslog) write(lines []byte) (int, error) {
	now := time.Now()
	if err := s.conn.SetWriteDeadline(now.Add(syslogPatience)); err != nil {
		return 0, err
	}
	head := now.AppendFormat(append(s.message[:0], syslogPriority...), time.Stamp+" ")
	if s.host != "" {
		head = append(append(head, s.host...), ' ')
	}
	head = append(head, syslogTag...)
	done := 0
	for done < len(lines) {
		n := bytes.IndexByte(lines[done:], '\n')
		s.message = append(head, lines[done:done+n]...)
		if _, err := s.conn.Write(s.message); err != nil {
			return done, err
		}
		done += n + 1
	}
	return done, nil
}

func (s *syslog) tick(time.Time) error { return nil }
func (s *syslog) sync() error          { return nil }
func (s *syslog) close() error         { return s.conn.Close() }
