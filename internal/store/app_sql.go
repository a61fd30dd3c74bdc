package store

import (
	"fmt"
	"strings"
)

// checkAppSQL refuses a text with a statement that would begin or end the transaction, or change
// the connection beyond it. It looks at the first words of each statement. Savepoints are allowed.
func checkAppSQL(engine Engine, text string) error {
	l := sqlLexer{text: text, postgres: engine == Postgres}
	for !l.atEnd() {
		words, clause := l.statement()
		if clause || endsTransaction(words) {
			return fmt.Errorf("%s is not allowed inside OnChange: the mirror begins and ends the transaction", strings.Join(words, " "))
		}
		if changesConnection(engine, words) {
			return fmt.Errorf("%s is not allowed inside OnChange: it would change the connection beyond the transaction", strings.Join(words, " "))
		}
	}
	return nil
}

// word returns a word of a list, "" beyond its end.
func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

func endsTransaction(words []string) bool {
	second := word(words, 1)
	switch word(words, 0) {
	case "BEGIN", "COMMIT", "END", "ABORT":
		return true
	case "START", "PREPARE":
		return second == "TRANSACTION"
	case "ROLLBACK": // TO a savepoint leaves the transaction open
		return second != "TO" && (second != "TRANSACTION" && second != "WORK" || word(words, 2) != "TO")
	}
	return false
}

func changesConnection(engine Engine, words []string) bool {
	first, second := word(words, 0), word(words, 1)
	if engine == SQLite {
		return first == "PRAGMA" || first == "ATTACH" || first == "DETACH"
	}
	switch first {
	case "SET":
		return second != "LOCAL" && second != "CONSTRAINTS"
	case "RESET", "DISCARD", "DEALLOCATE", "LISTEN", "UNLISTEN":
		return true
	}
	return false
}

// sqlLexer splits a text into statements, as the engines do.
type sqlLexer struct {
	text     string
	at       int
	postgres bool
}

const keptWords = 3 // of a statement

// statement reads a statement. It returns its first words, in upper case, and whether it has the
// clause OR ROLLBACK, by which SQLite ends the transaction when a row breaks a rule.
func (l *sqlLexer) statement() (words []string, orRollback bool) {
	for last := ""; !l.atEnd(); {
		c := l.text[l.at]
		switch {
		case c == ';':
			l.at++
			return words, orRollback
		case l.skipped():
		case isWord(c):
			last = l.word(last, &words, &orRollback)
			continue
		default:
			l.at++
		}
		if c > ' ' {
			last = ""
		}
	}
	return words, orRollback
}

// word reads a word. In Postgres, E directly before a text makes backslashes escape.
func (l *sqlLexer) word(last string, words *[]string, orRollback *bool) string {
	from := l.at
	for !l.atEnd() && (isWord(l.text[l.at]) || l.postgres && l.text[l.at] == '$') {
		l.at++
	}
	w := strings.ToUpper(l.text[from:l.at])
	if l.postgres && w == "E" && strings.HasPrefix(l.text[l.at:], "'") {
		l.quoted('\'', true)
		return ""
	}
	if !l.postgres && last == "OR" && w == "ROLLBACK" {
		*orRollback = true
		*words = append((*words)[:min(len(*words), 1)], "OR", "ROLLBACK")
	}
	if len(*words) < keptWords {
		*words = append(*words, w)
	}
	return w
}

func (l *sqlLexer) atEnd() bool { return l.at >= len(l.text) }

// byteOrderMark is white space for SQLite.
const byteOrderMark = "\ufeff"

// skipped skips a comment, a text, or a name in quotes, if there is one here.
func (l *sqlLexer) skipped() bool {
	rest := l.text[l.at:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, byteOrderMark):
		l.at += len(byteOrderMark)
	case strings.HasPrefix(rest, "--"):
		l.toEndOfLine()
	case strings.HasPrefix(rest, "/*"):
		l.comment()
	case c == '\'' || c == '"' || c == '`' && !l.postgres:
		l.quoted(c, false)
	case c == '[' && !l.postgres:
		l.to("]")
	case c == '$' && l.postgres && dollarTag(rest) != "":
		tag := dollarTag(rest)
		l.at += len(tag)
		l.to(tag)
	default:
		return false
	}
	return true
}

// to goes on behind the next occurrence of a text, or to the end.
func (l *sqlLexer) to(text string) {
	if i := strings.Index(l.text[l.at:], text); i >= 0 {
		l.at += i + len(text)
		return
	}
	l.at = len(l.text)
}

// toEndOfLine goes on behind the end of the line. For Postgres, a carriage return is one.
func (l *sqlLexer) toEndOfLine() {
	ends := "\n"
	if l.postgres {
		ends = "\r\n"
	}
	if i := strings.IndexAny(l.text[l.at:], ends); i >= 0 {
		l.at += i + 1
		return
	}
	l.at = len(l.text)
}

// comment skips a comment. Those of Postgres can be nested.
func (l *sqlLexer) comment() {
	for depth := 0; !l.atEnd(); {
		switch rest := l.text[l.at:]; {
		case strings.HasPrefix(rest, "/*") && (depth == 0 || l.postgres):
			depth++
			l.at += 2
		case strings.HasPrefix(rest, "*/"):
			l.at += 2
			if depth--; depth == 0 {
				return
			}
		default:
			l.at++
		}
	}
}

// quoted skips a text or a name in quotes. A quote that is doubled is a part of it.
func (l *sqlLexer) quoted(quote byte, backslash bool) {
	for l.at++; !l.atEnd(); l.at++ {
		switch c := l.text[l.at]; {
		case backslash && c == '\\':
			l.at++
		case c == quote && strings.HasPrefix(l.text[l.at+1:], string(quote)):
			l.at++
		case c == quote:
			l.at++
			return
		}
	}
}

// dollarTag returns the $tag$ at the beginning of a text of Postgres, "" if there is none.
func dollarTag(text string) string {
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '$':
			return text[:i+1]
		case !isWord(c) || i == 1 && c >= '0' && c <= '9':
			return ""
		}
	}
	return ""
}

// isWord reports whether a word can begin with a byte. A word goes on with the same bytes, in
// Postgres also with $.
func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
