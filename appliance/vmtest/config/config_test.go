// Package config is the story of a box whose configuration is changed from outside: what is not confirmed goes away by
// itself, whatever happens to the box meanwhile, and what is confirmed stays.
package config

import (
	"context"
	"strings"
	"testing"
	"time"

	"ramjet/appliance/vmtest"
)

// serves reports whether the box serves at its port, and calls itself that.
func serves(t *testing.T, box *vmtest.Box, name string) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // While it is cut off, connections hang.
	defer cancel()
	box.Client.CloseIdleConnections()
	answer, err := box.Fetch(ctx, "/index.html", nil)
	return err == nil && answer.Header.Get("Server") == name && string(answer.Body) == "home"
}

// noTrial reports whether none is on.
func noTrial(box *vmtest.Box) bool {
	status, text, err := box.API("GET", "/status", "")
	return err == nil && status == 200 && !strings.Contains(text, `"trial"`)
}

func TestConfig(t *testing.T) {
	box := vmtest.Boot(t, vmtest.Config{Perm: map[string]string{"www/index.html": "home"}})
	box.WaitUp("/index.html")
	box.WaitAPI()
	t.Run("an unconfirmed listener", func(t *testing.T) {
		text := box.MustAPI(200, "PUT", "/config?within=5s", `{"listen": ":81", "server": "lost"}`)
		if !strings.Contains(text, "started again") {
			t.Errorf("the listener has not changed: %s", text)
		}
		if serves(t, box, "lost") {
			t.Error("the box serves at port 80, and should at 81")
		}
		box.WaitFor("the old listener", func() bool { return serves(t, box, "ramjet") })
		box.WaitFor("the end of the trial", func() bool { return noTrial(box) })
		if text := box.MustAPI(200, "GET", "/config/history", ""); !strings.Contains(text, "not confirmed within 5s") {
			t.Error(text)
		}
	})
	t.Run("a network that cuts it off", func(t *testing.T) {
		box.MustAPI(202, "PUT", "/network?within=5s", `{"interfaces": {"eth0": {"addresses": ["192.0.2.7/24"]}}}`)
		box.WaitFor("the end of the trial", func() bool {
			status, text, err := box.API("GET", "/network/history", "")
			return err == nil && status == 200 && strings.Contains(text, "not confirmed within 5s")
		})
		box.WaitFor("the old network", func() bool { return serves(t, box, "ramjet") && noTrial(box) })
		box.WaitLog("appliance", time.Minute, "the box answers at", "http://192.0.2.7/") // It was cut off.
	})
	t.Run("a mistake", func(t *testing.T) {
		if text := box.MustAPI(422, "PUT", "/config", "{\n  \"sevrer\": \"x\"}"); !strings.Contains(text, "/perm/ramjet.json:2:3: sevrer") {
			t.Error(text)
		}
	})
	t.Run("confirmed, and cut off, and a reboot", func(t *testing.T) {
		box.MustAPI(200, "PUT", "/config", `{"server": "kept"}`)
		box.MustAPI(200, "POST", "/config/confirm", "")
		box.MustAPI(202, "PUT", "/network", `{"hostname": "renamed", "dns": ["10.0.2.3"], "interfaces": {
			"eth0": {"addresses": ["10.0.2.15/24", "10.0.2.77/24"], "gateways": ["10.0.2.2"]}}}`)
		box.WaitFor("the confirmation", func() bool {
			status, _, err := box.API("POST", "/network/confirm", "")
			return err == nil && status == 200
		})
		box.MustAPI(200, "PUT", "/config?within=1h", `{"server": "cut"}`)
		if !serves(t, box, "cut") {
			t.Error("the change is not at work")
		}
		box.PowerCut()
		box.PowerOn()
		box.WaitUp("/index.html")
		box.WaitFor("what was confirmed", func() bool { return serves(t, box, "kept") })
		box.WaitFor("the end of the trial", func() bool { return noTrial(box) })
		if text := box.MustAPI(200, "GET", "/config/history", ""); !strings.Contains(text, "was started anew") {
			t.Error(text)
		}
		if text := box.MustAPI(200, "GET", "/config", ""); text != `{"server": "kept"}` {
			t.Error(text)
		}
		box.Reboot()
		box.WaitUp("/index.html")
		if !serves(t, box, "kept") {
			t.Error("what was confirmed did not survive a reboot")
		}
		box.WaitFor("the network that was confirmed", func() bool {
			_, text, err := box.API("GET", "/status", "")
			return err == nil && strings.Contains(text, `"hostname": "renamed"`) && strings.Contains(text, `"10.0.2.77"`)
		})
	})
}
