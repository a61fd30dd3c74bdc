package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/doctor"
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
	q := clerksync.ExplainRequest{ClerkUserID: c.User, ClerkSessionID: c.Session, ClerkOrganizationID: c.Organization}
	if c.Token {
		text, err := io.ReadAll(io.LimitReader(p.stdin, 64<<10))
		if err != nil {
			return fmt.Errorf("read the token: %w", err)
		}
		q.Token = strings.TrimSpace(string(text))
	}
	q.Rule, err = ruleOf(cfg.Routes, json.RawMessage(c.Rule), c.Method, c.Path)
	refusal, refused := errors.AsType[*forwardauth.RefusalError](err)
	if err != nil && !refused {
		return err
	}
	if q.Token == "" && q.ClerkUserID == "" {
		return errors.New("no user is named: use --user ID or --token (user_id or token in the API)")
	}
	if refused {
		return c.print(p, explainRefusal(refusal, c.Method, c.Path, clerksync.StalePolicy(cfg.Unready)))
	}
	m, err := newReader(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer m.Close()
	if c.Token {
		_ = m.FetchKeys(ctx) // the explanation says if there are no keys
	}
	x, err := m.Explain(ctx, q)
	if err != nil {
		return err
	}
	return c.print(p, x)
}

// explainRefusal explains a request that the route policy refuses whoever makes it.
func explainRefusal(r *forwardauth.RefusalError, method, path string, stale clerksync.StalePolicy) *clerksync.Explanation {
	return &clerksync.Explanation{
		Code: auth.CodeForbidden, Reason: r.Reason, StalePolicy: stale,
		Conditions: []auth.Condition{{
			Name: fmt.Sprintf("route policy for %s %s: %v", method, path, r.Err), Code: auth.CodeForbidden, Reason: r.Reason,
		}},
	}
}

// print prints an explanation. The error is errRefused for a denial.
func (c explainCommand) print(p *process, x *clerksync.Explanation) (err error) {
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

// ruleOf returns the rule that was given as JSON, or else the rule of the policy for a request. If
// the policy refuses the request to everyone, the error is a [*forwardauth.RefusalError].
func ruleOf(policy *forwardauth.Policy, text json.RawMessage, method, path string) (auth.Rule, error) {
	switch {
	case len(text) > 0:
		rule, err := forwardauth.ParseRule(text)
		if mistake, ok := errors.AsType[*forwardauth.PolicyError](err); ok {
			err = fmt.Errorf("%w\n%s", err, mistake.Remedy)
		}
		return rule, err
	case path == "":
		return nil, nil
	case policy == nil:
		return nil, errors.New("no route policy is configured (CLERKSYNC_POLICY_FILE), so any signed-in user may make any request")
	}
	route, err := policy.Match(method, path)
	switch {
	case err != nil:
		return nil, err
	case route.Deny:
		return nil, &forwardauth.RefusalError{
			Reason: forwardauth.ReasonDenied, Err: fmt.Errorf("route %d (%s) denies all requests", route.Number, route.Path),
		}
	}
	return route.Rule, nil
}
