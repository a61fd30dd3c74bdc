package console

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

// Components that all pages share; package pages describes them.
type (
	filterBar    = pages.FilterBar
	searchField  = pages.SearchField
	selectField  = pages.SelectField
	choice       = pages.Choice
	textField    = pages.TextField
	hiddenField  = pages.HiddenField
	activeFilter = pages.ActiveFilter
	pager        = pages.Pager
	tab          = pages.Tab
	empty        = pages.Empty
	confirmation = pages.Confirmation
	tile         = pages.Tile
)

// selectOf returns a select of these values, of which the empty one is "any".
func (v *visit) selectOf(name, label string, values ...string) selectField {
	f := selectField{Name: name, Label: label, Options: []choice{{Value: "", Label: "Any " + strings.ToLower(label)}}}
	chosen := v.query(name)
	for _, value := range values {
		f.Options = append(f.Options, choice{Value: value, Label: strings.ReplaceAll(value, "_", " "), Selected: value == chosen})
	}
	if chosen != "" && !slices.Contains(values, chosen) {
		f.Options = append(f.Options, choice{Value: chosen, Label: chosen, Selected: true})
	}
	return f
}

// active adds filters that are in force: pairs of a parameter and a label.
func (v *visit) active(f *filterBar, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := v.query(pairs[i]); value != "" {
			f.Active = append(f.Active, activeFilter{Label: pairs[i+1], Value: value, Remove: v.link(pairs[i], "")})
			f.Hidden = append(f.Hidden, hiddenField{Name: pairs[i], Value: value}) // so that other filters of the form keep it
		}
	}
	f.Clear = v.path()
}

// pagerOf returns the pager of a page of a list.
func pagerOf[T any](v *visit, p mirror.Page[T]) pager {
	var l pager
	if v.after() != "" {
		l.First = v.link()
	}
	if p.Next != "" {
		l.Next = v.link("after", string(p.Next))
	}
	l.Text = pages.Plural(int64(len(p.Items)), "row", "rows")
	if l.Next != "" || l.First != "" {
		l.Text += " on this page"
	}
	if !p.LookedBackTo.IsZero() {
		l.Text += ", which looked back to " + p.LookedBackTo.In(v.prefs.Zone).Format(pages.TimeLayout)
		l.Further = l.Next != ""
	}
	return l
}

// point is a value of a plot.
type point struct {
	Label string // for people: the time and the value
	Value float64
}

// plot is a bar chart as SVG. The template is "plot".
type plot struct {
	Title, Summary  string
	Width, Height   int
	Bars            string // data of a path
	Hits            []hit
	Max, From, To   string
	Class           string
	Empty           bool
	None            string // what it says if it is empty
	ZeroY, MaxValue float64
}

// hit is the region of one point, for its title.
type hit struct {
	X, Width float64
	Label    string
}

// Sizes of a plot, in the units of its view box.
const (
	plotWidth  = 720
	plotHeight = 120
	plotTop    = 8
	plotLeast  = 2   // the height of a bar that is not zero
	plotShare  = 0.7 // of the width that a bar has
)

// newPlot draws points from left to right.
func newPlot(title string, points []point) plot {
	p := plot{Title: title, Width: plotWidth, Height: plotHeight, ZeroY: plotHeight - 1}
	for _, at := range points {
		p.MaxValue = math.Max(p.MaxValue, at.Value)
	}
	p.Empty = p.MaxValue == 0
	step := float64(plotWidth) / float64(max(1, len(points)))
	var bars strings.Builder
	for i, at := range points {
		x := float64(i) * step
		p.Hits = append(p.Hits, hit{X: x, Width: step, Label: at.Label})
		if at.Value > 0 {
			height := math.Max(plotLeast, at.Value/p.MaxValue*(p.ZeroY-plotTop))
			bars.WriteString("M" + coordinate(x+step*(1-plotShare)/2) + " " + coordinate(p.ZeroY) +
				"v-" + coordinate(height) + "h" + coordinate(step*plotShare) + "v" + coordinate(height) + "z")
		}
	}
	p.Bars = bars.String()
	return p
}

func coordinate(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// queryOf returns the query of a path: pairs of a name and a value, without empty values.
func queryOf(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}
