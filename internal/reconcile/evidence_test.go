package reconcile

import (
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/mirror"
)

func TestCause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		evidence eventEvidence
		at, date clerk.Time
		want     mirror.DriftCause
	}{
		{eventEvidence{}, 5, 5, mirror.CauseNotSubscribed},
		{eventEvidence{seen: true}, 0, 5, mirror.CauseUnknown},
		{eventEvidence{seen: true, lastReceived: 900_000}, 880_000, 900_000, mirror.CauseRecent},
		{eventEvidence{seen: true, lastReceived: 100_000}, 200_000, 900_000, mirror.CauseDown},
		{eventEvidence{seen: true, lastReceived: 300_000}, 200_000, 900_000, mirror.CauseMissed},
		{eventEvidence{seen: true, lastReceived: 300_000}, 200_000, 0, mirror.CauseMissed},
	} {
		if got := test.evidence.cause(test.at, test.date); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestSilentChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		d              ingest.Difference
		body           string
		firstPassEnded clerk.Time
		want           bool
	}{
		{ingest.Difference{New: true}, `{"status":"active","created_at":2000000000000}`, 0, true}, // the first round
		{ingest.Difference{New: true}, `{"status":"active","created_at":2000000000000}`, 1999999999999, false},
		{ingest.Difference{New: true}, `{"status":"active","created_at":2000000000000}`, 2000000000001, true},
		{ingest.Difference{New: true}, `{"status":"ended","created_at":2000000000000}`, 1999999999999, true},
		{ingest.Difference{Fields: []string{"status"}}, `{"status":"revoked"}`, 5, false},
		{ingest.Difference{Fields: []string{"status", "updated_at"}}, `{"status":"expired"}`, 5, true},
		{ingest.Difference{Fields: []string{"expire_at", "updated_at"}}, `{"status":"active"}`, 5, true},
		{ingest.Difference{Fields: []string{"actor"}}, `{"status":"active"}`, 5, false},
		{ingest.Difference{Older: true}, `{"status":"active"}`, 0, false},
		{ingest.Difference{Back: true}, `{"status":"active"}`, 0, false},
	} {
		body, err := clerk.Parse([]byte(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := isSilentChange(test.d, body, test.firstPassEnded); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
