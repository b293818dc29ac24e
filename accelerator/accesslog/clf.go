package accesslog

import "strconv"

// common appends a line in Common Log Format. Identity (RFC 1413) and user are
// never known.
func (f *formatter) common(b []byte, r *Record) []byte {
	return append(f.clf(b, r), '\n')
}

// combined appends a line in Apache's Combined Log Format.
func (f *formatter) combined(b []byte, r *Record) []byte {
	b = f.clf(b, r)
	b = append(b, ` "`...)
	b = r.optional(b, r.Referer)
	b = append(b, `" "`...)
	b = r.optional(b, r.UserAgent)
	return append(b, "\"\n"...)
}

func (f *formatter) clf(b []byte, r *Record) []byte {
	b = appendRemote(b, r)
	b = append(b, " - - ["...)
	b = append(b, f.stamp.at(r.Time).clf[:]...)
	b = append(b, `] "`...)
	if len(r.Method) == 0 {
		b = append(b, '-')
	} else {
		b = r.escaped(b, r.Method)
		b = append(b, ' ')
		b = r.escaped(b, r.Target)
		b = append(b, ' ')
		b = r.escaped(b, r.Protocol)
	}
	b = append(b, `" `...)
	b = appendStatus(b, r.Status)
	b = append(b, ' ')
	if r.Bytes == 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, r.Bytes, 10)
}

// optional appends a field in quotes, without the quotes; one that is not there is
// a hyphen.
func (r *Record) optional(b, text []byte) []byte {
	if len(text) == 0 {
		return append(b, '-')
	}
	return r.escaped(b, text)
}

func appendRemote(b []byte, r *Record) []byte {
	switch {
	case r.Remote.Is4():
		for _, n := range r.Remote.As4() {
			d := &octets[n]
			b = append(b, d.text[:]...)[:len(b)+d.length]
		}
		return b[:len(b)-1]
	case r.Remote.IsValid():
		return r.Remote.AppendTo(b)
	default:
		return append(b, '-')
	}
}

// octets are the numbers of an IPv4 address with a dot behind them. Every line has
// four, so they are not made anew.
var octets = func() (all [256]struct {
	text   [4]byte
	length int
}) {
	for n := range all {
		all[n].length = copy(all[n].text[:], strconv.Itoa(n)+".")
	}
	return all
}()

// appendStatus appends three digits, whatever the status.
func appendStatus(b []byte, status int) []byte {
	s := uint(status) % 1000
	return append(b, byte('0'+s/100), byte('0'+s/10%10), byte('0'+s%10))
}
