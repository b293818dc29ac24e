package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a unit of sizes: its name and its number of bytes.
type unit struct {
	name  string
	bytes int64
}

// units returns the units of sizes, the largest first and bytes last.
func units() []unit {
	return []unit{
		{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1},
	}
}

// parseSize reads digits and a unit; no unit is bytes.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "BKMGi")
	n, err := strconv.ParseUint(digits, 10, 63)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s is too large", quote(s))
	}
	if err == nil {
		for _, u := range append(units(), unit{"", 1}) {
			if s[len(digits):] != u.name {
				continue
			}
			if int64(n) > math.MaxInt64/u.bytes {
				return 0, fmt.Errorf("%s is too large", quote(s))
			}
			return int64(n) * u.bytes, nil
		}
	}
	return 0, fmt.Errorf("%s is not a size; write digits and B, KB, MB, GB, KiB, MiB or GiB, such as \"64KiB\"", quote(s))
}

// formatSize writes a size in the largest unit of 1024 that leaves no rest.
func formatSize(n int64) string {
	for _, u := range units() {
		powerOf2 := u.bytes&(u.bytes-1) == 0
		if powerOf2 && n%u.bytes == 0 && n >= u.bytes {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0"
}

// size returns a reader of a size in bytes between low and high.
func size[T int | int64](dst *T, example string, low, high int64) func(node) {
	return scalar(dst, `"0`, "a size", example, func(s string) (T, error) {
		n, err := parseSize(s)
		if err == nil && (n < low || n > high) {
			err = fmt.Errorf("%s is out of range; it can be %s to %s", quote(s), formatSize(low), formatSize(high))
		}
		return T(n), err
	})
}

// number returns a reader of a whole number between low and high.
func number(dst *int, example string, low, high int) func(node) {
	return scalar(dst, "0", "a whole number", example, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if errors.Is(err, strconv.ErrSyntax) {
			return 0, fmt.Errorf("%s is not a whole number in plain digits", short(s))
		}
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%s is out of range; it can be %d to %d", short(s), low, high)
		}
		return n, nil
	})
}

// duration returns a reader of a time between low and high.
func duration(dst *time.Duration, example string, low, high time.Duration) func(node) {
	return text(dst, example, func(s string) (time.Duration, error) {
		if s != "" && strings.Trim(s, "0123456789.") == "" {
			return 0, fmt.Errorf(`%s has no unit; write ms, s, m or h behind it, such as %s`, quote(s), example)
		}
		v, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%s is not a time; write digits and ms, s, m or h, such as %s", quote(s), example)
		}
		if v < low || v > high {
			return 0, fmt.Errorf("%s is out of range; it can be %s to %s", quote(s), formatDuration(low), formatDuration(high))
		}
		return v, nil
	})
}

// formatDuration is Duration.String without its zeros: 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// maxPercent leaves the rest of the system some memory.
const maxPercent = 90

// maxMemory is more than any machine has.
const maxMemory = 1 << 50

// parseMemory reads a size or a part such as 25%.
func parseMemory(s string) (Memory, error) {
	digits, isPart := strings.CutSuffix(s, "%")
	if !isPart {
		n, err := parseSize(s)
		if err == nil && n > maxMemory {
			err = fmt.Errorf("%s is out of range; it can be 0 to %s", quote(s), formatSize(maxMemory))
		}
		return Memory{Bytes: n}, err
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) {
		return Memory{}, fmt.Errorf("%s is not a part; write whole percents, such as \"25%%\"", quote(s))
	}
	if err != nil || n > maxPercent {
		return Memory{}, fmt.Errorf("%s is out of range; it can be 0%% to %d%%", quote(s), maxPercent)
	}
	return Memory{Percent: int(n)}, nil
}

// parseMode reads mode bits as chmod takes them.
func parseMode(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%s is not a mode; write up to four octal digits as for chmod, such as \"0004\"", quote(s))
	}
	return uint32(n), nil
}
