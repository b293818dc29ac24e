package content

import (
	"strconv"
	"strings"
)

// encodings are the content codings that a sibling file may hold, by suffix.
var encodings = [...]struct{ suffix, coding string }{
	{".br", "br"},
	{".zst", "zstd"},
	{".gz", "gzip"},
}

// An Acceptance is what an Accept-Encoding field asks for: a quality in
// thousandths for each coding that we can have.
type Acceptance struct {
	quality [len(encodings)]int16 // in the order of encodings, or unnamed
	own     int16                 // of identity
	star    int16                 // of "*"
}

// unnamed is the quality of a coding that the field does not name.
const unnamed = -1

// acceptAny is the Acceptance of an empty field.
var acceptAny = Acceptance{quality: [len(encodings)]int16{unnamed, unnamed, unnamed}, own: unnamed, star: unnamed}

// ParseAcceptEncoding reads an Accept-Encoding field (RFC 9110 §12.5.3), several
// lines already joined by commas. A member that is malformed is left out, as if
// it had not been sent. It allocates nothing and keeps nothing of field.
func ParseAcceptEncoding(field string) Acceptance {
	a := acceptAny
	for field != "" {
		var member string
		member, field, _ = strings.Cut(field, ",")
		coding, params, hasParams := strings.Cut(member, ";")
		q := int16(1000)
		if hasParams {
			var ok bool
			if q, ok = parseQuality(params); !ok {
				continue
			}
		}
		a.name(strings.TrimSpace(coding), q)
	}
	return a
}

// name notes the quality of a coding; the last word counts.
func (a *Acceptance) name(coding string, q int16) {
	if coding == "*" {
		a.star = q
		return
	}
	if len(coding) > 2 && coding[0]|0x20 == 'x' && coding[1] == '-' {
		coding = coding[2:] // x-gzip is gzip: RFC 9110 §8.4.1.3
	}
	if strings.EqualFold(coding, identityCoding) {
		a.own = q
		return
	}
	for i := range encodings {
		if strings.EqualFold(coding, encodings[i].coding) {
			a.quality[i] = q
		}
	}
}

// parseQuality reads "q=0.5" into thousandths (RFC 9110 §12.4.2).
func parseQuality(s string) (int16, bool) {
	name, value, ok := strings.Cut(strings.TrimSpace(s), "=")
	if !ok || !strings.EqualFold(name, "q") || value == "" || len(value) > 5 {
		return 0, false
	}
	whole, fraction, _ := strings.Cut(value, ".")
	if whole != "0" && whole != "1" {
		return 0, false
	}
	thousandths := int16(0)
	if fraction != "" {
		n, err := strconv.ParseUint(fraction, 10, 16)
		if err != nil {
			return 0, false
		}
		thousandths = int16(n)
		for range 3 - len(fraction) {
			thousandths *= 10
		}
	}
	if whole == "1" {
		return 1000, thousandths == 0
	}
	return thousandths, true
}

// of returns the quality of a representation, 0 for not acceptable. Identity
// that is not named is acceptable, but anything asked for by name is better.
func (a *Acceptance) of(r *Representation) int16 {
	q, least := a.own, int16(leastQuality)
	for i := range encodings {
		if r.Encoding == encodings[i].coding {
			q, least = a.quality[i], 0
		}
	}
	switch {
	case q != unnamed:
		return q
	case a.star != unnamed:
		return a.star
	default:
		return least
	}
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
	a := ParseAcceptEncoding(acceptEncoding)
	if i := o.choose(&a); i >= 0 {
		return o.Representations[i]
	}
	return nil
}

// choose returns the index of the representation to send, or -1.
func (o *Object) choose(a *Acceptance) int {
	best, bestQuality := -1, int16(0)
	for i, r := range o.Representations {
		q := a.of(r)
		if q > bestQuality || q == bestQuality && q > 0 && r.Size < o.Representations[best].Size {
			best, bestQuality = i, q
		}
	}
	return best
}
