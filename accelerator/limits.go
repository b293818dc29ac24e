package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"ramjet/accelerator/config"
)

// reservedFiles is what the program needs besides connections and content:
// logs, sockets, directories while they are read, watches.
const reservedFiles = 256

// raiseFileLimit allows the process the descriptors that its settings ask for:
// one for each connection, another where it may be forwarded, the files kept
// open. Where the limit cannot be raised it lowers the settings to what fits, and
// says so in the note.
func raiseFileLimit(c *config.Config) (note string, err error) {
	each := 1
	if len(c.AllPools()) > 0 {
		each = 2
	}
	wanted := uint64(each*c.Limits.Connections + c.Content.OpenFiles + reservedFiles)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", fmt.Errorf("getrlimit: %w", err)
	}
	if limit.Cur >= wanted {
		return "", nil
	}
	raised := unix.Rlimit{Cur: wanted, Max: max(limit.Max, wanted)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err == nil {
		return "", nil
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", fmt.Errorf("setrlimit: %w", err)
	}
	if limit.Cur >= wanted {
		return "", nil
	}
	usable := max(int(limit.Cur)-reservedFiles, 32)
	c.Content.OpenFiles = min(c.Content.OpenFiles, usable/4)
	c.Limits.Connections = min(c.Limits.Connections, (usable-c.Content.OpenFiles)/each)
	return fmt.Sprintf("only %d files may be open, the settings ask for %d: going on with %d connections and %d open files",
		limit.Cur, wanted, c.Limits.Connections, c.Content.OpenFiles), nil
}
