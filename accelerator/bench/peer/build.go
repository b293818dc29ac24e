package peer

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// BuildRamjet compiles the accelerator into dir.
func BuildRamjet(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, Ramjet.Name)
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "ramjet/accelerator").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build ramjet/accelerator: %w: %s", err, out)
	}
	return program, nil
}

// Knows asks a Ramjet which of these settings its configuration has, so that
// an older one can be measured too.
func (p *Program) Knows(dir string, settings map[string]string) map[string]bool {
	knows := map[string]bool{}
	for name, value := range settings {
		file := filepath.Join(dir, "knows.json")
		if os.WriteFile(file, fmt.Appendf(nil, "{%q: %s}", name, value), 0o644) != nil {
			continue
		}
		knows[name] = exec.Command(p.Path, "-config", file, "-check").Run() == nil
		os.Remove(file)
	}
	return knows
}

// floorSource is a C program that answers without parsing: the cost of the
// kernel's TCP, and of an event loop that does nothing else. No server in user
// space can be much cheaper.
//
//go:embed floor/floor.c
var floorSource []byte

// BuildFloor compiles the C floor into dir.
func BuildFloor(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "floor")
	source := program + ".c"
	if err := os.WriteFile(source, floorSource, 0o644); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "gcc", "-O2", "-o", program, source).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("gcc: %w: %s", err, out)
	}
	return program, nil
}

// StartFloor runs the floor: it gives this answer to each request of that
// length, and then closes the connection if told to.
func StartFloor(ctx context.Context, program, parent string, answer []byte, request int, closes bool, cores ...int) (*Process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "floor-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "answer")
	if err := os.WriteFile(file, answer, 0o644); err != nil {
		return nil, err
	}
	mode := "keep"
	if closes {
		mode = "close"
	}
	return start(ctx, "floor", exec.Command(program, strconv.Itoa(port), file, strconv.Itoa(request), mode), port, dir, cores)
}
