package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type deliveriesCommand struct {
	List    listDeliveriesCommand    `cmd:"" default:"withargs" help:"List stored deliveries, newest first."`
	Groups  deliveryGroupsCommand    `cmd:"" help:"Group what could not be applied, by type and reason."`
	Show    showDeliveryCommand      `cmd:"" help:"Show one delivery, what it changed, and its body."`
	Replay  replayDeliveriesCommand  `cmd:"" help:"Apply stored deliveries again."`
	Dismiss dismissDeliveriesCommand `cmd:"" help:"Dismiss dead letters that can never be applied."`
}

type listDeliveriesCommand struct {
	deliverySelection
	Organization string `help:"Deliveries about this organization and what belongs to it: an id or a slug." placeholder:"ORGANIZATION" group:"filter"`
	listFlags
	sourceFlags
}

// Help returns the text below the description.
func (listDeliveriesCommand) Help() string {
	return `Examples:

    clerksync deliveries list --state dead --since 24h
    clerksync deliveries list --type 'user.*' --all --json | jq -r .message_id

Bodies are not printed; clerksync deliveries show prints one.`
}

// Run lists deliveries.
func (c listDeliveriesCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	f := c.filter()
	none := "No deliveries are stored."
	if f != (mirror.DeliveryFilter{}) || c.Organization != "" {
		none = "No delivery matches."
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) (err error) {
		if f.ClerkOrganizationID, err = organizationID(ctx, client, c.Organization); err != nil {
			return err
		}
		return printList(ctx, p, c.listFlags, listing[mirror.Delivery]{
			columns: []column{{name: "RECEIVED"}, {name: "STATE"}, {name: "TYPE"}, {name: "ATTEMPTS", right: true, wide: true}, {name: "DELIVERY", below: true}},
			row: func(l look, d *mirror.Delivery) []string {
				return []string{
					l.when(d.ReceivedAt), l.deliveryState(d), cell(d.Type), strconv.FormatInt(d.Attempts, 10), cell(d.MessageID),
				}
			},
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Delivery]], error) {
				f := f
				f.After, f.Limit = after, limit
				return client.Deliveries(ctx, f)
			},
			none: none,
		})
	})
}

type deliveryGroupsCommand struct {
	sourceFlags
	Wide bool `help:"Show all columns and exact times."`
	JSON bool `name:"json" help:"Print the JSON object of GET /api/deliveries/groups."`
}

// Help returns the text below the description.
func (deliveryGroupsCommand) Help() string {
	return `Example:

    clerksync deliveries groups

Dead and quarantined deliveries by type, state and reason, the latest first. clerksync deliveries list --reason REASON lists those of ` +
		`one group, and clerksync deliveries replay --reason REASON applies them again.`
}

// Run lists the groups.
func (c deliveryGroupsCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printWhole(ctx, p, c.JSON, c.Wide, client.DeliveryGroups, listing[mirror.DeliveryGroup]{
			columns: []column{
				{name: "COUNT", right: true},
				{name: "STATE"},
				{name: "TYPE"},
				{name: "FIRST", drop: 1},
				{name: "LAST"},
				{name: "LATEST DELIVERY", below: true},
			},
			row: func(l look, g *mirror.DeliveryGroup) []string {
				count := grouped(g.Count)
				if g.AtLeast {
					count += "+"
				}
				state := l.deliveryState(&mirror.Delivery{State: g.State, Reason: g.Reason})
				return []string{count, state, cell(g.Type), l.when(g.FirstAt), l.when(g.LastAt), cell(g.LastMessageID)}
			},
			none: "Everything that was received could be applied.",
		})
	})
}

// deliveryState returns what became of a delivery, with the reason.
func (l look) deliveryState(d *mirror.Delivery) string {
	state := cell(string(d.State))
	if d.Reason != "" {
		state += " (" + cell(d.Reason) + ")"
	}
	switch d.State {
	case mirror.DeliveryDead:
		return l.paint(red, state)
	case mirror.DeliveryQuarantined:
		return l.paint(yellow, state)
	case mirror.DeliveryApplied, mirror.DeliveryIgnored, mirror.DeliveryDismissed, mirror.DeliveryErased:
	}
	return state
}

// timeOf formats a time, to the second.
func timeOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

type showDeliveryCommand struct {
	sourceFlags
	MessageID string `arg:"" help:"Message id (msg_…)."`
	Wide      bool   `help:"Show exact times."`
	JSON      bool   `name:"json" help:"Print the JSON object of GET /api/deliveries/{id}, with the body."`
}

// Help returns the text below the description.
func (showDeliveryCommand) Help() string {
	return `Example:

    clerksync deliveries show msg_2x…

The body is printed without private metadata, one-time codes and the fields in CLERKSYNC_REDACT.`
}

// Run shows a delivery.
func (c showDeliveryCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		detail, err := client.Delivery(ctx, c.MessageID)
		if errors.Is(err, mirror.ErrNotFound) {
			return &notFoundError{what: "delivery", id: c.MessageID, list: "clerksync deliveries list"}
		}
		if err != nil {
			return err
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", detail.JSON)
			return err
		}
		return p.look(c.Wide).delivery(ctx, p, client, &detail.Value)
	})
}

// delivery prints a delivery with its body.
func (l look) delivery(ctx context.Context, p *process, client *apiclient.Client, detail *apiclient.DeliveryDetail) error {
	d := &detail.Delivery
	list := []field{
		{"delivery", cell(d.MessageID)},
		{"type", cell(d.Type)},
		{"state", l.deliveryState(d)},
		{"problem", harmless(d.Problem)},
		{"received", l.when(d.ReceivedAt)},
		{"signed", l.when(d.SignedAt)},
		{"attempts", strconv.FormatInt(d.Attempts, 10)},
		{"instance", cell(d.InstanceID)},
	}
	name := "about"
	for _, subject := range d.Subjects {
		list = append(list, field{name, cell(subject)})
		name = ""
	}
	if err := l.fields(p, list); err != nil {
		return err
	}
	if err := l.effects(ctx, p, client, d); err != nil {
		return err
	}
	if len(detail.Body) == 0 || string(detail.Body) == "null" {
		fmt.Fprintln(p.stdout, "\nThe body is no longer stored.")
		return nil
	}
	var body bytes.Buffer
	if err := json.Indent(&body, detail.Body, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "\n%s\n", harmless(body.String()))
	return err
}

// effects prints what a delivery changed, or what its replay would do.
func (l look) effects(ctx context.Context, p *process, client *apiclient.Client, d *mirror.Delivery) error {
	columns := []column{{name: "CHANGE", shrink: true}, {name: "ID"}, {name: "FIELDS", shrink: true}}
	row := func(_ look, c *mirror.Change) []string {
		return []string{cell(c.Type()), cell(c.ID), cell(strings.Join(c.Fields, ", "))}
	}
	if d.State == mirror.DeliveryApplied {
		changed, err := client.DeliveryChanges(ctx, d.MessageID)
		if errors.Is(err, mirror.ErrChangesRemoved) {
			_, err = fmt.Fprintln(p.stdout, "\nWhat it changed is no longer known: changes of that time were removed.")
			return err
		}
		if err != nil {
			return err
		}
		return sub(p, l, "Changed", columns, changed.Value.Data, false, row)
	}
	preview, err := client.PreviewReplay(ctx, d.MessageID)
	switch {
	case errors.Is(err, mirror.ErrNoBody):
		return nil
	case err != nil:
		return err
	case preview.Value.Problem != "":
		_, err = fmt.Fprintf(p.stdout, "\nA replay would fail: %s\n", harmless(preview.Value.Problem))
		return err
	}
	return sub(p, l, "A replay would change", columns, preview.Value.Changes, false, row)
}

// harmless replaces control characters, which a terminal might obey. In JSON the replacement means
// the same.
func harmless(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// operatorName returns the name of the user who runs the command, for the audit log.
// commandBy says in the audit that a command makes a change.
func commandBy() mirror.By { return mirror.By{Actor: operatorName(), Origin: "command"} }

func operatorName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "cli:" + u.Username
	}
	return "cli"
}
