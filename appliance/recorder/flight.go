package recorder

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/durable"
)

// Summary is what a flight is about: the first line of its file. The others are its records.
type Summary struct {
	ID    int       `json:"id"`
	Why   string    `json:"why"`
	Boot  string    `json:"boot"`
	Seq   uint64    `json:"seq"` // of its last block
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
}

// Flight is one that was kept.
type Flight struct {
	Summary
	Records []Record `json:"records"`
}

// ErrNone is the answer to an ID that no flight has, or has any more.
var ErrNone = errors.New("there is no such flight")

func formatBoot(id [16]byte) string {
	t := hex.EncodeToString(id[:])
	return strings.Join([]string{t[:8], t[8:12], t[12:16], t[16:20], t[20:]}, "-")
}

// store keeps the end of a start of the machine as a flight, and removes the oldest. The same end is kept once.
func (r *Recorder) store(all []block, boot [16]byte, why string) (id int, err error) {
	f := Flight{Summary: Summary{Why: why, Boot: formatBoot(boot)}}
	for _, b := range all {
		if b.boot == boot {
			f.Records, f.Seq = append(f.Records, decode(b.records)...), b.seq
		}
	}
	n := len(f.Records)
	if n == 0 {
		return 0, nil
	}
	begin, _ := slices.BinarySearchFunc(f.Records, f.Records[n-1].Up-span.Milliseconds(), func(r Record, up int64) int { return cmp.Compare(r.Up, up) })
	f.Records = f.Records[begin:]
	f.Began, f.Ended = f.Records[0].When(), f.Records[len(f.Records)-1].When()
	kept, err := r.List()
	if err != nil {
		return 0, err
	}
	f.ID = 1
	if len(kept) > 0 {
		newest := kept[0]
		if newest.Boot == f.Boot && newest.Seq == f.Seq {
			return newest.ID, nil
		}
		f.ID = newest.ID + 1
	}
	if err := r.save(f); err != nil {
		return 0, err
	}
	for _, old := range kept[min(len(kept), keepFlights-1):] {
		if err := os.Remove(r.file(old.ID)); err != nil {
			r.Log.Info("an old flight stays", "id", old.ID, "err", err)
		}
	}
	return f.ID, nil
}

func (r *Recorder) file(id int) string {
	return filepath.Join(r.Flights, fmt.Sprintf("%06d.jsonl.gz", id))
}

func (r *Recorder) save(f Flight) error {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	out := json.NewEncoder(z)
	err := out.Encode(f.Summary)
	for _, rec := range f.Records {
		err = errors.Join(err, out.Encode(rec))
	}
	if err := errors.Join(err, z.Close(), durable.MakeDir(r.Flights)); err != nil {
		return err
	}
	return durable.Write(r.file(f.ID), packed.Bytes())
}

// List returns the flights that are kept, the newest first.
func (r *Recorder) List() ([]Summary, error) {
	entries, err := os.ReadDir(r.Flights)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	all := []Summary{}
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), ".")
		id, err := strconv.Atoi(number)
		if err != nil || e.Name() != filepath.Base(r.file(id)) {
			continue
		}
		f, err := r.read(id, false)
		if err != nil {
			f.Why = "it cannot be read: " + err.Error()
		}
		f.ID = id
		all = append(all, f.Summary)
	}
	slices.SortFunc(all, func(a, b Summary) int { return cmp.Compare(b.ID, a.ID) })
	return all, nil
}

// Read returns a flight.
func (r *Recorder) Read(id int) (Flight, error) { return r.read(id, true) }

func (r *Recorder) read(id int, whole bool) (f Flight, err error) {
	packed, err := os.Open(r.file(id))
	if errors.Is(err, os.ErrNotExist) {
		return f, ErrNone
	} else if err != nil {
		return f, err
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		return f, err
	}
	in := json.NewDecoder(z)
	if err := in.Decode(&f.Summary); err != nil || !whole {
		return f, err
	}
	for {
		var rec Record
		if err := in.Decode(&rec); errors.Is(err, io.EOF) {
			return f, nil
		} else if err != nil {
			return f, err
		}
		f.Records = append(f.Records, rec)
	}
}

// flightOf returns the newest flight of a start of the machine, 0 if there is none.
func (r *Recorder) flightOf(boot string) int {
	all, _ := r.List()
	for _, s := range all {
		if s.Boot == boot {
			return s.ID
		}
	}
	return 0
}

// Write writes the flight for people.
func (f Flight) Write(out io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "flight %d: %s\n%s to %s, start of the machine %s\n\n", f.ID, f.Why, f.Began.Format(time.RFC3339), f.Ended.Format(time.RFC3339), f.Boot)
	for _, rec := range f.Records {
		fmt.Fprintf(&b, "%s %10.3f  %s\n", rec.When().Format("15:04:05"), float64(rec.Up)/1000, rec)
	}
	_, err := out.Write(b.Bytes())
	return err
}
