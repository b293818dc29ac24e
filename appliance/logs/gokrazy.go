package logs

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"ramjet/appliance/unixhttp"
)

// ask makes a request to gokrazy's own interface.
func ask(ctx context.Context, socket, path string) (io.ReadCloser, error) {
	client := http.Client{Transport: unixhttp.Transport(socket)}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gokrazy"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	return answer.Body, nil
}

// services returns the paths of the programs that gokrazy looks after.
func services(ctx context.Context, socket string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := ask(ctx, socket, "/")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var all struct{ Services []struct{ Path string } }
	if err := json.NewDecoder(io.LimitReader(body, 4<<20)).Decode(&all); err != nil {
		return nil, err
	}
	var paths []string
	for _, s := range all.Services {
		paths = append(paths, s.Path)
	}
	return paths, nil
}

// program is what a program says: gokrazy sends the last 100 lines, and then each as it comes.
func program(socket, path, of string) source {
	return func(ctx context.Context, lines chan<- string) error {
		body, err := ask(ctx, socket, "/log?"+url.Values{"path": {path}, "stream": {of}}.Encode())
		if err != nil {
			return err
		}
		defer body.Close()
		return read(ctx, body, lines)
	}
}

// read sends lines on. What is too long for one is cut.
func read(ctx context.Context, from io.Reader, lines chan<- string) error {
	in := bufio.NewReaderSize(from, lineBytes)
	for {
		line, more, err := in.ReadLine()
		if err != nil {
			return err
		}
		text := string(line)
		if more {
			text += "…"
		}
		for more && err == nil {
			_, more, err = in.ReadLine()
		}
		select {
		case lines <- text:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
