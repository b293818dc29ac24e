package main

import (
	"fmt"
	"io"
	"net"
	"os"

	"ramjet/accelerator/demo"
)

// startDemo puts the demonstration's site into a folder of its own and starts
// its backend, and sets the options as if they had been given. stop ends both.
func startDemo(o *options) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "ramjet-demo-")
	if err != nil {
		return nil, err
	}
	if err := demo.WriteSite(dir); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	url, stopBackend, err := demo.StartBackend()
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	o.root, o.backend = dir, url
	return func() {
		stopBackend()
		os.RemoveAll(dir)
	}, nil
}

// printDemo says where the demonstration is and what to try.
func printDemo(out io.Writer, address net.Addr) {
	_, port, err := net.SplitHostPort(address.String())
	if err != nil {
		port = "8080"
	}
	base := "http://localhost:" + port
	fmt.Fprintf(out, `
Ramjet is serving its demonstration at %[1]s/
Three things to try:

  a static page     %[1]s/
  a dynamic page    %[1]s/cgi-bin/hello?name=you
  static, or not?   go run ./accelerator -demo -explain /cgi-bin/hello
                    go run ./accelerator -demo -explain /

Ctrl-C ends it.
`, base)
}
