// Command vm boots the image of the box in QEMU, with a content disk made from
// a directory, and prints its addresses. Ctrl-C switches it off.
//
//	go run ./appliance/vmtest/vm -site /var/www
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/vmtest"
	"ramjet/appliance/vmtest/qemu"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "vm: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	board := flag.String("board", "amd64", "machine to emulate: amd64 or arm64")
	site := flag.String("site", "", "directory that becomes the content disk")
	accel := flag.String("accel", "tcg", "QEMU's accelerator: tcg works everywhere, kvm is faster where it works")
	flag.Parse()
	if *board == "rpi" {
		return errors.New("a rpi image needs a Raspberry Pi; choose amd64 or arm64")
	}
	chosen, err := instance.FindBoard(*board)
	if err != nil {
		return err
	}
	if info, err := os.Stat(*site); err != nil || !info.IsDir() {
		return fmt.Errorf("-site %q is not a directory", *site)
	}
	root, err := instance.FindRoot(".")
	if err != nil {
		return err
	}
	// An image of its own: it will have been used, which one to flash should
	// not have been.
	spec := &instance.Spec{Root: root, Board: chosen, Name: "vm-" + chosen.Name, IfChanged: true, Log: os.Stdout}
	if err := instance.Build(ctx, spec); err != nil {
		return err
	}
	return boot(ctx, spec, *site, *accel)
}

// boot runs the machine until ctx ends or it ends by itself. What is on /perm
// stays from run to run, until the sources change.
func boot(ctx context.Context, spec *instance.Spec, site, accel string) error {
	dir, err := os.MkdirTemp("", "ramjet-vm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	content := filepath.Join(dir, "content.img")
	if err := vmtest.MakeContentDisk(ctx, site, content); err != nil {
		return err
	}
	address, lease, err := qemu.LeaseAddress(spec.Parent, qemu.UpdatePort, qemu.ControlPort, qemu.APIPort)
	if err != nil {
		return err
	}
	defer lease.Close()
	port, err := firstFree(8081)
	if err != nil {
		return err
	}
	logName := filepath.Join(spec.Parent, "vm-serial.log")
	serial, err := os.Create(logName)
	if err != nil {
		return err
	}
	defer serial.Close()
	machine := &qemu.Machine{
		Board: spec.Board.Name, Disk: spec.Out, Content: content, Address: address,
		HTTPHost: "127.0.0.1", HTTPPort: port, Accel: accel, Dir: dir, Output: serial,
	}
	if err := machine.Start(ctx); err != nil {
		return err
	}
	defer machine.PowerOff()
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	fmt.Printf("\nbooting; serial console in %s\n", logName)
	go announce(ctx, url, address, machine.Started, spec)
	select {
	case <-ctx.Done():
		fmt.Println("\nswitched off")
		return nil
	case <-machine.Done():
		return fmt.Errorf("the machine ended: %v; see %s", machine.Err(), logName)
	}
}

// announce prints the addresses when the box answers.
func announce(ctx context.Context, url, address string, started time.Time, spec *instance.Spec) {
	client := &http.Client{Timeout: 2 * time.Second}
	for ctx.Err() == nil {
		if response, err := client.Get(url); err == nil {
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if ctx.Err() != nil {
		return
	}
	fmt.Printf("up after %.1f s\n\n", time.Since(started).Seconds())
	fmt.Printf("  the site        %s\n", url)
	fmt.Printf("  status, logs    http://%s:%d/  (user gokrazy, password in build/http-password.txt)\n", address, qemu.UpdatePort)
	fmt.Printf("  the farm        http://%s:%d/farm  (the same user and password)\n", address, qemu.ControlPort)
	fmt.Printf("  the settings    go run ./appliance config -box %s -password-file build/http-password.txt edit\n", address)
	fmt.Printf("  update it       make update BOARD=%s BOX=%s\n\nCtrl-C switches it off.\n", spec.Board.Name, address)
}

// firstFree returns the first port from start on that can be listened on.
func firstFree(start int) (int, error) {
	for port := start; port < start+100; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from %d on", start)
}
