package webhook

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// A change reaches an endpoint that was added while the publisher runs, as a thin message that the
// official library verifies.
func TestDelivers(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(e *env) {
		r, p := newReceiver(e.T), e.publisher(limits{})
		e.run(p)
		e.change("user_before")
		id, secret := e.add(p, Endpoint{URL: r.URL, Description: "billing"})
		r.uses(secret)
		sent := e.change("user_1", "org_1", "user_1")
		e.eventually("three messages", func() bool { return len(r.received()) == 3 })
		checkOrder(e.T, r.received(), sent)
		for _, m := range r.received() {
			switch {
			case m.Type == "user.updated" && m.Data.Kind == "user" && m.Data.ID == "user_1" && *m.Data.ClerkUserID == "user_1" && m.Data.ClerkOrganizationID == nil:
			case m.Type == "organization.created" && m.Data.ID == "org_1" && *m.Data.ClerkOrganizationID == "org_1" && m.Data.ClerkUserID == nil:
			default:
				e.Errorf("received %+v", m)
			}
			if !strings.HasPrefix(m.ID, "msg_"+m.Data.Cursor+"_") || m.Data.Version != "v1" || time.Since(m.Timestamp) > time.Minute || m.Data.Operation == "" {
				e.Errorf("received %+v", m)
			}
		}
		e.eventually("the results", func() bool { return e.endpoint(p, id).Pending == 0 })
		endpoint := e.endpoint(p, id)
		if endpoint.Cursor != sent[2] || !endpoint.Enabled || endpoint.Description != "billing" || !endpoint.FailingSince.IsZero() {
			e.Errorf("the endpoint is %+v", endpoint)
		}
		attempts := e.attempts(p, mirror.WebhookAttemptFilter{EndpointID: id})
		if len(attempts) != 3 || attempts[0].Status != 204 || attempts[0].Attempt != 1 || !attempts[0].Delivered() || attempts[0].ObjectID == "" {
			e.Errorf("attempts: %+v", attempts)
		}
		e.must(p.Remove(e.Context(), id))
		e.change("user_1")
		if _, err := p.Endpoint(e.Context(), id); !errors.Is(err, mirror.ErrNotFound) {
			e.Errorf("a removed endpoint: %v", err)
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	p := e.publisher(limits{})
	e.run(p)
	expect := map[*receiver][]string{}
	for _, c := range []struct {
		endpoint Endpoint
		want     []string
	}{
		{Endpoint{Kinds: []clerk.Kind{clerk.KindOrganization}}, []string{"org_1", "org_2"}},
		{Endpoint{Types: []string{"user.updated"}}, []string{"user_1", "user_2"}},
		{Endpoint{Types: []string{"user.created", "organization.*"}}, []string{"org_1", "org_2"}},
		{Endpoint{ClerkOrganizationID: "org_2"}, []string{"org_2"}},
	} {
		r := newReceiver(t)
		c.endpoint.URL = r.URL
		_, secret := e.add(p, c.endpoint)
		r.uses(secret)
		expect[r] = c.want
	}
	e.change("user_1", "org_1", "user_2", "org_2")
	for r, want := range expect {
		e.eventually("what the filter selects", func() bool { return len(r.received()) >= len(want) })
		got := r.objects()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("received %v, not %v", got, want)
		}
	}
}

// An object whose message fails holds back its own messages alone, and they come in order.
func TestFailureHoldsBackItsObject(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(e *env) {
		r, p := newReceiver(e.T), e.publisher(limits{})
		var healed atomic.Bool
		r.answer = func(m message) int {
			if m.Data.ID == "user_bad" && !healed.Load() {
				return 500
			}
			return 200
		}
		id, secret := e.add(p, Endpoint{URL: r.URL})
		r.uses(secret)
		e.run(p)
		sent := e.change("user_bad", "user_1", "user_bad", "user_1", "user_2")
		e.eventually("the others", func() bool { return len(r.received()) == 3 })
		e.eventually("a failed attempt", func() bool {
			return len(e.attempts(p, mirror.WebhookAttemptFilter{EndpointID: id, Failed: true})) > 0
		})
		e.eventually("the results of the others", func() bool { return e.endpoint(p, id).Pending == 2 })
		if endpoint := e.endpoint(p, id); endpoint.OldestPending.IsZero() {
			e.Errorf("the endpoint is %+v", endpoint)
		}
		healed.Store(true)
		if n, err := p.Resend(e.Context(), id, ""); n != 0 || err != nil { // in place of the wait
			e.Errorf("resent %d, %v", n, err)
		}
		e.eventually("all messages", func() bool { return len(r.received()) == 5 })
		checkOrder(e.T, r.received(), sent)
	})
}

// A receiver that answers 410 ends its endpoint, and enabling it sends what waits.
func TestGone(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{})
	var back atomic.Bool
	r.answer = func(message) int {
		if back.Load() {
			return 200
		}
		return 410
	}
	id, secret := e.add(p, Endpoint{URL: r.URL})
	r.uses(secret)
	e.run(p)
	e.change("user_1")
	e.eventually("disabled", func() bool { return !e.endpoint(p, id).Enabled })
	if endpoint := e.endpoint(p, id); endpoint.DisabledReason != mirror.WebhookGone || endpoint.DisabledAt.IsZero() || endpoint.Pending != 1 {
		t.Errorf("the endpoint is %+v", endpoint)
	}
	e.change("user_2")
	back.Store(true)
	e.must(p.Enable(t.Context(), id))
	e.eventually("what waited, and what came since", func() bool { return len(r.received()) == 2 })
	page, err := e.db.Audit(t.Context(), mirror.AuditFilter{Action: mirror.AuditWebhook})
	e.must(err)
	var log []string
	for _, entry := range page.Items {
		log = append(log, entry.Actor+": "+entry.Became)
	}
	if want := []string{"test: enabled", ": disabled: gone", "test: added"}; !slices.Equal(log, want) {
		t.Errorf("the audit says %q", log)
	}
}

// A rotation signs with both secrets until the overlap ends.
func TestRotation(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{})
	id, old := e.add(p, Endpoint{URL: r.URL})
	verifies := func(secret string) bool {
		r.uses(secret)
		judge, err := standardwebhooks.NewWebhook(secret)
		e.must(err)
		endpoint, err := e.db.WebhookEndpoint(t.Context(), id)
		e.must(err)
		ok := false
		s := e.publisher(limits{})
		s.sender.client.Transport = transport(func(request *http.Request) (*http.Response, error) {
			body := read(t, request)
			ok = judge.Verify(body, request.Header) == nil
			return response(204), nil
		})
		s.sender.send(t.Context(), endpoint.URL, secretsOf(&endpoint, time.Now()), "msg_1", []byte("{}"))
		return ok
	}
	rotated, err := p.Rotate(t.Context(), id, time.Hour)
	e.must(err)
	if rotated == old || !verifies(old) || !verifies(rotated) {
		t.Error("a message of the rotation does not verify with both secrets")
	}
	if until := e.endpoint(p, id).PreviousSecretUntil; time.Until(until) > time.Hour || time.Until(until) < time.Minute {
		t.Errorf("the previous secret is valid until %v", until)
	}
	endpoint, err := e.db.WebhookEndpoint(t.Context(), id)
	e.must(err)
	if late := secretsOf(&endpoint, time.Now().Add(2*time.Hour)); !slices.Equal(late, []string{rotated}) {
		t.Errorf("after the overlap %d secrets sign", len(late))
	}
	last, err := p.Rotate(t.Context(), id, 0)
	e.must(err)
	if verifies(rotated) || !verifies(last) {
		t.Error("a rotation without overlap does not end the previous secret")
	}
	for _, overlap := range []time.Duration{-1, MaxOverlap + 1} {
		if _, err := p.Rotate(t.Context(), id, overlap); err == nil {
			t.Errorf("an overlap of %v was accepted", overlap)
		}
	}
}

// Messages beyond the backlog wait in the feed, and all arrive.
func TestBacklog(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{backlog: 5})
	open := make(chan struct{})
	r.answer = func(message) int { <-open; return 200 }
	id, secret := e.add(p, Endpoint{URL: r.URL})
	r.uses(secret)
	e.run(p)
	sent := e.change(ids(20, "user_%d")...)
	e.eventually("a full queue", func() bool { return e.endpoint(p, id).Pending == 5 })
	if cursor := e.endpoint(p, id).Cursor; cursor != sent[4] {
		t.Errorf("the cursor is %s, not %s", cursor, sent[4])
	}
	close(open)
	e.eventually("all messages", func() bool { return len(r.received()) == 20 })
	checkOrder(t, r.received(), sent)
}

// A cursor that the feed does not know disables the endpoint, and nothing is skipped silently.
func TestCursorGone(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{})
	id, secret := e.add(p, Endpoint{URL: r.URL})
	r.uses(secret)
	e.must(p.Disable(t.Context(), id, "maintenance"))
	sent := e.change("user_1", "user_2", "user_3")
	now := clerk.TimeOf(time.Now())
	_, err := e.db.PurgeChanges(t.Context(), now, now+1)
	e.must(err)
	if gone, ok := errors.AsType[*mirror.CursorGoneError](p.Enable(t.Context(), id)); !ok || gone.Reason != mirror.CursorExpired {
		t.Errorf("enabled although changes are missing: %v", gone)
	}
	e.must(e.db.Update(t.Context(), func(tx *store.Tx) error { // as if they had been purged while it was enabled
		stored, err := tx.WebhookEndpoint(t.Context(), id)
		stored.DisabledAt, stored.DisabledReason = time.Time{}, ""
		return errors.Join(err, tx.SaveWebhookEndpoint(t.Context(), &stored))
	}))
	e.run(p)
	e.eventually("disabled", func() bool { return !e.endpoint(p, id).Enabled })
	if reason := e.endpoint(p, id).DisabledReason; reason != mirror.WebhookCursorGone || len(r.received()) != 0 {
		t.Errorf("the reason is %q, and %d messages came", reason, len(r.received()))
	}
	if err := p.Resume(t.Context(), id, Start{At: time.Now().Add(-time.Hour)}, false); !errors.Is(err, ErrBeforeFeed) {
		t.Errorf("resumed from before the feed: %v", err)
	}
	e.must(p.Resume(t.Context(), id, Start{Cursor: sent[2]}, false))
	e.change("user_4")
	e.eventually("what came since", func() bool { return slices.Equal(r.objects(), []string{"user_4"}) })
}

// Resume sends again from a cursor or a time, with the same message ids.
func TestResume(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{})
	id, secret := e.add(p, Endpoint{URL: r.URL})
	r.uses(secret)
	e.run(p)
	var sent []mirror.FeedCursor
	for _, user := range []string{"user_1", "user_2", "user_3"} {
		sent = append(sent, e.change(user)...)
		<-time.After(2 * time.Millisecond)
	}
	e.eventually("three messages", func() bool { return len(r.received()) == 3 })
	first := map[string]string{}
	for _, m := range r.received() {
		first[m.Data.ID] = m.ID
	}
	e.must(p.Resume(t.Context(), id, Start{Cursor: sent[0]}, false))
	e.eventually("two once more", func() bool { return len(r.received()) == 5 })
	third := slices.IndexFunc(r.received(), func(m message) bool { return m.Data.ID == "user_3" })
	e.must(p.Resume(t.Context(), id, Start{At: r.received()[third].Timestamp}, true))
	e.eventually("one once more", func() bool { return len(r.received()) == 6 })
	e.must(p.Resume(t.Context(), id, Start{}, false))
	e.change("user_4")
	e.eventually("the new one alone", func() bool { return len(r.received()) == 7 })
	for _, m := range r.received() {
		if id, known := first[m.Data.ID]; known && id != m.ID {
			t.Errorf("a message of %s had the id %s and then %s", m.Data.ID, id, m.ID)
		}
	}
	if err := p.Resume(t.Context(), id, Start{Cursor: "nonsense"}, false); !errors.Is(err, mirror.ErrInvalidCursor) {
		t.Errorf("resumed from nonsense: %v", err)
	}
	if err := p.Resume(t.Context(), id, Start{Cursor: "2-00000000"}, false); err == nil {
		t.Error("resumed from a change of another history")
	}
	if err := p.Resume(t.Context(), "ep_other", Start{}, false); !errors.Is(err, mirror.ErrNotFound) {
		t.Errorf("resumed an endpoint that is not there: %v", err)
	}
}

// Of several publishers one sends at a time, and another takes over where it stopped.
func TestTwoPublishers(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(e *env) {
		r := newReceiver(e.T) // which fails if two messages of an object are under way
		r.answer = func(message) int { <-time.After(time.Millisecond); return 200 }
		first, second := e.publisher(limits{}), e.publisher(limits{})
		_, secret := e.add(first, Endpoint{URL: r.URL})
		r.uses(secret)
		stop := e.run(first)
		e.run(second)
		var sent []mirror.FeedCursor
		write := func(n int) {
			for range n {
				sent = append(sent, e.change(ids(10, "user_%d")...)...)
			}
		}
		write(10)
		e.eventually("some messages", func() bool { return len(r.received()) > 20 })
		stop()
		write(10)
		e.arrived(r, sent)
		checkOrder(e.T, r.received(), sent)
		if n := len(r.received()); n > 200+endpointConcurrency {
			e.Errorf("%d messages came for 200 changes", n)
		}
	})
}

// A process that was stopped for longer than its lease sends nothing and stores nothing afterwards.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{lease: 300 * time.Millisecond})
	var blocked sync.WaitGroup
	blocked.Add(1)
	var first sync.Once
	entered := make(chan struct{})
	r.answer = func(message) int {
		first.Do(func() {
			close(entered)
			blocked.Wait()
		})
		return 200
	}
	id, secret := e.add(p, Endpoint{URL: r.URL})
	r.uses(secret)
	e.run(p)
	e.change("user_1", "user_2")
	<-entered
	lease, err := e.db.AcquireLease(t.Context(), leaseName, "another", clerk.TimeOf(time.Now()), time.Minute, func(string) bool { return true })
	e.must(err)
	blocked.Done()
	<-time.After(500 * time.Millisecond) // longer than the lease
	held := e.endpoint(p, id).Pending
	e.change("user_3")
	<-time.After(500 * time.Millisecond)
	if endpoint := e.endpoint(p, id); endpoint.Pending != held || held == 0 {
		t.Errorf("%d messages wait, then %d: the former holder works on", held, endpoint.Pending)
	}
	e.must(e.db.ReleaseLease(context.WithoutCancel(t.Context()), lease))
	e.eventually("all messages, from whoever has the lease", func() bool { return e.endpoint(p, id).Pending == 0 && len(r.received()) >= 3 })
}

func TestPing(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	r, p := newReceiver(t), e.publisher(limits{})
	id, secret := e.add(p, Endpoint{URL: r.URL})
	r.uses(secret)
	e.must(p.Disable(t.Context(), id, "not yet"))
	a, err := p.As(mirror.By{Actor: "ada", Address: "203.0.113.7"}).Ping(t.Context(), id)
	if err != nil || !a.Delivered() || a.Status != 204 || a.Type != "ping" || a.ID == "" {
		t.Errorf("the ping: %+v, %v", a, err)
	}
	if got := r.received(); len(got) != 1 || got[0].Type != "ping" || got[0].Data.EndpointID != id || got[0].ID != a.MessageID {
		t.Errorf("received %+v", got)
	}
	if kept := e.attempts(p, mirror.WebhookAttemptFilter{EndpointID: id}); len(kept) != 1 || kept[0].ID != a.ID {
		t.Errorf("kept %+v", kept)
	}
	page, err := e.db.Audit(t.Context(), mirror.AuditFilter{Action: mirror.AuditWebhook, Limit: 1})
	if e.must(err); page.Items[0].Actor != "ada" || page.Items[0].Address != "203.0.113.7" || page.Items[0].Object != id || page.Items[0].Became != "pinged" {
		t.Errorf("audited %+v", page.Items)
	}
	if _, err := p.Ping(t.Context(), "ep_other"); !errors.Is(err, mirror.ErrNotFound) {
		t.Errorf("the ping of no endpoint: %v", err)
	}
}

func TestTooManyEndpoints(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	p := e.publisher(limits{})
	for range maxEndpoints {
		e.add(p, Endpoint{URL: "https://example.com"})
	}
	if _, _, err := p.Add(t.Context(), Endpoint{URL: "https://example.com"}); !errors.Is(err, ErrTooManyEndpoints) {
		t.Errorf("one more: %v", err)
	}
}

// An endpoint with kinds and types of other kinds would get nothing, ever.
func TestFiltersThatExcludeEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	e := onSQLite(t)
	p := e.publisher(limits{})
	n := Endpoint{URL: "https://example.com", Kinds: []clerk.Kind{clerk.KindUser}, Types: []string{"session.created"}}
	if _, _, err := p.Add(t.Context(), n); err == nil || !strings.Contains(err.Error(), "nothing would be sent") {
		t.Errorf("added: %v", err)
	}
	n.Types = append(n.Types, "user.created")
	if _, _, err := p.Add(t.Context(), n); err != nil {
		t.Error(err)
	}
}
