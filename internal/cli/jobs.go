package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type jobsCommand struct {
	List   listJobsCommand  `cmd:"" default:"withargs" help:"List jobs, newest first."`
	Show   showJobCommand   `cmd:"" help:"Show a job, its progress and what failed."`
	Plan   planJobCommand   `cmd:"" help:"Plan work on many objects, and start it when asked to."`
	Start  startJobCommand  `cmd:"" help:"Start a planned job, or let one go on that has ended early."`
	Cancel cancelJobCommand `cmd:"" help:"End a job early; what was done stays done."`
}

type listJobsCommand struct {
	listFlags
	sourceFlags
	State  string `help:"Only jobs in this state: planned, waiting, running, cancelling, cancelled, done, failed." enum:",planned,waiting,running,cancelling,cancelled,done,failed" default:"" placeholder:"STATE"`
	Action string `help:"Only jobs that do this: replay_deliveries, erase_users, revoke_sessions, change_role, reconcile, backfill." enum:",replay_deliveries,erase_users,revoke_sessions,change_role,reconcile,backfill" default:"" placeholder:"ACTION"`
}

// Help returns the text below the description.
func (listJobsCommand) Help() string {
	return `Examples:

    clerksync jobs
    clerksync jobs list --state running --json

A job is work on many objects that a running server does in the background. It survives a restart.`
}

// Run lists jobs.
func (c listJobsCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	none := "There are no jobs."
	if c.State != "" || c.Action != "" {
		none = "No job matches."
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printList(ctx, p, c.listFlags, listing[mirror.Job]{
			columns: []column{
				{name: "JOB"},
				{name: "DOES", shrink: true},
				{name: "STATE"},
				{name: "DONE", right: true},
				{name: "FAILED", right: true, drop: 1},
				{name: "PLANNED", drop: 2},
				{name: "BY", shrink: true, drop: 3},
			},
			row: jobRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Job]], error) {
				return client.Jobs(ctx, mirror.JobFilter{State: mirror.JobState(c.State), Action: mirror.JobAction(c.Action), After: after, Limit: limit})
			},
			none: none,
		})
	})
}

func jobRow(l look, j *mirror.Job) []string {
	done := grouped(j.Done)
	if total := jobTotal(j); total != "" {
		done += " of " + total
	}
	return []string{cell(j.ID), cell(whatJobDoes(j)), l.jobState(j), done, grouped(j.Failed), l.when(j.CreatedAt), cell(j.CreatedBy)}
}

// jobTotal returns how many objects a job works on, empty if that is not known.
func jobTotal(j *mirror.Job) string {
	if j.Action.ReadsClerk() {
		return ""
	}
	total := grouped(j.Plan.Matches)
	if j.Plan.AtLeast {
		total += "+"
	}
	return total
}

// jobState returns the state of a job.
func (l look) jobState(j *mirror.Job) string {
	switch j.State {
	case mirror.JobFailed:
		return l.paint(red, "failed")
	case mirror.JobRunning, mirror.JobCancelling:
		return l.paint(yellow, string(j.State))
	case mirror.JobDone:
		if j.Failed == 0 {
			return l.paint(green, "done")
		}
	case mirror.JobPlanned, mirror.JobWaiting, mirror.JobCancelled:
	}
	return cell(string(j.State))
}

// whatJobDoes says in words what a job does, and to what.
func whatJobDoes(j *mirror.Job) string {
	what := strings.ReplaceAll(string(j.Action), "_", " ")
	if j.Action == mirror.JobChangeRole {
		what = "change role to " + j.Role
	}
	var list []string
	for _, kind := range j.Kinds {
		list = append(list, noun(kind))
	}
	return strings.TrimSuffix(what+": "+strings.Join(append(list, selectionWords(&j.Filter)...), ", "), ": ")
}

// selectionWords says what a selection asks for.
func selectionWords(s *mirror.JobSelection) (words []string) {
	for _, part := range [][2]string{
		{"search ", s.Search},
		{"role ", s.Role},
		{"organization ", s.Organization},
		{"user ", s.User},
		{"status ", string(s.Status)},
		{"state ", string(s.State)},
		{"type ", s.Type},
		{"reason ", s.Reason},
		{"about ", s.Subject},
		{"text ", s.Text},
	} {
		if part[1] != "" {
			words = append(words, part[0]+part[1])
		}
	}
	if s.Active != nil {
		words = append(words, map[bool]string{true: "active", false: "inactive"}[*s.Active])
	}
	if !s.Since.IsZero() {
		words = append(words, "since "+timeOf(s.Since))
	}
	if !s.Until.IsZero() {
		words = append(words, "until "+timeOf(s.Until))
	}
	switch {
	case len(s.IDs) > 3:
		words = append(words, strconv.Itoa(len(s.IDs))+" ids")
	case len(s.IDs) > 0:
		words = append(words, s.IDs...)
	case s.All:
		words = append(words, "all")
	}
	return words
}

type showJobCommand struct {
	sourceFlags
	Job  string `arg:"" help:"Id of the job (job_…)."`
	Wide bool   `help:"Show exact times and all failures."`
	JSON bool   `name:"json" help:"Print the JSON object of GET /api/jobs/{id}."`
}

// Help returns the text below the description.
func (showJobCommand) Help() string {
	return `Example:

    clerksync jobs show job_…

It shows the first failures; with --wide all that are kept, 10,000 at most.`
}

// Run shows a job.
func (c showJobCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		job, err := client.Job(ctx, c.Job)
		if err != nil {
			return jobError(c.Job, err)
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", job.JSON)
			return err
		}
		if err := p.look(c.Wide).job(p, &job.Value); err != nil || job.Value.Failed == 0 {
			return err
		}
		fmt.Fprintf(p.stdout, "\nFailed (%s)\n", grouped(job.Value.Failed))
		return printFailures(ctx, p, client, c.Job, c.Wide)
	})
}

// someFailures is how many failures are shown where not all are.
const someFailures = 10

// printFailures prints the first failures of a job, or all.
func printFailures(ctx context.Context, p *process, client *apiclient.Client, job string, all bool) error {
	flags := listFlags{Limit: someFailures, All: all, Wide: all}
	l := p.look(all)
	out := &table{w: p.stdout, terminal: l.terminal, wide: all, columns: []column{{name: "ID"}, {name: "REASON", below: true}}}
	for after := mirror.Cursor(""); ; {
		page, err := client.JobFailures(ctx, job, mirror.JobFailureFilter{After: after, Limit: map[bool]int{true: maxPage, false: flags.Limit}[all]})
		if err != nil {
			return err
		}
		rows := make([][]string, len(page.Value.Data))
		for i := range page.Value.Data {
			f := &page.Value.Data[i]
			rows[i] = []string{cell(f.ObjectID), cell(f.Reason)}
		}
		if err := out.print(rows); err != nil {
			return err
		}
		if after = page.Value.Next; after == "" {
			return nil
		}
		if !all {
			fmt.Fprintf(p.stderr, "\nMore: clerksync jobs show %s --wide\n", job)
			return nil
		}
	}
}

// job prints a job with its plan and progress.
func (l look) job(p *process, j *mirror.Job) error {
	done := fmt.Sprintf("%s done, %s failed, %s skipped", ofTotal(j), grouped(j.Failed), grouped(j.Skipped))
	if j.Rate > 0 {
		done += fmt.Sprintf("; %s/s", rate(j.Rate))
	}
	list := []field{
		{"job", cell(j.ID)},
		{"does", cell(whatJobDoes(j))},
		{"state", l.jobState(j)},
		{"waits for", harmless(j.Problem)},
		{"error", harmless(j.Error)},
		{"planned", join(" by ", l.when(j.CreatedAt), cell(j.CreatedBy))},
	}
	if j.State == mirror.JobPlanned {
		list = append(list, field{"expires", l.when(j.ExpiresAt)}, field{"would do", jobTotal(j)})
	} else {
		list = append(list, field{"started", join(" by ", l.when(j.StartedAt), cell(j.StartedBy))}, field{"progress", done},
			field{"ended", l.when(j.EndedAt)}, field{"cancelled by", cell(j.CancelledBy)})
	}
	if err := l.fields(p, list); err != nil {
		return err
	}
	if len(j.Progress) > 0 {
		return l.kindsOfJob(p, j)
	}
	if j.State == mirror.JobPlanned {
		return l.sample(p, j)
	}
	return nil
}

// kindsOfJob prints how far a job is with each kind.
func (l look) kindsOfJob(p *process, j *mirror.Job) error {
	columns := []column{
		{name: "KIND"},
		{name: "READ", right: true},
		{name: "AT CLERK", right: true},
		{name: "DIFFERED", right: true},
		{name: "REPAIRED", right: true},
		{name: "LIST"},
	}
	return sub(p, l, "Kinds", columns, j.Progress, false, func(l look, k *mirror.JobProgress) []string {
		total, state := "–", "reading"
		if k.Total >= 0 {
			total = grouped(k.Total)
		}
		switch {
		case k.Reason != "":
			state = l.paint(red, cell(k.Reason))
		case k.Done:
			state = l.paint(green, "complete")
		}
		return []string{noun(k.Kind), grouped(k.Rows), total, grouped(k.Found), grouped(k.Repaired), state}
	})
}

// sample prints some of the objects of a plan.
func (l look) sample(p *process, j *mirror.Job) error {
	if len(j.Plan.Sample) == 0 {
		return nil
	}
	columns := []column{{name: "ID"}, {name: "WHAT", shrink: true}, {name: "IS", shrink: true}, {name: "BECOMES", shrink: true}}
	fmt.Fprintln(p.stdout)
	t := &table{w: p.stdout, terminal: l.terminal, wide: l.wide, columns: columns}
	rows := make([][]string, len(j.Plan.Sample))
	for i, item := range j.Plan.Sample {
		rows[i] = []string{cell(item.ID), cell(item.Label), cell(item.Was), cell(item.Becomes)}
	}
	if err := t.print(rows); err != nil {
		return err
	}
	if more := j.Plan.Matches - int64(len(rows)); more > 0 {
		plus := ""
		if j.Plan.AtLeast {
			plus = "at least "
		}
		fmt.Fprintf(p.stdout, "and %s%s more\n", plus, grouped(more))
	}
	return nil
}

// rate returns how many a second, exact where that is little.
func rate(perSecond float64) string {
	if perSecond < 10 {
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return grouped(int64(perSecond))
}

// jobError says which job was not found, or why nothing was done.
func jobError(id string, err error) error {
	if errors.Is(err, mirror.ErrNotFound) {
		return &notFoundError{what: "job", id: id, list: "clerksync jobs list"}
	}
	return err
}

type cancelJobCommand struct {
	sourceFlags
	Job  string `arg:"" help:"Id of the job (job_…)."`
	JSON bool   `name:"json" help:"Print the job as a JSON object."`
}

// Help returns the text below the description.
func (cancelJobCommand) Help() string {
	return `Example:

    clerksync jobs cancel job_…

The objects that are in progress are finished. clerksync jobs start lets the job go on.`
}

// Run cancels a job.
func (c cancelJobCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newStoredMirror, func(client *apiclient.Client) error {
		job, err := client.CancelJob(ctx, c.Job)
		if err != nil {
			return jobError(c.Job, err)
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", job.JSON)
			return err
		}
		j := &job.Value
		if j.State == mirror.JobCancelling {
			fmt.Fprintf(p.stdout, "%s ends after what is in progress: %s were done.\n", j.ID, ofTotal(j))
			return nil
		}
		fmt.Fprintf(p.stdout, "%s was cancelled: %s were done.\n", j.ID, ofTotal(j))
		return nil
	})
}

// ofTotal says how many of the objects of a job were done.
func ofTotal(j *mirror.Job) string {
	done := grouped(j.Done)
	if total := jobTotal(j); total != "" {
		done += " of " + total
	}
	return done
}

type startJobCommand struct {
	sourceFlags
	runFlags
	Job string `arg:"" help:"Id of the job (job_…)."`
}

// Help returns the text below the description.
func (startJobCommand) Help() string {
	return `Example:

    clerksync jobs start job_…

A job that was cancelled, or that failed, goes on where it ended. ` + jobHelp
}

// Run starts a job and follows it.
func (c startJobCommand) Run(ctx context.Context, p *process) error {
	return p.withSource(ctx, c, withKeys(newStoredMirror), func(s source) error {
		return jobError(c.Job, c.start(ctx, p, s, c.Job))
	})
}

type planJobCommand struct {
	runFlags
	confirmFlags
	Action string `arg:"" help:"What to do: replay_deliveries, erase_users, revoke_sessions, change_role, reconcile or backfill." enum:"replay_deliveries,erase_users,revoke_sessions,change_role,reconcile,backfill"`

	To              string     `help:"The new role, for change_role." placeholder:"ROLE"`
	Kind            []kindFlag `help:"Only these kinds, for reconcile." placeholder:"KIND"`
	AllowMassDelete bool       `help:"Accept that many rows are missing at Clerk, and delete them; for reconcile."`

	Search       string   `help:"Users that a search finds." placeholder:"TEXT" group:"filter"`
	Role         string   `help:"Users with this role." placeholder:"ROLE" group:"filter"`
	Organization string   `help:"Members of an organization, or deliveries about it: an id or a slug." placeholder:"ORGANIZATION" group:"filter"`
	Active       bool     `help:"Users who are neither banned nor deprovisioned." xor:"active" group:"filter"`
	Inactive     bool     `help:"Users who are." xor:"active" group:"filter"`
	User         string   `help:"Sessions of a user: an id or an e-mail address." placeholder:"USER" group:"filter"`
	Status       string   `help:"Sessions with this status." placeholder:"STATUS" group:"filter"`
	ID           []string `name:"id" help:"Objects by their ids, 500 at most." placeholder:"ID" group:"filter"`
	AllObjects   bool     `name:"all" help:"All objects, where no other filter is given." group:"filter"`
	deliverySelection
	sourceFlags
}

// Help returns the text below the description.
func (planJobCommand) Help() string {
	return `Examples:

    clerksync jobs plan change_role --to growth --role solo --organization acme
    clerksync jobs plan revoke_sessions --user ada@example.com
    clerksync jobs plan erase_users --id user_2x… --id user_2y… --dry-run
    clerksync jobs plan reconcile --kind users

` + jobHelp
}

// Run plans a job and starts it if the user wants that.
func (c planJobCommand) Run(ctx context.Context, p *process) error {
	r := mirror.JobRequest{
		Action: mirror.JobAction(c.Action), Role: c.To, Kinds: kindsOf(c.Kind), AllowMassDelete: c.AllowMassDelete,
		Filter: mirror.JobSelection{
			All: c.AllObjects, IDs: c.ID, Search: c.Search, Role: c.Role, Status: mirror.SessionStatus(c.Status),
		},
	}
	if c.Active || c.Inactive {
		r.Filter.Active = &c.Active
	}
	c.deliverySelection.into(&r.Filter)
	return p.withSource(ctx, c, withKeys(newStoredMirror), func(s source) (err error) {
		if r.Filter.User, err = userID(ctx, s.Client, c.User); err != nil {
			return err
		}
		if r.Filter.Organization, err = organizationID(ctx, s.Client, c.Organization); err != nil {
			return err
		}
		return c.plan(ctx, p, s, r, c.confirmFlags)
	})
}
