package forwardauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/auth"
)

// Policy maps the path and method of a request to the rule that it must pass. It never changes.
type Policy struct {
	routes []Route // as written
	paths  []*entry
	roles  []askedRole
}

// Route is one route of a policy.
type Route struct {
	// Number is the place of the route in the policy, counted from 1.
	Number int

	// Path is the path pattern as written, such as /reports/**.
	Path string

	// Methods are the methods of the route. If there are none, the route has those of
	// [DefaultMethods] that no other route of this path lists.
	Methods []string

	// Public lets every request pass, signed in or not.
	Public bool

	// Deny refuses every request.
	Deny bool

	// Rule is what a signed-in user must pass. nil means that being signed in is enough.
	Rule auth.Rule
}

// entry is a path with its routes.
type entry struct {
	pattern  pattern
	byMethod map[string]*Route
	others   *Route // the route without methods
}

// DefaultMethods returns the methods of a route that lists none: GET, HEAD, POST, PUT, PATCH and
// DELETE. A route must list OPTIONS and all other methods.
func DefaultMethods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	}
}

// PolicyError is one mistake in a policy or a rule. Its texts quote no value of the policy.
type PolicyError struct {
	Route  int    // the number of the route, from 1; 0 for the whole policy
	What   string // what is wrong
	Remedy string // what to do
}

// Error returns what is wrong, with the number of the route.
func (f *PolicyError) Error() string {
	if f.Route == 0 {
		return f.What
	}
	return fmt.Sprintf("route %d: %s", f.Route, f.What)
}

const maxRoutes = 1000

// ParsePolicy reads a policy from JSON. docs/forward-auth.md describes its form. The error joins a
// [*PolicyError] for each mistake.
func ParsePolicy(text []byte) (*Policy, error) {
	const form = "Write a mapping with the one key routes: a list of mappings, each with a path."
	tree, err := parseTree(text)
	switch {
	case err != nil:
		return nil, &PolicyError{What: err.Error(), Remedy: form}
	case tree.kind != kindObject || len(tree.members) != 1 || tree.members[0].key != "routes":
		return nil, &PolicyError{What: "does not have exactly the key routes", Remedy: form}
	}
	list := tree.members[0].value
	switch {
	case list.kind != kindList || len(list.items) == 0:
		return nil, &PolicyError{What: "lists no routes", Remedy: form + " Without a policy any signed-in user passes."}
	case len(list.items) > maxRoutes:
		return nil, &PolicyError{
			What: fmt.Sprintf("has more than %d routes", maxRoutes), Remedy: "Let ** stand for paths that have the same rule.",
		}
	}
	p := &Policy{routes: make([]Route, len(list.items))}
	b := &ruleBuilder{}
	for i, item := range list.items {
		b.route = i + 1
		route, pattern, ok := b.parseRoute(item)
		p.routes[i] = route
		if ok {
			p.add(b, &p.routes[i], pattern)
		}
	}
	p.compare(b)
	p.roles = b.roles
	if err := b.err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(p.paths, func(a, b *entry) int { return strings.Compare(a.pattern.order(), b.pattern.order()) })
	return p, nil
}

// parseRoute reads one route. ok is false if its path or methods are unknown after a mistake.
func (b *ruleBuilder) parseRoute(n node) (r Route, p pattern, ok bool) {
	const form = "The keys of a route are path, methods and one of public, deny and require."
	r.Number = b.route
	if n.kind != kindObject {
		b.fault(fmt.Sprintf("is %s, not a mapping", n.kind), form)
		return r, p, false
	}
	var decisions []string
	methods := true
	for _, m := range n.members {
		switch m.key {
		case "path":
			p, ok = b.path(m.value)
			r.Path = p.text
		case "methods":
			r.Methods, methods = b.methods(m.value)
		case "public", "deny":
			if m.value.kind != kindBool || !m.value.yes {
				b.fault(m.key+" is not true", "Write "+m.key+": true, or leave it out.")
			}
			r.Public, r.Deny = r.Public || m.key == "public", r.Deny || m.key == "deny"
			decisions = append(decisions, m.key)
		case "require":
			r.Rule = b.whole("require", m.value)
			decisions = append(decisions, m.key)
		default:
			b.fault("has an unknown key"+named(m.key), form)
		}
	}
	if len(decisions) > 1 {
		b.fault("has "+strings.Join(decisions, " and "), "Keep one of them; without any, being signed in is enough.")
	}
	if !slices.ContainsFunc(n.members, func(m member) bool { return m.key == "path" }) {
		b.fault("has no path", "Write one, such as path: /reports/**.")
	}
	return r, p, ok && methods
}

func (b *ruleBuilder) path(n node) (pattern, bool) {
	if n.kind != kindText {
		b.fault(fmt.Sprintf("path is %s, not text", n.kind), "Write a path such as /reports/**, in quotes.")
		return pattern{}, false
	}
	p, fault, remedy := parsePattern(n.text)
	if fault != "" {
		b.fault("path "+fault, remedy)
	}
	return p, fault == ""
}

func (b *ruleBuilder) methods(n node) (methods []string, ok bool) {
	const form = "Write a list of methods in capitals, such as [GET, POST]; leave it out for the usual ones."
	if n.kind != kindList || len(n.items) == 0 {
		b.fault("methods is not a list, or is empty", form)
		return nil, false
	}
	for _, item := range n.items {
		switch {
		case item.kind != kindText || !isMethod(item.text):
			b.fault("methods contains something that is not a method", form)
			return nil, false
		case slices.Contains(methods, item.text):
			b.fault("methods contains a method twice", form)
			return nil, false
		}
		methods = append(methods, item.text)
	}
	return methods, true
}

func isMethod(text string) bool {
	odd := func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' && r != '_' }
	return text != "" && len(text) <= 32 && !strings.ContainsFunc(text, odd)
}

// add adds a route to the entry of its path.
func (p *Policy) add(b *ruleBuilder, r *Route, path pattern) {
	i := slices.IndexFunc(p.paths, func(e *entry) bool { return e.pattern.text == path.text })
	if i < 0 {
		i = len(p.paths)
		p.paths = append(p.paths, &entry{pattern: path, byMethod: map[string]*Route{}})
	}
	e := p.paths[i]
	if len(r.Methods) == 0 {
		if e.others != nil {
			b.fault(fmt.Sprintf("has the path of route %d, and neither lists methods", e.others.Number),
				"Give each its own methods, or keep one of the two.")
			return
		}
		e.others = r
	}
	for _, method := range r.Methods {
		if other := e.byMethod[method]; other != nil {
			b.fault(fmt.Sprintf("has the path of route %d and a method of it, %s", other.Number, method),
				"Let one route decide about a path and method.")
			continue
		}
		e.byMethod[method] = r
	}
}

// number returns the number of the first route of the path.
func (e *entry) number() int {
	first := 0
	if e.others != nil {
		first = e.others.Number
	}
	for _, r := range e.byMethod {
		if first == 0 || r.Number < first {
			first = r.Number
		}
	}
	return first
}

// compare reports paths of equal precedence that overlap, and routes that are never used.
func (p *Policy) compare(b *ruleBuilder) {
	patterns := make([]*pattern, len(p.paths))
	for i, e := range p.paths {
		patterns[i] = &e.pattern
		for _, earlier := range p.paths[:i] {
			b.route = e.number()
			switch e.pattern.relate(&earlier.pattern) {
			case equal:
				b.fault(fmt.Sprintf("has the path of route %d in another case", earlier.number()),
					"Many servers ignore case. Write both in the same way.")
			case crossing:
				b.fault(fmt.Sprintf("shares some paths with route %d, and neither is the more specific one", earlier.number()),
					"Add a route for the paths that both match, and make one of the two narrower.")
			case disjoint, within, around:
			}
		}
	}
	for i, e := range p.paths {
		if e.pattern.exhausted(slices.Delete(slices.Clone(patterns), i, i+1)) {
			b.route = e.number()
			b.fault("cannot be reached: more specific routes take all its paths", "Remove it.")
		}
		if e.others == nil {
			continue
		}
		rest := slices.ContainsFunc(DefaultMethods(), func(method string) bool { return e.route(method) == e.others })
		if !rest {
			b.route = e.others.Number
			b.fault("cannot be reached: other routes of its path list all its methods", "Remove it, or list its methods.")
		}
	}
}

// route returns the route of a method, or nil. HEAD has the route of GET unless a route lists it.
func (e *entry) route(method string) *Route {
	r := e.byMethod[method]
	if r == nil && method == http.MethodHead {
		r = e.byMethod[http.MethodGet]
	}
	if r == nil && slices.Contains(DefaultMethods(), method) {
		r = e.others
	}
	return r
}

// CheckRoles returns an error, as [ParsePolicy] does, if a rule names a role that is not on the
// ladder. Such a rule would refuse everyone, or everyone but the highest role.
func (p *Policy) CheckRoles(ladder []string) error {
	var faults []error
	for _, asked := range p.roles {
		if !slices.Contains(ladder, asked.role) {
			faults = append(faults, &PolicyError{
				Route: asked.route, What: asked.where + " is not in the ladder of roles",
				Remedy: "Write one of the roles: " + strings.Join(ladder, ", ") + ".",
			})
		}
	}
	return errors.Join(faults...)
}

// Routes returns the routes in the order of the policy.
func (p *Policy) Routes() []Route { return slices.Clone(p.routes) }

// Match returns the route for a method and a request target. The target is as the client wrote it,
// with or without a query. The most specific path counts, whatever the order of the routes. If it
// does not have the method, Match does not try a less specific path. The error is a
// [*RefusalError].
func (p *Policy) Match(method, target string) (*Route, error) {
	path, fault := parsePath(target)
	if fault != "" {
		return nil, &RefusalError{Reason: ReasonUnsafePath, Err: errors.New(fault)}
	}
	e := p.find(path.decoded, exactly)
	if p.find(path.raw, exactly) != e || p.find(path.decoded, carelessly) != e {
		return nil, &RefusalError{Reason: ReasonUnsafePath, Err: errors.New("another reading of the path leads to another route")}
	}
	if e == nil {
		return nil, &RefusalError{Reason: ReasonNoRoute, Err: errors.New("no route has this path")}
	}
	r := e.route(method)
	if r == nil {
		err := fmt.Errorf("no route of the path %s has this method", e.pattern.text)
		return nil, &RefusalError{Reason: ReasonNoRoute, Err: err}
	}
	return r, nil
}

func (p *Policy) find(path []string, same func(literal, segment string) bool) *entry {
	for _, e := range p.paths {
		if e.pattern.matches(path, same) {
			return e
		}
	}
	return nil
}
