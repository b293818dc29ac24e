package partition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ramjet/appliance/unixhttp"
)

// Reloader tells the accelerator that the site link was flipped: POST /reload on its Unix socket. It is a task.
//
// It is a help, not a duty: an accelerator that starts later reads the link itself. So it gives up after a while, and an
// accelerator that is not there is no news.
type Reloader struct {
	// Socket is the path of the accelerator's admin socket.
	Socket string
	// Changed gets a value for each flip.
	Changed <-chan struct{}
	// Timeout of one request, 0 means 30 s: the accelerator may read a whole site before it answers.
	Timeout time.Duration
	// Patience is how long an accelerator that cannot be reached is tried again, once a second; 0 means 2 minutes. It may
	// have read the link already while its socket is still to come.
	Patience time.Duration
	// Log, nil means slog.Default().
	Log *slog.Logger
}

// String names the task.
func (r *Reloader) String() string { return "reloader" }

// Run waits for flips. It ends with the context, with no error.
func (r *Reloader) Run(ctx context.Context) error {
	log := r.Log
	if log == nil {
		log = slog.Default()
	}
	client := &http.Client{Transport: unixhttp.Transport(r.Socket), Timeout: cmp.Or(r.Timeout, 30*time.Second)}
	var (
		again    <-chan time.Time // set while there is a request to be tried again
		deadline time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.Changed:
			deadline = time.Now().Add(cmp.Or(r.Patience, 2*time.Minute))
		case <-again:
		}
		again = nil
		answer, err := reload(ctx, client)
		switch {
		case err == nil:
			log.Info("accelerator reloaded", "answer", answer)
		case errors.Is(err, errRefused):
			log.Warn("accelerator did not reload", "err", err)
		case time.Now().After(deadline):
			log.Debug("accelerator not reached, gave up", "err", err)
		default:
			log.Debug("accelerator not reached", "err", err)
			again = time.After(time.Second)
		}
	}
}

// errRefused is an answer that another try would not change.
var errRefused = errors.New("refused")

// reload makes one request. The answer is the first line of what came back.
func reload(ctx context.Context, client *http.Client) (answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://accelerator/reload", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", err
	}
	answer, _, _ = strings.Cut(strings.TrimSpace(string(body)), "\n")
	if resp.StatusCode >= 300 {
		return "", fmt.Errorf("%w: %s: %s", errRefused, resp.Status, answer)
	}
	return answer, nil
}
