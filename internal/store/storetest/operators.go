package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func newOperator(name string, now time.Time) *store.OperatorToken {
	o := &store.OperatorToken{Digest: sha256.Sum256([]byte("token of " + name))}
	o.Name, o.CreatedAt, o.CreatedBy, o.ExpiresAt = name, now, "cli:ada", now.Add(time.Hour)
	return o
}

// operatorsKept demands that operators come back as they were added, and that adding and revoking
// them is audited.
func operatorsKept(t *testing.T, db *store.DB) {
	now := clerk.TimeOf(time.Now()).Time()
	reader := newOperator("reader", now)
	reader.ReadOnly = true
	for _, o := range []*store.OperatorToken{reader, newOperator("bob", now)} {
		if err := db.AddOperator(t.Context(), o, mirror.By{Actor: "cli:ada"}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := db.OperatorTokens(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "bob" || list[1] != *reader {
		t.Fatalf("%+v, %v; added was %+v", list, err, reader)
	}
	if err := db.AddOperator(t.Context(), newOperator("bob", now), mirror.By{Actor: "cli:ada"}); !errors.Is(err, mirror.ErrOperatorExists) {
		t.Errorf("the name is given twice: %v", err)
	}
	if err := db.RevokeOperator(t.Context(), "carol", mirror.By{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown operator is revoked: %v", err)
	}
	if err := db.RevokeOperator(t.Context(), "reader", mirror.By{Actor: "cli:eve", Origin: "command"}); err != nil {
		t.Fatal(err)
	}
	if list, err := db.OperatorTokens(t.Context()); err != nil || len(list) != 1 || list[0].Name != "bob" {
		t.Errorf("left are %+v, %v", list, err)
	}
	page, err := db.Audit(t.Context(), mirror.AuditFilter{Action: mirror.AuditOperator})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for i := range page.Items {
		e := &page.Items[i]
		said = append(said, strings.TrimRight(e.Actor+" "+e.Origin+" "+e.Object+": "+e.Was+" > "+e.Became, " "))
	}
	until := now.Add(time.Hour).Format(time.RFC3339)
	want := []string{
		"cli:eve command reader: read-only > revoked", "cli:ada  bob:  > operator until " + until, "cli:ada  reader:  > read-only until " + until,
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit has\n%s", strings.Join(said, "\n"))
	}
}

// operatorsAtOnce demands that one of many who add the same name succeeds, and that the limit
// holds.
func operatorsAtOnce(t *testing.T, db *store.DB) {
	now := time.Now()
	var added, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			o := newOperator("ada", now)
			o.Digest = sha256.Sum256([]byte(strconv.Itoa(i)))
			err := db.AddOperator(t.Context(), o, mirror.By{Actor: "cli:ada"})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				added++
			case errors.Is(err, mirror.ErrOperatorExists):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if added != 1 || refused != 7 {
		t.Errorf("%d added, %d refused", added, refused)
	}
	for i := 1; i < store.MaxOperators; i++ {
		if err := db.AddOperator(t.Context(), newOperator(fmt.Sprintf("o%d", i), now), mirror.By{Actor: "cli:ada"}); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := db.AddOperator(t.Context(), newOperator("more", now), mirror.By{Actor: "cli:ada"}); !errors.Is(err, mirror.ErrTooManyOperators) {
		t.Errorf("one more than the limit: %v", err)
	}
}

// operatorUsed demands that the last use is stored once within the given time.
func operatorUsed(t *testing.T, db *store.DB) {
	now := clerk.TimeOf(time.Now()).Time()
	ada := newOperator("ada", now)
	if err := db.AddOperator(t.Context(), ada, mirror.By{Actor: "cli:ada"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ used, stored time.Duration }{
		{0, 0}, {59 * time.Minute, 0}, {time.Hour, time.Hour}, {30 * time.Minute, time.Hour}, {3 * time.Hour, 3 * time.Hour},
	} {
		if err := db.OperatorUsed(t.Context(), ada.Digest, now.Add(c.used), time.Hour); err != nil {
			t.Fatal(err)
		}
		list, err := db.OperatorTokens(t.Context())
		if err != nil || len(list) != 1 || !list[0].LastUsedAt.Equal(now.Add(c.stored)) {
			t.Errorf("used after %v: %+v, %v", c.used, list, err)
		}
	}
}
