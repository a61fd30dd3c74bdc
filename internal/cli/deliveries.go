package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

type deliveriesCommand struct {
	List    listDeliveriesCommand    `cmd:"" help:"List stored deliveries, newest first."`
	Show    showDeliveryCommand      `cmd:"" help:"Show one delivery with its body."`
	Dismiss dismissDeliveriesCommand `cmd:"" help:"Dismiss dead letters that can never be applied."`
}

type listDeliveriesCommand struct {
	configFlags
	State   string `help:"Only deliveries in this state: applied, ignored, quarantined, dead, dismissed, erased." enum:",applied,ignored,quarantined,dead,dismissed,erased" default:"" placeholder:"STATE"`
	Type    string `help:"Only this event type, such as user.updated or user.*." placeholder:"TYPE"`
	Subject string `help:"Only deliveries about this object, by its Clerk id (user_2x…)." placeholder:"ID"`
	Since   moment `help:"Only deliveries received since this time (RFC 3339) or age (24h)." placeholder:"TIME"`
	Until   moment `help:"Only deliveries received before this time or age." placeholder:"TIME"`
	Limit   int    `help:"Deliveries on a page, 1 to 500." default:"50"`
	Page    string `help:"Continue at this place, which the end of the previous page names." placeholder:"PLACE"`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// Help returns the text below the description.
func (listDeliveriesCommand) Help() string {
	return `Example:

    clerksync deliveries list --state dead --since 24h

Bodies are not printed; clerksync deliveries show prints one. --json prints {"deliveries": […], "next": "PLACE"}; next is "" on the last page.`
}

// Run lists a page of deliveries.
func (c listDeliveriesCommand) Run(ctx context.Context, p *process) error {
	filter, err := c.filter()
	if err != nil {
		fmt.Fprintln(p.stderr, "error:", err)
		return exitUsage
	}
	m, err := p.open(ctx, newReader, c)
	if err != nil {
		return err
	}
	defer m.Close()
	page, err := m.Deliveries().List(ctx, filter)
	if errors.Is(err, clerksync.ErrInvalidCursor) {
		fmt.Fprintln(p.stderr, "error: --page is not a place: copy it from the end of the previous page")
		return exitUsage
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"deliveries": page.Items, "next": page.Next})
	}
	return printDeliveries(p.stdout, terminalOf(p.stdout, p.environ), page)
}

func (c listDeliveriesCommand) filter() (mirror.DeliveryFilter, error) {
	if c.Limit < 1 || c.Limit > 500 {
		return mirror.DeliveryFilter{}, errors.New("--limit must be a number from 1 to 500")
	}
	return mirror.DeliveryFilter{
		State: mirror.DeliveryState(c.State), Type: c.Type, Subject: c.Subject, Since: c.Since.Time, Until: c.Until.Time,
		Limit: c.Limit, NewestFirst: true, After: mirror.Cursor(c.Page),
	}, nil
}

// printDeliveries prints a line for each delivery, or two if the terminal is too narrow for the
// message id.
func printDeliveries(w io.Writer, t terminal, page mirror.Page[mirror.Delivery]) error {
	if len(page.Items) == 0 {
		fmt.Fprintln(w, "No deliveries.")
		return nil
	}
	rows := [][]string{{"RECEIVED", "STATE", "TYPE", "MESSAGE ID"}}
	for i := range page.Items {
		d := &page.Items[i]
		state := string(d.State)
		if d.Reason != "" {
			state += " (" + d.Reason + ")"
		}
		rows = append(rows, []string{timeOf(d.ReceivedAt), harmless(state), harmless(d.Type), harmless(d.MessageID)})
	}
	if t.width > 0 && widthOf(rows) > t.width {
		for _, row := range rows[1:] {
			fmt.Fprintf(w, "%s  %s  %s\n  %s\n", row[0], row[1], row[2], row[3])
		}
	} else if err := columns(w, rows, nil); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintf(w, "\nMore: --page %s\n", page.Next)
	}
	return nil
}

// timeOf formats a time, to the second.
func timeOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

type showDeliveryCommand struct {
	configFlags
	MessageID string `arg:"" help:"Message id (msg_…)."`
	JSON      bool   `name:"json" help:"Print one JSON object, including the body."`
}

// Help returns the text below the description.
func (showDeliveryCommand) Help() string {
	return `Example:

    clerksync deliveries show msg_2x…

The body is printed as it is stored: without one-time codes and the fields in CLERKSYNC_REDACT.`
}

// Run shows a delivery.
func (c showDeliveryCommand) Run(ctx context.Context, p *process) error {
	m, err := p.open(ctx, newReader, c)
	if err != nil {
		return err
	}
	defer m.Close()
	d, err := m.Deliveries().ByMessageID(ctx, c.MessageID)
	if errors.Is(err, clerksync.ErrNotFound) {
		return fmt.Errorf("delivery %q not found", c.MessageID)
	}
	if err != nil {
		return err
	}
	if !c.JSON {
		return printDelivery(p.stdout, &d)
	}
	record, err := json.Marshal(d)
	if err != nil {
		return err
	}
	body := []byte("null") // it is no longer stored
	if d.Body() != "" {
		if body, err = json.Marshal(json.RawMessage(d.Body())); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(p.stdout, "%s,\"body\":%s}\n", record[:len(record)-1], body)
	return err
}

func printDelivery(w io.Writer, d *mirror.Delivery) error {
	rows := [][]string{
		{"message id", d.MessageID},
		{"type", d.Type},
		{"state", string(d.State)},
		{"reason", d.Reason},
		{"received", timeOf(d.ReceivedAt)},
		{"signed", ""},
		{"attempts", strconv.FormatInt(d.Attempts, 10)},
		{"instance", d.InstanceID},
	}
	if !d.SignedAt.IsZero() {
		rows[5][1] = timeOf(d.SignedAt)
	}
	if d.Problem != "" {
		rows = slices.Insert(rows, 4, []string{"problem", d.Problem})
	}
	for i, subject := range d.Subjects {
		name := ""
		if i == 0 {
			name = "about"
		}
		rows = append(rows, []string{name, subject})
	}
	for _, row := range rows {
		row[1] = harmless(row[1])
		if row[1] == "" {
			row[1] = "–"
		}
	}
	if err := columns(w, rows, nil); err != nil {
		return err
	}
	if d.Body() == "" {
		fmt.Fprintln(w, "\nThe body is no longer stored.")
		return nil
	}
	var body bytes.Buffer
	if json.Indent(&body, []byte(d.Body()), "", "  ") != nil {
		body.Reset()
		body.WriteString(d.Body())
	}
	fmt.Fprintf(w, "\n%s\n", harmless(body.String()))
	return nil
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

type dismissDeliveriesCommand struct {
	configFlags
	MessageIDs []string `arg:"" name:"message-id" help:"Message ids of dead letters (msg_…)."`
}

// Help returns the text below the description.
func (dismissDeliveriesCommand) Help() string {
	return `Example:

    clerksync deliveries dismiss msg_2x…

A dismissed delivery no longer counts as an event that could not be applied, so that the mirror can be in sync again. It stays in the ` +
		`list, and clerksync replay MESSAGE-ID or a retry by Clerk applies it again. The dismissal is written to the audit log.

Before you dismiss a delivery, look at it (clerksync deliveries show) and run clerksync reconcile, which repairs what the event should ` +
		`have changed.

Exit code 0: all were dismissed, 1: none was.`
}

// Run dismisses dead letters, all or none.
func (c dismissDeliveriesCommand) Run(ctx context.Context, p *process) error {
	m, err := p.open(ctx, newStoredMirror, c)
	if err != nil {
		return err
	}
	defer m.Close()
	err = m.Deliveries().Dismiss(ctx, c.MessageIDs, commandBy())
	switch {
	case errors.Is(err, clerksync.ErrNotFound), errors.Is(err, clerksync.ErrNotDead):
		return fmt.Errorf("nothing was dismissed: %w", err)
	case err != nil:
		return err
	}
	fmt.Fprintf(p.stdout, "Dismissed %s.\n", deliveries(len(c.MessageIDs)))
	return nil
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
