package clerksync_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

// Webhooks only: a service that receives Clerk's events and reads the mirrored users. It has no
// secret key, so that the mirror sends no request to Clerk, and knows only what events tell.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := sqlite.Open(sqlite.Memory) // in production a file, or postgres.Open
	if err != nil {
		log.Fatal(err)
	}
	const secret = "whsec_plJ3nmyCDGBKInavdOK15jsl" // of the endpoint in Clerk's dashboard
	m, err := clerksync.New(ctx, db, clerksync.Config{WebhookSecrets: []string{secret}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	go m.Run(ctx) // without a secret key it only erases and removes what is older than its retention
	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())

	// Clerk sends an event …
	event := []byte(`{"type":"user.created","object":"event","data":
		{"id":"user_1","first_name":"Ada","public_metadata":{"role":"growth"}}}`)
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", bytes.NewReader(event))
	r.Header = signer.Sign("msg_1", time.Now(), event)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	// … and from its answer on, the user is there.
	user, err := m.Users().ByClerkID(ctx, "user_1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.FirstName, user.Role)
	// Output:
	// 200 {"status":"processed"}
	// Ada growth
}
