package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// QMP is a client of the QEMU Machine Protocol (QEMU docs, interop/qmp-spec):
// one JSON command at a time, one JSON answer each; events in between are kept
// for WaitEvent.
type QMP struct {
	conn    net.Conn
	mu      sync.Mutex // one command at a time
	answers chan qmpMessage

	eventMu sync.Mutex
	events  []qmpMessage
	wake    chan struct{} // has room for one: something arrived
}

// qmpMessage is any message of the server: greeting, answer or event.
type qmpMessage struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// DialQMP connects to the Unix socket of a machine that is starting, and
// negotiates. It tries until ctx ends.
func DialQMP(ctx context.Context, path string) (*QMP, error) {
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err == nil {
			q := &QMP{conn: conn, answers: make(chan qmpMessage, 1), wake: make(chan struct{}, 1)}
			go q.read()
			return q, q.Execute(ctx, "qmp_capabilities", nil, nil)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no QMP connection: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Close ends the connection; the machine runs on.
func (q *QMP) Close() error { return q.conn.Close() }

// read sorts what arrives, until the connection ends.
func (q *QMP) read() {
	defer close(q.answers)
	in := bufio.NewScanner(q.conn)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var m qmpMessage
		if json.Unmarshal(in.Bytes(), &m) != nil {
			continue
		}
		switch {
		case m.Event != "":
			q.eventMu.Lock()
			q.events = append(q.events, m)
			q.eventMu.Unlock()
			select {
			case q.wake <- struct{}{}:
			default:
			}
		case m.Return != nil || m.Error != nil:
			q.answers <- m
		}
	}
}

// Execute runs one command and decodes what it returns into result, which may
// be nil.
func (q *QMP) Execute(ctx context.Context, command string, arguments, result any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := q.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: no answer: %w", command, ctx.Err())
	case m, open := <-q.answers:
		switch {
		case !open:
			return fmt.Errorf("%s: the machine has gone", command)
		case m.Error != nil:
			return fmt.Errorf("%s: %s: %s", command, m.Error.Class, m.Error.Desc)
		case result != nil:
			return json.Unmarshal(m.Return, result)
		}
		return nil
	}
}

// WaitEvent waits for an event of that name about the device id, and forgets
// the events before it.
func (q *QMP) WaitEvent(ctx context.Context, name, device string) error {
	for {
		q.eventMu.Lock()
		for i, e := range q.events {
			var about struct {
				Device string `json:"device"`
			}
			if e.Event == name && json.Unmarshal(e.Data, &about) == nil && about.Device == device {
				q.events = q.events[i+1:]
				q.eventMu.Unlock()
				return nil
			}
		}
		q.eventMu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("event %s for %s has not come", name, device), ctx.Err())
		}
	}
}
