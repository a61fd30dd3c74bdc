package api

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/feedhttp"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// maxPage is the greatest number of records of a page.
const maxPage = 200

// query is what the URL of a request asks for.
type query struct {
	path   func(name string) string // returns a variable of the path
	values map[string]string
	limit  int // 0 without the parameter
}

func (q query) id() string { return q.path("id") }

func (q query) text(name string) string { return q.values[name] }

func (q query) after() mirror.Cursor { return mirror.Cursor(q.values["after"]) }

// time returns the value of a parameter that is a time, zero if the request does not have it.
func (q query) time(name string) time.Time {
	at, _ := time.Parse(time.RFC3339, q.values[name]) // it was checked
	return at
}

// parameter is a query parameter: what is allowed, and a text that says so.
type parameter struct {
	valid   func(value string) bool
	allowed []string
	longest int // maxText if it is 0
}

func anyValue(string) bool { return true }

func anyText(allowed string) parameter {
	return parameter{valid: anyValue, allowed: []string{allowed}}
}

func oneOf(words ...string) parameter {
	return parameter{valid: func(value string) bool { return slices.Contains(words, value) }, allowed: words}
}

func words[T ~string](list []T) (words []string) {
	for _, word := range list {
		words = append(words, string(word))
	}
	return words
}

func timeParameter() parameter {
	return parameter{valid: func(value string) bool {
		_, err := time.Parse(time.RFC3339, value)
		return err == nil
	}, allowed: []string{"a time such as 2026-11-27T18:17:28Z"}}
}

// queryParameters are the query parameters of all routes but /api/changes. After a colon stands
// what distinguishes parameters of the same name.
var queryParameters = map[string]parameter{
	"q":            anyText("an id, or the beginning of a name or an e-mail address"),
	"role":         anyText("a role"),
	"organization": anyText("the id of an organization, such as org_2aKVM…"),
	"user":         anyText("the id of a user, such as user_2aKVM…"),
	"type":         anyText("an event type, such as user.created or user.*"),
	"subject":      anyText("the id of an object, such as user_2aKVM… or user:user_2aKVM…"),
	"subject:keys": anyText("the id of a user, an organization or a machine, such as user_2aKVM…"),
	"action":       anyText("an action of the audit, such as role_changed"),

	"user_id":         anyText("the id of a user, such as user_2aKVM…, or the e-mail address"),
	"session_id":      anyText("the id of a session, such as sess_2aKVM…"),
	"organization_id": anyText("the id of an organization, such as org_2aKVM…"),
	"method":          anyText("a method, such as GET"),
	"path":            {valid: anyValue, allowed: []string{"the path of a request"}, longest: maxCursor},
	"rule":            {valid: anyValue, allowed: []string{`a rule as JSON, such as {"min_role": "growth"}`}, longest: maxCursor},

	"reason":     anyText("a reason for which deliveries are not applied, such as invalid"),
	"text":       anyText("a text of the body"),
	"id:revoked": anyText("the id of a key, a token or a subject, or the claim jti of a JWT"),
	"id":         anyText("the id of an object, such as user_2aKVM…"),
	"email":      anyText("an e-mail address"),
	"actor":      anyText("the name of an operator, operator for the unnamed one, or the id of a user"),
	"endpoint":   anyText("the id of an endpoint, such as ep_2aKVM…"),
	"message":    anyText("the id of a message"),
	"failed":     oneOf("true"),
	"active":     oneOf("true", "false"),
	"include":    oneOf("body"),
	"since":      timeParameter(),
	"until":      timeParameter(),
	"after":      {valid: anyValue, allowed: []string{"next_cursor of the page before"}, longest: maxCursor},
	"limit": {valid: func(value string) bool {
		_, ok := number([]string{value}, 1, maxPage)
		return ok
	}, allowed: []string{"a number from 1 to " + strconv.Itoa(maxPage)}},
	"kind": {valid: func(value string) bool { _, ok := clerk.ParseKind(value); return ok }, allowed: allowedKinds()},
	"status": oneOf(string(mirror.SessionActive), string(mirror.SessionPending), string(mirror.SessionEnded), string(mirror.SessionExpired),
		string(mirror.SessionRemoved), string(mirror.SessionReplaced), string(mirror.SessionRevoked), string(mirror.SessionAbandoned)),
	"confirm": anyText("the id of the path once more"),
	"type:timeline": {valid: func(value string) bool {
		return !slices.ContainsFunc(strings.Split(value, ","), func(word string) bool {
			return !slices.Contains(mirror.TimelineTypes(), mirror.TimelineType(word))
		})
	}, allowed: words(mirror.TimelineTypes())},
	"status:invitation": oneOf(string(mirror.InvitationPending), string(mirror.InvitationAccepted), string(mirror.InvitationRevoked),
		string(mirror.InvitationExpired)),
	"state:job": oneOf(string(mirror.JobPlanned), string(mirror.JobWaiting), string(mirror.JobRunning), string(mirror.JobCancelling),
		string(mirror.JobCancelled), string(mirror.JobDone), string(mirror.JobFailed)),
	"state:parked": oneOf(string(mirror.ParkedRetrying), string(mirror.ParkedWaiting), string(mirror.ParkedGivenUp)),
	"action:job":   oneOf(words(mirror.JobActions())...),
	"state": oneOf(string(mirror.DeliveryApplied), string(mirror.DeliveryIgnored), string(mirror.DeliveryQuarantined),
		string(mirror.DeliveryDead), string(mirror.DeliveryDismissed), string(mirror.DeliveryErased)),
}

// parameterNames returns the names of the query parameters of a route, sorted.
func (r route) parameterNames() (names []string) {
	for _, key := range r.parameters {
		name, _, _ := strings.Cut(key, ":")
		names = append(names, name)
	}
	if r.method == http.MethodGet && r.stream == nil {
		names = append(names, feedhttp.Parameter)
	}
	slices.Sort(names)
	return names
}

// parseParameters reads the query of a request to a route. What is not known is refused: a filter
// that is mistyped must not deliver everything.
func parseParameters(r *http.Request, to *route) (q query, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, &web.Problem{Status: http.StatusBadRequest, Code: "invalid_parameter", Detail: "The query of the URL cannot be read", Err: err}
	}
	known := map[string]parameter{}
	for _, key := range to.parameters {
		name, _, _ := strings.Cut(key, ":")
		known[name] = queryParameters[key]
	}
	if to.method == http.MethodGet {
		delete(values, feedhttp.Parameter)
	}
	q = query{path: r.PathValue, values: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p, ok := known[name]
		if !ok {
			return q, invalidParameter(name, "is not a parameter of this route", to.parameterNames())
		}
		value := values[name][0]
		if len(values[name]) > 1 || value == "" || len(value) > cmp.Or(p.longest, maxText) || !p.valid(value) {
			return q, invalidParameter(name, "has a value that is not allowed", p.allowed)
		}
		q.values[name] = value
	}
	q.limit, _ = strconv.Atoi(q.values["limit"])
	return q, nil
}
