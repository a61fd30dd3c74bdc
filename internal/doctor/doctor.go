package doctor

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	OK      Severity = "ok"
	Warning Severity = "warning" // it works, and wants attention
	Failure Severity = "failure" // it does not work
)

// Finding is what a check found. It holds no secret.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Text     string   `json:"finding"`
	Remedy   string   `json:"remedy,omitempty"`
}

// Good, Warn and Fail make findings; a check names them afterwards.
func Good(format string, args ...any) Finding {
	return Finding{Severity: OK, Text: fmt.Sprintf(format, args...)}
}

// Warn makes a warning.
func Warn(remedy, format string, args ...any) Finding {
	return Finding{Severity: Warning, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Fail makes a failure.
func Fail(remedy, format string, args ...any) Finding {
	return Finding{Severity: Failure, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Check looks at one thing. No finding means that there was nothing to look at.
type Check struct {
	Name string
	Run  func(context.Context) []Finding
}

// Run runs the checks, all at once, each no longer than the limit; the findings come in the order of the checks. One
// that panics or does not end has failed.
func Run(ctx context.Context, limit time.Duration, checks []Check) []Finding {
	found := make([][]Finding, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { found[i] = c.within(ctx, limit) })
	}
	running.Wait()
	return slices.Concat(found...)
}

func (c Check) within(ctx context.Context, limit time.Duration) []Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []Finding{Fail("Report this as a bug.", "The check itself failed: %v", p)}
			}
		}()
		done <- c.Run(ctx)
	}()
	var found []Finding
	select {
	case found = <-done:
	case <-ctx.Done():
		select { // it may have ended just then, because of that
		case found = <-done:
		case <-time.After(limit / 10):
			found = []Finding{Fail("Look whether what it asks is down or very slow.", "No answer within %s.", limit)}
		}
	}
	for i := range found {
		found[i].Check = c.Name
		found[i].Text = strings.Join(strings.Fields(found[i].Text), " ") // errors of others may have several lines
	}
	return found
}

// Worst is the worst severity of the findings.
func Worst(findings []Finding) Severity {
	worst := OK
	for _, f := range findings {
		if f.Severity == Failure || f.Severity == Warning && worst == OK {
			worst = f.Severity
		}
	}
	return worst
}

// Print writes the findings for people: a mark, the check, the finding, and the remedy below.
func Print(w io.Writer, findings []Finding) {
	width, counts := 0, map[Severity]int{}
	for _, f := range findings {
		width = max(width, len(f.Check))
		counts[f.Severity]++
	}
	marks := map[Severity]string{OK: "✓", Warning: "!", Failure: "✗"}
	before := ""
	for _, f := range findings {
		name := f.Check
		if name == before {
			name = ""
		}
		before = f.Check
		fmt.Fprintf(w, "%s %-*s  %s\n", marks[f.Severity], width, name, f.Text)
		if f.Remedy != "" && f.Severity != OK {
			fmt.Fprintf(w, "%s→ %s\n", strings.Repeat(" ", width+4), f.Remedy)
		}
	}
	fmt.Fprintf(w, "\n%d well, %s, %s\n", counts[OK], plural(counts[Warning], "warning"), plural(counts[Failure], "failure"))
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
