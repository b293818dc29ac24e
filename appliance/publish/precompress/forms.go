// Package precompress makes the compressed forms of text that the accelerator serves instead of it: a.html.br, .zst and .gz
// beside a.html. What was compressed once is remembered by its SHA-256.
package precompress

import (
	"bytes"
	"path"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The levels. BenchmarkLevels measures them; LEVELS.md has the result, and why these.
const (
	brotliLevel = 6
	zstdLevel   = zstd.SpeedBestCompression
	gzipLevel   = 8
)

// levels names what is remembered: another one for others.
const levels = "1"

// form is one way to compress.
type form struct {
	suffix   string
	compress func(text []byte) ([]byte, error)
}

var forms = []form{
	{".br", func(text []byte) ([]byte, error) { return brotliOf(text, brotliLevel) }},
	{".zst", func(text []byte) ([]byte, error) { return zstdOf(text, zstdLevel) }},
	{".gz", func(text []byte) ([]byte, error) { return gzipOf(text, gzipLevel) }},
}

func brotliOf(text []byte, level int) ([]byte, error) {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, level)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// window is the largest that a client of HTTP has to have room for: RFC 9659 §3.
const window = 8 << 20

var encoders sync.Map // zstd.EncoderLevel: func() (*zstd.Encoder, error). One of them may be used by all at the same time.

func zstdOf(text []byte, level zstd.EncoderLevel) ([]byte, error) {
	made, _ := encoders.LoadOrStore(level, sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window))
	}))
	encoder, err := made.(func() (*zstd.Encoder, error))()
	if err != nil {
		return nil, err
	}
	return encoder.EncodeAll(text, nil), nil
}

func gzipOf(text []byte, level int) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// The sizes of files that are compressed, in bytes. A smaller one is a packet in any case; a larger one would take minutes.
const (
	leastSize = 1000
	mostSize  = 32 << 20
)

// extensions are those of text, and of what is like it. Images, films and archives are compressed already.
var extensions = func() map[string]bool {
	all := map[string]bool{}
	for e := range strings.FieldsSeq(`atom bmp c cc conf cpp css csv diff dtd eot eps geojson go h htm html ico ics ini java js json jsonld log m3u8 map md mjs mpd
		otf patch pem ps py rs rss rst rtf sh sql svg tex text toml tsv ttf txt vcf vtt wasm webmanifest xhtml xml xsd xsl xslt yaml yml`) {
		all["."+e] = true
	}
	return all
}()

func worthTrying(name string, size int64) bool {
	return size >= leastSize && size <= mostSize && extensions[strings.ToLower(path.Ext(name))]
}

// saves tells whether a form is worth its place: 5 %.
func saves(form, text int) bool { return int64(form)*100 <= int64(text)*95 }
