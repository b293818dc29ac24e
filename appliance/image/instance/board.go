package instance

import (
	"fmt"
	"strings"
)

// Board is everything in which the gokrazy instance of one kind of hardware
// differs from config.json at the top of the repository.
type Board struct {
	// Name is what people type: BOARD=amd64.
	Name string
	// GOARCH is the architecture the programs are compiled for.
	GOARCH string
	// Kernel is the Go package that holds the kernel and its modules.
	Kernel string
	// Firmware is the Go package with the files the first-stage boot loader
	// needs. Empty: the board brings its own (BIOS, UEFI).
	Firmware string
	// EEPROM is the Go package with boot loader EEPROM updates, or empty.
	EEPROM string
	// SerialConsole is the kernel's console= argument for the serial port.
	SerialConsole string
	// For is one line for people who choose a board.
	For string
}

// Boards is the table of boards. A Raspberry Pi needs firmware and EEPROM
// files on its boot partition; PCs and UEFI machines have theirs on board.
func Boards() []Board {
	return []Board{
		{
			Name: "amd64", GOARCH: "amd64",
			Kernel:        "github.com/gokrazy/kernel.amd64",
			SerialConsole: "ttyS0,115200",
			For:           "PCs, servers and virtual machines (BIOS or UEFI)",
		},
		{
			Name: "arm64", GOARCH: "arm64",
			Kernel:        "github.com/gokrazy/kernel.arm64",
			SerialConsole: "ttyAMA0,115200",
			For:           "64-bit Arm servers and virtual machines (UEFI)",
		},
		{
			Name: "rpi", GOARCH: "arm64",
			Kernel:        "github.com/gokrazy/kernel.rpi",
			Firmware:      "github.com/gokrazy/firmware",
			EEPROM:        "github.com/gokrazy/rpi-eeprom",
			SerialConsole: "serial0,115200",
			For:           "Raspberry Pi 3, 4, 5 and Zero 2 W",
		},
	}
}

// FindBoard returns the board of that name, or an error that lists all names.
func FindBoard(name string) (Board, error) {
	var names []string
	for _, b := range Boards() {
		if b.Name == name {
			return b, nil
		}
		names = append(names, b.Name)
	}
	return Board{}, fmt.Errorf("unknown board %q: choose one of %s", name, strings.Join(names, ", "))
}
