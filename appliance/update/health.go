package update

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Health says how the box is doing.
type Health interface {
	// Look says how it is doing before an update.
	Look(ctx context.Context) Before
	// Check says what is wrong that was not wrong before, or nil.
	Check(ctx context.Context, before Before) error
}

// Hopeless is an error that no further look will take back.
type Hopeless struct{ Err error }

func (h Hopeless) Error() string { return h.Err.Error() }
func (h Hopeless) Unwrap() error { return h.Err }

func sure(err error) bool { return errors.As(err, new(Hopeless)) }

// Probe is the simple Health: the accelerator answers, and so does the router.
type Probe struct {
	URL     string // of the home page, at the accelerator's real port
	Admin   string // Unix socket of the accelerator
	Gokrazy string // Unix socket of gokrazy

	started map[int]bool // the accelerator's processes so far
}

// maxStarts is how often the accelerator may be started in a trial.
const maxStarts = 3

// Look implements Health.
func (p *Probe) Look(ctx context.Context) Before {
	status, _ := p.home(ctx)
	return Before{Status: status, Gateway: gateway() == nil}
}

// Check implements Health.
func (p *Probe) Check(ctx context.Context, before Before) error {
	if err := p.restarts(ctx); err != nil {
		return err
	}
	if before.Status != 0 { // It has a port elsewhere, perhaps.
		status, err := p.home(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("the accelerator does not answer: %w", err)
		case status >= 500 && before.Status < 500, status != http.StatusOK && before.Status == http.StatusOK:
			return fmt.Errorf("the home page answers %d, and answered %d before", status, before.Status)
		}
	}
	if status, err := get(ctx, p.Admin, "http://accelerator/status", nil); err != nil || status != http.StatusOK {
		return fmt.Errorf("the accelerator's admin socket: status %d, %v", status, err)
	}
	if before.Gateway {
		return gateway()
	}
	return nil
}

// home asks for the home page.
func (p *Probe) home(ctx context.Context) (int, error) { return get(ctx, "", p.URL, nil) }

// restarts counts how often gokrazy has had to start the accelerator.
func (p *Probe) restarts(ctx context.Context) error {
	var status struct {
		Services []struct {
			Pid  int
			Path string
		}
	}
	if code, err := get(ctx, p.Gokrazy, "http://gokrazy/", &status); err != nil || code != http.StatusOK {
		return nil // It has not got that far.
	}
	if p.started == nil {
		p.started = map[int]bool{}
	}
	for _, s := range status.Services {
		if strings.HasSuffix(s.Path, "/accelerator") && s.Pid != 0 {
			p.started[s.Pid] = true
		}
	}
	if n := len(p.started); n > maxStarts {
		return Hopeless{fmt.Errorf("the accelerator was started %d times", n)}
	}
	return nil
}

// get makes a request, over a Unix socket if one is given, and decodes a JSON answer into what.
func get(ctx context.Context, socket, url string, what any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	if socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept", "application/json")
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body := io.LimitReader(answer.Body, 4<<20)
	if what != nil {
		return answer.StatusCode, json.NewDecoder(body).Decode(what)
	}
	_, err = io.Copy(io.Discard, body)
	return answer.StatusCode, err
}

// gateway asks whether the router is there: it answers ARP, whatever else it lets through.
func gateway() error {
	ip, err := defaultRoute("/proc/net/route")
	if err != nil {
		return err
	}
	if conn, err := net.Dial("udp", net.JoinHostPort(ip, "9")); err == nil { // discard
		_, _ = conn.Write([]byte{0})
		conn.Close()
	}
	for range 5 {
		if known("/proc/net/arp", ip) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the router %s does not answer", ip)
}

// defaultRoute returns the router's address (proc_net(5)).
func defaultRoute(table string) (string, error) {
	f, err := os.Open(table)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[1] != "00000000" || fields[2] == "00000000" {
			continue
		}
		raw, err := hex.DecodeString(fields[2])
		if err != nil || len(raw) != 4 {
			continue
		}
		return net.IPv4(raw[3], raw[2], raw[1], raw[0]).String(), nil
	}
	return "", errors.New("there is no network: no route to a router")
}

// known says whether the kernel has the address of that machine on the local network.
func known(table, ip string) bool {
	f, err := os.Open(table)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 3 && fields[0] == ip {
			flags, err := strconv.ParseUint(fields[2], 0, 32)
			return err == nil && flags&2 != 0
		}
	}
	return false
}
