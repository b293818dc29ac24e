package vmtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"ramjet/appliance/control"
	"ramjet/appliance/vmtest/qemu"
)

// Ask makes a request to the accelerator's admin socket, as people do from outside of the box. match is If-Match, or
// empty.
func (b *Box) Ask(method, path, match, body string) (status int, text string) {
	b.t.Helper()
	return b.ask(b.password, method, path, match, body)
}

// AskAsStranger is Ask without the box's password.
func (b *Box) AskAsStranger(method, path string) (status int, text string) {
	b.t.Helper()
	return b.ask("", method, path, "*", "")
}

func (b *Box) ask(password, method, path, match, body string) (int, string) {
	b.t.Helper()
	url := fmt.Sprintf("http://%s:%d%s", b.Address(), qemu.ControlPort, path)
	request, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Close = true
	if password != "" {
		request.SetBasicAuth(control.User, password)
	}
	if match != "" {
		request.Header.Set("If-Match", match)
	}
	response, err := b.Client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
