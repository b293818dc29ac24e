package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ramjet/appliance/unixhttp"
)

// status is what the checks read of the accelerator's GET /status.
type status struct {
	Ready   bool   `json:"ready"`
	Listen  string `json:"listen"`
	Content struct {
		Root    string    `json:"root"`
		Release string    `json:"release"`
		Loaded  time.Time `json:"loaded"`
		Files   int       `json:"files"`
	} `json:"content"`
	Backends []struct {
		Pool   string `json:"pool"`
		URL    string `json:"url"`
		Health string `json:"health"`
	} `json:"backends"`
}

// get asks a server on a Unix socket; JSON is wanted from those who have two forms.
func get(ctx context.Context, socket, path string, atMost time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://box"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	client := http.Client{Transport: unixhttp.Transport(socket)}
	answer, err := client.Do(request)
	if err != nil {
		return nil, plain(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return body, plain(err)
}

// plain drops the URL that an error of net/http repeats.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

func (l *look) askStatus() (*status, error) {
	text, err := get(l.ctx, l.Socket, "/status", 3*time.Second)
	if err != nil {
		return nil, err
	}
	s := new(status)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, err
	}
	return s, nil
}

// content: what is loaded is what is there. A release that is there and not loaded yet has a few seconds.
func (l *look) content() (State, string) {
	switch {
	case l.status == nil:
		return Failed, fmt.Sprintf("the accelerator does not answer at its admin socket: %v", l.trouble)
	case !l.status.Ready:
		return Failed, "the accelerator is not ready yet"
	case l.status.Content.Loaded.IsZero():
		return Failed, "no content is loaded"
	}
	text := fmt.Sprintf("%d files of %s", l.status.Content.Files, l.status.Content.Root)
	if l.status.Content.Release != "" {
		text += ", release " + l.status.Content.Release
	}
	if l.status.Content.Files == 0 {
		if some := l.files(1); len(some) > 0 {
			return Failed, fmt.Sprintf("no file is loaded, and there is %s", some[0].name)
		}
	}
	return OK, text
}

// listener is where a client on the box reaches the accelerator.
func (l *look) listener() string { return Reach(l.status.Listen) }

// Reach turns an address that somebody listens on into one that can be connected to from the box.
func Reach(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func (l *look) ports() (State, string) {
	all := slices.Clone(l.Ports)
	if l.status != nil {
		all = append(all, l.status.Listen)
	}
	var closed []string
	for _, address := range all {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(l.ctx, "tcp", Reach(address))
		if err != nil {
			closed = append(closed, fmt.Sprintf("%s: %v", address, cause(err)))
			continue
		}
		conn.Close()
	}
	switch {
	case len(closed) > 0:
		return Failed, strings.Join(closed, "; ")
	case l.status == nil:
		return l.silent()
	}
	return OK, strings.Join(all, " ")
}

// cause is the error at the bottom of one of package net.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}

// root is the directory whose files are live.
func (l *look) root() string {
	if current := filepath.Join(l.Site, "current"); l.Site != "" {
		if info, err := os.Stat(current); err == nil && info.IsDir() {
			if link, err := os.Lstat(current); err == nil && link.Mode()&os.ModeSymlink != 0 {
				return current
			}
		}
	}
	return l.Site
}
