package cli

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/web"
)

type explainCommand struct {
	configFlags
	User         string `help:"User to explain (user_…), as if just signed in." placeholder:"ID"`
	Session      string `help:"Session of the user (sess_…)." placeholder:"ID"`
	Organization string `help:"Active organization (org_…)." placeholder:"ID"`
	Token        bool   `help:"Explain the token on standard input. It is not stored."`
	Rule         string `help:"Rule as JSON, like require in a route policy." placeholder:"JSON"`
	Method       string `help:"Method of the request, for the route policy." default:"GET"`
	Path         string `help:"Path of the request: the route policy gives the rule." placeholder:"PATH"`
	JSON         bool   `name:"json" help:"Print JSON."`
}

// Help returns the text below the description.
func (explainCommand) Help() string {
	return `Example:

    clerksync explain --user user_2x… --rule '{"min_role": "growth"}'

The command reads the database in DATABASE_URL, also next to a running server. Clerk is not asked about the user.

Exit code 0: allowed, 1: denied, or the command failed.`
}

// errRefused ends a command with 1 after it has printed why.
var errRefused = errors.New("refused")

// Run explains why a user is allowed or denied.
func (c explainCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	q := explainRequest{UserID: c.User, SessionID: c.Session, OrganizationID: c.Organization, Rule: json.RawMessage(c.Rule), Method: c.Method, Path: c.Path}
	if c.Token {
		text, err := io.ReadAll(io.LimitReader(p.stdin, 64<<10))
		if err != nil {
			return fmt.Errorf("read the token: %w", err)
		}
		q.Token = strings.TrimSpace(string(text))
	}
	question, err := q.question(cfg.Routes)
	if err != nil {
		return err
	}
	m, err := newReader(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer m.Close()
	if c.Token {
		_ = m.FetchKeys(ctx) // the explanation says if there are no keys
	}
	x, err := m.Explain(ctx, question)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(x)
	} else {
		printExplanation(p.stdout, x, terminalOf(p.stdout, p.environ).width)
	}
	if err == nil && !x.Allowed {
		return errRefused
	}
	return err
}

// printExplanation prints each condition and the result.
func printExplanation(w io.Writer, x *clerksync.Explanation, width int) {
	for _, c := range x.Conditions {
		mark := "✓"
		if !c.Allowed {
			mark = "✗"
		}
		fmt.Fprintf(w, "%s %s\n", mark, c)
	}
	verdict := "Allowed."
	if !x.Allowed {
		verdict = "Denied: " + x.Code
		if x.Reason != "" {
			verdict += " (" + x.Reason + ")"
		}
	}
	fmt.Fprintf(w, "\n%s\n", verdict)
	if x.StalePolicy != clerksync.StaleTrust {
		fmt.Fprintln(w, doctor.Wrap(fmt.Sprintf("Stored roles and permissions grant access only while they are fresh "+
			"(CLERKSYNC_UNREADY=%s). A running server may have fresher ones.", x.StalePolicy), "", width))
	}
}

// explainRequest is a question as the API receives it.
type explainRequest struct {
	Token          string          `json:"token"`
	UserID         string          `json:"user_id"`
	SessionID      string          `json:"session_id"`
	OrganizationID string          `json:"organization_id"`
	Rule           json.RawMessage `json:"rule"`
	Method         string          `json:"method"`
	Path           string          `json:"path"`
}

func (q explainRequest) question(policy *forwardauth.Policy) (clerksync.ExplainRequest, error) {
	rule, err := q.rule(policy)
	if err == nil && q.Token == "" && q.UserID == "" {
		err = errors.New("name a user, or pass a token")
	}
	return clerksync.ExplainRequest{
		Token: q.Token, ClerkUserID: q.UserID, ClerkSessionID: q.SessionID, ClerkOrganizationID: q.OrganizationID, Rule: rule,
	}, err
}

// rule returns the rule that was given, or else the rule of the policy for the request.
func (q explainRequest) rule(policy *forwardauth.Policy) (auth.Rule, error) {
	switch {
	case len(q.Rule) > 0:
		return forwardauth.ParseRule(q.Rule)
	case q.Path == "":
		return nil, nil
	case policy == nil:
		return nil, errors.New("no route policy is configured (CLERKSYNC_POLICY_FILE), so any signed-in user may make any request")
	}
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	route, err := policy.Match(method, q.Path)
	switch {
	case err != nil:
		return nil, err
	case route.Deny:
		return nil, fmt.Errorf("route %d (%s) denies everyone", route.Number, route.Path)
	}
	return route.Rule, nil
}

// explainHandler serves operators. Tokens are in the body, never in a URL.
func explainHandler(m *clerksync.Mirror, c *config.Config) http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if err := operator(r, c.OperatorToken); err != nil {
			return err
		}
		q := explainRequest{}
		if r.Method == http.MethodPost {
			body, err := web.ReadBody(w, r, 64<<10)
			if err != nil {
				return err
			}
			d := json.NewDecoder(bytes.NewReader(body))
			d.DisallowUnknownFields()
			if err := d.Decode(&q); err != nil {
				return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_json", Detail: "The question is not understood", Err: err}
			}
		} else {
			v := r.URL.Query()
			q = explainRequest{
				UserID: v.Get("user_id"), SessionID: v.Get("session_id"), OrganizationID: v.Get("organization_id"),
				Rule: json.RawMessage(v.Get("rule")), Method: v.Get("method"), Path: v.Get("path"),
			}
		}
		question, err := q.question(c.Routes)
		if err != nil {
			return &web.Problem{Status: http.StatusBadRequest, Code: "invalid_question", Detail: err.Error()}
		}
		x, err := m.Explain(r.Context(), question)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, x)
	})
}

// operator returns an error unless the request has the operator token.
func operator(r *http.Request, token string) error {
	if token == "" {
		return &web.Problem{
			Status: http.StatusForbidden, Code: "operator_token_unset",
			Detail: "No operator token is configured: set CLERKSYNC_OPERATOR_TOKEN",
		}
	}
	given, _ := auth.BearerToken(r)
	if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
		return &web.Problem{
			Status: http.StatusUnauthorized, Code: auth.CodeAuthenticationRequired, Detail: "The operator token is required",
			Header: http.Header{"Www-Authenticate": {"Bearer"}},
		}
	}
	return nil
}
