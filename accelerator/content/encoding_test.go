package content

import (
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	identity := &Representation{Size: 100}
	gz := &Representation{Encoding: "gzip", Size: 40}
	zst := &Representation{Encoding: "zstd", Size: 35}
	br := &Representation{Encoding: "br", Size: 30}
	all := &Object{Representations: []*Representation{identity, br, zst, gz}}
	plain := &Object{Representations: []*Representation{identity}}
	tests := []struct {
		object *Object
		accept string
		want   *Representation
	}{
		{all, "identity;q=0", nil},
		{all, "*;q=0", nil},
		{all, "deflate, identity;q=0", nil},
		{plain, "gzip, identity;q=0", nil},
		{plain, "gzip, *;q=0", nil},
		{all, "br;q=x", identity},
		{all, "br;q=2", identity},
		{all, "br;q=1.1", identity},
		{all, "br;q=0.1234", identity},
		{all, "br;q=-1", identity},
		{all, "br;quality=1", identity},
		{all, ",,;;q=,", identity},
		{all, "brotli", identity},

		{all, "", identity},
		{all, "identity", identity},
		{all, "gzip", gz},
		{all, "x-gzip", gz},
		{all, "GZIP;Q=0.5", gz},
		{all, "gzip, deflate, br, zstd", br},
		{all, "gzip, zstd", zst},
		{all, "gzip;q=1.0, br;q=0.9", gz},
		{all, "gzip;q=1.000, br;q=0.999", gz},
		{all, " gzip ; q=0.8 , br ; q=0.9 ", br},
		{all, "*", br},
		{all, "*;q=0.5, br;q=0", zst},
		{all, "gzip;q=0.5, identity;q=0.8", identity},
		{all, "gzip;q=0.001", gz},
		{all, "gzip;q=0", identity},
		{all, "gzip;q=0., br;q=1.", br},
		{plain, "gzip, br", identity},
		{plain, "*", identity},
	}
	for _, test := range tests {
		if got := test.object.Select(test.accept); got != test.want {
			t.Errorf("Select(%q) = %+v, want %+v", test.accept, got, test.want)
		}
	}
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, s := range []string{"", "gzip, br;q=0.5", "*;q=0", "identity;q=0, *;q=1", "br;q=0.999,gzip;q=1.000", ";;,=q"} {
		f.Add(s)
	}
	o := &Object{Representations: []*Representation{{Size: 3}, {Encoding: "br", Size: 1}, {Encoding: "gzip", Size: 2}}}
	f.Fuzz(func(t *testing.T, field string) {
		a := ParseAcceptEncoding(field)
		for _, q := range append(a.quality[:], a.own, a.star) {
			if q < unnamed || q > 1000 {
				t.Fatalf("%q: quality %d", field, q)
			}
		}
		got := o.Select(field)
		if got == nil && !strings.Contains(field, "0") {
			t.Fatalf("%q: nothing acceptable without a quality of 0", field)
		}
		if got != nil && !slices.Contains(o.Representations, got) {
			t.Fatalf("%q: a representation of another object", field)
		}
		if got != nil && got.Encoding != "" && !strings.Contains(field, "*") && !strings.Contains(strings.ToLower(field), got.Encoding) {
			t.Fatalf("%q: %s was not asked for", field, got.Encoding)
		}
	})
}
