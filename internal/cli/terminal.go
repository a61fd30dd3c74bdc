package cli

import (
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// terminal is the terminal that output goes to; the zero value is no terminal.
type terminal struct {
	width  int  // in columns; 0: no terminal
	colour bool // NO_COLOR is not set, and the terminal supports colors
}

func terminalOf(w io.Writer, environ []string) terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return terminal{}
	}
	t := terminal{width: 80, colour: true}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		t.width = width
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb" {
			t.colour = false
		}
	}
	return t
}

// Colors of states; each comes with a word or a mark that means the same.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	faint  = "2"
)

func (t terminal) paint(colour, text string) string {
	if !t.colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// fit removes columns, in the order of their headings in expendable, until the rows fit into a
// width. Width 0 has no limit.
func fit(rows [][]string, width int, expendable ...string) [][]string {
	for len(expendable) > 0 && width > 0 && widthOf(rows) > width {
		at := slices.Index(rows[0], expendable[0])
		expendable = expendable[1:]
		if at < 0 {
			continue
		}
		narrower := make([][]string, len(rows))
		for i, row := range rows {
			narrower[i] = slices.Delete(slices.Clone(row), at, at+1)
		}
		rows = narrower
	}
	return rows
}

// widthOf returns the width of rows as columns prints them.
func widthOf(rows [][]string) int {
	widths := map[int]int{}
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], visible(cell))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	return total
}

// visible returns the width of a cell. Colors have none.
func visible(cell string) int {
	if rest, coloured := strings.CutPrefix(cell, "\x1b["); coloured {
		_, rest, _ = strings.Cut(rest, "m")
		cell = strings.TrimSuffix(rest, "\x1b[0m")
	}
	return utf8.RuneCountInString(cell)
}

// columns prints rows of cells in columns, two spaces apart. The columns in right are aligned to
// the right. Only the last cell may be colored.
func columns(w io.Writer, rows [][]string, right map[int]bool) error {
	widths := []int{}
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
			switch {
			case right[i]:
				line += pad + cell
			case i < len(row)-1:
				line += cell + pad
			default:
				line += cell
			}
			if i < len(row)-1 {
				line += "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
