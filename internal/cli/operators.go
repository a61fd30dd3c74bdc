package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
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
	configFlags
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
	m, err := p.open(ctx, newStoredMirror, c)
	if err != nil {
		return err
	}
	defer m.Close()
	o, token, err := m.Operators().Add(ctx, clerksync.NewOperator{
		Name: c.Name, ReadOnly: c.ReadOnly, ValidFor: c.Expires.Duration, By: commandBy(),
	})
	switch {
	case errors.Is(err, clerksync.ErrOperatorExists):
		return fmt.Errorf("there is an operator %s already\nThe token cannot be printed again.\nGive another one: "+
			"clerksync operators revoke %s, and then add it again", c.Name, c.Name)
	case errors.Is(err, clerksync.ErrInvalidOperator):
		fmt.Fprintln(p.stderr, "error:", err)
		return exitUsage
	case err != nil:
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"operator": o, "token": token})
	}
	fmt.Fprintf(p.stderr, "Added %s (%s), until %s. This token is shown only now:\n", o.Name, roleOfOperator(&o), timeOf(o.ExpiresAt))
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

func roleOfOperator(o *mirror.Operator) string {
	if o.ReadOnly {
		return "read-only"
	}
	return "operator"
}

type listOperatorsCommand struct {
	configFlags
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (listOperatorsCommand) Help() string {
	return `LAST USED may be an hour too early. The token in CLERKSYNC_OPERATOR_TOKEN belongs to no name and is not listed.

--json prints {"operators": […]}.`
}

// Run lists the operators.
func (c listOperatorsCommand) Run(ctx context.Context, p *process) error {
	m, err := p.open(ctx, newReader, c)
	if err != nil {
		return err
	}
	defer m.Close()
	list, err := m.Operators().List(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"operators": list})
	}
	return printOperators(p.stdout, list, time.Now())
}

func printOperators(w io.Writer, list []mirror.Operator, now time.Time) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "No operators. Add one: clerksync operators add NAME")
		return nil
	}
	rows := [][]string{{"NAME", "ROLE", "EXPIRES", "LAST USED", "ADDED", "BY"}}
	for i := range list {
		o := &list[i]
		expires, used := timeOf(o.ExpiresAt), "never"
		if !now.Before(o.ExpiresAt) {
			expires = "expired"
		}
		if !o.LastUsedAt.IsZero() {
			used = timeOf(o.LastUsedAt)
		}
		rows = append(rows, []string{o.Name, roleOfOperator(o), expires, used, timeOf(o.CreatedAt), harmless(o.CreatedBy)})
	}
	return columns(w, rows, nil)
}

type revokeOperatorCommand struct {
	configFlags
	Name string `arg:"" help:"Name of the operator."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (revokeOperatorCommand) Help() string {
	return `All servers refuse the token within a second. The operator is no longer listed; the audit keeps that it was. --json prints {"revoked": "NAME"}.`
}

// Run revokes the token of an operator.
func (c revokeOperatorCommand) Run(ctx context.Context, p *process) error {
	m, err := p.open(ctx, newStoredMirror, c)
	if err != nil {
		return err
	}
	defer m.Close()
	err = m.Operators().Revoke(ctx, c.Name, commandBy())
	if errors.Is(err, clerksync.ErrNotFound) {
		return fmt.Errorf("operator %q not found: clerksync operators list shows all", harmless(c.Name))
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]string{"revoked": c.Name})
	}
	_, err = fmt.Fprintf(p.stdout, "Revoked %s. Servers refuse its token within a second.\n", c.Name)
	return err
}
