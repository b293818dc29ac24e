package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel is what the kernel says, as /dev/kmsg has it: all that it remembers, and then each record as it comes.
func kernel(path string) source {
	return func(ctx context.Context, lines chan<- string) error {
		// Non-blocking, so that the runtime waits for it and not a thread, and Close ends that.
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { f.Close() })
		defer func() {
			if stop() {
				f.Close()
			}
		}()
		record := make([]byte, 8<<10) // No record is longer.
		for {
			n, err := f.Read(record)
			if errors.Is(err, unix.EPIPE) {
				continue // Records were overwritten before they were read: the next one follows.
			} else if err != nil {
				return err
			}
			line, ok := kernelLine(string(record[:n]))
			if !ok {
				continue
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// kernelLine returns a record as dmesg shows it, with its level before it (Documentation/ABI/testing/dev-kmsg):
//
//	6,339,5140900,-;NET: Registered protocol family 10
//	 SUBSYSTEM=net
func kernelLine(record string) (string, bool) {
	head, text, ok := strings.Cut(record, ";")
	fields := strings.Split(head, ",")
	if !ok || len(fields) < 3 {
		return "", false
	}
	priority, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return "", false
	}
	micros, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > lineBytes {
		text = text[:lineBytes] + "…"
	}
	return fmt.Sprintf("<%d>[%5d.%06d] %s", priority&7, micros/1e6, micros%1e6, text), true
}

// isKernelError tells whether a line's level is an error, or worse (syslog(2)).
func isKernelError(line string) bool { return len(line) > 1 && line[0] == '<' && line[1] <= '3' }
