package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/clerksync/clerksync/internal/emulator"
)

// emulateLog prints a line for each request that the emulator answers and each webhook that it
// sends, for people. Keys, tokens and bodies are not in it.
type emulateLog struct {
	all bool // else what failed alone

	mu     sync.Mutex
	out    io.Writer
	misses map[string]bool // calls that are not implemented are told once
}

// newEmulateLog returns nil where nothing is to be printed.
func newEmulateLog(out io.Writer, level string) *emulateLog {
	if level == "none" {
		return nil
	}
	return &emulateLog{all: level == "requests", out: out, misses: map[string]bool{}}
}

// watch prints what an emulator does from now on. Call it before anything is asked or sent.
func (l *emulateLog) watch(e *emulator.Emulator) {
	if l == nil {
		return
	}
	e.OnRequest(l.request)
	e.Observe(l.webhook)
}

func (l *emulateLog) request(r emulator.Request) {
	line := fmt.Sprintf("%d  %s %s", r.Status, printable(r.Method), printable(r.Path))
	if r.From != "" {
		line += "  from " + printable(r.From)
	}
	if r.Status < 400 {
		if l.all {
			l.print(r.At, fmt.Sprintf("%s  %d ms", line, r.Took.Milliseconds()))
		}
		return
	}
	if r.Status == 501 {
		call := r.Method + " " + objectID.ReplaceAllString(r.Path, "/…")
		call = call[:min(len(call), 256)]
		l.mu.Lock()
		told := l.misses[call]
		if len(l.misses) < 1000 { // a program that tries everything fills no memory
			l.misses[call] = true
		}
		l.mu.Unlock()
		if told && !l.all {
			return
		}
	}
	l.print(r.At, line+"  "+printable(r.Reason))
}

// objectID is the id of an object in a path.
var objectID = regexp.MustCompile(`/[a-z]+_[0-9A-Za-z]{20,}`)

func (l *emulateLog) webhook(m emulator.Message) {
	a := m.Attempts[0]
	line := fmt.Sprintf("webhook %s to %s", printable(m.Type), printable(a.URL))
	switch {
	case a.Fault != "":
		line += ": the fault " + a.Fault
	case a.Error != "":
		line += " did not arrive: " + printable(a.Error)
	case a.Status < 200 || a.Status > 299:
		line += fmt.Sprintf(" was refused: %d %s", a.Status, printable(answerWords(a.Answer)))
	default:
		if l.all {
			l.print(time.Now(), fmt.Sprintf("%s: %d", line, a.Status))
		}
		return
	}
	l.print(time.Now(), line)
}

// answerWords returns what an answer says: the detail of a problem in JSON, or its text.
func answerWords(answer string) string {
	var problem struct{ Detail, Message, Error, Code string }
	if json.Unmarshal([]byte(answer), &problem) == nil {
		for _, words := range []string{problem.Detail, problem.Message, problem.Error, problem.Code} {
			if words != "" {
				return words
			}
		}
	}
	return answer
}

func (l *emulateLog) print(at time.Time, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s  %s\n", at.Format(time.TimeOnly), strings.TrimSpace(line))
}

// printable returns a text of others as one line that a terminal shows as it stands.
func printable(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return shorten(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, text), 300)
}
