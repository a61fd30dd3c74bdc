package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/clerksync/clerksync"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

// receiver is what another system does with the webhooks that it gets: it verifies the signature
// over the raw body, and only then parses it.
type receiver struct {
	verifier *webhook.Verifier
	types    chan string
}

// ServeHTTP accepts a message with 204. Every other answer makes the sender try again.
func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		http.Error(w, "unreadable body", http.StatusBadRequest)
		return
	}
	message, err := rc.verifier.Verify(r.Header, body)
	if err != nil {
		http.Error(w, "not verified", http.StatusUnauthorized)
		return
	}
	var change struct {
		Type string `json:"type"`
		Data struct {
			Kind string `json:"kind"`
			ID   string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &change); err != nil {
		http.Error(w, "not JSON", http.StatusBadRequest)
		return
	}
	// Here: skip a message.ID that was seen before, else read the object by its id, and work on it.
	_ = message.ID
	rc.types <- change.Type
	w.WriteHeader(http.StatusNoContent)
}

// A change of the mirror reaches another system.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	folder, err := os.MkdirTemp("", "clerksync-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	db, err := sqlite.Open(filepath.Join(folder, "clerk.db"))
	if err != nil {
		log.Fatal(err)
	}
	m, err := clerksync.New(ctx, db, clerksync.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	// A receiver within one's own network must be allowed by name.
	publisher, err := outgoing.New(db, m, outgoing.Options{AllowHosts: []string{"127.0.0.1"}})
	if err != nil {
		log.Fatal(err)
	}
	another := &receiver{types: make(chan string, 1)}
	server := httptest.NewServer(another)
	defer server.Close()
	_, secret, err := publisher.Add(ctx, outgoing.Endpoint{URL: server.URL, Types: []string{"user.created"}})
	if err != nil {
		log.Fatal(err)
	}
	if another.verifier, err = webhook.NewVerifier(webhook.Config{Secrets: []string{secret}}); err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- publisher.Run(ctx) }()

	_, err = m.Users().Apply(ctx, []byte(`{"object":"user","id":"user_1","created_at":1780000000000,"updated_at":1780000000000}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-another.types)
	stop()
	fmt.Println(<-ended)
	// Output:
	// user.created
	// <nil>
}
