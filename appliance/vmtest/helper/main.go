// Helper is a program for the box of a story: it does there what it is told to. It asks for orders at the URL in
// /perm/orders.txt: "stop NAME" stops the programs of that name, "panic" the kernel, and "update URL DIR" sends the parts of
// an update that are in a directory to the box's own port for updates, as gok does.
package main

import (
	"context"
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

	"github.com/gokrazy/updater"
)

func main() {
	for ; ; time.Sleep(200 * time.Millisecond) {
		order, err := ask()
		if err != nil || order == "" {
			continue
		}
		log.Printf("the order is %q", order) // With a password: nobody else has this box.
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
	text, err := io.ReadAll(io.LimitReader(answer.Body, 500))
	return string(text), err
}

func obey(order string) error {
	switch words := strings.Fields(order); {
	case words[0] == "stop" && len(words) == 2:
		return stop(words[1])
	case words[0] == "update" && len(words) == 3:
		return send(words[1], words[2])
	case order == "panic":
		return panics()
	}
	return fmt.Errorf("what is %q?", order)
}

// panics has the kernel do that.
func panics() error {
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

// send sends an update to the box itself.
func send(url, dir string) error {
	ctx := context.Background()
	box, err := updater.NewTarget(ctx, url, http.DefaultClient)
	if err != nil {
		return err
	}
	for _, part := range []string{"root", "boot", "mbr"} {
		if err := sendPart(ctx, box, dir, part); err != nil {
			return err
		}
	}
	if err := box.Switch(ctx); err != nil {
		return err
	}
	return box.Reboot(ctx)
}

func sendPart(ctx context.Context, box *updater.Target, dir, part string) error {
	f, err := os.Open(filepath.Join(dir, part))
	if err != nil {
		return err
	}
	defer f.Close()
	return box.StreamTo(ctx, part, f)
}
