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
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
	"github.com/clerksync/clerksync/webhook"
)

// Replay dead letters, the deliveries that could not be applied. Do it after the cause is mended,
// such as after an upgrade. Dismiss those that need not be applied, so that the warnings end.
func ExampleDeliveries_ReplayAll() {
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
	event := []byte(`{"type":"user.updated","object":"event","data":{"first_name":"Ada"}}`) // of which user?
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(event))
	r.Header = signer.Sign("msg_1", time.Now(), event)
	m.WebhookHandler().ServeHTTP(httptest.NewRecorder(), r)

	failures, err := replayDeadLetters(ctx, m)
	if err != nil {
		log.Fatal(err)
	}
	for _, failure := range failures {
		fmt.Println(failure.MessageID, failure.Status, failure.Problem)
	}

	// An operator has looked at it: it names no user, and will never be applied.
	if err := m.Deliveries().Dismiss(ctx, []string{"msg_1"}, mirror.By{Actor: "ops@example.com"}); err != nil {
		log.Fatal(err)
	}
	dead, err := m.Deliveries().List(ctx, mirror.DeliveryFilter{State: mirror.DeliveryDead})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("dead letters:", len(dead.Items))
	// Output:
	// replayed: 1 failed: 1
	// msg_1 invalid event is invalid: data.id is missing
	// dead letters: 0
}

// replayDeadLetters tries all dead letters again, and returns those that still cannot be applied,
// at most the first hundred.
func replayDeadLetters(ctx context.Context, m *clerksync.Mirror) ([]mirror.ReplayFailure, error) {
	report, err := m.Deliveries().ReplayAll(ctx,
		mirror.DeliveryFilter{State: mirror.DeliveryDead},
		mirror.ReplayOptions{KeepGoing: true}, // with DryRun it only reports what would happen
	)
	if err != nil {
		return nil, err
	}
	fmt.Println("replayed:", report.Replayed, "failed:", report.Failed)
	return report.Failures, nil
}
