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

// A service has webhooks and a mirrored user store in ten lines.
func Example() {
	ctx := context.Background()
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		log.Fatal(err)
	}
	const secret = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	m, err := clerksync.New(ctx, db, clerksync.Config{WebhookSecrets: []string{secret}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	mux := http.NewServeMux()
	mux.Handle("POST /api/webhooks/clerk", m.WebhookHandler())

	// Clerk sends an event …
	body := []byte(`{"type":"user.created","object":"event","data":{"id":"user_1","first_name":"Ada","public_metadata":{"role":"growth"}}}`)
	request := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", bytes.NewReader(body))
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		log.Fatal(err)
	}
	request.Header = signer.Sign("msg_1", time.Now(), body)
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, request)
	fmt.Println(answer.Code)

	// … and the user is there.
	user, err := m.Users().ByClerkID(ctx, "user_1")
	fmt.Println(user.FirstName, user.Role, err)
	// Output:
	// 200
	// Ada growth <nil>
}
