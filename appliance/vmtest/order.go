package vmtest

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// helper is the program that a box with a helper has beside the two of ours.
const helper = "ramjet/appliance/vmtest/helper"

// withHelper adds the helper to a story's image.
func withHelper(t testing.TB, edit func(config map[string]any)) func(config map[string]any) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(Root(t), "appliance/vmtest/helper/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	return func(config map[string]any) {
		config["Packages"] = append(config["Packages"].([]any), helper)
		config["PackageConfig"].(map[string]any)[helper] = map[string]any{
			"Environment": []string{fmt.Sprintf("SOURCE=%x", sha256.Sum256(source))}, // Another one is another image.
		}
		if edit != nil {
			edit(config)
		}
	}
}

// listenOrders serves what Order is told, and returns the URL at which the helper asks for it.
func (b *Box) listenOrders() string {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	b.orders = make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case order := <-b.orders:
			fmt.Fprint(w, order)
		default:
		}
	})}
	go server.Serve(l)
	b.t.Cleanup(func() { server.Close() })
	return fmt.Sprintf("http://10.0.2.2:%d/", l.Addr().(*net.TCPAddr).Port)
}

// Order has the helper on the box do something; see package helper for what. It does not wait.
func (b *Box) Order(order string) {
	if b.orders == nil {
		b.t.Error("the box has no helper")
		return
	}
	b.orders <- order
}
