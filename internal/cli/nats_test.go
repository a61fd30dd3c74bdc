package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/publish/nats"
)

// serve publishes the changes of its backfill to NATS. It serves on while NATS is away, and ends
// without an error.
func TestServePublishesToNATS(t *testing.T) {
	t.Parallel()
	broker, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		Username: "clerksync", Password: "s3cr3t-of-nats",
	})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(broker.Shutdown)
	if !broker.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	address := strings.Replace(broker.ClientURL(), "nats://", "nats://clerksync:s3cr3t-of-nats@", 1)

	clerk, err := emulator.New(emulator.Options{Users: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(clerk.Close)
	api := httptest.NewServer(clerk)
	t.Cleanup(api.Close)
	keys := clerk.Keys(api.URL)
	cfg, _, err := config.Load(config.Options{Environ: []string{
		"DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "clerk.db"), "CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + keys.APIURL,
		"CLERK_ISSUER=" + keys.Issuer, "CLERKSYNC_LISTEN=127.0.0.1:0", "CLERKSYNC_OPERATOR_LISTEN=off", "CLERKSYNC_NATS_URL=" + address,
	}})
	if err != nil {
		t.Fatal(err)
	}
	log := &testenv.Logs{}
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- serve(ctx, cfg, log.Logger(), func(s startedServer) { started <- s.addrs[0].String() })
	}()
	public := <-started

	awaitUsers(t, address, 3)
	broker.Shutdown()
	response, err := http.DefaultClient.Get("http://" + public + "/readyz")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("without NATS: %v, %v", response, err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("serve does not end")
	}
	log.MustNotContain(t, "s3cr3t-of-nats")
}

// awaitUsers waits until the stream has named so many users.
func awaitUsers(t *testing.T, address string, n int) {
	t.Helper()
	conn, err := natsgo.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for seq := uint64(1); len(users) < n; {
		stream, err := js.Stream(ctx, "CLERK")
		if err == nil {
			var msg *jetstream.RawStreamMsg
			if msg, err = stream.GetMsg(ctx, seq); err == nil {
				seq++
				if strings.HasPrefix(msg.Header.Get(nats.HeaderType), "user.") {
					users[msg.Header.Get(nats.HeaderID)] = true
				}
				continue
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the stream has %d of %d users: %v", len(users), n, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
