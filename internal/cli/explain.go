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
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
)

type explainCommand struct {
	sourceFlags
	User         string   `arg:"" optional:"" help:"User to explain, by id or e-mail address, as if just signed in."`
	Session      string   `help:"Session of the user (sess_…)." placeholder:"ID"`
	Organization string   `help:"Active organization: an id or a slug." placeholder:"ORGANIZATION"`
	Token        bool     `help:"Explain the token on standard input. It is not stored."`
	Rule         []string `help:"What is required: min_role=growth, role=admin, permission=org:reports:read and so on, or JSON like require in a route policy. Several must all hold." sep:"none" placeholder:"RULE"`
	Method       string   `help:"Method of the request, for the route policy." default:"GET"`
	Path         string   `help:"Path of the request: the route policy gives the rule." placeholder:"PATH"`
	JSON         bool     `name:"json" help:"Print the JSON object of GET /api/explain."`
}

// Help returns the text below the description.
func (explainCommand) Help() string {
	return `Examples:

    clerksync explain ada@example.com --rule min_role=growth
    clerksync explain ada@example.com --organization acme --rule permission=org:reports:read
    clerksync explain user_2x… --path /reports/1
    clerksync explain --token --rule role=admin < token.txt

Clerk is not asked about the user. With --path, the rule is that of the route policy (CLERKSYNC_POLICY_FILE).

Exit code 0: allowed, 3: denied, 1: the question could not be answered.`
}

// Run explains why a user is allowed or denied.
func (c explainCommand) Run(ctx context.Context, p *process) error {
	q, err := c.question(p.stdin)
	if err != nil {
		return err
	}
	return p.withClient(ctx, c, c.open, func(client *apiclient.Client) error {
		if q.UserID, err = userID(ctx, client, c.User); err != nil {
			return err
		}
		if q.OrganizationID, err = organizationID(ctx, client, c.Organization); err != nil {
			return err
		}
		x, err := client.Explain(ctx, q)
		if refused, ok := errors.AsType[*apiclient.Error](err); ok && refused.Code == "invalid_question" {
			return usageError(refused.Error())
		}
		if err != nil {
			return err
		}
		return c.print(p, q, x)
	})
}

// open opens the mirror for reading. A token is verified with keys that Clerk publishes.
func (c explainCommand) open(ctx context.Context, cfg *config.Config, logger *slog.Logger) (*clerksync.Mirror, error) {
	m, err := newReader(ctx, cfg, logger)
	if err == nil && c.Token {
		_ = m.FetchKeys(ctx) // the explanation says if there are no keys
	}
	return m, err
}

// question returns what the flags ask, with names in place of some ids.
func (c explainCommand) question(stdin io.Reader) (q apiclient.Question, err error) {
	q = apiclient.Question{SessionID: c.Session, Path: c.Path}
	switch {
	case c.Token && c.User != "":
		return q, usageError("--token explains the user of the token: name no other")
	case c.Token:
		text, err := io.ReadAll(io.LimitReader(stdin, 64<<10))
		if err != nil {
			return q, fmt.Errorf("read the token: %w", err)
		}
		if q.Token = strings.TrimSpace(string(text)); q.Token == "" {
			return q, usageError("--token reads a token from standard input, and there is none")
		}
	case c.User == "":
		return q, usageError("name a user by id or e-mail address, or pass a token with --token")
	}
	if c.Path != "" {
		q.Method = c.Method
		if len(c.Rule) > 0 {
			return q, usageError("--rule and --path exclude each other: the route policy gives the rule of a path")
		}
	}
	q.Rule, err = ruleText(c.Rule)
	return q, err
}

// ruleText returns the JSON text of rules that must all hold, each of which is JSON, or a key and a
// value such as min_role=growth. It is nil if there are none.
func ruleText(rules []string) (json.RawMessage, error) {
	texts := make([]json.RawMessage, len(rules))
	for i, rule := range rules {
		if texts[i] = json.RawMessage(rule); json.Valid(texts[i]) {
			continue
		}
		key, text, ok := strings.Cut(rule, "=")
		if !ok || strings.ContainsAny(key, `{}":`) {
			return nil, usageError("--rule " + rule + `: use a key and a value such as min_role=growth, or JSON such as {"min_role": "growth"}`)
		}
		var value any = text
		if text == "true" || text == "false" {
			value = text == "true"
		}
		var err error
		if texts[i], err = json.Marshal(map[string]any{key: value}); err != nil {
			return nil, err
		}
	}
	switch len(texts) {
	case 0:
		return nil, nil
	case 1:
		return texts[0], nil
	}
	return json.Marshal(map[string]any{"all": texts})
}

// print prints an explanation.
func (c explainCommand) print(p *process, q apiclient.Question, x apiclient.Answer[apiclient.Explanation]) (err error) {
	if c.JSON {
		_, err = fmt.Fprintf(p.stdout, "%s\n", x.JSON)
	} else {
		explanationPage{p.stdout, terminalOf(p.stdout, p.environ)}.print(c.who(q, &x.Value), &x.Value)
	}
	if err == nil && !x.Value.Allowed {
		return exitDenied
	}
	return err
}

// who names the user who is explained.
func (c explainCommand) who(q apiclient.Question, x *apiclient.Explanation) string {
	id := x.ClerkUserID
	if id == "" {
		id = q.UserID
	}
	if isEmail(c.User) {
		return c.User + " (" + id + ")"
	}
	if id == "" {
		return "The caller"
	}
	return id
}

// explanationPage prints an explanation for people.
type explanationPage struct {
	w        io.Writer
	terminal terminal
}

// print prints each condition, the result, and what is to be noted.
func (e explanationPage) print(who string, x *apiclient.Explanation) {
	e.conditions(x.Conditions, "")
	verdict := e.terminal.paint(green, "is allowed") + "."
	if !x.Allowed {
		verdict = e.terminal.paint(red, "is denied") + ": " + x.Code
		if x.Reason != "" {
			verdict += " (" + x.Reason + ")"
		}
	}
	fmt.Fprintf(e.w, "\n%s %s\n", harmless(who), verdict)
	for _, note := range x.Notes {
		fmt.Fprintf(e.w, "%s %s\n", e.terminal.paint(yellow, "!"), doctor.Wrap(harmless(note), "  ", e.terminal.width))
	}
}

func (e explanationPage) conditions(list []auth.Condition, indent string) {
	for i := range list {
		c := &list[i]
		mark := e.terminal.paint(green, "✓")
		if !c.Allowed {
			mark = e.terminal.paint(red, "✗")
		}
		fmt.Fprintf(e.w, "%s%s %s\n", indent, mark, doctor.Wrap(harmless(c.String()), indent+"  ", e.terminal.width))
		e.conditions(c.Any, indent+"    ")
		e.conditions(c.All, indent+"    ")
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
