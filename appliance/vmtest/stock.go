package vmtest

import (
	"net/http"
	"testing"
	"time"
)

// StockBoot returns how long this machine takes from power-on to the first answer of a plain gokrazy image, whose own web
// interface is all that answers: kernel, init and DHCP are the same as ours. It is the floor of our boot time.
func StockBoot(t testing.TB) time.Duration {
	t.Helper()
	box := Boot(t, Config{Alone: true, Variant: "stock", Edit: func(config map[string]any) {
		config["Packages"] = []string{"github.com/gokrazy/gokrazy/cmd/heartbeat"}
		delete(config["Update"].(map[string]any), "NoPassword") // With a password, it listens on the network.
	}})
	took := box.waitAnswer(box.Control+"/", http.StatusUnauthorized).Sub(box.Machine.Started)
	box.Machine.PowerOff()
	return took
}
