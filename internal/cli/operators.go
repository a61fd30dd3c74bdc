package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type operatorsCommand struct {
	List   listOperatorsCommand  `cmd:"" default:"withargs" help:"List the operators, and when each came last."`
	Add    addOperatorCommand    `cmd:"" help:"Add an operator and print the token."`
	Revoke revokeOperatorCommand `cmd:"" help:"Revoke the token of an operator."`
}

// life is how long something lasts in a flag: a duration, or a number of days such as 90d.
type life struct{ time.Duration }

// UnmarshalText reads a duration.
func (l *life) UnmarshalText(text []byte) (err error) {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		l.Duration = time.Duration(n) * 24 * time.Hour
	} else {
		l.Duration, err = time.ParseDuration(string(text))
	}
	if err != nil || l.Duration <= 0 {
		return errors.New("use days such as 90d, or a duration such as 12h")
	}
	return nil
}

type addOperatorCommand struct {
	sourceFlags
	Name     string `arg:"" help:"Name of a person or a program: lower-case letters, digits, dots, hyphens, underscores."`
	ReadOnly bool   `help:"May look at everything and change nothing."`
	Expires  life   `help:"How long the token works: days (90d) or a duration (12h), five years at most." default:"90d" placeholder:"TIME"`
	JSON     bool   `name:"json" help:"Print one JSON object with the token."`
}

// Help returns the text below the description.
func (addOperatorCommand) Help() string {
	return `Examples:

    clerksync operators add ada
    clerksync operators add grafana --read-only --expires 365d

The token is printed only now, alone on the standard output. The database has its digest. A running server accepts it at once. ` +
		`Operators send it in the header "Authorization: Bearer cso_…", and commands take it from CLERKSYNC_OPERATOR_TOKEN.

--json prints {"operator": {…}, "token": "cso_…"}.`
}

// Run adds an operator.
func (c addOperatorCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newStoredMirror, func(client *apiclient.Client) error {
		added, err := client.AddOperator(ctx, c.Name, c.ReadOnly, c.Expires.Duration)
		switch {
		case errors.Is(err, mirror.ErrOperatorExists):
			return fmt.Errorf("there is an operator %s already\nThe token cannot be printed again.\nGive another one: "+
				"clerksync operators revoke %s, and then add it again", c.Name, c.Name)
		case errors.Is(err, mirror.ErrInvalidOperator):
			return usageError(err.Error())
		case err != nil:
			return err
		case c.JSON:
			_, err = fmt.Fprintf(p.stdout, "%s\n", added.JSON)
			return err
		}
		o := &added.Value.Operator
		fmt.Fprintf(p.stderr, "Added %s (%s), until %s. This token is shown only now:\n", o.Name, roleOfOperator(o), timeOf(o.ExpiresAt))
		_, err = fmt.Fprintln(p.stdout, added.Value.Token)
		return err
	})
}

func roleOfOperator(o *mirror.Operator) string {
	if o.ReadOnly {
		return "read-only"
	}
	return "operator"
}

type listOperatorsCommand struct {
	sourceFlags
	Wide bool `help:"Show all columns and exact times."`
	JSON bool `name:"json" help:"Print the JSON object of GET /api/operators."`
}

// Help returns the text below the description.
func (listOperatorsCommand) Help() string {
	return `Example:

    clerksync operators list

LAST USED may be an hour too early. The token in CLERKSYNC_OPERATOR_TOKEN belongs to no name and is not listed.`
}

// Run lists the operators.
func (c listOperatorsCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printWhole(ctx, p, c.JSON, c.Wide, client.Operators, listing[mirror.Operator]{
			columns: []column{{name: "NAME"}, {name: "ROLE"}, {name: "EXPIRES"}, {name: "LAST USED"}, {name: "ADDED", drop: 1}, {name: "BY", shrink: true, drop: 2}},
			row:     operatorRow, none: "There are no operators. Add one: clerksync operators add NAME",
		})
	})
}

func operatorRow(l look, o *mirror.Operator) []string {
	expires, used := l.when(o.ExpiresAt), "never"
	if !l.now.Before(o.ExpiresAt) {
		expires = l.paint(red, "expired")
	}
	if !o.LastUsedAt.IsZero() {
		used = l.when(o.LastUsedAt)
	}
	return []string{cell(o.Name), roleOfOperator(o), expires, used, l.when(o.CreatedAt), cell(o.CreatedBy)}
}

type revokeOperatorCommand struct {
	sourceFlags
	Name string `arg:"" help:"Name of the operator."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (revokeOperatorCommand) Help() string {
	return `Example:

    clerksync operators revoke ada

All servers refuse the token within a second. The operator is no longer listed; the audit keeps that it was. --json prints {"revoked": "NAME"}.`
}

// Run revokes the token of an operator.
func (c revokeOperatorCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newStoredMirror, func(client *apiclient.Client) error {
		revoked, err := client.RevokeOperator(ctx, c.Name)
		if errors.Is(err, mirror.ErrNotFound) {
			return &notFoundError{what: "operator", id: c.Name, list: "clerksync operators list"}
		}
		if err != nil {
			return err
		}
		return p.said(c.JSON, revoked.JSON, "Revoked "+c.Name+". Servers refuse its token within a second.")
	})
}
