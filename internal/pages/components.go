package pages

import (
	"embed"
	"html/template"
	"time"
)

// Templates has the components, in files "templates/*.html". They need [Functions].
//
//go:embed templates/*.html
var Templates embed.FS

// FilterBar is the form above a list. Everything it selects is in the URL. The template is
// "filters".
type FilterBar struct {
	Search  *SearchField // nil: the list has no search
	Selects []SelectField
	Texts   []TextField
	Active  []ActiveFilter
	Clear   string // path without filters
	Results string // id of the element that the script replaces while a person types
	Hidden  []HiddenField
	More    []TextField // in a menu of their own
}

// SearchField is a field whose results appear while a person types.
type SearchField struct{ Name, Value, Label, Placeholder string }

// SelectField is a choice among values.
type SelectField struct {
	Name, Label string
	Options     []Choice
}

// Choice is an option of a [SelectField].
type Choice struct {
	Value, Label string
	Selected     bool
}

// TextField is a field for a text, or for what its type says.
type TextField struct {
	Name, Label, Value, Placeholder, Type string

	Options []string // suggestions
}

// HiddenField is a value that a form sends along.
type HiddenField struct{ Name, Value string }

// ActiveFilter is a filter in force, with the path that removes it.
type ActiveFilter struct{ Label, Value, Remove string }

// Pager leads through a list. The template is "pager".
type Pager struct {
	First, Next string // paths, empty where there is none
	Text        string // what the page shows
	Further     bool   // the next page looks further back for what is rare
}

// Tab is a part of a detail page. The template is "tabs".
type Tab struct {
	Label, Href string
	Current     bool
	Count       string // empty: not shown
}

// Empty is what a list shows that has no rows. The template is "empty".
type Empty struct {
	Icon, Title, Text string
	Link, LinkText    string
	Command           string // to copy, empty for none
	Code              string // lines of a program, empty for none
}

// Confirmation is a page that asks before something is done. The template is "confirm".
type Confirmation struct {
	Title   string // names the action and the object
	Object  template.HTML
	Text    []string // the consequences, one a line
	Action  string   // path of the form
	Button  string
	Danger  bool
	Back    string
	Typed   string // what the visitor must type, empty for nothing
	Fields  []HiddenField
	Select  *SelectField
	Problem string // what was wrong with what was sent
}

// Tile is a figure with its name, and a link if it has a page. The template is "tiles".
type Tile struct {
	Label, Value, Note, Href string
	Kind                     string    // bad, warn or empty
	At                       time.Time // shown as the value, if it is not zero
}
