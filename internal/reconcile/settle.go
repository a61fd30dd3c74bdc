package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// ask reads one object. What is found is applied. What Clerk does not know is a suspect, if it was none before.
func (s *session) ask(ctx context.Context, k *KindReport, about suspect) (gone bool, err error) {
	began := s.Now()
	reading, err := s.API.Object(ctx, clerkapi.Ref{
		Kind: about.key.Kind, ID: about.key.ID, UserID: about.user, OrganizationID: about.organization,
	}, clerkapi.Background)
	switch {
	case err == nil:
		delete(s.suspects, about.key)
		return false, s.found(ctx, k, about.key, reading)
	case errors.Is(err, clerkapi.ErrNotFound):
		if before, twice := s.suspects[about.key]; twice && !s.dryRun {
			return true, s.confirm(ctx, k, before, reading)
		}
		about.since, about.at = reading.Horizon.Since, began
		s.suspects[about.key] = about
		return true, nil
	case errors.Is(err, clerkapi.ErrNoParent), errors.Is(err, clerkapi.ErrInvalid), errors.Is(err, clerkapi.ErrRefused):
		delete(s.suspects, about.key) // nothing is learnt of it
		return false, nil
	}
	return false, err
}

func (s *session) found(ctx context.Context, k *KindReport, key store.Key, reading clerkapi.Reading) error {
	signs, err := s.signs(ctx, key.Kind)
	if err != nil {
		return err
	}
	return s.apply(ctx, k, signs, reading.Date, ingest.Reading{
		Key: key, Body: reading.Body, ObservedAt: reading.ObservedAt(), ByID: true, Since: reading.Horizon.Since,
	})
}

// confirm hides a row of which two answers, far enough apart, say that it is gone.
func (s *session) confirm(ctx context.Context, k *KindReport, first suspect, again clerkapi.Reading) error {
	age := s.Now().Sub(first.at)
	switch {
	case age < 0: // the clock was set back: the minute begins anew
		first.at = s.Now()
		s.suspects[first.key] = first
		return nil
	case age < confirmAfter:
		return nil
	}
	return s.hide(ctx, k, first, again.ObservedAt())
}

// hide applies an absence, unless the row was written since it was first suspected.
func (s *session) hide(ctx context.Context, k *KindReport, first suspect, observedAt clerk.Time) error {
	signs, err := s.signs(ctx, first.key.Kind)
	if err != nil {
		return err
	}
	delete(s.suspects, first.key)
	return s.apply(ctx, k, signs, 0, ingest.Reading{
		Key: first.key, ObservedAt: observedAt, ByID: true, Since: first.since, Unwritten: true,
	})
}

func (s *session) apply(ctx context.Context, k *KindReport, signs signs, date clerk.Time, reading ingest.Reading) error {
	var drift []store.Drift
	found, err := s.Ingest.ApplyUnder(ctx, s.under(func(ctx context.Context, tx *store.Tx, found []ingest.Difference) error {
		drift = s.drift(found, signs, date)
		return tx.AppendDrift(ctx, drift)
	}), reading)
	if s.dryRun {
		drift = s.drift(found, signs, date)
	}
	if err == nil {
		s.count(k, drift)
	}
	return err
}

// settle asks again for the suspects of which the first answer is old enough; wait: for all of them.
func (s *session) settle(ctx context.Context, wait bool) error {
	var list []suspect
	for _, x := range s.suspects {
		if readable(x.key.Kind) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b suspect) int {
		return strings.Compare(string(a.key.Kind)+a.key.ID, string(b.key.Kind)+b.key.ID)
	})
	for _, x := range list {
		if left := confirmAfter - s.Now().Sub(x.at); left > 0 {
			if !wait {
				continue
			}
			if err := s.Sleep(ctx, left); err != nil {
				return err
			}
		}
		if _, err := s.ask(ctx, s.of(x.key.Kind), x); err != nil {
			return err
		}
	}
	return nil
}

// of is the report of a kind.
func (s *session) of(kind clerk.Kind) *KindReport {
	for i := range s.report.Kinds {
		if s.report.Kinds[i].Kind == kind {
			return &s.report.Kinds[i]
		}
	}
	s.report.Kinds = append(s.report.Kinds, KindReport{Kind: kind, Total: -1})
	return &s.report.Kinds[len(s.report.Kinds)-1]
}
