package vmtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ramjet/appliance/access"
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
	status, text, err := b.tryAsk(password, method, path, match, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return status, text
}

func (b *Box) tryAsk(password, method, path, match, body string) (status int, text string, err error) {
	url := fmt.Sprintf("http://%s:%d%s", b.Address(), qemu.ControlPort, path)
	request, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Close = true
	if password != "" {
		request.SetBasicAuth(access.User, password)
	}
	if match != "" {
		request.Header.Set("If-Match", match)
	}
	response, err := b.Client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	whole, err := io.ReadAll(response.Body)
	return response.StatusCode, string(whole), err
}

// WaitRead waits until what belongs in memory is there: the box is up before that.
func (b *Box) WaitRead() {
	b.t.Helper()
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		var status struct {
			Content struct {
				MemoryFiles int `json:"memory_files"`
				Unread      int
			}
		}
		code, text, err := b.tryAsk(b.password, "GET", "/status", "", "")
		if last = fmt.Sprint(code, " ", text, " ", err); err != nil || json.Unmarshal([]byte(text), &status) != nil {
			continue // The port is not open yet.
		}
		if status.Content.MemoryFiles > 0 && status.Content.Unread == 0 {
			return
		}
	}
	b.t.Fatalf("the site is not in memory after a minute: %s", last)
}
