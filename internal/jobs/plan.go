package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	planLife = time.Hour
	// maxCounted and countFor bound how far a plan counts, and how long.
	maxCounted  = 10_000
	countFor    = 2 * time.Second
	sampleSize  = 10
	maxIDs      = 500
	maxSelector = 256 // bytes of a text of a selection
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", mirror.ErrInvalidJob, fmt.Sprintf(format, args...))
}

// Plan finds out what a job would do, and stores that. Nothing is done before the job is started.
func (s *Service) Plan(ctx context.Context, r mirror.JobRequest, by mirror.By) (mirror.Job, error) {
	if err := s.check(&r); err != nil {
		return mirror.Job{}, err
	}
	now := s.now().Time()
	j := &store.Job{Job: mirror.Job{
		Action: r.Action, Filter: r.Filter, Role: r.Role, Kinds: append([]clerk.Kind{}, r.Kinds...), AllowMassDelete: r.AllowMassDelete,
		Plan: mirror.JobPlan{Sample: []mirror.JobItem{}}, Progress: []mirror.JobProgress{},
		CreatedAt: now, CreatedBy: by.Actor, ExpiresAt: now.Add(planLife), UpdatedAt: now,
	}}
	j.Until = clerk.TimeOf(now)
	if !r.Action.ReadsClerk() {
		newest, err := s.DB.NewestJobObject(ctx, kindOf(j), r.Filter.Organization)
		if err != nil {
			return mirror.Job{}, err
		}
		j.Until = max(j.Until, newest) // the clock of Clerk, or of another process, may be ahead
		if err := s.preview(ctx, j); err != nil {
			return mirror.Job{}, err
		}
	}
	if err := s.DB.AddJob(ctx, j, by); err != nil {
		return mirror.Job{}, err
	}
	return s.withLabels(ctx, j.Job)
}

// check returns what is wrong with a request.
func (s *Service) check(r *mirror.JobRequest) error {
	if s.DB.ReadOnly() {
		return store.ErrReadOnly
	}
	a := s.actionOf(r.Action)
	switch {
	case a == nil && !r.Action.ReadsClerk():
		return invalid("the action is none of %s", words(mirror.JobActions()))
	case r.Role != "" && r.Action != mirror.JobChangeRole:
		return invalid("only %s takes a role", mirror.JobChangeRole)
	case (len(r.Kinds) > 0 || r.AllowMassDelete) && r.Action != mirror.JobReconcile:
		return invalid("only %s takes kinds and allow_mass_delete", mirror.JobReconcile)
	case a == nil && !s.ReadsClerk:
		return mirror.ErrNoSecretKey
	}
	for i, kind := range r.Kinds {
		if !s.Listed(kind) || slices.Contains(r.Kinds[:i], kind) {
			return invalid("kind %q cannot be listed at Clerk, or is given twice", string(kind))
		}
	}
	members := []string{}
	if a != nil {
		members = a.members
	}
	if err := checkSelection(r, members); err != nil || a == nil || r.Action == mirror.JobReplayDeliveries {
		return err
	}
	if ladder := s.DB.Settings().Roles(); r.Action == mirror.JobChangeRole && !slices.Contains(ladder, r.Role) {
		return fmt.Errorf("%w: there are %s, and not %q", mirror.ErrInvalidRole, words(ladder), r.Role)
	}
	return s.Users.Check()
}

// checkSelection returns what is wrong with the selection of a request.
func checkSelection(r *mirror.JobRequest, allowed []string) error {
	text, err := json.Marshal(r.Filter)
	var given map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &given)
	}
	if err != nil {
		return invalid("the filter cannot be read: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(allowed, name) {
			return invalid("%s does not take the filter %q; it takes: %s", r.Action, name, words(allowed))
		}
	}
	f := &r.Filter
	for i, id := range f.IDs {
		if id == "" || len(id) > maxSelector || slices.Contains(f.IDs[:i], id) {
			return invalid("an id is empty, too long, or given twice")
		}
	}
	for _, text := range []string{
		f.Search, f.Role, f.Organization, f.User, string(f.Status), string(f.State), f.Type, f.Reason, f.Subject, f.Text,
	} {
		if len(text) > maxSelector {
			return invalid("a text of the filter has more than %d bytes", maxSelector)
		}
	}
	switch {
	case len(f.IDs) > maxIDs:
		return invalid("at most %d ids can be given; use a filter", maxIDs)
	case (len(f.IDs) > 0 || f.All) && len(given) > 1:
		return invalid("ids, or all, cannot be combined with other filters")
	case len(given) == 0 && !r.Action.ReadsClerk() && r.Action != mirror.JobReplayDeliveries:
		return invalid(`an empty filter selects nothing: give one, or "all"`)
	case r.Action == mirror.JobRevokeSessions && (f.User != "" || f.Status != "") && selectsUsers(f):
		return invalid("sessions are selected by user and status, or users by the other filters, not both")
	case f.Status != "" && !(&mirror.Session{Status: f.Status}).Usable():
		return invalid("sessions with the status %q have ended: there is nothing to revoke", string(f.Status))
	case ofSessions(f.IDs) && slices.ContainsFunc(f.IDs, func(id string) bool { return !ofSessions([]string{id}) }):
		return invalid("ids must be those of sessions alone, or of users alone")
	case !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until):
		return invalid("since must be before until")
	case f.State != "" && !slices.Contains(states(), f.State):
		return invalid("there is no state %q; there are: %s", string(f.State), words(states()))
	}
	return nil
}

// selectsUsers reports whether a selection has a condition that users have.
func selectsUsers(f *mirror.JobSelection) bool {
	return f.Search != "" || f.Role != "" || f.Organization != "" || f.Active != nil
}

func states() []mirror.DeliveryState {
	return []mirror.DeliveryState{
		mirror.DeliveryApplied, mirror.DeliveryIgnored, mirror.DeliveryQuarantined, mirror.DeliveryDead, mirror.DeliveryDismissed, mirror.DeliveryErased,
	}
}

func words[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, word := range list {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}

// preview counts the objects of a job, within bounds, and finds out what would become of some.
func (s *Service) preview(ctx context.Context, j *store.Job) error {
	a, source, began := s.actionOf(j.Action), s.source(j), time.Now()
	for cursor := ""; ; {
		page, err := source(ctx, cursor, objectsPage)
		if err != nil {
			return err
		}
		for _, o := range page.Objects {
			if len(j.Plan.Sample) == sampleSize {
				break
			}
			was, becomes, err := a.would(ctx, s, j, o)
			if err != nil {
				return err
			}
			j.Plan.Sample = append(j.Plan.Sample, mirror.JobItem{ID: o.ID, Label: o.Label, Was: was, Becomes: becomes})
		}
		j.Plan.Matches += int64(len(page.Objects))
		cursor = string(page.Next)
		switch {
		case cursor == "" && j.Plan.Matches < int64(len(j.Filter.IDs)):
			return s.missing(ctx, j)
		case cursor == "":
			return nil
		case j.Plan.Matches >= maxCounted || time.Since(began) > countFor:
			j.Plan.AtLeast = true
			j.Plan.Matches = min(j.Plan.Matches, maxCounted)
			return nil
		}
	}
}

// missing returns an error that names an object that does not exist, of those that were named.
func (s *Service) missing(ctx context.Context, j *store.Job) error {
	list, err := s.DB.JobObjectsOf(ctx, kindOf(j), j.Filter.IDs)
	for _, id := range j.Filter.IDs {
		if err == nil && !slices.ContainsFunc(list, func(o store.JobObject) bool { return o.ID == id }) {
			return fmt.Errorf("%s %s %w", kindOf(j), id, mirror.ErrNotFound)
		}
	}
	return err
}

// source returns the function that reads the objects of a job, from a place on.
func (s *Service) source(j *store.Job) func(ctx context.Context, cursor string, limit int) (store.JobObjects, error) {
	f := j.Filter
	if len(f.IDs) > 0 {
		return func(ctx context.Context, cursor string, limit int) (store.JobObjects, error) {
			return s.objectsOf(ctx, kindOf(j), f.IDs, cursor, limit)
		}
	}
	deliveries := mirror.DeliveryFilter{
		State: f.State, Type: f.Type, Since: f.Since, Until: f.Until, Subject: f.Subject, Reason: f.Reason,
		ClerkOrganizationID: f.Organization, Text: f.Text, WithoutSetAside: !f.State.SetAside(),
	}
	users := mirror.UserFilter{Search: f.Search, Role: f.Role, OrganizationID: f.Organization, Active: f.Active}
	return func(ctx context.Context, cursor string, limit int) (store.JobObjects, error) {
		after := mirror.Cursor(cursor)
		switch kindOf(j) {
		case store.JobDelivery:
			return s.DB.JobDeliveries(ctx, deliveries, j.Until, after, limit)
		case store.JobSession:
			return s.DB.JobSessions(ctx, mirror.SessionFilter{ClerkUserID: f.User, Status: f.Status}, j.Until, after, limit)
		default:
			return s.DB.JobUsers(ctx, users, j.Until, after, limit)
		}
	}
}

// kindOf returns the kind of the objects of a job.
func kindOf(j *store.Job) store.JobKind {
	switch {
	case j.Action == mirror.JobReplayDeliveries:
		return store.JobDelivery
	case j.Action == mirror.JobRevokeSessions && (j.Filter.User != "" || j.Filter.Status != "" || ofSessions(j.Filter.IDs)):
		return store.JobSession
	}
	return store.JobUser
}

// ofSessions reports whether ids are those of sessions.
func ofSessions(ids []string) bool { return len(ids) > 0 && strings.HasPrefix(ids[0], "sess_") }

// objectsOf returns the objects with the ids from a place on. The place is how many ids were taken.
func (s *Service) objectsOf(ctx context.Context, kind store.JobKind, ids []string, cursor string, limit int) (p store.JobObjects, err error) {
	taken := 0
	if cursor != "" {
		if taken, err = strconv.Atoi(cursor); err != nil || taken < 0 || taken > len(ids) {
			return p, fmt.Errorf("%q is not a place in the ids of a job", cursor)
		}
	}
	page := ids[taken:min(len(ids), taken+limit)]
	list, err := s.DB.JobObjectsOf(ctx, kind, page)
	for i := range list {
		list[i].Cursor = mirror.Cursor(strconv.Itoa(taken + slices.Index(page, list[i].ID) + 1))
	}
	p.Objects = list
	if taken += len(page); taken < len(ids) {
		p.Next = mirror.Cursor(strconv.Itoa(taken))
	}
	return p, err
}
