package watch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"ramjet/appliance/health"
	"ramjet/appliance/process"
	"ramjet/appliance/unixhttp"
)

// question is answered by the accelerator itself, whatever the content and the farm are: RFC 9110 §9.3.7 calls it a ping. It
// goes all the way: an event loop takes the connection and reads, and hands it to the complete tier.
const question = "OPTIONS * HTTP/1.1\r\nHost: ramjet\r\nUser-Agent: ramjet-watch\r\nConnection: close\r\n\r\n"

// probe asks once, over a new connection. Any answer is one, and so is an end of the connection: who hangs ends nothing.
func probe(ctx context.Context, address string) (answered, refused bool) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, errors.Is(err, syscall.ECONNREFUSED)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, question); err != nil {
		return !silence(err), false
	}
	_, err = conn.Read(make([]byte, 1))
	return err == nil || !silence(err), false
}

func silence(err error) bool {
	var timed net.Error
	return errors.As(err, &timed) && timed.Timeout()
}

// opinion is what the admin socket says.
type opinion struct {
	listen string
	work   uint64 // that was done for clients, in whatever unit
	full   bool
}

// ask asks the admin socket.
func ask(ctx context.Context, socket string) (*opinion, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client := http.Client{Transport: unixhttp.Transport(socket)}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://accelerator/status", nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var s struct {
		Listen      string `json:"listen"`
		Connections struct {
			Open, Limit int64
		}
		Loops []struct {
			Requests, Bytes uint64
		}
		Backends []struct {
			Requests uint64
		}
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 8<<20)).Decode(&s); err != nil {
		return nil, err
	}
	o := &opinion{listen: s.Listen, full: s.Connections.Limit > 0 && s.Connections.Open >= s.Connections.Limit}
	for _, l := range s.Loops {
		o.work += l.Requests + l.Bytes
	}
	for _, b := range s.Backends {
		o.work += b.Requests
	}
	return o, nil
}

// look probes once, and has a second opinion if the answer does not come at once.
func (w *Watcher) look(ctx context.Context) (evidence, verdict) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	before, err := process.Look(w.known.PID)
	if err != nil || before.ID != w.known {
		if id, err := process.OfSocket(w.Socket); err == nil {
			w.known = id
			before, _ = process.Look(id.PID)
		}
	}
	second := make(chan *opinion, 1)
	asking := time.AfterFunc(w.Timeout/3, func() {
		o, _ := ask(ctx, w.Socket)
		second <- o
	})
	var e evidence
	e.answered, e.refused = probe(ctx, health.Reach(w.Listen))
	e.took = time.Since(begun)
	e.late = e.took > w.Timeout+w.Timeout/3
	if asking.Stop() {
		return e, judge(e)
	}
	if o := <-second; o != nil {
		e.admin, e.full = true, o.full
		e.work = o.work != w.work
		w.work = o.work
		w.heard(o)
	}
	if after, err := process.Look(w.known.PID); err == nil && after.ID == before.ID {
		e.stopped = after.State == 'T'
		e.cpu = after.CPU - before.CPU
	}
	return e, judge(e)
}
