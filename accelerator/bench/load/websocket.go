package load

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// As much of WebSocket (RFC 6455) as a client and a server need that send each
// other whole messages: no extensions, no fragments, up to 64 KiB each.

// socketKey is the Sec-WebSocket-Key of all connections: a server learns
// nothing from it, and a proxy has no business with it.
const socketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// accepted is the Sec-WebSocket-Accept for a key (section 4.2.2).
func accepted(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Handshake returns the request that makes a connection a WebSocket, and the
// Sec-WebSocket-Accept of a right answer.
func Handshake(host, path string) (request []byte, accept string) {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: ramjet-bench/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + socketKey + "\r\n\r\n"), accepted(socketKey)
}

// Message returns a binary message as a client sends it, masked, and the echo
// that must come back, every byte of it.
func Message(payload []byte, mask [4]byte) Request {
	const binaryMessage = 0x80 | 2
	sent := appendFrame(nil, binaryMessage, 0x80, len(payload))
	sent = append(sent, mask[:]...)
	for i, c := range payload {
		sent = append(sent, c^mask[i%4])
	}
	back := append(appendFrame(nil, binaryMessage, 0, len(payload)), payload...)
	return Request{Bytes: sent, Status: string(back), Length: len(back)}
}

// appendFrame appends the head of a frame, up to the mask (section 5.2).
func appendFrame(b []byte, first, masked byte, size int) []byte {
	if size < 126 {
		return append(b, first, masked|byte(size))
	}
	return binary.BigEndian.AppendUint16(append(b, first, masked|126), uint16(size))
}

var errFrame = errors.New("a frame is not masked, too long, or its length is longer than need be")

// echo appends the frame that a server returns for the first one of those that
// came from a client. n is the length of that one, 0 if it is not whole.
func echo(to, came []byte) (all []byte, n int, err error) {
	if len(came) < 2 {
		return to, 0, nil
	}
	size, at := int(came[1]&0x7f), 2
	switch {
	case came[1]&0x80 == 0 || size == 127:
		return to, 0, errFrame
	case size == 126 && len(came) < 4:
		return to, 0, nil
	case size == 126:
		size, at = int(binary.BigEndian.Uint16(came[2:])), 4
		if size < 126 {
			return to, 0, errFrame
		}
	}
	n = at + 4 + size
	if len(came) < n {
		return to, 0, nil
	}
	mask := came[at : at+4]
	to = appendFrame(to, came[0], 0, size)
	for i, c := range came[at+4 : n] {
		to = append(to, c^mask[i%4])
	}
	return to, n, nil
}
