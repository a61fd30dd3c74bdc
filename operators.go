package clerksync

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// OperatorOptions configures [Mirror.OperatorHandler].
type OperatorOptions struct {
	// Prefix is the prefix of every path, such as /operators.
	Prefix string
	// Token is the bearer token of the unnamed operator. If it is empty, only named operators pass,
	// see [Operators].
	Token string
	// OpenHealth serves /health, /livez and /readyz without the token. Use it only on a listener
	// that no other machine can reach.
	OpenHealth bool
	// Rule returns the rule that a request of /api/explain names: as a JSON text (see
	// forwardauth.ParseRule), or by a method and a path. If Rule is nil, requests that name a rule
	// are refused.
	Rule func(text json.RawMessage, method, path string) (auth.Rule, error)
}

// OperatorHandler returns a handler of the routes of operators:
//
//	GET  /health         state, warnings, and counts of rows
//	GET  /api/sync       how fresh the mirror is, see Sync.Status
//	GET  /api/explain    why a caller is allowed or denied, see Explain
//	POST /api/explain    the same, with a token in the body
//	GET  /readyz, /livez as in Handler
//
// Every request needs the token of an operator. None of these routes changes anything, so read-only
// operators may use all of them. Requests from pages of other sites are denied. Mount the handler
// below its prefix, on a listener that only operators can reach.
func (m *Mirror) OperatorHandler(o OperatorOptions) http.Handler {
	prefix := cleanPrefix(o.Prefix)
	mux := http.NewServeMux()
	registerProbes(mux, prefix, m)
	mux.Handle("GET "+prefix+"/health", healthWithCounts(m))
	mux.Handle("GET "+prefix+"/api/sync", atLeast(m, syncStatus(m)))
	explain := explainer(m, o.Rule)
	mux.Handle("GET "+prefix+"/api/explain", atLeast(m, explain))
	mux.Handle("POST "+prefix+"/api/explain", explain)
	g := operatorGuard{m.gate.Operators(), o.Token, map[string]bool{}, map[string]bool{prefix + "/api/explain": true}}
	for _, path := range []string{"/health", "/livez", "/readyz"} {
		g.open[prefix+path] = o.OpenHealth
	}
	return web.EnsureRequestID(web.RefuseCrossSite(g.before(web.NotFoundAndMethod(mux))))
}

// operatorGuard denies requests that are not an operator's.
type operatorGuard struct {
	operators *access.Operators
	token     string          // configured
	open      map[string]bool // paths that need no token
	reads     map[string]bool // paths that change nothing, whatever the method
}

func (g operatorGuard) before(next http.Handler) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if g.open[r.URL.Path] {
			next.ServeHTTP(w, r)
			return nil
		}
		operator, err := g.operators.Check(r, g.token, g.reads[r.URL.Path])
		if err != nil {
			return problem(publicError(err))
		}
		access.ServeAs(operator, next, w, r)
		return nil
	})
}

// countTimeout is how long counting rows for /health may take.
const countTimeout = 2 * time.Second

// healthWithCounts adds counts of rows to the health, if the database answers.
func healthWithCounts(m *Mirror) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		answer := struct {
			mirror.Health
			Counts *mirror.Counts `json:"counts"` // null if they could not be counted
		}{Health: m.Health(r.Context())}
		if answer.Database.OK {
			ctx, cancel := context.WithTimeout(r.Context(), countTimeout)
			defer cancel()
			if counts, err := m.Counts(ctx); err == nil {
				answer.Counts = &counts
			}
		}
		return web.WriteJSON(w, http.StatusOK, answer)
	})
}

func syncStatus(m *Mirror) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		s, err := m.Sync().Status(r.Context())
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, s)
	})
}

// maxQuestion is the largest body of a question, in bytes.
const maxQuestion = 64 << 10

// question is a question to /api/explain.
type question struct {
	Token          string          `json:"token"`
	UserID         string          `json:"user_id"`
	SessionID      string          `json:"session_id"`
	OrganizationID string          `json:"organization_id"`
	Rule           json.RawMessage `json:"rule"`
	Method         string          `json:"method"`
	Path           string          `json:"path"`
}

// explainer returns the handler that explains why a caller is allowed or denied. A token comes in
// the body, never in a URL.
func explainer(m *Mirror, rule func(json.RawMessage, string, string) (auth.Rule, error)) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		q, err := readQuestion(w, r)
		if err != nil {
			return err
		}
		request, err := q.request(rule)
		if err != nil {
			return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_question", Detail: err.Error()}
		}
		x, err := m.Explain(r.Context(), request)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, x)
	})
}

func readQuestion(w http.ResponseWriter, r *http.Request) (q question, err error) {
	if r.Method != http.MethodPost {
		v := r.URL.Query()
		return question{
			UserID: v.Get("user_id"), SessionID: v.Get("session_id"), OrganizationID: v.Get("organization_id"),
			Rule: json.RawMessage(v.Get("rule")), Method: v.Get("method"), Path: v.Get("path"),
		}, nil
	}
	body, err := web.ReadBody(w, r, maxQuestion)
	if err != nil {
		return q, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return q, &web.Problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: "The question is not understood", Err: err}
	}
	return q, nil
}

// request returns what the question asks. Its rule is that of the JSON text, or of the method and
// path.
func (q *question) request(ruleOf func(json.RawMessage, string, string) (auth.Rule, error)) (ExplainRequest, error) {
	if q.Token == "" && q.UserID == "" {
		return ExplainRequest{}, errors.New("name a user, or pass a token")
	}
	var rule auth.Rule
	if len(q.Rule) > 0 || q.Path != "" {
		if ruleOf == nil {
			return ExplainRequest{}, errors.New("questions about rules are not configured")
		}
		method := cmp.Or(q.Method, http.MethodGet)
		var err error
		if rule, err = ruleOf(q.Rule, method, q.Path); err != nil {
			return ExplainRequest{}, err
		}
	}
	return ExplainRequest{
		Token: q.Token, ClerkUserID: q.UserID, ClerkSessionID: q.SessionID, ClerkOrganizationID: q.OrganizationID, Rule: rule,
	}, nil
}
