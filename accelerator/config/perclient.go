package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	maxRate     = 1_000_000 // in a time; above that a rate is none
	maxInFlight = 100_000
)

func (p *PerClient) read(n node) {
	const example = `{"rate": "50/s"}`
	p.IPv4Prefix, p.IPv6Prefix = 32, 64
	mistakes := len(n.d.mistakes)
	n.object(example, keys{
		"rate":        text(&p.Rate, `"50/s"`, parseRate),
		"burst":       number(&p.Burst, "100", 1, maxInFlight),
		"in_flight":   number(&p.InFlight, "10", 1, maxInFlight),
		"ipv4_prefix": number(&p.IPv4Prefix, "24", 8, 32),
		"ipv6_prefix": number(&p.IPv6Prefix, "48", 16, 128),
	})
	switch {
	case len(n.d.mistakes) > mistakes:
	case p.Rate.Requests > 0 && p.Burst == 0:
		p.Burst = p.Rate.Requests
	case p.Rate.Requests == 0 && p.Burst > 0:
		n.fail("a burst needs a rate; write %s", example)
	case p.Rate.Requests == 0 && p.InFlight == 0:
		n.fail("nothing is limited; write %s", example)
	}
}

// parseRate reads a number of requests in a time.
func parseRate(s string) (Rate, error) {
	times := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
	digits, unit, _ := strings.Cut(s, "/")
	per, known := times[unit]
	if !known || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return Rate{}, fmt.Errorf("%s is not a rate; write a number and /s, /m or /h, such as \"50/s\"", quote(s))
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > maxRate {
		return Rate{}, fmt.Errorf("%s is out of range; it can be 1 to %d in a time", quote(s), maxRate)
	}
	return Rate{n, per}, nil
}
