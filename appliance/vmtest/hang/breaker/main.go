// Breaker is a program for the box of a story: it breaks what it is told to. It asks for orders at the URL in
// /perm/orders.txt: a line "stop NAME" stops the programs of that name, "panic" the kernel.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	for ; ; time.Sleep(200 * time.Millisecond) {
		order, err := ask()
		if err != nil || order == "" {
			continue
		}
		log.Printf("the order is %q", order)
		if err := obey(order); err != nil {
			log.Print(err)
		}
	}
}

func ask() (string, error) {
	url, err := os.ReadFile("/perm/orders.txt")
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(strings.TrimSpace(string(url)))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 100))
	return string(text), err
}

func obey(order string) error {
	if name, is := strings.CutPrefix(order, "stop "); is {
		return stop(name)
	}
	if order != "panic" {
		return fmt.Errorf("what is %q?", order)
	}
	// For ever, not for the 10 seconds of the box's kernel: only a watchdog gets out of that.
	if err := os.WriteFile("/proc/sys/kernel/panic", []byte("0"), 0); err != nil {
		return err
	}
	return os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
}

func stop(name string) error {
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	for _, exe := range all {
		if program, err := os.Readlink(exe); err != nil || filepath.Base(program) != name {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(exe)))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
	}
	return nil
}
