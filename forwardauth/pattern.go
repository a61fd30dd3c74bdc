package forwardauth

import (
	"strings"
)

// pattern is the path of a route: /a/b is one path, /a/* has one more segment, and /a/** has any
// number of them, including none.
type pattern struct {
	text     string
	segments []string // "*" is any
	rest     bool     // ends in /**
}

const (
	anySegment = "*"
	anyRest    = "**"
)

// parsePattern reads a path of a policy. fault continues a sentence that begins with "path", or is
// "". It comes with a remedy.
func parsePattern(text string) (p pattern, fault, remedy string) {
	const form = "Write a path such as /reports, /reports/* (one more segment) or /reports/** (itself and all beneath)."
	p.text = text
	if !strings.HasPrefix(text, "/") {
		return p, "does not begin with a slash", form
	}
	if text == "/" {
		return p, "", ""
	}
	p.segments = strings.Split(text[1:], "/")
	for i, s := range p.segments {
		last := i == len(p.segments)-1
		switch {
		case s == "" && last:
			return p, "ends in a slash", "Leave the last slash out: a slash at the end of a request's path makes no difference."
		case s == "":
			return p, "has an empty segment", "Requests with // in their path are refused; write one slash."
		case s == anyRest && last:
			p.segments, p.rest = p.segments[:i], true
		case s == anyRest:
			return p, "has ** before its end", "Write ** as the last segment alone; * is one segment."
		case s == anySegment:
		case strings.Contains(s, "*"):
			return p, "has a * within a segment", "A * stands for a whole segment."
		case strings.ContainsFunc(s, notLiteral):
			return p, "has a character that no literal may hold", "Write letters, digits and - _ . ~ ! $ & ' ( ) + , = : @; " +
				"let * stand for other segments."
		case strings.TrimRight(s, ".") != s:
			return p, "has a segment that ends in a full stop", "Some servers drop it; let * stand for the segment."
		}
	}
	return p, "", ""
}

// notLiteral reports whether a character has more than one written form in requests, so that it
// cannot be compared reliably.
func notLiteral(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_.~!$&'()+,=:@", r)
}

func exactly(literal, segment string) bool { return literal == segment }

// carelessly compares like servers that ignore case and remove full stops and spaces at the end of
// a segment.
func carelessly(literal, segment string) bool {
	return strings.EqualFold(literal, strings.TrimRight(segment, ". "))
}

func (p *pattern) matches(path []string, same func(literal, segment string) bool) bool {
	if len(path) < len(p.segments) || !p.rest && len(path) > len(p.segments) {
		return false
	}
	for i, s := range p.segments {
		if s != anySegment && !same(s, path[i]) {
			return false
		}
	}
	return true
}

// relation is how the paths of two patterns overlap.
type relation int

const (
	disjoint relation = iota
	equal
	within   // all paths of the first are paths of the second
	around   // all paths of the second are paths of the first
	crossing // some paths are in both, and each has others
)

// relate returns the relation of p to q. It ignores case.
func (p *pattern) relate(q *pattern) relation {
	wider, narrower := false, false // p than q
	n := min(len(p.segments), len(q.segments))
	for i := range n {
		a, b := p.segments[i], q.segments[i]
		switch {
		case a == anySegment && b == anySegment:
		case a == anySegment:
			wider = true
		case b == anySegment:
			narrower = true
		case !strings.EqualFold(a, b):
			return disjoint
		}
	}
	switch {
	case len(p.segments) > n:
		if !q.rest {
			return disjoint
		}
		narrower = true
	case len(q.segments) > n:
		if !p.rest {
			return disjoint
		}
		wider = true
	case p.rest && !q.rest:
		wider = true
	case q.rest && !p.rest:
		narrower = true
	}
	switch {
	case wider && narrower:
		return crossing
	case wider:
		return around
	case narrower:
		return within
	default:
		return equal
	}
}

// order returns a sort key that puts a pattern before all patterns around it.
func (p *pattern) order() string {
	var b strings.Builder
	for _, s := range p.segments {
		if s == anySegment {
			b.WriteByte('b')
		} else {
			b.WriteByte('a')
		}
	}
	if p.rest {
		b.WriteByte('c')
	}
	return b.String()
}

// exhausted reports whether the other patterns take every path of p. For example, /a and /a/*/**
// take all paths of /a/**.
func (p *pattern) exhausted(others []*pattern) bool {
	if !p.rest {
		return false
	}
	for n := 0; ; n++ { // all paths with n segments more than p
		stars := &pattern{segments: append(append([]string(nil), p.segments...), slicesOf(n)...)}
		exact := false
		for _, o := range others {
			if n > 0 && o.rest && o.relate(&pattern{segments: stars.segments, rest: true}) == equal {
				return true
			}
			exact = exact || !o.rest && o.relate(stars) == equal
		}
		if !exact {
			return false
		}
	}
}

func slicesOf(n int) []string {
	stars := make([]string, n)
	for i := range stars {
		stars[i] = anySegment
	}
	return stars
}
