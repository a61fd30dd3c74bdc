package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) jobRoutes() []route {
	return []route{
		{pattern: "GET /jobs", section: "jobs", serve: listJobs},
		{pattern: "GET /jobs/{id}", section: "jobs", serve: showJob},
		{pattern: "POST /jobs/{id}/start", section: "jobs", serve: startJob},
		{pattern: "POST /jobs/{id}/cancel", section: "jobs", serve: cancelJob},
	}
}

// jobsData is the list of jobs.
type jobsData struct {
	Filters filterBar
	Rows    []jobView
	Pager   pager
	Empty   empty
	Busy    bool // a job is under way, so that the page is read again
}

// jobView is a job as pages show it.
type jobView struct {
	mirror.Job

	Title    string
	Selects  []fact // what the filter selects
	Share    int    // of the work that is done, in percent; -1 if it is not known
	Left     time.Duration
	Took     time.Duration
	Expired  bool
	Label    string // of the state
	Progress []progressRow
}

// progressRow is how far a job is with a kind.
type progressRow struct {
	mirror.JobProgress

	Name   string
	Share  int // in percent, -1 if it is not known
	Failed bool
}

// fact is a name and a value.
type fact struct{ Name, Value string }

// jobData is the page of a job.
type jobData struct {
	jobView

	Failures []mirror.JobFailure
	Pager    pager
	Live     int    // seconds until the page is read again, 0 for never
	Objects  string // what the samples and failures are: the section of their pages
	Start    string // the text of the button that starts it, empty if it cannot be started
	Danger   bool
	Cancel   bool
	Warn     string // what to know before it is started
	Typed    string // what the visitor must type to start it, empty for nothing
}

// jobTitles are the actions of jobs in words.
var jobTitles = map[mirror.JobAction]string{
	mirror.JobReplayDeliveries: "Replay deliveries",
	mirror.JobEraseUsers:       "Erase users",
	mirror.JobRevokeSessions:   "Revoke sessions",
	mirror.JobChangeRole:       "Change roles",
	mirror.JobReconcile:        "Compare with Clerk",
	mirror.JobBackfill:         "Read everything from Clerk",
}

func listJobs(v *visit) error {
	found, err := v.mirror.Jobs().List(v.r.Context(), mirror.JobFilter{
		State: mirror.JobState(v.query("state")), Action: mirror.JobAction(v.query("action")), After: v.after(), Limit: pageSize,
	})
	if err != nil {
		return err
	}
	actions := v.selectOf("action", "Action", actionNames()...)
	for i := 1; i < len(actions.Options); i++ {
		if title, ok := jobTitles[mirror.JobAction(actions.Options[i].Value)]; ok {
			actions.Options[i].Label = title
		}
	}
	bar := filterBar{Selects: []selectField{
		actions, v.selectOf("state", "State", "planned", "waiting", "running", "cancelling", "cancelled", "done", "failed"),
	}, Results: "results"}
	v.active(&bar)
	data := jobsData{Filters: bar, Pager: pagerOf(v, found), Empty: empty{
		Icon: "job", Title: "No jobs yet",
		Text: "A job works on many objects in the background: it replays deliveries, changes roles, or compares the mirror with Clerk. Filter a list " +
			"and choose what to do with all of it.",
		Link: v.to("deliveries") + "?state=dead", LinkText: "Show failed deliveries",
	}}
	if v.r.URL.RawQuery != "" {
		data.Empty = empty{Icon: "search", Title: "No job matches", Link: v.to("jobs"), LinkText: "Show all jobs"}
	}
	for _, j := range found.Items {
		row := v.jobView(j)
		data.Rows = append(data.Rows, row)
		data.Busy = data.Busy || isUnderWay(j.State)
	}
	return v.render("jobs", "Jobs", data)
}

func actionNames() (names []string) {
	for _, a := range mirror.JobActions() {
		names = append(names, string(a))
	}
	return names
}

func isUnderWay(s mirror.JobState) bool {
	return s == mirror.JobWaiting || s == mirror.JobRunning || s == mirror.JobCancelling
}

// jobView returns how pages show a job.
func (v *visit) jobView(j mirror.Job) jobView {
	view := jobView{Job: j, Title: jobTitles[j.Action], Share: -1, Label: string(j.State)}
	if j.Role != "" {
		view.Title = "Change roles to " + j.Role
	}
	view.Selects = v.selectionFacts(j)
	view.Expired = j.State == mirror.JobPlanned && v.now().After(j.ExpiresAt)
	if view.Expired {
		view.Label = "expired"
	}
	done := j.Done + j.Failed + j.Skipped
	switch {
	case j.Action.ReadsClerk():
		view.addProgress()
	case j.State == mirror.JobDone:
		view.Share = 100
	case j.Plan.Matches > 0 && !j.Plan.AtLeast:
		view.Share = int(min(100, 100*done/j.Plan.Matches))
	}
	if j.Rate > 0 && j.Plan.Matches > done && !j.Plan.AtLeast && j.State == mirror.JobRunning {
		view.Left = time.Duration(float64(j.Plan.Matches-done)/j.Rate) * time.Second
	}
	switch {
	case j.StartedAt.IsZero():
	case j.EndedAt.IsZero():
		view.Took = v.now().Sub(j.StartedAt)
	default:
		view.Took = j.EndedAt.Sub(j.StartedAt)
	}
	return view
}

// addProgress adds how far each kind is. All kinds count as much as each other, because it is not
// known how many objects a kind has before it is read.
func (j *jobView) addProgress() {
	expected := len(j.Kinds)
	if expected == 0 {
		expected = len(listedKinds())
	}
	sum := 0
	for _, p := range j.Job.Progress {
		row := progressRow{JobProgress: p, Name: kindPlural(p.Kind), Share: -1, Failed: p.Reason != ""}
		switch {
		case p.Done:
			row.Share = 100
		case p.Total > 0:
			row.Share = int(min(99, 100*p.Rows/p.Total))
		}
		j.Progress = append(j.Progress, row)
		sum += max(0, row.Share)
	}
	switch {
	case j.State == mirror.JobDone:
		j.Share = 100
	case len(j.Progress) > 0:
		j.Share = min(99, sum/max(expected, len(j.Progress)))
	}
}

// selectionFacts returns what a job works on, in words.
func (v *visit) selectionFacts(j mirror.Job) (facts []fact) {
	f := j.Filter
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, value})
		}
	}
	add("Search", f.Search)
	add("Role", f.Role)
	add("Organization", f.Organization)
	if f.Active != nil {
		add("State", map[bool]string{true: "active", false: "not active"}[*f.Active])
	}
	add("User", f.User)
	add("Status", string(f.Status))
	add("State", stateText(string(f.State)))
	add("Type", f.Type)
	if f.Reason != "" {
		add("Reason", reasonText(f.Reason))
	}
	add("About", f.Subject)
	if !f.Since.IsZero() {
		add("From", f.Since.In(v.prefs.Zone).Format(pages.TimeLayout))
	}
	if !f.Until.IsZero() {
		add("Before", f.Until.In(v.prefs.Zone).Format(pages.TimeLayout))
	}
	if n := len(f.IDs); n > 0 {
		add("Chosen", pages.Plural(int64(n), "object", "objects"))
	}
	var kinds []string
	for _, k := range j.Kinds {
		kinds = append(kinds, kindPlural(k))
	}
	add("Kinds", strings.Join(kinds, ", "))
	if j.AllowMassDelete {
		add("Deletions", "many are allowed")
	}
	if len(facts) == 0 {
		all := "everything"
		if j.Action == mirror.JobReplayDeliveries {
			all = "all deliveries but quarantined and dismissed ones"
		}
		add("Selection", all)
	}
	return facts
}

func showJob(v *visit) error {
	j, err := v.mirror.Jobs().ByID(v.r.Context(), v.id())
	if err != nil {
		return err
	}
	failures, err := v.mirror.Jobs().Failures(v.r.Context(), j.ID, mirror.JobFailureFilter{After: v.after(), Limit: pageSize})
	if err != nil {
		return err
	}
	data := jobData{jobView: v.jobView(j), Failures: failures.Items, Pager: pagerOf(v, failures)}
	for i := range data.Plan.Sample {
		sample := &data.Plan.Sample[i]
		sample.Was, sample.Becomes = stateText(sample.Was), stateText(sample.Becomes)
	}
	switch j.Action {
	case mirror.JobReplayDeliveries:
		data.Objects = "deliveries"
	case mirror.JobRevokeSessions:
		data.Objects = "sessions"
	case mirror.JobEraseUsers, mirror.JobChangeRole:
		data.Objects = "users"
	default:
	}
	if isUnderWay(j.State) {
		data.Live = 1
	}
	data.Cancel = !j.State.Ended() && j.State != mirror.JobCancelling && !data.Expired
	data.addStart()
	if data.Typed != "" && !v.mirror.Instance().SecretKey {
		data.Warn = erasedHere[0] + " This cannot be undone."
	}
	return v.render("job", data.Title, data)
}

// addStart adds the button that starts a job, or lets it go on.
func (d *jobData) addStart() {
	n := pages.Number(d.Plan.Matches)
	if d.Plan.AtLeast {
		n += "+"
	}
	switch {
	case d.Resumable():
		d.Start = "Go on where it ended"
	case d.State != mirror.JobPlanned || d.Expired:
	case d.Action == mirror.JobReconcile:
		d.Start = "Compare now"
	case d.Action == mirror.JobBackfill:
		d.Start = "Read everything now"
	case d.Plan.Matches == 0:
		d.Warn = "Nothing matches, so that there is nothing to start."
	case d.Action == mirror.JobReplayDeliveries:
		d.Start = "Replay " + n + " " + one(d.Plan.Matches, "delivery", "deliveries")
	case d.Action == mirror.JobEraseUsers:
		d.Start, d.Danger, d.Typed = "Erase "+n+" "+one(d.Plan.Matches, "user", "users"), true, typedFor(d.Job)
		d.Warn = "This cannot be undone: the users are deleted at Clerk, and their personal data here is removed."
	case d.Action == mirror.JobRevokeSessions:
		d.Start, d.Danger = "Revoke the sessions", true
		d.Warn = "The people are signed out, on all devices to which the sessions belong."
	case d.Action == mirror.JobChangeRole:
		d.Start = "Change " + n + " " + one(d.Plan.Matches, "role", "roles")
	}
	if d.Cancel && d.State == mirror.JobPlanned && d.Start == "" {
		d.Cancel = d.Plan.Matches == 0
	}
}

func one(n int64, single, several string) string {
	if n == 1 {
		return single
	}
	return several
}

// plan plans a job and leads to its page.
func (v *visit) plan(request mirror.JobRequest) error {
	j, err := v.mirror.Jobs().Plan(v.r.Context(), request, v.by())
	if err != nil {
		return planFault(err)
	}
	return v.redirect(v.to("jobs", j.ID))
}

// planFault says why a job cannot be planned or started.
func planFault(err error) error {
	switch {
	case errors.Is(err, mirror.ErrNoSecretKey):
		return &fault{Status: http.StatusConflict, Title: "Clerk cannot be read", Text: "No secret key is configured. Set CLERK_SECRET_KEY and restart " +
			"the server."}
	case errors.Is(err, mirror.ErrInvalidJob):
		return &fault{Status: http.StatusBadRequest, Title: "This job is not possible", Text: err.Error()}
	case errors.Is(err, mirror.ErrTooManyJobs):
		return &fault{Status: http.StatusConflict, Title: "Too many jobs are open", Text: "Cancel one, or wait until one has ended."}
	}
	return err
}

// typedFor returns what a visitor must type before a job is started that cannot be undone: how many
// objects it works on, as far as they were counted. It is empty for other jobs.
func typedFor(j mirror.Job) string {
	if j.Action != mirror.JobEraseUsers || j.State != mirror.JobPlanned {
		return ""
	}
	return strconv.FormatInt(j.Plan.Matches, 10)
}

func startJob(v *visit) error {
	j, err := v.mirror.Jobs().ByID(v.r.Context(), v.id())
	if err != nil {
		return err
	}
	if typed := typedFor(j); typed != v.form("confirm") && typed != "" {
		v.setFlash(flash{Kind: "bad", Text: "Type the number of users to start: " + typed + "."})
		return v.redirect(v.to("jobs", j.ID))
	}
	_, err = v.mirror.Jobs().Start(v.r.Context(), v.id(), v.by())
	return v.afterJob(err, flash{Kind: "ok", Text: "Started. You can leave this page: the job goes on in the background."})
}

func cancelJob(v *visit) error {
	j, err := v.mirror.Jobs().Cancel(v.r.Context(), v.id(), v.by())
	text := "The job ends after what is in progress. What was done stays done."
	if err == nil && j.StartedAt.IsZero() {
		text = "The plan was cancelled. Nothing was done."
	}
	return v.afterJob(err, flash{Kind: "ok", Text: text})
}

func (v *visit) afterJob(err error, done flash) error {
	switch {
	case errors.Is(err, mirror.ErrJobExpired):
		done = flash{Kind: "warn", Text: "The plan is older than an hour. Make a new one, because other objects may match now."}
	case errors.Is(err, mirror.ErrJobEnded):
		done = flash{Kind: "warn", Text: "The job has already ended."}
	case errors.Is(err, mirror.ErrTooManyJobs):
		done = flash{Kind: "bad", Text: "Too many jobs are open. Wait until one has ended, or cancel one."}
	case err != nil:
		return err
	}
	v.setFlash(done)
	return v.redirect(v.to("jobs", v.id()))
}
