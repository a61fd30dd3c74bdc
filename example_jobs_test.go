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

// Replay all dead letters in the background. A program with [clerksync.Mirror.Run] only starts the
// job; this one works on it itself.
func ExampleMirror_Jobs() {
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

	by := mirror.By{Actor: "ops@example.com"} // for the audit
	job, err := m.Jobs().Plan(ctx, mirror.JobRequest{
		Action: mirror.JobReplayDeliveries,
		Filter: mirror.JobSelection{State: mirror.DeliveryDead},
	}, by)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.State, job.Plan.Matches, job.Plan.Sample)

	if _, err = m.Jobs().Start(ctx, job.ID, by); err != nil {
		log.Fatal(err)
	}
	if job, err = m.Jobs().Run(ctx, job.ID, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.State, "done:", job.Done, "failed:", job.Failed)

	failures, err := m.Jobs().Failures(ctx, job.ID, mirror.JobFailureFilter{})
	if err != nil {
		log.Fatal(err)
	}
	for _, failure := range failures.Items {
		fmt.Println(failure.ObjectID, failure.Reason)
	}
	// Output:
	// planned 1 [{msg_1 user.updated dead dead}]
	// done done: 0 failed: 1
	// msg_1 event is invalid: data.id is missing
}
