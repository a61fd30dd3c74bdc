package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// progress shows how far a walk is: on a terminal by one line that is drawn again and again,
// otherwise by at most one line a second. Logs are written through it, so that they appear above
// that line.
type progress struct {
	w        io.Writer
	terminal terminal
	now      func() time.Time
	budget   func() *mirror.BudgetStatus // nil: not shown

	mu    sync.Mutex
	last  mirror.SyncProgress
	first int // rows of the list at the first report: a backfill may resume in the middle
	began time.Time
	told  time.Time
	line  string // that is on the terminal
}

const (
	redrawEvery = 100 * time.Millisecond
	tellEvery   = time.Second
)

// Write writes other output above the line.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line == "" {
		return p.w.Write(b)
	}
	_, _ = io.WriteString(p.w, "\r\x1b[K")
	n, err := p.w.Write(b)
	_, _ = io.WriteString(p.w, p.line)
	return n, err
}

// tell reports a page.
func (p *progress) tell(at mirror.SyncProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if !at.AskedAgain.IsZero() {
		p.close()
		fmt.Fprintf(p.w, "%d rows are missing or older at Clerk; they are read again at %s to confirm that\n", at.Rows, at.AskedAgain.Local().Format(time.TimeOnly))
		return
	}
	if at.Kind != p.last.Kind || at.Rows < p.last.Rows { // the next list, or the same list again
		p.close()
		p.first, p.began, p.told = 0, now, time.Time{}
		if at.Rows < at.Total {
			p.first = at.Rows
		}
	}
	p.last = at
	every := tellEvery
	if p.terminal.width > 0 {
		every = redrawEvery
	}
	if now.Sub(p.told) < every && at.Rows != at.Total {
		return
	}
	p.told = now
	if p.terminal.width > 0 {
		p.line = p.drawn(now.Sub(p.began))
		_, _ = io.WriteString(p.w, "\r"+p.line+"\x1b[K")
		return
	}
	of := ""
	if at.Total >= 0 {
		of = fmt.Sprintf(" of %d", at.Total)
	}
	fmt.Fprintf(p.w, "%s: %d%s rows, %s\n", at.Kind, at.Rows, of, now.Sub(p.began).Round(100*time.Millisecond))
}

// drawn returns the line, cut to the width of the terminal.
func (p *progress) drawn(passed time.Duration) string {
	rows, total := p.last.Rows, p.last.Total
	parts := []string{fmt.Sprintf("%-13s", noun(p.last.Kind))}
	if total >= 0 {
		done := 1.0
		if total > 0 {
			done = min(1, float64(rows)/float64(total))
		}
		parts = append(parts, fmt.Sprintf("%s %3d %%", bar(done, 20), int(100*done)), grouped(int64(rows))+" of "+grouped(int64(total)))
	} else {
		parts = append(parts, grouped(int64(rows))+" rows")
	}
	if rate := float64(rows-p.first) / passed.Seconds(); passed > 300*time.Millisecond && rate > 0 {
		parts = append(parts, grouped(int64(rate))+" rows/s")
		if left := time.Duration(float64(total-rows) / rate * float64(time.Second)); total > rows {
			parts = append(parts, span(left)+" left")
		}
	}
	if p.budget != nil {
		if b := p.budget(); b != nil {
			parts = append(parts, fmt.Sprintf("budget %d %%", int(100*min(1, b.Share))))
		}
	}
	line := parts[0]
	for _, part := range parts[1:] {
		if utf8.RuneCountInString(line)+2+utf8.RuneCountInString(part) >= p.terminal.width {
			break // a line that wraps cannot be drawn again
		}
		line += "  " + part
	}
	return line
}

func bar(done float64, width int) string {
	full := int(done * float64(width))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// end keeps the line and starts a new one.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
}

func (p *progress) close() {
	if p.line != "" {
		_, _ = io.WriteString(p.w, "\n")
	}
	p.line = ""
}

// where returns how far the walk came, for the user who stopped it.
func (p *progress) where() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.last.Kind == "":
		return "before anything was read"
	case p.last.Total < 0:
		return fmt.Sprintf("after %s %s", grouped(int64(p.last.Rows)), noun(p.last.Kind))
	}
	return fmt.Sprintf("after %s of %s %s", grouped(int64(p.last.Rows)), grouped(int64(p.last.Total)), noun(p.last.Kind))
}

// noun returns the plural name of a kind.
func noun(kind clerk.Kind) string {
	name := strings.TrimPrefix(string(kind), "organization_")
	if before, ok := strings.CutSuffix(name, "y"); ok {
		return before + "ies"
	}
	return strings.ReplaceAll(name, "_", " ") + "s"
}

// grouped returns a number with its digits in groups of three.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// span returns a duration in its largest unit, rounded down.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d/time.Second)))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	}
	return fmt.Sprintf("%d d", int(d/(24*time.Hour)))
}
