package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// action is what the jobs with one action do to objects.
type action struct {
	members  []string // of a selection that it takes
	together int      // objects that are worked on at once
	// do works on objects. An error means that none of them was worked on, or that it is not known.
	do func(ctx context.Context, s *Service, j *store.Job, list []store.JobObject) (tally, error)
	// becomes says what would become of an object.
	becomes func(ctx context.Context, s *Service, j *store.Job, o store.JobObject) (string, error)
}

// The members of selections.
var (
	userMembers     = []string{"all", "ids", "q", "role", "organization", "active"}
	sessionMembers  = []string{"user", "status"}
	deliveryMembers = []string{"all", "ids", "state", "type", "reason", "organization", "since", "until", "subject", "text"}
)

// actionOf returns what an action does, nil if there is no such action on objects.
func (s *Service) actionOf(a mirror.JobAction) *action {
	switch a {
	case mirror.JobReplayDeliveries:
		return &action{members: deliveryMembers, together: 64, do: replay, becomes: wouldReplay}
	default:
		return nil
	}
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
func wouldReplay(ctx context.Context, s *Service, _ *store.Job, o store.JobObject) (string, error) {
	report, err := s.Deliveries.ReplayStored(ctx, []string{o.ID}, mirror.ReplayOptions{DryRun: true, KeepGoing: true})
	if err != nil {
		return "", err
	}
	if report.Replayed == 0 {
		return "skipped: its body is not stored", nil
	}
	for outcome := range report.Outcomes {
		switch outcome {
		case mirror.OutcomeProcessed:
			switch report.Changes {
			case 0:
				return "applied, no change", nil
			case 1:
				return "applied, 1 change", nil
			}
			return "applied, " + strconv.FormatInt(report.Changes, 10) + " changes", nil
		case mirror.OutcomeDuplicate:
			return "applied before, no change", nil
		case mirror.OutcomeInvalid, mirror.OutcomeFailed:
			return string(mirror.DeliveryDead), nil
		}
		return string(outcome), nil
	}
	return "", fmt.Errorf("a replay of %s has no outcome", o.ID)
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
