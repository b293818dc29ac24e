package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// LogTarget says where a log goes. The zero value is the standard output.
type LogTarget struct {
	File             string // path of a file
	Network, Address string // of a syslog daemon: unixgram and a path, or udp and host:port
}

// The socket and the port of syslog daemons; syslog(3), RFC 5426 §3.3.
const (
	syslogSocket = "/dev/log"
	syslogPort   = "514"
)

// logTargetUnder returns the check of "to". A path must have a slash, or a slip of the pen would be the name of a file.
func logTargetUnder(folder string) func(string) (LogTarget, error) {
	complete := pathUnder(folder)
	return func(s string) (LogTarget, error) {
		if s == "stdout" {
			return LogTarget{}, nil
		}
		if address, ok := strings.CutPrefix(s, "syslog://"); ok {
			return parseSyslog(address)
		}
		switch {
		case s == "syslog":
			return LogTarget{Network: "unixgram", Address: syslogSocket}, nil
		case strings.Contains(s, "://") || !strings.Contains(s, "/"):
			return LogTarget{}, fmt.Errorf(`%s is not "stdout", "syslog", syslog://host:port, or a path with a slash such as "/perm/log/access.log"`, quote(s))
		case strings.HasSuffix(s, "/"):
			return LogTarget{}, fmt.Errorf("%s is a folder; add the name of a file", quote(s))
		}
		file, err := complete(s)
		return LogTarget{File: file}, err
	}
}

// parseSyslog checks what follows syslog://, a host with or without a port.
func parseSyslog(s string) (LogTarget, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), syslogPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return LogTarget{}, fmt.Errorf("port %s is not a number from 1 to 65535", quote(port))
	}
	if host == "" {
		return LogTarget{}, fmt.Errorf("%s has no host; write syslog://host:port", quote("syslog://"+s))
	}
	if err := checkHost(host); err != nil {
		return LogTarget{}, err
	}
	return LogTarget{Network: "udp", Address: net.JoinHostPort(host, port)}, nil
}
