package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/jobs"
	"github.com/clerksync/clerksync/mirror"
)

// What cannot be meant is refused, and says what is wrong.
func TestPlansThatAreRefused(t *testing.T) {
	bubble(t, func(e *env) {
		writer := &writer{}
		service := e.process(jobs.Config{Users: writer, ReadsClerk: true, Listed: func(k clerk.Kind) bool { return k == clerk.KindUser }})
		at := time.Now()
		ids := make([]string, 501)
		for i := range ids {
			ids[i] = fmt.Sprint("user_", i)
		}
		for name, test := range map[string]struct {
			request mirror.JobRequest
			err     error
			says    string
		}{
			"no action":         {mirror.JobRequest{}, mirror.ErrInvalidJob, "replay_deliveries, erase_users"},
			"an unknown action": {mirror.JobRequest{Action: "x"}, mirror.ErrInvalidJob, "replay_deliveries, erase_users"},
			"an empty filter":   {mirror.JobRequest{Action: mirror.JobEraseUsers}, mirror.ErrInvalidJob, `"all"`},
			"a filter of others": {
				mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{State: "dead"}},
				mirror.ErrInvalidJob,
				`erase_users does not take the filter "state"; it takes: all, ids, q, role, organization, active`,
			},
			"a filter of a walk": {mirror.JobRequest{Action: mirror.JobBackfill, Filter: mirror.JobSelection{All: true}}, mirror.ErrInvalidJob, `"all"`},
			"ids and more": {
				mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{IDs: ids[:1], Role: "solo"}}, mirror.ErrInvalidJob, "combined",
			},
			"all and more":   {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{All: true, Role: "solo"}}, mirror.ErrInvalidJob, "combined"},
			"too many ids":   {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{IDs: ids}}, mirror.ErrInvalidJob, "500"},
			"an id twice":    {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{IDs: []string{"a", "a"}}}, mirror.ErrInvalidJob, "twice"},
			"an unknown id":  {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{IDs: ids[:1]}}, mirror.ErrNotFound, "user_0"},
			"a long text":    {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{Search: strings.Repeat("x", 257)}}, mirror.ErrInvalidJob, "256"},
			"a role of none": {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{All: true}, Role: "admin"}, mirror.ErrInvalidJob, "change_role"},
			"a role that does not exist": {
				mirror.JobRequest{Action: mirror.JobChangeRole, Filter: mirror.JobSelection{All: true}, Role: "boss"}, mirror.ErrInvalidRole, `"boss"`,
			},
			"no role":              {mirror.JobRequest{Action: mirror.JobChangeRole, Filter: mirror.JobSelection{All: true}}, mirror.ErrInvalidRole, "admin"},
			"an unknown state":     {mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{State: "x"}}, mirror.ErrInvalidJob, "dismissed"},
			"a time that is empty": {mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{Since: at, Until: at}}, mirror.ErrInvalidJob, "since"},
			"sessions and users": {
				mirror.JobRequest{Action: mirror.JobRevokeSessions, Filter: mirror.JobSelection{User: "user_1", Role: "solo"}}, mirror.ErrInvalidJob, "not both",
			},
			"ids of sessions and users": {
				mirror.JobRequest{Action: mirror.JobRevokeSessions, Filter: mirror.JobSelection{IDs: []string{"sess_1", "user_1"}}}, mirror.ErrInvalidJob, "alone",
			},
			"sessions that have ended": {
				mirror.JobRequest{Action: mirror.JobRevokeSessions, Filter: mirror.JobSelection{Status: mirror.SessionEnded}}, mirror.ErrInvalidJob, "ended",
			},
			"kinds of none":       {mirror.JobRequest{Action: mirror.JobBackfill, Kinds: []clerk.Kind{clerk.KindUser}}, mirror.ErrInvalidJob, "reconcile"},
			"a kind not listed":   {mirror.JobRequest{Action: mirror.JobReconcile, Kinds: []clerk.Kind{clerk.KindSession}}, mirror.ErrInvalidJob, "session"},
			"a kind twice":        {mirror.JobRequest{Action: mirror.JobReconcile, Kinds: []clerk.Kind{clerk.KindUser, clerk.KindUser}}, mirror.ErrInvalidJob, "twice"},
			"a mass deletion":     {mirror.JobRequest{Action: mirror.JobBackfill, AllowMassDelete: true}, mirror.ErrInvalidJob, "allow_mass_delete"},
			"a backfill":          {mirror.JobRequest{Action: mirror.JobBackfill}, nil, ""},
			"a reconcile":         {mirror.JobRequest{Action: mirror.JobReconcile, Kinds: []clerk.Kind{clerk.KindUser}, AllowMassDelete: true}, nil, ""},
			"a replay of all":     {mirror.JobRequest{Action: mirror.JobReplayDeliveries}, nil, ""},
			"an erasure of all":   {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{All: true}}, nil, ""},
			"the active, no more": {mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{Active: new(false)}}, nil, ""},
		} {
			j, err := service.Plan(e.Context(), test.request, ada)
			if !errors.Is(err, test.err) || err != nil && !strings.Contains(err.Error(), test.says) || err == nil && j.ID == "" {
				e.Errorf("%s: %+v, %v", name, j, err)
			}
		}
		writer.disabled = mirror.ErrWritesDisabled
		_, err := service.Plan(e.Context(), mirror.JobRequest{Action: mirror.JobEraseUsers, Filter: mirror.JobSelection{All: true}}, ada)
		e.refused("a change where changes are disabled", err, mirror.ErrWritesDisabled)
		_, err = service.Plan(e.Context(), replays, ada)
		e.refused("a replay where changes are disabled", err, nil)
		_, err = e.jobs.Plan(e.Context(), mirror.JobRequest{Action: mirror.JobReconcile}, ada)
		e.refused("a walk without a key", err, mirror.ErrNoSecretKey)
	})
}

// writer changes users as it is told, and notes what it was asked for.
type writer struct {
	disabled error

	mu     sync.Mutex
	asked  []string
	answer func(ctx context.Context, userID string) error
}

// answers replaces the answers, and forgets what was asked for.
func (w *writer) answers(answer func(ctx context.Context, userID string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.answer = nil, answer
}

// list returns what was asked for.
func (w *writer) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *writer) Check() error { return w.disabled }

func (w *writer) SetRole(ctx context.Context, userID, role string, by mirror.By) error {
	w.mu.Lock()
	w.asked = append(w.asked, userID+" "+role+" "+by.Actor)
	answer := w.answer
	w.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(ctx, userID)
}

func (w *writer) RevokeSessions(ctx context.Context, userID string, by mirror.By) (int, error) {
	return 1, w.SetRole(ctx, userID, "revoked", by)
}

func (w *writer) RevokeSession(ctx context.Context, sessionID string, by mirror.By) error {
	return w.SetRole(ctx, sessionID, "revoked", by)
}

func (w *writer) Erase(ctx context.Context, userID string, by mirror.By) error {
	return w.SetRole(ctx, userID, "erased", by)
}

func (w *writer) FinishErasures(context.Context) error { return nil }
