package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"ramjet/accelerator/backend"
)

// Kind is what a check does.
type Kind int

// The kinds of check.
const (
	TCP  Kind = iota // a connection is made and closed
	HTTP             // a GET is sent, and the answer looked at
	Off              // nothing is asked: all are well
)

// Check is one question, and how often it is asked.
type Check struct {
	Kind Kind

	Path   string      // of HTTP: origin-form, with a query if there is one
	Host   string      // of HTTP: the Host field; empty: the backend's own
	Status []Range     // of HTTP: what a good answer may have
	Body   string      // of HTTP: what the first 64 KiB of a good answer contain
	TLS    *tls.Config // of HTTP, for https backends; nil verifies against the system's roots

	// Greeting is sent first on each connection, as a header of the PROXY protocol that
	// says that nobody is behind it.
	Greeting []byte

	Agent Agent // is asked as well

	Interval time.Duration // from one answer to the next question, give or take a tenth
	Timeout  time.Duration // for connection, question and answer together
	Rise     int           // good answers in a row that make a backend well; the very first one does
	Fall     int           // bad answers in a row that make it unwell
}

// Range is the status codes from First to Last.
type Range struct{ First, Last int }

// maxBody bounds what is read of an answer to find Check.Body in.
const maxBody = 64 << 10

// client asks. A check has a connection of its own: it shall tell whether new
// ones are accepted. It goes where it is sent, not where an answer points.
func (c *Check) client(b *backend.Backend) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return c.connect(ctx, b) },
			TLSClientConfig:        c.TLS,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask returns nil if the backend is well, or what is wrong with it.
func (c *Check) ask(ctx context.Context, b *backend.Backend) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no answer within %v", c.Timeout))
	defer cancel()
	var err error
	if c.Kind == TCP {
		err = c.open(ctx, b)
	} else {
		err = c.get(ctx, b)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Check) connect(ctx context.Context, b *backend.Backend) (net.Conn, error) {
	network, address, err := b.Endpoint()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || len(c.Greeting) == 0 {
		return conn, err
	}
	if _, err := conn.Write(c.Greeting); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func (c *Check) open(ctx context.Context, b *backend.Backend) error {
	conn, err := c.connect(ctx, b)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (c *Check) get(ctx context.Context, b *backend.Backend) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Origin.String()+c.Path, nil)
	if err != nil {
		return err
	}
	r.Host = c.Host
	r.Header.Set("User-Agent", "ramjet-health")
	answer, err := c.client(b).Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // Without the URL, which the log has beside it.
		}
		return err
	}
	defer answer.Body.Close()
	if !c.good(answer.StatusCode) {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	if c.Body == "" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(c.Body)) {
		return fmt.Errorf("%q is not in the answer's first %d bytes", c.Body, len(text))
	}
	return nil
}

func (c *Check) good(status int) bool {
	for _, r := range c.Status {
		if r.First <= status && status <= r.Last {
			return true
		}
	}
	return false
}
