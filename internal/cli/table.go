package cli

import (
	"io"
	"slices"
	"strings"
	"unicode"
)

// column is a column of a [table].
type column struct {
	name   string
	right  bool // aligned to the right
	shrink bool // its texts may be shortened on a narrow terminal
	drop   int  // on a narrow terminal, columns with a greater number are left out before others; 0: never
	wide   bool // shown with --wide only
	below  bool // the last column: on a narrow terminal it goes below the others
}

// table prints rows in columns that fit into a terminal. Outside of a terminal, rows have all
// columns and no text is shortened.
type table struct {
	w        io.Writer
	terminal terminal
	wide     bool
	columns  []column
	widths   []int // of the rows so far, so that further pages are aligned in the same way
	shown    []int // indexes of columns
	begun    bool
}

// minShrunk is the least width of a column whose texts are shortened.
const minShrunk = 12

// print prints rows, the first time below the names of the columns.
func (t *table) print(rows [][]string) error {
	if !t.begun {
		names := make([]string, len(t.columns))
		for i, c := range t.columns {
			names[i] = c.name
		}
		rows = append([][]string{names}, rows...)
		t.choose(rows)
	}
	t.begun = true
	chosen := make([][]string, len(rows))
	for i, row := range rows {
		for _, at := range t.shown {
			chosen[i] = append(chosen[i], row[at])
		}
	}
	right := map[int]bool{}
	for i, at := range t.shown {
		right[i] = t.columns[at].right
	}
	last := t.columns[t.shown[len(t.shown)-1]]
	if last.below && t.terminal.width > 0 && widthOf(chosen) > t.terminal.width {
		return t.fold(chosen, right)
	}
	t.shrink(chosen)
	t.widths = widthsOf(chosen, t.widths)
	return printColumns(t.w, chosen, right, t.widths)
}

// choose decides by the first rows which columns are shown.
func (t *table) choose(rows [][]string) {
	for i, c := range t.columns {
		if !c.wide || t.wide || t.terminal.width == 0 {
			t.shown = append(t.shown, i)
		}
	}
	for !t.wide && t.terminal.width > 0 {
		least := 2 * (len(t.shown) - 1) // the width with every text shortened that may be
		dropped := -1
		for i, at := range t.shown {
			c := t.columns[at]
			width := columnWidth(rows, at)
			switch {
			case c.below: // it needs no room
				width = -2
			case c.shrink:
				width = min(width, 2*minShrunk)
			}
			least += width
			if c.drop > 0 && (dropped < 0 || c.drop > t.columns[t.shown[dropped]].drop) {
				dropped = i
			}
		}
		if least <= t.terminal.width || dropped < 0 {
			return
		}
		t.shown = slices.Delete(t.shown, dropped, dropped+1)
	}
}

// shrink shortens texts until rows fit into the terminal, those of the widest column first.
func (t *table) shrink(rows [][]string) {
	if t.terminal.width == 0 || t.wide {
		return
	}
	for over := widthOf(rows) - t.terminal.width; over > 0; over = widthOf(rows) - t.terminal.width {
		widest, width := -1, minShrunk
		for i, at := range t.shown {
			if w := columnWidth(rows, i); t.columns[at].shrink && w > width {
				widest, width = i, w
			}
		}
		if widest < 0 {
			return
		}
		second := minShrunk // what the next one is as wide as
		for i, at := range t.shown {
			if w := columnWidth(rows, i); i != widest && t.columns[at].shrink && w < width {
				second = max(second, w)
			}
		}
		limit := max(min(second, width-1), width-over, minShrunk)
		for _, row := range rows {
			row[widest] = cut(row[widest], limit)
		}
	}
}

// fold prints the last cell of each row below the others.
func (t *table) fold(rows [][]string, right map[int]bool) error {
	lines := make([][]string, 0, len(rows))
	for _, row := range rows {
		lines = append(lines, row[:len(row)-1])
	}
	t.widths = widthsOf(lines, t.widths)
	var b strings.Builder
	for i, line := range lines {
		if err := printColumns(&b, [][]string{line}, right, t.widths); err != nil {
			return err
		}
		if i > 0 || rows[0][0] != t.columns[t.shown[0]].name { // the names of columns have one line
			b.WriteString("  " + rows[i][len(rows[i])-1] + "\n")
		}
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// cut shortens a text to a width. A color stays around it.
func cut(text string, width int) string {
	if visible(text) <= width {
		return text
	}
	before, plain, after := uncoloured(text)
	var b strings.Builder
	used := 1 // of the mark
	for _, r := range plain {
		if used += runeWidth(r); used > width {
			break
		}
		b.WriteRune(r)
	}
	return before + b.String() + "…" + after
}

// columns prints rows of cells in columns, two spaces apart. The columns in right are aligned to
// the right.
func columns(w io.Writer, rows [][]string, right map[int]bool) error {
	return printColumns(w, rows, right, widthsOf(rows, nil))
}

func printColumns(w io.Writer, rows [][]string, right map[int]bool, widths []int) error {
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-visible(cell)))
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

// widthsOf returns the widths of the columns of rows, at least as wide as those before.
func widthsOf(rows [][]string, before []int) []int {
	widths := slices.Clone(before)
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], visible(cell))
		}
	}
	return widths
}

// widthOf returns the width of rows as columns prints them.
func widthOf(rows [][]string) int {
	widths := widthsOf(rows, nil)
	total := 2 * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	return total
}

func columnWidth(rows [][]string, at int) (width int) {
	for _, row := range rows {
		width = max(width, visible(row[at]))
	}
	return width
}

// uncoloured splits a cell into its text and the color around it.
func uncoloured(cell string) (before, text, after string) {
	rest, coloured := strings.CutPrefix(cell, "\x1b[")
	if !coloured {
		return "", cell, ""
	}
	colour, rest, _ := strings.Cut(rest, "m")
	return "\x1b[" + colour + "m", strings.TrimSuffix(rest, "\x1b[0m"), "\x1b[0m"
}

// visible returns the width of a cell in columns of a terminal. Colors have none.
func visible(cell string) (width int) {
	_, text, _ := uncoloured(cell)
	for _, r := range text {
		width += runeWidth(r)
	}
	return width
}

// doubleWidth are the characters that take two columns: those of East Asia, and pictures.
var doubleWidth = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1},
		{Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

// runeWidth returns how many columns a character takes.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(doubleWidth, r):
		return 2
	}
	return 1
}
