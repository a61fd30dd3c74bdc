package cli

import (
	"io"
	"os"
	"strings"

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
