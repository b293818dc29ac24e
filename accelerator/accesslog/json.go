package accesslog

import (
	"strconv"
	"time"
)

// json appends a line that is a JSON object with the Fields, in their order.
func (f *formatter) json(b []byte, r *Record) []byte {
	b = append(b, `{"time":"`...)
	b = append(b, f.stamp.at(r.Time).json[:]...)
	b = append(b, '.')
	b = appendDigits(b, uint64(r.Time-f.stamp.second*int64(time.Second))/uint64(time.Millisecond), 3)
	b = append(b, `Z","remote":"`...)
	b = appendRemote(b, r)
	b = append(b, `","method":"`...)
	b = r.quoted(b, r.Method)
	b = append(b, `","target":"`...)
	b = r.quoted(b, r.Target)
	b = append(b, `","protocol":"`...)
	b = r.quoted(b, r.Protocol)
	b = append(b, `","host":"`...)
	b = r.quoted(b, r.Host)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, r.Bytes, 10)
	b = append(b, `,"duration":`...)
	b = appendSeconds(b, r.Duration)
	b = append(b, `,"referer":"`...)
	b = r.quoted(b, r.Referer)
	b = append(b, `","user_agent":"`...)
	b = r.quoted(b, r.UserAgent)
	b = append(b, '"')
	if f := &r.Forward; len(f.Backend)|len(f.Event) > 0 {
		b = r.forward(b)
	}
	return append(b, "}\n"...)
}

// forward appends what is known of a request that was forwarded.
func (r *Record) forward(b []byte) []byte {
	f := &r.Forward
	if len(f.Backend) > 0 {
		b = append(b, `,"backend":"`...)
		b = r.quoted(b, f.Backend)
		b = append(b, '"')
		for _, t := range [...]struct {
			name string
			time time.Duration
		}{
			{`,"connect":`, f.Connect}, {`,"first_byte":`, f.FirstByte}, {`,"backend_duration":`, f.Duration},
		} {
			if t.time != 0 {
				b = append(b, t.name...)
				b = appendSeconds(b, t.time)
			}
		}
		b = append(b, `,"retries":`...)
		b = strconv.AppendInt(b, int64(f.Retries), 10)
	}
	if len(f.Event) > 0 {
		b = append(b, `,"event":"`...)
		b = r.quoted(b, f.Event)
		b = append(b, '"')
	}
	return b
}

// appendSeconds appends seconds with six decimals. A clock that was set back does
// not make a time negative.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := uint64(max(d, 0) / time.Microsecond)
	b = strconv.AppendUint(b, us/1e6, 10)
	b = append(b, '.')
	return appendDigits(b, us%1e6, 6)
}

// appendDigits appends the last digits of n, with leading zeros.
func appendDigits(b []byte, n uint64, digits int) []byte {
	for range digits {
		b = append(b, '0')
	}
	for i := len(b) - 1; digits > 0; i, digits = i-1, digits-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
