package release

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Content is what stands in a stream before the bytes of one: a line "hash size from". Only those from `from` on follow.
type Content struct {
	Hash       Hash
	Size, From int64 // bytes
}

// Line is what Receive reads.
func (c Content) Line() string { return fmt.Sprintf("%s %d %d\n", c.Hash, c.Size, c.From) }

// maxLine bounds that line, in bytes.
const maxLine = 128

func parseContent(line string) (c Content, err error) {
	words := strings.Split(line, " ")
	if len(words) == 3 {
		if c.Hash, err = ParseHash(words[0]); err == nil {
			c.Size, err = strconv.ParseInt(words[1], 10, 64)
		}
		if err == nil {
			c.From, err = strconv.ParseInt(words[2], 10, 64)
		}
	}
	if err != nil || len(words) != 3 || c.Size < 0 || c.Size > maxSize || c.From < 0 || c.From > c.Size {
		return c, refusedf("before the bytes of a content a line has to say: hash, size, and from where on they come. This one does not: %q", line)
	}
	return c, nil
}

// Receive takes a stream of contents, and returns how many it has taken. Each of them counts once it has arrived whole and
// its hash is right, whatever becomes of those behind it. Of one that is cut, what has arrived is kept, if it is worth it.
func (s *Store) Receive(ctx context.Context, r io.Reader) (n int, err error) {
	h, err := s.open()
	if err != nil {
		return 0, err
	}
	defer h.close()
	in := bufio.NewReaderSize(r, buffer)
	for ; ctx.Err() == nil; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return n, nil
		case err == io.EOF:
			return n, readError{io.ErrUnexpectedEOF}
		case err == bufio.ErrBufferFull || err == nil && len(line) > maxLine:
			line = line[:maxLine]
		case err != nil:
			return n, readError{err}
		}
		c, err := parseContent(strings.TrimSuffix(string(line), "\n"))
		if err != nil {
			return n, err
		}
		bytes := &io.LimitedReader{R: in, N: c.Size - c.From}
		if err := s.receive(h, c.Hash, c.Size, c.From, bytes); err != nil {
			return n, fmt.Errorf("%s: %w", c.Hash, err)
		}
		if _, err := io.Copy(io.Discard, bytes); err != nil { // It was here before.
			return n, readError{err}
		}
		if bytes.N > 0 {
			return n, readError{io.ErrUnexpectedEOF}
		}
	}
	return n, ctx.Err()
}
