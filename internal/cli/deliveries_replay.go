package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

// deliverySelection selects deliveries, in a list or for a job.
type deliverySelection struct {
	State   string `help:"Deliveries in this state: applied, ignored, quarantined, dead, dismissed, erased." enum:",applied,ignored,quarantined,dead,dismissed,erased" default:"" placeholder:"STATE" group:"filter"`
	Type    string `help:"Deliveries of this event type, such as user.updated or user.*." placeholder:"TYPE" group:"filter"`
	Reason  string `help:"Deliveries that were not applied for this reason, such as invalid." placeholder:"REASON" group:"filter"`
	Subject string `help:"Deliveries about this object, by its Clerk id (user_2x…)." placeholder:"ID" group:"filter"`
	Text    string `help:"Deliveries that have this text in the body." placeholder:"TEXT" group:"filter"`
	Since   moment `help:"Deliveries received since this time (RFC 3339) or age (24h)." placeholder:"TIME" group:"filter"`
	Until   moment `help:"Deliveries received before this time or age." placeholder:"TIME" group:"filter"`
}

// into puts the selection into that of a job.
func (d deliverySelection) into(s *mirror.JobSelection) {
	s.State, s.Type, s.Reason, s.Subject, s.Text = mirror.DeliveryState(d.State), d.Type, d.Reason, d.Subject, d.Text
	s.Since, s.Until = d.Since.Time, d.Until.Time
}

// filter returns the selection as that of a list.
func (d deliverySelection) filter() mirror.DeliveryFilter {
	return mirror.DeliveryFilter{
		State: mirror.DeliveryState(d.State), Type: d.Type, Reason: d.Reason, Subject: d.Subject, Text: d.Text,
		Since: d.Since.Time, Until: d.Until.Time,
	}
}

type replayDeliveriesCommand struct {
	runFlags
	confirmFlags
	MessageIDs []string `arg:"" optional:"" name:"message-id" help:"Message ids of deliveries (msg_…)."`
	deliverySelection
	Organization string `help:"Deliveries about this organization and what belongs to it: an id or a slug." placeholder:"ORGANIZATION" group:"filter"`
	AllObjects   bool   `name:"all" help:"All deliveries, except quarantined and dismissed ones." group:"filter"`
	sourceFlags
}

// Help returns the text below the description.
func (replayDeliveriesCommand) Help() string {
	return `Examples:

    clerksync deliveries replay msg_2x…
    clerksync deliveries replay --state dead --type 'user.*' --since 24h --dry-run
    clerksync deliveries replay --state dead --yes

Deliveries are applied by the same rules as new ones. Order does not matter, and a delivery that brings nothing new changes nothing. ` +
		`Quarantined and dismissed deliveries are replayed only by --state or by message id. Message ids are replayed at once; what filters ` +
		`select is a job.

` + jobHelp
}

// Run replays deliveries.
func (c replayDeliveriesCommand) Run(ctx context.Context, p *process) error {
	r := mirror.JobRequest{Action: mirror.JobReplayDeliveries}
	c.deliverySelection.into(&r.Filter)
	filtered := c.filter() != (mirror.DeliveryFilter{}) || c.Organization != ""
	switch {
	case len(c.MessageIDs) > 0 && (filtered || c.AllObjects):
		return usageError("message ids cannot be combined with filters or --all")
	case len(c.MessageIDs) > 0 && (c.DryRun || c.Detach):
		return usageError("--dry-run and --detach are for filters: message ids are replayed at once")
	case len(c.MessageIDs) == 0 && !filtered && !c.AllObjects:
		return usageError("nothing to replay: pass message ids, filters, or --all")
	}
	r.Filter.All = c.AllObjects && !filtered
	return p.withSource(ctx, c, withKeys(newStoredMirror), func(s source) (err error) {
		if len(c.MessageIDs) > 0 {
			return c.replay(ctx, p, s.Client)
		}
		if r.Filter.Organization, err = organizationID(ctx, s.Client, c.Organization); err != nil {
			return err
		}
		return c.plan(ctx, p, s, r, c.confirmFlags)
	})
}

// replay replays single deliveries.
func (c replayDeliveriesCommand) replay(ctx context.Context, p *process, client *apiclient.Client) error {
	l, failed := p.look(false), 0
	out := &table{w: p.stdout, terminal: l.terminal, columns: []column{{name: "DELIVERY"}, {name: "TYPE", shrink: true}, {name: "OUTCOME"}, {name: "STATE"}}}
	for _, id := range c.MessageIDs {
		done, err := client.Replay(ctx, id)
		if errors.Is(err, mirror.ErrNotFound) {
			return &notFoundError{what: "delivery", id: id, list: "clerksync deliveries list"}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", harmless(id), err)
		}
		r := &done.Value
		outcome := cell(string(r.Outcome))
		switch r.Outcome {
		case mirror.OutcomeProcessed, mirror.OutcomeDuplicate, mirror.OutcomeIgnored, mirror.OutcomeQuarantined:
		case mirror.OutcomeInvalid, mirror.OutcomeFailed, mirror.OutcomeUnavailable, mirror.OutcomeUnreadable:
			failed++
			outcome = l.paint(red, outcome)
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", done.JSON)
		} else {
			err = out.print([][]string{{cell(id), cell(r.Delivery.Type), outcome, l.deliveryState(&r.Delivery)}})
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return exitFailed
	}
	return nil
}

type dismissDeliveriesCommand struct {
	sourceFlags
	MessageIDs []string `arg:"" name:"message-id" help:"Message ids of dead letters (msg_…)."`
	JSON       bool     `name:"json" help:"Print a JSON object for each delivery."`
}

// Help returns the text below the description.
func (dismissDeliveriesCommand) Help() string {
	return `Example:

    clerksync deliveries dismiss msg_2x…

A dismissed delivery no longer counts as an event that could not be applied, so that the mirror can be in sync again. It stays in the ` +
		`list, and clerksync deliveries replay MESSAGE-ID or a retry by Clerk applies it again. The dismissal is written to the audit log.

Before you dismiss a delivery, look at it (clerksync deliveries show) and run clerksync reconcile, which repairs what the event should ` +
		`have changed.

Exit code 0: all were dismissed, 1: it ended at one that was not.`
}

// Run dismisses dead letters, until one cannot be dismissed.
func (c dismissDeliveriesCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newStoredMirror, func(client *apiclient.Client) error {
		for i, id := range c.MessageIDs {
			done, err := client.Dismiss(ctx, id)
			if errors.Is(err, mirror.ErrNotFound) {
				err = &notFoundError{what: "delivery", id: id, list: "clerksync deliveries list"}
			}
			if err != nil && i == 0 {
				return fmt.Errorf("nothing was dismissed: %w", err)
			}
			if err != nil {
				return fmt.Errorf("the %s before it were dismissed: %w", deliveries(i), err)
			}
			if c.JSON {
				_, err = fmt.Fprintf(p.stdout, "%s\n", done.JSON)
			} else {
				_, err = fmt.Fprintf(p.stdout, "Dismissed %s.\n", id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// deliveries returns a number of deliveries in words.
func deliveries[N int | int64](n N) string {
	if n == 1 {
		return "1 delivery"
	}
	return grouped(int64(n)) + " deliveries"
}
