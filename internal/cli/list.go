package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

// listFlags are what commands that list have.
type listFlags struct {
	Limit int    `help:"Rows of a page, 1 to 200." default:"50" placeholder:"N" group:"output"`
	Page  string `help:"Begin at this place, which the end of the previous page names." placeholder:"PLACE" group:"output"`
	All   bool   `help:"Print all pages, and not one." group:"output"`
	Wide  bool   `help:"Show all columns and exact times." group:"output"`
	JSON  bool   `name:"json" help:"Print the page as the API returns it; with --all, one object a line." group:"output"`
}

// maxPage is the greatest number of rows of a page.
const maxPage = 200

func (f listFlags) check() error {
	if f.Limit < 1 || f.Limit > maxPage {
		return usageError("--limit must be a number from 1 to 200")
	}
	return nil
}

// listing is a list that a command prints.
type listing[T any] struct {
	columns []column
	// page reads a page.
	page func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[T]], error)
	// row returns the cells of a record, one for each column.
	row func(l look, record *T) []string
	// none is what is said if there is nothing.
	none string
}

// printList prints a page of a list, or all pages.
func printList[T any](ctx context.Context, p *process, f listFlags, l listing[T]) error {
	look := p.look(f.Wide)
	out := &table{w: p.stdout, terminal: look.terminal, wide: f.Wide, columns: l.columns}
	after, limit, rows := mirror.Cursor(f.Page), f.Limit, 0
	var lookedBack time.Time
	if f.All {
		limit = maxPage
	}
	for {
		page, err := l.page(ctx, after, limit)
		if errors.Is(err, mirror.ErrInvalidCursor) {
			return usageError("--page is not a place of this list\nCopy it from the end of the previous page, and use the same filters")
		}
		if err != nil {
			return err
		}
		rows, lookedBack = rows+len(page.Value.Data), page.Value.LookedBackTo
		switch {
		case f.JSON && f.All:
			err = printLines(p.stdout, page.JSON)
		case f.JSON:
			_, err = fmt.Fprintf(p.stdout, "%s\n", page.JSON)
			return err
		case len(page.Value.Data) > 0:
			err = out.print(rowsOf(look, l, page.Value.Data))
		}
		if err != nil {
			return err
		}
		if after = page.Value.Next; after == "" || !f.All {
			break
		}
	}
	switch {
	case f.JSON:
	case rows == 0 && after == "":
		fmt.Fprintln(p.stderr, l.none)
	case rows == 0:
		fmt.Fprintf(p.stderr, "Nothing matches since %s. Look further back: --all, or --page %s\n", timeOf(lookedBack), after)
	case after != "" && !lookedBack.IsZero():
		fmt.Fprintf(p.stderr, "\nThese are since %s. Look further back: --all, or --page %s\n", timeOf(lookedBack), after)
	case after != "":
		fmt.Fprintf(p.stderr, "\nMore: --all, or --page %s\n", after)
	}
	return nil
}

// printWhole prints a list that has one page.
func printWhole[T any](
	ctx context.Context, p *process, asJSON, wide bool, read func(context.Context) (apiclient.Answer[apiclient.Page[T]], error), l listing[T],
) error {
	l.page = func(ctx context.Context, _ mirror.Cursor, _ int) (apiclient.Answer[apiclient.Page[T]], error) {
		return read(ctx)
	}
	return printList(ctx, p, listFlags{JSON: asJSON, Wide: wide}, l)
}

func rowsOf[T any](look look, l listing[T], records []T) [][]string {
	rows := make([][]string, len(records))
	for i := range records {
		rows[i] = l.row(look, &records[i])
	}
	return rows
}

// printLines prints each record of a page as a line of JSON.
func printLines(w io.Writer, page json.RawMessage) error {
	var records struct{ Data []json.RawMessage }
	if err := json.Unmarshal(page, &records); err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, record := range records.Data {
		if err := json.Compact(&lines, record); err != nil {
			return err
		}
		lines.WriteByte('\n')
	}
	_, err := w.Write(lines.Bytes())
	return err
}

// look is how a command shows records to people.
type look struct {
	terminal terminal
	wide     bool
	now      time.Time
}

func (p *process) look(wide bool) look {
	return look{terminalOf(p.stdout, p.environ), wide, time.Now()}
}

// when returns a time: relative on a terminal, else exact.
func (l look) when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	if l.wide || l.terminal.width == 0 {
		return timeOf(t)
	}
	switch age := l.now.Sub(t); {
	case age < -time.Second:
		return "in " + span(-age)
	case age < time.Second:
		return "now"
	default:
		return span(age) + " ago"
	}
}

// paint colors a text on a terminal.
func (l look) paint(colour, text string) string { return l.terminal.paint(colour, text) }

// cell returns a text of any origin on one line.
func cell(s string) string { return oneLine(s, 2000) }

// field is a name with its value.
type field struct{ name, value string }

// fields prints names and values, one a line. Values without content are left out.
func (l look) fields(p *process, list []field) error {
	var rows [][]string
	for _, f := range list {
		if f.value != "" && f.value != "–" {
			rows = append(rows, []string{l.paint(faint, f.name), f.value})
		}
	}
	return columns(p.stdout, rows, nil)
}

// sub prints a table below a heading, or that there is nothing.
func sub[T any](p *process, l look, title string, columns []column, records []T, more bool, row func(look, *T) []string) error {
	if len(records) == 0 {
		_, err := fmt.Fprintf(p.stdout, "\n%s: none\n", title)
		return err
	}
	count := grouped(int64(len(records)))
	if more {
		count = "the latest " + count
	}
	if _, err := fmt.Fprintf(p.stdout, "\n%s (%s)\n", title, count); err != nil {
		return err
	}
	t := &table{w: p.stdout, terminal: l.terminal, wide: l.wide, columns: columns}
	return t.print(rowsOf(l, listing[T]{row: row}, records))
}

// join joins what is not empty.
func join(separator string, parts ...string) string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, separator)
}
