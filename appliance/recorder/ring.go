package recorder

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"ramjet/appliance/durable"
)

// The ring is a file of blocks which are written one after the other, over and over. A block is written once and never
// added to, and has a checksum: a power cut costs the one that was being written, and nothing that was there before.
//
//	0  magic       8 bytes
//	8  boot       16 bytes  which start of the machine it is of
//	24 sequence    8 bytes  little endian, as all numbers; block n is at position n modulo the size of the ring
//	32 length      4 bytes  of the records
//	36 checksum    4 bytes  CRC-32C of all bytes before it and of the records
//	40 records              JSON, one on a line
//	   zeros                to the end
//
// What it does to the disk: one write of 4 KiB and an fdatasync. The file is made longer by 64 KiB at a time, so that most
// of these change nothing but the block: then the file system has next to nothing of its own to write.
const (
	blockBytes = 4096
	headBytes  = 40
	roomBytes  = blockBytes - headBytes
	growBytes  = 16 * blockBytes
)

var (
	magic      = []byte("ramjet\x00\x01")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

type block struct {
	boot    [16]byte
	seq     uint64
	records []byte
}

// marshal returns the block as it is on the disk.
func (b block) marshal() []byte {
	out := make([]byte, blockBytes)
	copy(out, magic)
	copy(out[8:], b.boot[:])
	binary.LittleEndian.PutUint64(out[24:], b.seq)
	binary.LittleEndian.PutUint32(out[32:], uint32(len(b.records)))
	copy(out[headBytes:], b.records)
	binary.LittleEndian.PutUint32(out[36:], sum(out, len(b.records)))
	return out
}

func sum(raw []byte, length int) uint32 {
	return crc32.Update(crc32.Checksum(raw[:36], castagnoli), castagnoli, raw[headBytes:headBytes+length])
}

// unmarshal reports whether the bytes are a block that is whole. The records share their memory.
func unmarshal(raw []byte) (b block, ok bool) {
	if len(raw) != blockBytes || !bytes.Equal(raw[:8], magic) {
		return b, false
	}
	length := binary.LittleEndian.Uint32(raw[32:])
	if length > roomBytes || binary.LittleEndian.Uint32(raw[36:]) != sum(raw, int(length)) {
		return b, false
	}
	copy(b.boot[:], raw[8:])
	b.seq, b.records = binary.LittleEndian.Uint64(raw[24:]), raw[headBytes:headBytes+length]
	return b, true
}

type ring struct {
	file   *os.File
	boot   [16]byte
	blocks uint64 // of the whole ring
	next   uint64 // the sequence number
	size   int64  // of the file
}

// openRing opens the ring, or makes it, and returns the blocks that there are, in their order.
func openRing(path string, boot [16]byte, blocks uint64) (*ring, []block, error) {
	if err := durable.MakeDir(filepath.Dir(path)); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	r := &ring{file: f, boot: boot, blocks: blocks}
	all, err := r.read()
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	if len(all) > 0 {
		r.next = all[len(all)-1].seq + 1
	}
	return r, all, nil
}

// read returns the blocks that are whole, in their order.
func (r *ring) read() ([]block, error) {
	info, err := r.file.Stat()
	if err != nil {
		return nil, err
	}
	r.size = info.Size() / blockBytes * blockBytes
	raw := make([]byte, min(r.size, int64(r.blocks)*blockBytes))
	if n, err := r.file.ReadAt(raw, 0); err != nil && n != len(raw) {
		return nil, err
	}
	var all []block
	for chunk := range slices.Chunk(raw, blockBytes) {
		if b, ok := unmarshal(chunk); ok {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b block) int { return cmp.Compare(a.seq, b.seq) })
	return all, nil
}

// append writes the next block. It is on the disk after sync.
func (r *ring) append(records []byte) error {
	if len(records) > roomBytes {
		return fmt.Errorf("%d bytes are too many for a block", len(records))
	}
	at := int64(r.next%r.blocks) * blockBytes
	if at >= r.size {
		// A block at a time: the page cache would make one piece of a longer write, and take it for changed as a whole later.
		zeros := make([]byte, blockBytes)
		for end := min(at+growBytes, int64(r.blocks)*blockBytes); r.size < end; r.size += blockBytes {
			if _, err := r.file.WriteAt(zeros, r.size); err != nil {
				return err
			}
		}
	}
	if _, err := r.file.WriteAt(block{r.boot, r.next, records}.marshal(), at); err != nil {
		return err
	}
	r.next++
	return nil
}

func (r *ring) sync() error {
	return os.NewSyscallError("fdatasync", unix.Fdatasync(int(r.file.Fd())))
}

func (r *ring) close() {
	if r != nil {
		r.file.Close()
	}
}

// parseBoot reads a UUID, as /proc/sys/kernel/random/boot_id has it.
func parseBoot(text string) (id [16]byte, err error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), "-", ""))
	if err == nil && len(raw) != len(id) {
		err = fmt.Errorf("%q is no boot ID", text)
	}
	copy(id[:], raw)
	return id, err
}
