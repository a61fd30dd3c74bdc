package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// action is what the jobs with one action do to objects.
type action struct {
	members  []string // of a selection that it takes
	together int      // objects that are worked on at once
	// do works on objects. An error means that none of them was worked on, or that it is not known.
	do func(ctx context.Context, s *Service, j *store.Job, list []store.JobObject) (tally, error)
	// would says what an object is and what would become of it.
	would func(ctx context.Context, s *Service, j *store.Job, o store.JobObject) (was, becomes string, err error)
	// finish does for all objects what takes long. nil is fine.
	finish func(ctx context.Context, s *Service) error
	// maxInRow is how many objects in a row can fail before the job ends, because the others
	// would, too. 0: any number.
	maxInRow int
}

// The members of selections.
var (
	userMembers     = []string{"all", "ids", "q", "role", "organization", "active"}
	sessionMembers  = []string{"user", "status"}
	deliveryMembers = []string{"all", "ids", "state", "type", "reason", "organization", "since", "until", "subject", "text"}
)

// maxRefused is how many changes in a row Clerk can refuse before a job ends.
const maxRefused = 50

// actionOf returns what an action does, nil if there is no such action on objects.
func (s *Service) actionOf(a mirror.JobAction) *action {
	switch a {
	case mirror.JobReplayDeliveries:
		return &action{members: deliveryMembers, together: 64, do: replay, would: wouldReplay}
	case mirror.JobChangeRole:
		return &action{members: userMembers, together: 1, maxInRow: maxRefused, do: changeRole, would: wouldChangeRole}
	case mirror.JobRevokeSessions:
		return &action{members: slices.Concat(userMembers, sessionMembers), together: 1, maxInRow: maxRefused, do: revoke, would: wouldRevoke}
	case mirror.JobEraseUsers:
		return &action{
			members: userMembers, together: 1, maxInRow: maxRefused, do: erase, would: wouldErase,
			finish: func(ctx context.Context, s *Service) error { return s.Users.FinishErasures(ctx) },
		}
	default:
		return nil
	}
}

func changeRole(ctx context.Context, s *Service, j *store.Job, list []store.JobObject) (tally, error) {
	if list[0].Was == j.Role {
		return tally{skipped: 1}, nil
	}
	return s.written(j, list[0].ID, s.Users.SetRole(ctx, list[0].ID, j.Role, j.By))
}

func wouldChangeRole(_ context.Context, _ *Service, j *store.Job, o store.JobObject) (was, becomes string, err error) {
	if o.Was == j.Role {
		return o.Was, "skipped: has the role", nil
	}
	return o.Was, j.Role, nil
}

func revoke(ctx context.Context, s *Service, j *store.Job, list []store.JobObject) (tally, error) {
	id := list[0].ID
	if kindOf(j) == store.JobSession {
		return s.written(j, id, s.Users.RevokeSession(ctx, id, j.By))
	}
	n, err := s.Users.RevokeSessions(ctx, id, j.By)
	if err == nil && n == 0 {
		return tally{skipped: 1}, nil
	}
	return s.written(j, id, err)
}

// countedSessions bounds how many sessions of a user a plan counts.
const countedSessions = 100

func wouldRevoke(ctx context.Context, s *Service, j *store.Job, o store.JobObject) (was, becomes string, err error) {
	if kindOf(j) == store.JobSession {
		return o.Was, string(mirror.SessionRevoked), nil
	}
	page, err := s.DB.Sessions(ctx, mirror.SessionFilter{ClerkUserID: o.ID, Limit: countedSessions})
	n := 0
	for i := range page.Items {
		if page.Items[i].Usable() {
			n++
		}
	}
	switch {
	case n == 0:
		return "no known session", "revoked, if Clerk has one", err
	case n == 1:
		return "1 session", string(mirror.SessionRevoked), err
	case page.Next != "":
		return fmt.Sprintf("%d sessions or more", n), string(mirror.SessionRevoked), err
	}
	return fmt.Sprintf("%d sessions", n), string(mirror.SessionRevoked), err
}

func erase(ctx context.Context, s *Service, j *store.Job, list []store.JobObject) (tally, error) {
	return s.written(j, list[0].ID, s.Users.Erase(ctx, list[0].ID, j.By))
}

func wouldErase(_ context.Context, s *Service, _ *store.Job, o store.JobObject) (was, becomes string, err error) {
	if s.ReadsClerk {
		return o.Was, "deleted at Clerk, erased here", nil
	}
	return o.Was, "erased here, stays at Clerk", nil
}

// written returns what became of an object that was to be changed.
func (s *Service) written(j *store.Job, id string, err error) (tally, error) {
	switch {
	case err == nil:
		return tally{done: 1}, nil
	case retryable(err) || concernsAll(err):
		return tally{}, err
	}
	return tally{failures: []mirror.JobFailure{{JobID: j.ID, ObjectID: id, Reason: shorten(err.Error()), At: s.Now()}}}, nil
}

// retryable reports whether an error is no fault of the objects: the same work may succeed later.
func retryable(err error) bool {
	_, ok := errors.AsType[*transientError](err)
	return ok || store.IsTransient(err) || errors.Is(err, mirror.ErrClerkBusy) || errors.Is(err, mirror.ErrClerkUnavailable) ||
		errors.Is(err, mirror.ErrOutcomeUnknown) || errors.Is(err, mirror.ErrNotStored)
}

// concernsAll reports whether an error would come of every object.
func concernsAll(err error) bool {
	return slices.ContainsFunc([]error{
		mirror.ErrWritesDisabled, mirror.ErrSecretKeyRefused, mirror.ErrNoSecretKey, mirror.ErrInvalidRole, mirror.ErrOtherInstance, store.ErrReadOnly,
	}, func(target error) bool { return errors.Is(err, target) })
}

// errUnavailable means that a delivery could not be stored.
var errUnavailable = errors.New("the database does not work, or too many events wait to be stored")

func replay(ctx context.Context, s *Service, j *store.Job, list []store.JobObject) (did tally, err error) {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	ctx = context.WithoutCancel(ctx) // what was applied is counted; it takes ten seconds at most
	report, err := s.Deliveries.ReplayStored(ctx, ids, mirror.ReplayOptions{KeepGoing: true})
	if err != nil {
		return tally{}, err
	}
	for _, f := range report.Failures {
		if f.Status == mirror.OutcomeUnavailable {
			return tally{}, &transientError{cmp.Or(f.Problem, errUnavailable.Error())}
		}
		did.failures = append(did.failures, mirror.JobFailure{
			JobID: j.ID, ObjectID: f.MessageID, Reason: shorten(cmp.Or(f.Problem, string(f.Status))), At: s.Now(),
		})
	}
	did.done = report.Replayed - report.Failed
	did.skipped = int64(len(list)) - report.Replayed
	return did, nil
}

// transientError is a failure that is no fault of the objects.
type transientError struct{ text string }

func (e *transientError) Error() string { return e.text }

// wouldReplay finds out what a replay would do, and changes nothing.
func wouldReplay(ctx context.Context, s *Service, _ *store.Job, o store.JobObject) (was, becomes string, err error) {
	report, err := s.Deliveries.ReplayStored(ctx, []string{o.ID}, mirror.ReplayOptions{DryRun: true, KeepGoing: true})
	if err != nil || report.Replayed == 0 {
		return o.Was, "skipped: its body is not stored", err
	}
	for outcome := range report.Outcomes {
		becomes = string(outcome)
		switch {
		case outcome == mirror.OutcomeProcessed && report.Changes == 0:
			becomes = "applied, no change"
		case outcome == mirror.OutcomeProcessed && report.Changes == 1:
			becomes = "applied, 1 change"
		case outcome == mirror.OutcomeProcessed:
			becomes = fmt.Sprintf("applied, %d changes", report.Changes)
		case outcome == mirror.OutcomeDuplicate:
			becomes = "applied before, no change"
		case outcome == mirror.OutcomeInvalid || outcome == mirror.OutcomeFailed:
			becomes = string(mirror.DeliveryDead)
		}
	}
	return o.Was, becomes, nil
}

// labelOf returns by what people know a user.
func labelOf(u *mirror.User) string {
	name := u.FirstName
	if u.LastName != "" {
		if name != "" {
			name += " "
		}
		name += u.LastName
	}
	return cmp.Or(u.Email, name, u.Username)
}
