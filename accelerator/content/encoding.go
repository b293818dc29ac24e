package content

import (
	"strconv"
	"strings"
)

// encodings are the content codings that a sibling file may hold, by suffix.
var encodings = []struct{ suffix, coding string }{
	{".br", "br"},
	{".zst", "zstd"},
	{".gz", "gzip"},
}

// acceptance is what an Accept-Encoding field asks for: a quality in thousandths
// for each coding it names.
type acceptance struct {
	named map[string]int
	star  int // quality of "*", or -1
}

// parseAcceptEncoding reads an Accept-Encoding field (RFC 9110 §12.5.3), several
// lines already joined by commas. A member that is malformed is left out, as if
// it had not been sent.
func parseAcceptEncoding(field string) acceptance {
	a := acceptance{star: -1}
	for member := range strings.SplitSeq(field, ",") {
		coding, params, hasParams := strings.Cut(member, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		q := 1000
		if hasParams {
			var ok bool
			if q, ok = parseQuality(params); !ok {
				continue
			}
		}
		switch coding {
		case "":
		case "*":
			a.star = q
		default:
			if a.named == nil {
				a.named = make(map[string]int, 4)
			}
			a.named[strings.TrimPrefix(coding, "x-")] = q // x-gzip is gzip: RFC 9110 §8.4.1.3
		}
	}
	return a
}

// parseQuality reads "q=0.5" into thousandths (RFC 9110 §12.4.2).
func parseQuality(s string) (int, bool) {
	name, value, ok := strings.Cut(strings.TrimSpace(s), "=")
	if !ok || !strings.EqualFold(name, "q") || value == "" || len(value) > 5 {
		return 0, false
	}
	whole, fraction, _ := strings.Cut(value, ".")
	if whole != "0" && whole != "1" {
		return 0, false
	}
	thousandths := 0
	if fraction != "" {
		n, err := strconv.ParseUint(fraction, 10, 16)
		if err != nil {
			return 0, false
		}
		thousandths = int(n)
		for range 3 - len(fraction) {
			thousandths *= 10
		}
	}
	if whole == "1" {
		return 1000, thousandths == 0
	}
	return thousandths, true
}

// quality returns the quality of a coding, 0 for not acceptable. Identity that
// is not named is acceptable, but anything asked for by name is better.
func (a acceptance) quality(coding string) int {
	if q, ok := a.named[coding]; ok {
		return q
	}
	if a.star >= 0 {
		return a.star
	}
	if coding == identityCoding {
		return leastQuality
	}
	return 0
}

const (
	identityCoding = "identity"
	leastQuality   = 1 // Thousandths; the least that is still acceptable.
)

// Select returns the representation to send for an Accept-Encoding field (the
// lines of the field joined by commas): the best quality, and of equals the
// smallest. It is nil if the client accepts none of them.
func (o *Object) Select(acceptEncoding string) *Representation {
	if acceptEncoding == "" {
		return o.Representations[0]
	}
	a := parseAcceptEncoding(acceptEncoding)
	var best *Representation
	bestQuality := 0
	for _, r := range o.Representations {
		coding := r.Encoding
		if coding == "" {
			coding = identityCoding
		}
		q := a.quality(coding)
		if q > bestQuality || q == bestQuality && q > 0 && r.Size < best.Size {
			best, bestQuality = r, q
		}
	}
	return best
}
