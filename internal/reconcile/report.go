package reconcile

import (
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// maxListed bounds the drift that a report lists. The counts have all of it.
const maxListed = 1000

// kindReport returns the report of a kind, and adds it if there is none yet. A kind of which no
// whole list is walked counts as complete.
func (r *run) kindReport(kind clerk.Kind) *mirror.KindReport {
	for i := range r.report.Kinds {
		if r.report.Kinds[i].Kind == kind {
			return &r.report.Kinds[i]
		}
	}
	r.report.Kinds = append(r.report.Kinds, mirror.KindReport{Kind: kind, Total: -1, Complete: true})
	return &r.report.Kinds[len(r.report.Kinds)-1]
}

// count adds drift to the report: what was found and, unless this is a dry run, repaired.
func (r *run) count(k *mirror.KindReport, drift []mirror.Drift) {
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
func (r *run) drift(found []ingest.Difference, evidence eventEvidence, a clerkapi.Answer) []mirror.Drift {
	list := make([]mirror.Drift, 0, len(found))
	for _, d := range found {
		if isContradiction(d) {
			if d.Written <= a.Fence.Since && (r.dryRun || d.Conflict && !converge.Readable(d.Key.Kind)) {
				list = append(list, r.contradiction(d, false))
			}
			continue
		}
		line := mirror.Drift{
			Kind: d.Key.Kind, ID: d.Key.ID, FoundAt: r.now().Time(), Fields: sortedFields(d),
			Cause: evidence.cause(d.UpdatedAt, a.Date), Since: d.UpdatedAt.Time(), Repaired: !r.dryRun,
		}
		if d.Altered {
			line.Cause, line.Since = mirror.CauseAltered, time.Time{}
		}
		list = append(list, line)
	}
	return list
}

// contradiction is the drift of a row that stays as it is until a person decides: Clerk returns an
// older state, or has an object that is deleted here.
func (r *run) contradiction(d ingest.Difference, repaired bool) mirror.Drift {
	cause := mirror.CauseRegression
	if d.Conflict {
		cause = mirror.CauseDeletedHere
	}
	return mirror.Drift{
		Kind: d.Key.Kind, ID: d.Key.ID, FoundAt: r.now().Time(), Fields: sortedFields(d),
		Cause: cause, Since: d.UpdatedAt.Time(), Repaired: repaired,
	}
}

// countUnrepaired adds drift of rows that are missing at Clerk and stay as they are.
func (r *run) countUnrepaired(k *mirror.KindReport, cause mirror.DriftCause, keys ...row.Key) {
	for _, key := range keys {
		r.count(k, []mirror.Drift{{Kind: key.Kind, ID: key.ID, FoundAt: r.now().Time(), Cause: cause}})
	}
}

func sortedFields(d ingest.Difference) []string {
	fields := slices.Clone(d.Fields)
	slices.Sort(fields)
	return slices.Compact(fields)
}
