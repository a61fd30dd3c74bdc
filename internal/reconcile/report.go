package reconcile

import (
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
)

// maxListed bounds the drift that a report lists. The counts have all of it.
const maxListed = 1000

// KindReport is the result for one kind.
type KindReport struct {
	Kind     clerk.Kind `json:"kind"`
	Rows     int        `json:"rows"`
	Total    int        `json:"total"` // as Clerk counts
	Complete bool       `json:"complete"`
	Refused  bool       `json:"refused,omitempty"` // Clerk has no such list for this instance: organizations are disabled
	Reason   string     `json:"reason,omitempty"`
	Since    clerk.Time `json:"since,omitempty"`  // only changes since then were read
	Unread   int        `json:"unread,omitempty"` // reads by id that Clerk did not answer
	Found    int        `json:"drift_found"`
	Repaired int        `json:"drift_repaired"`
}

// Report is the result of a backfill, a walk or a tick.
type Report struct {
	Kinds    []KindReport  `json:"kinds"`
	Drift    []store.Drift `json:"drift"` // at most maxListed rows
	Found    int           `json:"drift_found"`
	Repaired int           `json:"drift_repaired"`
	DryRun   bool          `json:"dry_run"`
}

// Complete reports whether each walk proved that it read the whole list, if Clerk has that list.
func (r *Report) Complete() bool {
	return !slices.ContainsFunc(r.Kinds, func(k KindReport) bool { return !k.Complete && !k.Refused })
}

// kindReport returns the report of a kind, and adds it if there is none yet. A kind of which no
// whole list is walked counts as complete.
func (r *run) kindReport(kind clerk.Kind) *KindReport {
	for i := range r.report.Kinds {
		if r.report.Kinds[i].Kind == kind {
			return &r.report.Kinds[i]
		}
	}
	r.report.Kinds = append(r.report.Kinds, KindReport{Kind: kind, Total: -1, Complete: true})
	return &r.report.Kinds[len(r.report.Kinds)-1]
}

// count adds drift to the report: what was found and, unless this is a dry run, repaired.
func (r *run) count(k *KindReport, drift []store.Drift) {
	r.stats.count(k.Kind, drift)
	for _, d := range drift {
		k.Found++
		r.report.Found++
		if d.Repaired {
			k.Repaired++
			r.report.Repaired++
		}
		if len(r.report.Drift) < maxListed {
			r.report.Drift = append(r.report.Drift, d)
		}
	}
}

// drift turns differences into drift records. An older state at Clerk is drift once a second answer
// confirmed it; a dry run, which does not wait for a second answer, reports it at once.
func (r *run) drift(found []ingest.Difference, evidence eventEvidence, a clerkapi.Answer) []store.Drift {
	list := make([]store.Drift, 0, len(found))
	for _, d := range found {
		if isContradiction(d) {
			if d.Written <= a.Horizon.Since && (r.dryRun || d.Conflict && !Readable(d.Key.Kind)) {
				list = append(list, r.contradiction(d, false))
			}
			continue
		}
		line := store.Drift{
			Kind: d.Key.Kind, ID: d.Key.ID, FoundAt: r.now(), Fields: sortedFields(d),
			Cause: evidence.cause(d.UpdatedAt, a.Date), Since: d.UpdatedAt, Repaired: !r.dryRun,
		}
		if d.Altered {
			line.Cause, line.Since = CauseAltered, 0
		}
		list = append(list, line)
	}
	return list
}

// contradiction is the drift of a row that stays as it is until a person decides: Clerk returns an
// older state, or has an object that is deleted here.
func (r *run) contradiction(d ingest.Difference, repaired bool) store.Drift {
	cause := CauseRegression
	if d.Conflict {
		cause = CauseDeletedHere
	}
	return store.Drift{
		Kind: d.Key.Kind, ID: d.Key.ID, FoundAt: r.now(), Fields: sortedFields(d),
		Cause: cause, Since: d.UpdatedAt, Repaired: repaired,
	}
}

// countUnrepaired adds drift of rows that are missing at Clerk and stay as they are.
func (r *run) countUnrepaired(k *KindReport, cause string, keys ...store.Key) {
	for _, key := range keys {
		r.count(k, []store.Drift{{Kind: key.Kind, ID: key.ID, FoundAt: r.now(), Cause: cause}})
	}
}

func sortedFields(d ingest.Difference) []string {
	fields := slices.Clone(d.Fields)
	slices.Sort(fields)
	return slices.Compact(fields)
}
