package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"ramjet/accelerator/config"
)

// Exit statuses. A supervisor such as gokrazy's restarts on all but 0 and 125.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2

	exitTerminated = 128 + int(syscall.SIGTERM) // Drained after SIGTERM.
)

// usageError is an error of whoever wrote the command line or the file.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// report prints the error, if it is one, and returns the exit status.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if by, ok := errors.AsType[ended](err); ok {
		if by.Signal == syscall.SIGTERM {
			return exitTerminated
		}
		return exitDone
	}
	if mistakes, ok := errors.AsType[config.Mistakes](err); ok {
		fmt.Fprintln(stderr, mistakes) // They name the file themselves, one in a line.
		return exitUsage
	}
	fmt.Fprintln(stderr, "accelerator:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
