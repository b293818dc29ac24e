package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"ramjet/appliance/update/signed"
)

const updateUsage = `Send a signed update: appliance update -box ramjet DIR

DIR is what "appliance sign" has signed. The box refuses it before it writes anything if the signature, or a part, is not
what it should be. The update is a trial, as each one is; see it end with: curl http://ramjet:8080/update/status

`

// sender sends the parts of an update, as gok does: over plain HTTP, to the same port.
type sender struct {
	url, user, password string
}

// sendUpdate is the command.
func sendUpdate(ctx context.Context, args []string, t *Terminal) error {
	flags := flag.NewFlagSet("appliance update", flag.ContinueOnError)
	box := flags.String("box", envOr("RAMJET_BOX", "ramjet"), "`name` or address of the box, with :port if it is not 8080; from $RAMJET_BOX, if that is set")
	user := flags.String("user", "gokrazy", "`name` that goes with the password")
	file := flags.String("password-file", "build/http-password.txt", "`file` that holds the box's password")
	if err := parseFlags(flags, args, t, updateUsage, 1); err != nil {
		return err
	}
	password, err := secretIn(*file)
	if err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(*box); err != nil {
		*box = net.JoinHostPort(strings.Trim(*box, "[]"), "8080")
	}
	return (&sender{"http://" + *box, *user, password}).all(ctx, flags.Arg(0), t)
}

// all sends the signature first, then the parts, and has the box try them.
func (s *sender) all(ctx context.Context, dir string, t *Terminal) error {
	list, err := os.ReadFile(filepath.Join(dir, signed.ListFile))
	if err != nil {
		return err
	}
	signature, err := os.ReadFile(filepath.Join(dir, signed.SignatureFile))
	if err != nil {
		return err
	}
	bundle := signed.Bundle(list, signature)
	if err := s.call(ctx, http.MethodPut, "/update/signature", bytes.NewReader(bundle), int64(len(bundle))); err != nil {
		return err
	}
	for _, part := range signed.Parts {
		fmt.Fprintln(t.Err, "sending", part)
		if err := s.file(ctx, dir, part); err != nil {
			return err
		}
	}
	for _, path := range []string{"/update/switch", "/reboot"} {
		if err := s.call(ctx, http.MethodPost, path, nil, 0); err != nil {
			return err
		}
	}
	fmt.Fprintln(t.Err, "the box tries it now")
	return nil
}

func (s *sender) file(ctx context.Context, dir, part string) error {
	f, err := os.Open(filepath.Join(dir, part))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return s.call(ctx, http.MethodPut, "/update/"+part, f, info.Size())
}

// call makes one request. A body has no limit in time: an image takes its time.
func (s *sender) call(ctx context.Context, method, path string, body io.Reader, size int64) error {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.SetBasicAuth(s.user, s.password)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode != http.StatusOK {
		return refusal{answer.StatusCode, strings.TrimSpace(string(text))}
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}
