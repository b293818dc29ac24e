package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/update/disk"
)

// Pull pulls the USB stick out, without a word to the box.
func (b *Box) Pull() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	if err := b.Machine.Pull(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// Plug plugs the USB stick in.
func (b *Box) Plug() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	if err := b.Machine.Plug(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// PowerCut cuts the power: no program on the box gets to say or write another
// word. PowerOn starts it again from what is on its disk.
func (b *Box) PowerCut() {
	b.t.Helper()
	b.Client.CloseIdleConnections()
	b.Machine.PowerOff()
}

// AfterPowerCut copies the content disk as a power cut at this moment would leave it: what the guest has written, and not
// what it would have written next. The box goes on.
func (b *Box) AfterPowerCut(image string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	if err := b.Machine.QMP.Execute(ctx, "stop", nil, nil); err != nil {
		b.t.Fatal(err)
	}
	copySparse(b.t, b.config.Content, image)
	if err := b.Machine.QMP.Execute(ctx, "cont", nil, nil); err != nil {
		b.t.Fatal(err)
	}
}

// PowerOn starts a box after a PowerCut.
func (b *Box) PowerOn() {
	b.t.Helper()
	b.powerOn(b.Machine.Address)
}

// ActiveRoot waits until init is up and returns the number of the root
// partition in use, 2 or 3, as init read it from the kernel's command line.
func (b *Box) ActiveRoot() int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), bootTimeout)
	defer cancel()
	if _, _, err := b.Machine.Serial.Wait(ctx, initUp, b.boots); err != nil {
		b.t.Fatal(err)
	}
	_, match, _ := b.Machine.Serial.Find(initUp, b.Machine.Serial.Count(initUp)-1)
	inactive, err := strconv.Atoi(match[1])
	if err != nil {
		b.t.Fatal(err)
	}
	return disk.RootA + disk.RootB - inactive
}

// expectReboot makes ActiveRoot wait for the next boot, not for the last one.
func (b *Box) expectReboot() { b.boots = b.Machine.Serial.Count(initUp) }

// Reboot asks the box for a restart and returns when its next init is up.
func (b *Box) Reboot() {
	b.t.Helper()
	b.expectReboot()
	b.control(http.MethodPost, "/reboot?wait_per_signal=1s", nil)
	b.Client.CloseIdleConnections()
	b.ActiveRoot()
}

// waitControl waits until the port for status, logs and updates is open: the site is up before that.
func (b *Box) waitControl() {
	b.t.Helper()
	for deadline := time.Now().Add(bootTimeout); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(b.t.Context(), 2*time.Second)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Control+"/", nil)
		if err != nil {
			b.t.Fatal(err)
		}
		response, err := b.Client.Do(request)
		cancel()
		if err == nil {
			response.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s is not open within %v: %v", b.Control, bootTimeout, err)
		}
	}
}

// control makes a request to gokrazy's interface and returns the answer.
func (b *Box) control(method, path string, accept map[string]string) []byte {
	b.t.Helper()
	b.waitControl()
	body, err := b.request(b.t.Context(), method, path, accept)
	if err != nil {
		b.t.Fatal(err)
	}
	return body
}

// request is control without any patience.
func (b *Box) request(ctx context.Context, method, path string, accept map[string]string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.Control+path, nil)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("gokrazy", b.password)
	for k, v := range accept {
		request.Header.Set(k, v)
	}
	response, err := b.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s, %v: %s", method, path, response.Status, err, body)
	}
	return body, nil
}

// ServiceLog returns what a program on the box has logged lately, on standard
// error. A box that does not answer yields an explanation instead.
func (b *Box) ServiceLog(name string) string {
	var log bytes.Buffer
	if err := b.readLog(&log, name); err != nil {
		log.WriteString("(no log: " + err.Error() + ")\n")
	}
	return log.String()
}

// readLog appends a program's log to log. gokrazy streams a log without end,
// and sends the header with the first line; so it is read until nothing comes
// for a while.
func (b *Box) readLog(log *bytes.Buffer, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	query := url.Values{"path": {"/user/" + name}, "stream": {"stderr"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Control+"/log?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth("gokrazy", b.password)
	request.Close = true
	quiet := time.AfterFunc(3*time.Second, cancel)
	defer quiet.Stop()
	response, err := b.Client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	chunk := make([]byte, 8192)
	for {
		n, err := response.Body.Read(chunk)
		log.Write(chunk[:n])
		if err != nil {
			return nil
		}
		quiet.Reset(time.Second)
	}
}

// WaitLog waits until a program's log has a line that contains all words, and
// returns the last such line.
func (b *Box) WaitLog(name string, timeout time.Duration, words ...string) string {
	b.t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		log := b.ServiceLog(name)
		lines := strings.Split(log, "\n")
		for i := len(lines) - 1; i >= 0; i-- {
			if containsAll(lines[i], words) {
				return lines[i]
			}
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("no line with %q in the log of %s within %v:\n%s", words, name, timeout, log)
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}
