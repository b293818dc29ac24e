package main

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

// startGRPC starts a backend of gRPC with its health service.
func startGRPC(t *testing.T, options ...grpc.ServerOption) (address string, service *health.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service = health.NewServer()
	server := grpc.NewServer(options...)
	healthpb.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String(), service
}

// gRPC works through the program, with a backend in the clear and one with TLS: calls,
// their errors, which are trailers, and streams.
func TestGRPC(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	certificate, key := authority.issue(t, "farm.example")
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	secure := grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	for tier, setting := range tiers {
		for scheme, options := range map[string][]grpc.ServerOption{"http": nil, "https": {secure}} {
			t.Run(tier+"/"+scheme, func(t *testing.T) {
				t.Parallel()
				address, service := startGRPC(t, options...)
				dir := t.TempDir()
				write(t, dir, "ca.pem", authority.pem)
				p := start(t, "-config", write(t, dir, "ramjet.json", `{`+setting+`
					"admin": "a.sock",
					"backends": [{"url": "`+scheme+`://`+address+`"}],
					"forward": {"protocol": "http2", "tls": {"ca": "ca.pem", "name": "farm.example"}},
				}`))
				client, err := grpc.NewClient(p.listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				call(ctx, t, healthpb.NewHealthClient(client), service)
				cancel()
				ask := adminClient(t, dir+"/a.sock")
				for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
					_, text := ask("GET", "/metrics")
					if strings.Contains(text, "\nramjet_connections_http2_total 1\n") && strings.Contains(text, "\nramjet_backend_in_flight{backend=\""+scheme+"://"+address) &&
						!strings.Contains(text, `event="bad_answer"} 1`) {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("the counters: %s", text)
					}
				}
			})
		}
	}
}

func call(ctx context.Context, t *testing.T, client healthpb.HealthClient, service *health.Server) {
	t.Helper()
	service.SetServingStatus("shop", healthpb.HealthCheckResponse_SERVING)
	for range 20 {
		answer, err := client.Check(metadata.AppendToOutgoingContext(ctx, "x-y", "z"), &healthpb.HealthCheckRequest{Service: "shop"})
		if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "none"}); grpcstatus.Code(err) != codes.NotFound {
		t.Errorf("a service that is not there: %v", err)
	}
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING, healthpb.HealthCheckResponse_SERVING,
	} {
		service.SetServingStatus("shop", next) // The first is what it is already.
		if got, err := stream.Recv(); err != nil || got.Status != next {
			t.Fatalf("watching: %v instead of %v, %v", got, next, err)
		}
	}
	// Calls go on beside the stream.
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "shop"}); err != nil {
		t.Error(err)
	}
}

// A backend of gRPC that is gone is Unavailable, and one that does not answer is late.
func TestGRPCBackendGone(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for address, want := range map[string]codes.Code{deadAddress(t): codes.Unavailable, silent.Addr().String(): codes.Unavailable} {
		p := start(t, "-config", write(t, t.TempDir(), "ramjet.json", `{
			"backends": [{"url": "http://`+address+`"}],
			"forward": {"protocol": "http2", "first_byte_timeout": "300ms"},
		}`))
		client, err := grpc.NewClient(p.listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err = healthpb.NewHealthClient(client).Check(ctx, &healthpb.HealthCheckRequest{})
		cancel()
		client.Close()
		if grpcstatus.Code(err) != want {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
}
