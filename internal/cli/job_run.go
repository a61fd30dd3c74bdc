package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/wait"
	"github.com/clerksync/clerksync/mirror"
)

// jobHelp is the help of commands that start jobs.
const jobHelp = `On a terminal the command shows the plan and asks. The work is done in this process, or with --server by the server. Ctrl-C cancels the ` +
	`job after what is in progress; clerksync jobs start lets it go on.

Exit code 0: everything was done, 1: something failed, or the job was cancelled.`

// runFlags are what commands that start jobs have.
type runFlags struct {
	Detach bool `help:"Start the job and do not wait for it; a running server does the work."`
	JSON   bool `name:"json" help:"Print the job as a JSON object."`
}

// confirmFlags are what commands have that plan jobs and ask.
type confirmFlags struct {
	DryRun bool `help:"Show the plan, and do nothing. It can be started within an hour."`
	Yes    bool `help:"Start without asking."`
}

// plan plans a job, shows the plan, and starts the job if the user wants that.
func (f runFlags) plan(ctx context.Context, p *process, s source, r mirror.JobRequest, confirm confirmFlags) error {
	planned, err := s.PlanJob(ctx, r)
	if errors.Is(err, mirror.ErrInvalidJob) || errors.Is(err, mirror.ErrInvalidRole) {
		return usageError(err.Error())
	}
	if err != nil {
		return err
	}
	j := &planned.Value
	switch {
	case j.Plan.Matches == 0 && !j.Action.ReadsClerk():
		if f.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", planned.JSON)
			return err
		}
		fmt.Fprintln(p.stderr, "Nothing matches: there is nothing to do.")
		return nil
	case confirm.DryRun && f.JSON:
		_, err = fmt.Fprintf(p.stdout, "%s\n", planned.JSON)
		return err
	case confirm.DryRun:
		if err := p.look(false).plan(p, j); err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "\nNothing was done. Start it within an hour: clerksync jobs start %s\n", j.ID)
		return nil
	case !confirm.Yes:
		shown := *p
		shown.stdout = p.stderr // the question is not data
		if err := shown.look(false).plan(&shown, j); err != nil {
			return err
		}
		if err := p.confirm("\nStart? Type yes: ", "Nothing was done. Start it within an hour: clerksync jobs start "+j.ID); err != nil {
			return err
		}
	}
	return f.start(ctx, p, s, j.ID)
}

// plan prints what a job would do.
func (l look) plan(p *process, j *mirror.Job) error {
	what := whatJobDoes(j)
	count := jobTotal(j)
	if count != "" {
		count += " " + objectsOf(j)
	}
	if _, err := fmt.Fprintln(p.stdout, join(" – ", strings.ToUpper(what[:1])+harmless(what[1:]), count)); err != nil {
		return err
	}
	return l.sample(p, j)
}

// objectsOf names what a job works on.
func objectsOf(j *mirror.Job) string {
	words := map[mirror.JobAction][2]string{
		mirror.JobReplayDeliveries: {"delivery", "deliveries"}, mirror.JobEraseUsers: {"user", "users"},
		mirror.JobRevokeSessions: {"session", "sessions"}, mirror.JobChangeRole: {"user", "users"},
	}[j.Action]
	if j.Plan.Matches == 1 && !j.Plan.AtLeast {
		return words[0]
	}
	return words[1]
}

// confirm asks a question that only the word yes agrees to. Otherwise the error says that nothing
// was done. Where no one can answer, --yes is needed.
func (p *process) confirm(question, otherwise string) error {
	if f, ok := p.stdin.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		return usageError("this asks before it does anything, and there is no terminal\nUse --yes to do it without being asked")
	}
	fmt.Fprint(p.stderr, question)
	answer, _ := bufio.NewReader(p.stdin).ReadString('\n')
	if strings.TrimSpace(answer) == "yes" {
		return nil
	}
	fmt.Fprintln(p.stderr, otherwise)
	return exitFailed
}

// start starts a job, and follows it unless --detach is set.
func (f runFlags) start(ctx context.Context, p *process, s source, id string) error {
	if ctx.Err() != nil {
		fmt.Fprintf(p.stderr, "\nNothing was done. Start it within an hour: clerksync jobs start %s\n", id)
		return exitFailed
	}
	started, err := s.StartJob(context.WithoutCancel(ctx), id) // whether it was started must be known, to cancel it
	if err != nil {
		return err
	}
	if f.Detach {
		if f.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", started.JSON)
			return err
		}
		fmt.Fprintf(p.stdout, "Started %s. See how far it is: clerksync jobs show %[1]s\n", id)
		return nil
	}
	line := &liveLine{w: p.stderr, terminal: terminalOf(p.stderr, p.environ), now: time.Now}
	ended, err := s.follow(ctx, id, func(j *mirror.Job) { line.show(jobLine(j, line.terminal.width > 0)) })
	line.end()
	if err != nil {
		return err
	}
	return f.ended(ctx, p, s, ended)
}

// ended says what became of a job.
func (f runFlags) ended(ctx context.Context, p *process, s source, job apiclient.Answer[mirror.Job]) (err error) {
	j := &job.Value
	switch {
	case f.JSON:
		_, err = fmt.Fprintf(p.stdout, "%s\n", job.JSON)
	case j.Action.ReadsClerk():
		err = p.look(false).kindsOfJob(p, j)
	default:
		text := fmt.Sprintf("%s: %s done", strings.ReplaceAll(string(j.Action), "_", " "), grouped(j.Done))
		if j.Failed > 0 {
			text += fmt.Sprintf(", %s failed", grouped(j.Failed))
		}
		if j.Skipped > 0 {
			text += fmt.Sprintf(", %s skipped", grouped(j.Skipped))
		}
		_, err = fmt.Fprintf(p.stdout, "%s%s.\n", strings.ToUpper(text[:1]), text[1:])
		if err == nil && j.Failed > 0 {
			err = printFailures(context.WithoutCancel(ctx), p, s.Client, j.ID, false)
		}
	}
	switch {
	case err != nil:
		return err
	case j.State == mirror.JobCancelled:
		fmt.Fprintf(p.stderr, "Cancelled after %s. Go on: clerksync jobs start %s\n", ofTotal(j), j.ID)
		return exitFailed
	case j.State == mirror.JobFailed:
		return fmt.Errorf("the job failed: %s\nGo on: clerksync jobs start %s", harmless(j.Error), j.ID)
	case j.Failed > 0:
		return exitFailed
	}
	return nil
}

// followEvery is how often a job is asked how far it is.
const followEvery = 500 * time.Millisecond

// follow waits until a job has ended, and works on it in this process if no server does. If the
// context ends, it cancels the job, and waits for what is in progress.
func (s source) follow(ctx context.Context, id string, show func(*mirror.Job)) (job apiclient.Answer[mirror.Job], err error) {
	lasting := context.WithoutCancel(ctx)
	working, stop := context.WithCancel(lasting)
	worked := make(chan error, 1)
	if s.mirror == nil {
		worked <- nil
	} else {
		go func() {
			_, err := s.mirror.Jobs().Run(working, id, nil)
			worked <- err
		}()
	}
	defer func() {
		stop()
		err = errors.Join(err, ignoreEnd(<-worked))
	}()
	for cancelled, failures := false, 0; ; {
		if job, err = s.Job(lasting, id); err == nil {
			failures = 0
			show(&job.Value)
			if job.Value.State.Ended() {
				return job, nil
			}
		} else if failures++; failures > 20 || isPermanent(err) { // a server that restarts is back within seconds
			return job, err
		}
		if ctx.Err() != nil && !cancelled {
			cancelled = true
			if _, err := s.CancelJob(lasting, id); err != nil && !errors.Is(err, mirror.ErrJobEnded) {
				return job, fmt.Errorf("the job goes on, because it could not be cancelled: %w", err)
			}
		}
		if cancelled {
			_ = wait.For(lasting, followEvery)
		} else {
			_ = wait.For(ctx, followEvery)
		}
	}
}

// ignoreEnd returns an error that is not that of a context that has ended.
func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// isPermanent reports whether another attempt would fail in the same way.
func isPermanent(err error) bool {
	refused, ok := errors.AsType[*apiclient.Error](err)
	return ok && refused.Permanent()
}

// jobLine says how far a job is, in parts of which the last ones matter least, with a bar on a
// terminal.
func jobLine(j *mirror.Job, withBar bool) []string {
	if j.Action.ReadsClerk() {
		return syncJobLine(j)
	}
	settled, total := j.Done+j.Failed+j.Skipped, j.Plan.Matches
	parts := []string{string(j.State)}
	if withBar && total > 0 && !j.Plan.AtLeast {
		share := min(1, float64(settled)/float64(total))
		parts = append(parts, fmt.Sprintf("%s %3d %%", bar(share, 20), int(100*share)))
	}
	parts = append(parts, grouped(settled)+" of "+jobTotal(j))
	if j.Failed > 0 {
		parts = append(parts, grouped(j.Failed)+" failed")
	}
	if j.Rate > 0 {
		parts = append(parts, rate(j.Rate)+"/s")
		if left := total - settled; left > 0 && !j.Plan.AtLeast {
			parts = append(parts, span(time.Duration(float64(left)/j.Rate*float64(time.Second)))+" left")
		}
	}
	if j.Problem != "" {
		parts = append(parts, harmless(j.Problem))
	}
	return parts
}

// syncJobLine says with which kind a job is at the moment, and how far.
func syncJobLine(j *mirror.Job) []string {
	parts := []string{string(j.State)}
	for i := range j.Progress {
		k := &j.Progress[i]
		if k.Done || k.Rows == 0 && i+1 < len(j.Progress) {
			continue
		}
		text := noun(k.Kind) + " " + grouped(k.Rows)
		if k.Total > 0 {
			text += " of " + grouped(k.Total)
		}
		parts = append(parts, text)
		break
	}
	if j.Rate > 0 {
		parts = append(parts, rate(j.Rate)+"/s")
	}
	if j.Problem != "" {
		parts = append(parts, harmless(j.Problem))
	}
	return parts
}

// liveLine is a line that is drawn again and again on a terminal. Elsewhere it is printed at most
// once in five seconds.
type liveLine struct {
	w        io.Writer
	terminal terminal
	now      func() time.Time
	shown    time.Time
	drawn    bool
}

// show shows parts of a text: on a terminal as many as fit.
func (l *liveLine) show(parts []string) {
	if l.terminal.width == 0 {
		if now := l.now(); now.Sub(l.shown) >= 5*time.Second {
			if !l.shown.IsZero() {
				fmt.Fprintln(l.w, strings.Join(parts, ", "))
			}
			l.shown = now
		}
		return
	}
	text := ""
	for i, part := range parts {
		if i > 0 {
			part = "  " + part
		}
		if visible(text+part) >= l.terminal.width {
			break // a line that wraps cannot be drawn again
		}
		text += part
	}
	fmt.Fprint(l.w, "\r"+text+"\x1b[K")
	l.drawn = true
}

// end keeps the line and begins a new one.
func (l *liveLine) end() {
	if l.drawn {
		fmt.Fprintln(l.w)
	}
	l.drawn = false
}
