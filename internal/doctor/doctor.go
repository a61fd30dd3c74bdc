package doctor

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/clerksync/clerksync/mirror"
)

// Good, Warn and Fail make findings; a check names them afterwards.
func Good(format string, args ...any) mirror.Finding {
	return mirror.Finding{Severity: mirror.FindingOK, Text: fmt.Sprintf(format, args...)}
}

// Warn makes a warning.
func Warn(remedy, format string, args ...any) mirror.Finding {
	return mirror.Finding{Severity: mirror.FindingWarning, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Fail makes a failure.
func Fail(remedy, format string, args ...any) mirror.Finding {
	return mirror.Finding{Severity: mirror.FindingFailure, Text: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Check looks at one thing. No finding means that there was nothing to look at.
type Check struct {
	Name string
	Run  func(context.Context) []mirror.Finding
}

// Run runs the checks, all at once, each no longer than the limit; the findings come in the order
// of the checks. One that panics or does not end has failed.
func Run(ctx context.Context, limit time.Duration, checks []Check) []mirror.Finding {
	found := make([][]mirror.Finding, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { found[i] = c.within(ctx, limit) })
	}
	running.Wait()
	return slices.Concat(found...)
}

func (c Check) within(ctx context.Context, limit time.Duration) []mirror.Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan []mirror.Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []mirror.Finding{Fail("Report this as a bug.", "The check itself failed: %v", p)}
			}
		}()
		done <- c.Run(ctx)
	}()
	var found []mirror.Finding
	select {
	case found = <-done:
	case <-ctx.Done():
		select { // it may have ended just then, because of that
		case found = <-done:
		case <-time.After(limit / 10):
			found = []mirror.Finding{Fail("Look whether what it asks is down or very slow.", "No answer within %s.", limit)}
		}
	}
	for i := range found {
		found[i].Check = c.Name
		found[i].Text = strings.Join(strings.Fields(found[i].Text), " ") // errors of others may have several lines
	}
	return found
}

// Worst is the worst severity of the findings.
func Worst(findings []mirror.Finding) mirror.FindingSeverity {
	worst := mirror.FindingOK
	for _, f := range findings {
		if rank(f.Severity) < rank(worst) {
			worst = f.Severity
		}
	}
	return worst
}

// Sort orders findings by severity, the worst first, and else as the checks came.
func Sort(findings []mirror.Finding) {
	slices.SortStableFunc(findings, func(a, b mirror.Finding) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
}

func rank(s mirror.FindingSeverity) int {
	return slices.Index([]mirror.FindingSeverity{mirror.FindingFailure, mirror.FindingWarning, mirror.FindingInfo, mirror.FindingOK}, s)
}

// Print writes the findings for people, in lines of a width where they can be broken: a mark, the
// severity, the check, the finding, and the remedy below. Width 0 breaks no lines.
func Print(w io.Writer, findings []mirror.Finding, width int) {
	longest, counts := 0, map[mirror.FindingSeverity]int{}
	for _, f := range findings {
		longest = max(longest, len(f.Check))
		counts[f.Severity]++
	}
	marks := map[mirror.FindingSeverity]string{
		mirror.FindingOK: "✓", mirror.FindingInfo: "·", mirror.FindingWarning: "!", mirror.FindingFailure: "✗",
	}
	before := mirror.Finding{}
	for _, f := range findings {
		name := f.Check
		if name == before.Check && f.Severity == before.Severity {
			name = ""
		}
		before = f
		indent := strings.Repeat(" ", 2+len(mirror.FindingFailure)+2+longest+2)
		fmt.Fprintf(w, "%s %-*s  %-*s  %s\n", marks[f.Severity], len(mirror.FindingFailure), f.Severity, longest, name, Wrap(f.Text, indent, width))
		if f.Remedy != "" && f.Severity != mirror.FindingOK {
			fmt.Fprintf(w, "%s→ %s\n", indent, Wrap(f.Remedy, indent+"  ", width))
		}
	}
	fmt.Fprintf(w, "\n%s, %s, %d info, %d ok\n", plural(counts[mirror.FindingFailure], "failure"),
		plural(counts[mirror.FindingWarning], "warning"), counts[mirror.FindingInfo], counts[mirror.FindingOK])
}

// Wrap breaks a text between words so that no line is wider than a terminal, where the first line
// begins after as many columns as the indent of the others has. Width 0 breaks nothing.
func Wrap(text, indent string, width int) string {
	room := width - utf8.RuneCountInString(indent)
	if width == 0 || room < 20 {
		return text
	}
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > room:
			b.WriteString("\n" + indent)
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
