package vmtest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ramjet/appliance/access"
	"ramjet/appliance/vmtest/qemu"
)

// API makes a request to the box's API, with the password, over a connection of its own. Whatever is there is expected.
func (b *Box) API(method, path, body string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	url := fmt.Sprintf("https://%s:%d%s", b.Address(), qemu.APIPort, path)
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.SetBasicAuth(access.User, b.password)
	request.Header.Set("If-Match", "*")
	// The story is not about the certificate, which is of the box's own making.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	whole, err := io.ReadAll(response.Body)
	return response.StatusCode, string(whole), err
}

// MustAPI is API for a request that is answered with that status.
func (b *Box) MustAPI(status int, method, path, body string) string {
	b.t.Helper()
	got, text, err := b.API(method, path, body)
	if err != nil || got != status {
		b.t.Fatalf("%s %s: %d, %v, want %d\n%s", method, path, got, err, status, text)
	}
	return text
}

// WaitAPI waits until the API answers.
func (b *Box) WaitAPI() {
	b.t.Helper()
	b.WaitFor("the API", func() bool {
		status, _, err := b.API("GET", "/status", "")
		return err == nil && status == http.StatusOK
	})
}

// WaitFor waits until something has become so.
func (b *Box) WaitFor(what string, so func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(bootTimeout); !so(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: not within %v\n%s", what, bootTimeout, b.ServiceLog("appliance"))
		}
	}
}
