package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"ramjet/appliance/api"
)

// box is a box, over the network.
type box struct {
	t       *Terminal
	address string
	auth    func(*http.Request)
	known   known
}

// maxSecret bounds what is read of a file with a password or a token.
const maxSecret = 4096

func (o *options) open(t *Terminal) (*box, error) {
	address := o.box
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "8443")
	}
	b := &box{t: t, address: address, known: known{file: o.known, wanted: o.fingerprint, acceptNew: o.acceptNew, t: t}}
	switch {
	case o.tokenFile != "":
		secret, err := secretIn(o.tokenFile)
		if err != nil {
			return nil, err
		}
		b.auth = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
		return b, nil
	case o.passwordFile != "":
		password, err := secretIn(o.passwordFile)
		if err != nil {
			return nil, err
		}
		b.auth = func(r *http.Request) { r.SetBasicAuth(o.user, password) }
		return b, nil
	case t.Password == nil:
		return nil, usageError{errors.New("nobody is there to be asked for the password; give -password-file or -token-file")}
	}
	var password *string
	b.auth = func(r *http.Request) {
		if password == nil { // Asked for when the box has shown who it is.
			fmt.Fprintf(t.Err, "password of %s: ", address)
			text, err := t.Password()
			if err != nil {
				text = ""
			}
			password = &text
		}
		r.SetBasicAuth(o.user, *password)
	}
	return b, nil
}

func secretIn(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	secret := strings.TrimSpace(string(text))
	if err == nil && secret == "" {
		err = fmt.Errorf("%s is empty", name)
	}
	return secret, err
}

// answer is what the box says.
type answer struct {
	status int
	tag    string
	text   []byte
}

// refusal is an answer that is not a success.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return fmt.Sprintf("the box says: %s", r.text) }

// patience bounds a call: a change may start the accelerator again.
const patience = 90 * time.Second

// ask makes one request, over a connection of its own. The name and the password leave only when the box has shown the
// certificate that is expected.
func (b *box) ask(ctx context.Context, method, path, match string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: b.known.config(b.address)}
	conn, err := dialer.DialContext(ctx, "tcp", b.address)
	if err != nil {
		return answer{}, err
	}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	defer conn.Close()
	request, err := http.NewRequestWithContext(ctx, method, "https://"+b.address+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if match != "" {
		request.Header.Set("If-Match", match)
	}
	b.auth(request)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode >= 300 {
		return answer{}, refusal{response.StatusCode, strings.TrimSpace(string(text))}
	}
	return answer{response.StatusCode, response.Header.Get("ETag"), text}, nil
}

// show prints what the box answers.
func (b *box) show(ctx context.Context, path string) error {
	a, err := b.ask(ctx, http.MethodGet, path, "", nil)
	if err == nil {
		_, err = b.t.Out.Write(a.text)
	}
	return err
}

func (b *box) token(ctx context.Context, verb string, words []string) error {
	switch {
	case verb == "list" && len(words) == 0:
		return b.show(ctx, "/tokens")
	case verb == "revoke" && len(words) == 1:
		_, err := b.ask(ctx, http.MethodDelete, "/tokens/"+escape(words[0]), "", nil)
		return err
	case verb == "make" && len(words) == 2:
		wanted, err := json.Marshal(api.NewToken{Name: words[0], Scopes: strings.Split(words[1], ",")})
		if err != nil {
			return err
		}
		a, err := b.ask(ctx, http.MethodPost, "/tokens", "", wanted)
		if err != nil {
			return err
		}
		var made api.Made
		if err := json.Unmarshal(a.text, &made); err != nil {
			return err
		}
		fmt.Fprintf(b.t.Err, "token %s, shown this one time:\n", made.ID)
		fmt.Fprintln(b.t.Out, made.Secret)
		return nil
	}
	return usageError{errors.New("token list, token make NAME SCOPE,..., or token revoke ID")}
}
