package webhook_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/clerksync/clerksync/webhook"
)

// A handler reads the body once, bounded, and verifies these bytes before it parses them.
func ExampleVerifier_Verify() {
	const secret = "whsec_plJ3nmyCDGBKInavdOK15jsl" // in production: from the environment
	verifier, err := webhook.NewVerifier(webhook.Config{Secrets: []string{secret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		message, err := verifier.Verify(r.Header, body)
		if refusal, ok := errors.AsType[*webhook.Error](err); ok {
			http.Error(w, string(refusal.Reason), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s: %s", message.ID, body)
	}

	send := func(signed, sent string) {
		signer, err := webhook.NewSigner(secret)
		if err != nil {
			fmt.Println(err)
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/clerk", strings.NewReader(sent))
		r.Header = signer.Sign("msg_1", time.Now(), []byte(signed))
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
	}
	send(`{"type":"user.created"}`, `{"type":"user.created"}`)
	send(`{"type":"user.created"}`, `{"type":"user.deleted"}`)
	// Output:
	// 200 msg_1: {"type":"user.created"}
	// 400 no_matching_signature
}

// During a rotation the sender signs with both secrets, and a receiver needs only one of them.
func ExampleNewSigner_rotation() {
	const oldSecret, newSecret = "whsec_plJ3nmyCDGBKInavdOK15jsl", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	signer, err := webhook.NewSigner(newSecret, oldSecret)
	if err != nil {
		fmt.Println(err)
		return
	}
	h := signer.SignStandard("msg_1", time.Now(), []byte(`{}`))
	fmt.Println(strings.Count(h.Get("webhook-signature"), "v1,"), "signatures")

	verifier, err := webhook.NewVerifier(webhook.Config{Secrets: []string{oldSecret}})
	if err != nil {
		fmt.Println(err)
		return
	}
	message, err := verifier.Verify(h, []byte(`{}`))
	fmt.Println(message.ID, err)
	// Output:
	// 2 signatures
	// msg_1 <nil>
}
