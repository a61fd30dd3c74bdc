package console

import (
	"net/http"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) syncRoutes() []route {
	return []route{
		{pattern: "GET /sync", section: "sync", serve: showSync},
		{pattern: "GET /sync/run", section: "sync", serve: askToRun},
		{pattern: "POST /sync/run", section: "sync", serve: runSync},
		{pattern: "GET /sync/drift", section: "sync", serve: listDrift},
		{pattern: "GET /sync/walks", section: "sync", serve: listWalks},
	}
}

// syncData is the page Sync.
type syncData struct {
	mirror.SyncOverview

	Tabs    []tab
	Reasons []reasonRow
	Kinds   []kindRow
	Today   driftToday
	Jobs    []jobView // reads of Clerk that an operator asked for and that have not ended
	Running *walkRow  // the walk under way
	Walks   []walkRow
	Drift   []driftRow
	CanRun  bool
}

// reasonRow is why the mirror is not proven to be in sync, and where to do something about it.
type reasonRow struct {
	Message, Remedy string
	Link, LinkText  string // empty for none
}

// reasonRows merges what several kinds have in common, so that it is said once.
func (v *visit) reasonRows(reasons []mirror.SyncReason) (rows []reasonRow) {
	for _, r := range clerksync.MergeReasons(reasons) {
		row := reasonRow{Message: fullSentence(r.Message), Remedy: fullSentence(r.Remedy)}
		switch r.Code {
		case "dead_letters":
			row.Link, row.LinkText = v.to("deliveries")+"?state=dead", "Show them"
			row.Remedy = "Replay or dismiss them."
		case "drift_left", "conflicts":
			row.Link, row.LinkText = v.to("sync", "drift"), "Show them"
		case "foreign_instance":
			row.Link, row.LinkText = v.to("deliveries")+"?reason=foreign_instance", "Show their deliveries"
		}
		rows = append(rows, row)
	}
	return rows
}

type driftToday struct{ Found, Repaired int64 }

// kindRow is a kind of the table.
type kindRow struct {
	mirror.KindStatus

	Name    string
	State   string // of the chip
	Colour  string
	Waiting int64 // rows that wait to be read again from Clerk, suspects included
	Lag     time.Duration
	HasLag  bool
}

// syncTabs are the parts of the section.
func (v *visit) syncTabs(current string) []tab {
	return []tab{
		{Label: "Status", Href: v.to("sync"), Current: current == "status"},
		{Label: "Drift", Href: v.to("sync", "drift"), Current: current == "drift"},
		{Label: "History", Href: v.to("sync", "walks"), Current: current == "walks"},
	}
}

const fewRows = 6 // of a list that has a page of its own

func showSync(v *visit) error {
	ctx := v.r.Context()
	o, err := v.mirror.Sync().Overview(ctx)
	if err != nil {
		return err
	}
	data := syncData{SyncOverview: o, Tabs: v.syncTabs("status"), Reasons: v.reasonRows(o.Status.Reasons), CanRun: v.mirror.Instance().SecretKey}
	for _, k := range o.Status.Kinds {
		data.Kinds = append(data.Kinds, kindOf(k))
		data.Today.Found += k.Drift.FoundToday
		data.Today.Repaired += k.Drift.RepairedToday
	}
	if data.Jobs, err = v.syncJobs(); err != nil {
		return err
	}
	if o.Walk != nil && len(data.Jobs) == 0 {
		row := v.walkRow(*o.Walk)
		data.Running = &row
	}
	walks, err := v.mirror.Sync().Walks(ctx, mirror.WalkFilter{Limit: fewRows})
	if err != nil {
		return err
	}
	for _, w := range walks.Items {
		if !w.EndedAt.IsZero() {
			data.Walks = append(data.Walks, v.walkRow(w))
		}
	}
	drift, err := v.mirror.Sync().Drift().List(ctx, mirror.DriftFilter{Limit: fewRows})
	if err != nil {
		return err
	}
	if data.Drift, err = v.driftRows(drift.Items); err != nil {
		return err
	}
	return v.render("sync", "Sync", data)
}

// syncJobs returns the jobs that read Clerk and have not ended.
func (v *visit) syncJobs() (jobs []jobView, err error) {
	for _, action := range []mirror.JobAction{mirror.JobReconcile, mirror.JobBackfill} {
		found, err := v.mirror.Jobs().List(v.r.Context(), mirror.JobFilter{Action: action, Limit: fewRows})
		if err != nil {
			return nil, err
		}
		for _, j := range found.Items {
			if isUnderWay(j.State) {
				jobs = append(jobs, v.jobView(j))
			}
		}
	}
	return jobs, nil
}

func kindOf(k mirror.KindStatus) kindRow {
	row := kindRow{KindStatus: k, Name: kindPlural(k.Kind), Waiting: k.VerifyQueue + k.Suspected + k.Unreadable}
	if k.LagMS != nil {
		row.Lag, row.HasLag = time.Duration(*k.LagMS)*time.Millisecond, true
	}
	switch {
	case k.Walk.Refused:
		row.State, row.Colour = "not used", "neutral"
	case !k.Listed:
		row.State, row.Colour = "by events", "neutral"
	case k.InSync:
		row.State, row.Colour = "in sync", "ok"
	default:
		row.State, row.Colour = "unproven", "warn"
	}
	return row
}

// runData is the page that asks what to read from Clerk.
type runData struct {
	Kinds   []choice
	Problem string
	Back    string
}

// listedKinds are the kinds that Clerk lists, in the order in which they are walked.
func listedKinds() []clerk.Kind {
	return []clerk.Kind{
		clerk.KindUser, clerk.KindOrganization, clerk.KindMembership, clerk.KindInvitation, clerk.KindDomain, clerk.KindRole, clerk.KindPermission,
	}
}

func askToRun(v *visit) error {
	data := runData{Back: v.to("sync")}
	for _, k := range listedKinds() {
		data.Kinds = append(data.Kinds, choice{Value: string(k), Label: kindPlural(k), Selected: v.query("kind") == "" || v.query("kind") == string(k)})
	}
	return v.render("run", "Compare with Clerk", data)
}

// runSync starts a job that reads Clerk, and leads to its page.
func runSync(v *visit) error {
	request := mirror.JobRequest{Action: mirror.JobReconcile, AllowMassDelete: v.form("allow_mass_delete") == "true"}
	if v.form("action") == string(mirror.JobBackfill) {
		request = mirror.JobRequest{Action: mirror.JobBackfill}
	}
	chosen := v.forms("kind")
	if request.Action == mirror.JobReconcile && len(chosen) < len(listedKinds()) {
		for _, text := range chosen {
			kind, ok := clerk.ParseKind(text)
			if !ok {
				return &fault{Status: http.StatusBadRequest, Title: "There is no such kind", Text: text}
			}
			request.Kinds = append(request.Kinds, kind)
		}
		if len(request.Kinds) == 0 {
			return &fault{Status: http.StatusUnprocessableEntity, Title: "Nothing was started", Text: "Choose at least one kind to compare."}
		}
	}
	j, err := v.mirror.Jobs().Plan(v.r.Context(), request, v.by())
	if err == nil {
		j, err = v.mirror.Jobs().Start(v.r.Context(), j.ID, v.by())
	}
	if err != nil {
		return planFault(err)
	}
	v.setFlash(flash{Kind: "ok", Text: "Started. You can leave this page: it goes on in the background."})
	return v.redirect(v.to("jobs", j.ID))
}

// driftData is the list of differences from Clerk.
type driftData struct {
	Tabs    []tab
	Filters filterBar
	Rows    []driftRow
	Pager   pager
	Empty   empty
}

type driftRow struct {
	mirror.Drift

	Object    object
	FieldText string
	Why       string
}

// driftCauses are why rows differed, in words.
var driftCauses = map[mirror.DriftCause]string{
	mirror.CauseMissed:        "its webhook never came",
	mirror.CauseNotSubscribed: "the endpoint is not subscribed to these events",
	mirror.CauseDown:          "it changed while no webhook came",
	mirror.CauseRecent:        "its webhook may still be on its way",
	mirror.CauseRegression:    "Clerk has an older state than was stored",
	mirror.CauseAltered:       "something else wrote to the table here",
	mirror.CauseDeletedHere:   "an event said that it was deleted, and Clerk has it",
	mirror.CauseUnknown:       "unknown",
}

func listDrift(v *visit) error {
	when := v.timeFilter()
	f := mirror.DriftFilter{Since: when.Since, After: v.after(), Limit: pageSize}
	kind, ok := clerk.ParseKind(v.query("kind"))
	if ok {
		f.Kind = kind
	}
	found, err := v.mirror.Sync().Drift().List(v.r.Context(), f)
	if err != nil {
		return err
	}
	rows, err := v.driftRows(found.Items)
	if err != nil {
		return err
	}
	data := driftData{
		Tabs: v.syncTabs("drift"), Rows: rows, Pager: pagerOf(v, found),
		Filters: filterBar{Selects: []selectField{v.kindSelect(clerk.Kinds()), when.Select}, Results: "results"},
		Empty:   empty{Icon: "check", Title: "No drift", Text: "Comparisons with Clerk found no row that differs, in the last 90 days."},
	}
	if v.r.URL.RawQuery != "" {
		data.Empty = empty{Icon: "search", Title: "No drift matches", Link: v.to("sync", "drift"), LinkText: "Show all drift"}
	}
	return v.render("drift", "Drift", data)
}

func (v *visit) driftRows(found []mirror.Drift) ([]driftRow, error) {
	var references []reference
	for i := range found {
		references = append(references, reference{found[i].Kind, found[i].ID})
	}
	named, err := v.objects(references)
	if err != nil {
		return nil, err
	}
	rows := make([]driftRow, len(found))
	for i, d := range found {
		rows[i] = driftRow{Drift: d, Object: named[references[i]], FieldText: joined(d.Fields), Why: driftCauses[d.Cause]}
		if rows[i].FieldText == "" {
			rows[i].FieldText = "the whole row"
		}
	}
	return rows, nil
}

// walksData is the history of walks.
type walksData struct {
	Tabs    []tab
	Filters filterBar
	Rows    []walkRow
	Pager   pager
	Empty   empty
	Busy    bool
}

type walkRow struct {
	mirror.WalkRun

	Name   string
	Title  string
	State  string
	Colour string
	Took   time.Duration
	Rate   float64 // objects a second
	Share  int     // in percent, -1 if it is not known
	Failed bool
}

func (v *visit) walkRow(w mirror.WalkRun) walkRow {
	row := walkRow{WalkRun: w, Name: kindPlural(w.Kind), Title: "compared", Share: -1}
	if w.Work == mirror.WorkBackfill {
		row.Title = "read everything"
	}
	end := w.EndedAt
	if end.IsZero() {
		end = v.now()
	}
	row.Took = max(0, end.Sub(w.BegunAt))
	if row.Took >= time.Second {
		row.Rate = float64(w.Rows) / row.Took.Seconds()
	}
	switch {
	case w.EndedAt.IsZero():
		row.State, row.Colour = "under way", "busy"
		if w.Total > 0 {
			row.Share = int(min(100, 100*w.Rows/w.Total))
		}
	case w.Refused:
		row.State, row.Colour = "no such list", "neutral"
	case w.Complete:
		row.State, row.Colour = "complete", "ok"
	default:
		row.State, row.Colour = "not complete", "warn"
	}
	return row
}

func listWalks(v *visit) error {
	f := mirror.WalkFilter{After: v.after(), Limit: pageSize}
	kind, ok := clerk.ParseKind(v.query("kind"))
	if ok {
		f.Kind = kind
	}
	found, err := v.mirror.Sync().Walks(v.r.Context(), f)
	if err != nil {
		return err
	}
	data := walksData{
		Tabs: v.syncTabs("walks"), Pager: pagerOf(v, found), Filters: filterBar{Selects: []selectField{v.kindSelect(listedKinds())}, Results: "results"},
		Empty: empty{Icon: "sync", Title: "Clerk was not read yet", Text: "Each time a list at Clerk is read and compared, an entry appears here. It " +
			"is kept for 90 days."},
	}
	for _, w := range found.Items {
		data.Rows = append(data.Rows, v.walkRow(w))
		data.Busy = data.Busy || w.EndedAt.IsZero()
	}
	return v.render("walks", "History of comparisons", data)
}
