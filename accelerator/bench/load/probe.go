package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Answer is an answer that was read with all care.
type Answer struct {
	Raw    []byte // head and body as they came
	Status int
	Header http.Header
	Body   []byte
}

// Probe sends a request on a connection of its own, and reads the answer. The
// request of the result is ready for load.
func Probe(to netip.AddrPort, request []byte) (Request, *Answer, error) {
	conn, err := net.DialTimeout("tcp", to.String(), stall)
	if err != nil {
		return Request{}, nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(stall)); err != nil {
		return Request{}, nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return Request{}, nil, err
	}
	var raw bytes.Buffer
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
	if err != nil {
		return Request{}, nil, fmt.Errorf("the answer to %.60q: %w", request, err)
	}
	defer response.Body.Close()
	if response.ContentLength < 0 && response.StatusCode != http.StatusNotModified {
		return Request{}, nil, fmt.Errorf("the answer to %.60q has no Content-Length", request)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Request{}, nil, fmt.Errorf("the answer to %.60q: %w", request, err)
	}
	answer := &Answer{Raw: raw.Bytes(), Status: response.StatusCode, Header: response.Header, Body: body}
	status := fmt.Sprintf("%s %d", response.Proto, response.StatusCode)
	return Request{Bytes: request, Status: status, Length: raw.Len()}, answer, nil
}
