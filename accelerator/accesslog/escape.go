package accesslog

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// escaped appends a text of r for common and combined. Everything but visible ASCII
// and blanks, and the quote and the backslash, becomes \xHH, as with nginx: a line
// stays a line, a field ends at the next quote, and no byte of a client reaches a
// terminal.
func (r *Record) escaped(b, text []byte) []byte {
	if r.plain {
		return append(b, text...)
	}
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// quoted appends a text of r as the inside of a JSON string (RFC 8259 §7). Control
// characters of Unicode and its line separators, which some readers take for the
// end of a line, are escaped; what is not UTF-8 becomes U+FFFD.
func (r *Record) quoted(b, text []byte) []byte {
	if r.plain {
		return append(b, text...)
	}
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case unicode.IsControl(c) || c == '\u2028' || c == '\u2029':
			b = append(b, '\\', 'u', hexDigits[c>>12&15], hexDigits[c>>8&15], hexDigits[c>>4&15], hexDigits[c&15])
		default:
			b = utf8.AppendRune(b, c)
		}
		text = text[n:]
	}
	return b
}

// Eight times the same byte.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// plain reports whether no format escapes any byte of the texts: all of it is
// visible ASCII or blank, and neither quote nor backslash. Nearly all requests are
// like that, so this is looked for first, and eight bytes at a time.
func plain(texts []byte) bool {
	if len(texts) < 8 {
		for _, c := range texts {
			if c < ' ' || c > '~' || c == '"' || c == '\\' {
				return false
			}
		}
		return true
	}
	var a, b uint64
	last := binary.LittleEndian.Uint64(texts[len(texts)-8:])
	for len(texts) >= 16 {
		a |= odd(binary.LittleEndian.Uint64(texts))
		b |= odd(binary.LittleEndian.Uint64(texts[8:]))
		texts = texts[16:]
	}
	if len(texts) >= 8 {
		a |= odd(binary.LittleEndian.Uint64(texts))
	}
	return (a|b|odd(last))&highs == 0
}

// odd sets the high bit of a byte of its result, among others that do not count,
// if one of the eight bytes of x is not plain. A byte without a high bit is below
// ' ' if subtracting ' ' sets that bit, and is equal to c if subtracting 1 from it
// XOR c does. A byte that borrows from the next one is not plain itself.
func odd(x uint64) uint64 {
	return x | (x + ones) | (x - ' '*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)
}
