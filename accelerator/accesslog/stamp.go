package accesslog

import "time"

// The forms of time: that of CLF, always in UTC, so that machines and seasons
// compare; and RFC 3339 without its fraction.
const (
	clfTime  = "02/Jan/2006:15:04:05 -0700"
	jsonTime = "2006-01-02T15:04:05"
)

// stamp is one second as text. It is rendered once and used for all requests of
// that second.
type stamp struct {
	second int64 // since 1970
	valid  bool
	clf    [len(clfTime)]byte
	json   [len(jsonTime)]byte
}

// at makes s the second of the time, in nanoseconds since 1970.
func (s *stamp) at(ns int64) *stamp {
	second := ns / int64(time.Second)
	if ns%int64(time.Second) < 0 {
		second--
	}
	if second == s.second && s.valid {
		return s
	}
	s.second, s.valid = second, true
	t := time.Unix(second, 0).UTC() // Nanoseconds end in 2262: years have four digits.
	t.AppendFormat(s.clf[:0], clfTime)
	t.AppendFormat(s.json[:0], jsonTime)
	return s
}
