package diagnose

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Rows checks what a mirror stores. All checks of freshness render one assessment.
type Rows struct {
	DB       *store.DB
	Instance *instance.Guard
	Monitor  *status.Monitor
	HasAPI   bool // Clerk can be read
}

// Checks returns the checks of the rows.
func (r *Rows) Checks(ctx context.Context) []doctor.Check {
	assess := sync.OnceValues(func() (*status.Assessment, error) {
		ctx, cancel := context.WithTimeout(ctx, Limit)
		defer cancel()
		return r.Monitor.Assess(ctx)
	})
	check := func(run func(context.Context, *status.Assessment) []mirror.Finding) func(context.Context) []mirror.Finding {
		return func(ctx context.Context) []mirror.Finding {
			assessment, err := assess()
			if err != nil {
				return []mirror.Finding{unreadable(err)}
			}
			return run(ctx, assessment)
		}
	}
	return []doctor.Check{
		{Name: "instance", Run: r.checkInstance},
		{Name: "events", Run: check(r.checkEvents)},
		{Name: "subscriptions", Run: check(r.checkSubscriptions)},
		{Name: "freshness", Run: check(r.checkFreshness)},
	}
}

func unreadable(err error) mirror.Finding {
	return doctor.Fail("Check the database.", "The rows cannot be read: %v", err)
}

// checkInstance checks whether the configured keys are those of the database's instance.
func (r *Rows) checkInstance(ctx context.Context) []mirror.Finding {
	err := r.Instance.FetchKeys(ctx)
	if !errors.Is(err, mirror.ErrOtherInstance) {
		return nil // other checks say what is wrong with the keys
	}
	return []mirror.Finding{doctor.Fail("Use another database, or the keys of "+r.DB.Settings().Instance+".", "%v.", err)}
}

// checkEvents repeats the warnings about the rows.
func (r *Rows) checkEvents(_ context.Context, a *status.Assessment) []mirror.Finding {
	found := findingsOf(slices.DeleteFunc(a.DataWarnings(), func(w mirror.Warning) bool {
		return w.Code == "not_in_sync" // checkFreshness has the reasons
	}))
	switch {
	case a.Facts.Head.LastReceivedAt == 0:
		return append(found, mirror.Finding{
			Severity: mirror.FindingInfo, Text: "No event has come yet.", Remedy: "Send a test event from the endpoint's page in the Clerk dashboard.",
		})
	case len(found) > 0:
		return found
	}
	return []mirror.Finding{doctor.Good("Events arrive and all were applied.")}
}

// checkSubscriptions checks for kinds that drift because no event of them has ever come.
func (r *Rows) checkSubscriptions(ctx context.Context, a *status.Assessment) []mirror.Finding {
	var missed, silent []string
	heard := 0
	for i := range a.Facts.Kinds {
		k := &a.Facts.Kinds[i]
		if !k.Listed {
			continue
		}
		types := k.Kind.EventPrefix()
		yes, err := r.DB.EventSeen(ctx, types)
		if err != nil {
			return []mirror.Finding{unreadable(err)}
		}
		unannounced, err := r.DB.LastNotSubscribed(ctx, k.Kind)
		if err != nil {
			return []mirror.Finding{unreadable(err)}
		}
		switch {
		case yes:
			heard++
		case unannounced != 0:
			missed = append(missed, types+"*")
		case k.Tally.Rows > 0:
			silent = append(silent, types+"*")
		}
	}
	switch {
	case len(missed) > 0:
		return []mirror.Finding{doctor.Warn("Subscribe the endpoint to them in the Clerk dashboard.",
			"Clerk changed objects and sent no event of these types: %s.", strings.Join(missed, ", "))}
	case heard > 0 && len(silent) > 0:
		return []mirror.Finding{doctor.Good("No event of %s has come yet, and none was missed.", strings.Join(silent, ", "))}
	case heard > 0:
		return []mirror.Finding{doctor.Good("Events of every kind that has rows have come.")}
	}
	return nil // the check of events says that none has come at all
}

// checkFreshness reports whether the mirror is proven to equal Clerk, and why not.
func (r *Rows) checkFreshness(_ context.Context, a *status.Assessment) []mirror.Finding {
	if !r.HasAPI {
		return nil
	}
	if a.InSync() {
		return []mirror.Finding{doctor.Good("In sync: %s.", a.Sentence())}
	}
	var found []mirror.Finding
	for _, reason := range status.Merge(a.Reasons) {
		found = append(found, doctor.Warn(strings.ToUpper(reason.Remedy[:1])+reason.Remedy[1:]+".", "Not in sync: %s.", reason.Message))
	}
	return found
}
