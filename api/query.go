package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

const (
	maxLimit = 1000
	maxWait  = 60 // seconds
	maxText  = 256
	// maxCursor is longer: the cursor of a snapshot has the kinds that are still to come.
	maxCursor = 2048
)

// parameters are the query parameters of /api/changes, each with what it does to the query and
// what it allows.
var parameters = map[string]struct {
	set     func(q *mirror.FeedQuery, values []string) (ok bool)
	allowed func() []string
}{
	"after":        {setAfter, allow("a cursor", "0")},
	"kind":         {setKinds, allowedKinds},
	"type":         {setTypes, allowedTypes},
	"user":         {setUser, allow("the id of a user, such as user_2aKVM…")},
	"organization": {setOrganization, allow("the id of an organization, such as org_2aKVM…")},
	"limit":        {setLimit, allow("a number from 1 to " + strconv.Itoa(maxLimit))},
	"wait":         {setWait, allow("seconds from 0 to " + strconv.Itoa(maxWait))},
	"include":      {setInclude, allow("object")},
	"snapshot":     {setSnapshot, func() []string { return append([]string{"all"}, allowedKinds()...) }},
}

func allow(words ...string) func() []string { return func() []string { return words } }

// parseQuery reads the query of a request. A parameter or a value that is not known is refused:
// a filter that is mistyped must not deliver everything.
func parseQuery(r *http.Request) (q mirror.FeedQuery, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, &web.Problem{Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: "The query of the URL cannot be read", Err: err}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, ok := parameters[name]
		if !ok {
			return q, invalidParameter(name, "is not a parameter of this route", slices.Sorted(maps.Keys(parameters)))
		}
		if !p.set(&q, values[name]) {
			return q, invalidParameter(name, "has a value that is not allowed", p.allowed())
		}
	}
	if excludeEachOther(q.Kinds, q.Types) {
		return q, invalidParameter("type", "has no type of the kinds in kind", []string{"types of these kinds", "no kind"})
	}
	if len(q.Snapshot) > 0 && q.After != "" {
		return q, invalidParameter("snapshot", "cannot be combined with after: a snapshot has no place before it", []string{"snapshot", "after"})
	}
	return q, nil
}

// excludeEachOther reports whether none of some types is one of some kinds.
func excludeEachOther(kinds []clerk.Kind, types []string) bool {
	return len(kinds) > 0 && len(types) > 0 && !slices.ContainsFunc(types, func(name string) bool {
		kind, _, _ := strings.Cut(name, ".")
		return slices.Contains(kinds, clerk.Kind(kind))
	})
}

func invalidParameter(name, fault string, allowed []string) error {
	if len(name) > maxText {
		name = name[:maxText]
	}
	return &web.Problem{
		Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: fmt.Sprintf("%s %s. Allowed: %s", name, fault, strings.Join(allowed, ", ")),
		Extra: map[string]any{"parameter": name, "allowed": allowed},
	}
}

// single returns the only value of a parameter that must not be repeated.
func single(values []string) (string, bool) {
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxText {
		return "", false
	}
	return values[0], true
}

// list returns the words of a parameter that can be repeated, or have a list with commas.
func list(values []string) (words []string) {
	for _, value := range values {
		words = append(words, strings.Split(value, ",")...)
	}
	return words
}

func setAfter(q *mirror.FeedQuery, values []string) bool {
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxCursor {
		return false
	}
	q.After = mirror.FeedCursor(values[0])
	return true
}

func setKinds(q *mirror.FeedQuery, values []string) (ok bool) {
	q.Kinds, ok = kindsOf(values)
	return ok
}

func setSnapshot(q *mirror.FeedQuery, values []string) (ok bool) {
	if word, one := single(values); one && word == "all" {
		q.Snapshot = clerk.Kinds()
		return true
	}
	q.Snapshot, ok = kindsOf(values)
	return ok
}

func kindsOf(values []string) (kinds []clerk.Kind, ok bool) {
	for _, word := range list(values) {
		kind, ok := clerk.ParseKind(word)
		if !ok {
			return nil, false
		}
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, true
}

func allowedKinds() (words []string) {
	for _, kind := range clerk.Kinds() {
		words = append(words, string(kind))
	}
	return words
}

// operations are those of types. A snapshot has no types: what it reads is selected by kind.
func operations() []string {
	return []string{string(mirror.Created), string(mirror.Updated), string(mirror.Deleted), string(mirror.Erased), "*"}
}

func setTypes(q *mirror.FeedQuery, values []string) bool {
	for _, word := range list(values) {
		kind, operation, _ := strings.Cut(word, ".")
		if !slices.Contains(clerk.Kinds(), clerk.Kind(kind)) || !slices.Contains(operations(), operation) {
			return false
		}
		q.Types = append(q.Types, word)
	}
	return true
}

func allowedTypes() []string {
	return []string{"KIND.OPERATION with a kind of: " + strings.Join(allowedKinds(), ", ") + "; and an operation of: " + strings.Join(operations(), ", ")}
}

func setOrganization(q *mirror.FeedQuery, values []string) (ok bool) {
	q.ClerkOrganizationID, ok = single(values)
	return ok
}

func setUser(q *mirror.FeedQuery, values []string) (ok bool) {
	q.ClerkUserID, ok = single(values)
	return ok
}

func setLimit(q *mirror.FeedQuery, values []string) (ok bool) {
	q.Limit, ok = number(values, 1, maxLimit)
	return ok
}

func setWait(q *mirror.FeedQuery, values []string) bool {
	seconds, ok := number(values, 0, maxWait)
	q.Wait = time.Duration(seconds) * time.Second
	return ok
}

func number(values []string, low, high int) (n int, ok bool) {
	text, ok := single(values)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n >= low && n <= high && strconv.Itoa(n) == text
}

func setInclude(q *mirror.FeedQuery, values []string) bool {
	word, ok := single(values)
	q.IncludeObject = true
	return ok && word == "object"
}
