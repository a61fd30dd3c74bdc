package emulator

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// itemTimes are times of an item that webhooks do not have.
type itemTimes struct {
	Canceled    *int64 `json:"canceled_at,omitempty"`
	Ended       *int64 `json:"ended_at,omitempty"`
	PastDue     *int64 `json:"past_due_at,omitempty"`
	TrialIsTold bool   `json:"trial_is_told,omitempty"` // that the trial ends
}

// trialNotice is how long before the end of a trial its event is sent.
const trialNotice = 3 * 24 * time.Hour

// payers returns all subscriptions, in the order of their ids: a seed gives the same events each
// time.
func (e *Emulator) payers() []*Subscription {
	return slices.SortedFunc(maps.Values(e.subscriptions), func(a, b *Subscription) int { return cmp.Compare(a.ID, b.ID) })
}

// activate makes a subscription active, and reports whether it was not.
func (s *Subscription) activate(now int64) bool {
	was := s.Status
	s.Status, s.ActiveAt, s.PastDueAt, s.EndedAt, s.CanceledAt = "active", &now, nil, nil, nil
	return was != "active"
}

// endItem ends an item, or abandons one that never began, with the event of that.
func (e *Emulator) endItem(s *Subscription, i SubscriptionItem, now int64) {
	i.UpdatedAt = now
	switch i.Status {
	case "ended", "abandoned":
	case "upcoming", "incomplete":
		i.Status = "abandoned"
		e.emitItem("abandoned", s, i, now)
	default:
		i.Status, i.times.Ended = "ended", &now
		e.emitItem("ended", s, i, now)
	}
}

// settleBilling does what is due by the clock: it sends events of trials that end soon, ends
// canceled items whose period is over, and begins those that come next.
func (e *Emulator) settleBilling() {
	now := e.clock.now().UnixMilli()
	for _, s := range e.payers() {
		for n := range s.Items {
			i := &s.Items[n]
			if i.IsFreeTrial && i.Status == "active" && !i.times.TrialIsTold && now >= or(i.PeriodEnd)-trialNotice.Milliseconds() {
				i.times.TrialIsTold = true
				e.emitItem("freeTrialEnding", s, *i, e.after(i.UpdatedAt-1))
			}
			if i.Status == "canceled" && now >= or(i.PeriodEnd) {
				e.finish(s, i)
			}
		}
	}
}

// finish ends an item. What comes next begins; without that, the subscription has ended.
func (e *Emulator) finish(s *Subscription, i *SubscriptionItem) {
	now := e.after(max(i.UpdatedAt, s.UpdatedAt))
	i.Status, i.UpdatedAt, i.times.Ended, s.UpdatedAt = "ended", now, &now, now
	e.emitItem("ended", s, *i, now)
	for n := range s.Items {
		if next := &s.Items[n]; next.Status == "upcoming" {
			next.Status, next.UpdatedAt, next.PeriodStart, next.PeriodEnd = "active", now, now, new(nextPeriod(now, next.Interval))
			e.emitItem("active", s, *next, now)
			e.emit("subscription.updated", now, s)
			return
		}
	}
	s.Status, s.EndedAt = "ended", &now
	e.emit("subscription.updated", now, s)
}

// current returns the item that a payment is for, or nil: the one that waits for its first payment,
// else the one that is in force.
func (s *Subscription) current() *SubscriptionItem {
	for _, statuses := range [][]string{{"incomplete"}, {"active", "past_due"}} {
		for n := range s.Items {
			if slices.Contains(statuses, s.Items[n].Status) {
				return &s.Items[n]
			}
		}
	}
	return nil
}

// orderPayment lets a payer's next payment succeed or fail.
func (e *Emulator) orderPayment(c *call) (any, error) {
	var p struct {
		Status string `json:"status"` // paid, failed or pending
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"paid", "failed", "pending"}, p.Status) {
		return nil, invalid("status", "status is paid, failed or pending.")
	}
	s, ok := e.subscriptions[c.id()]
	if !ok {
		return nil, notFound("subscription of", c.id())
	}
	i := s.current()
	if i == nil {
		return nil, invalid("status", "The subscription has nothing to pay for.")
	}
	now := e.after(max(s.UpdatedAt, i.UpdatedAt))
	charge := "recurring"
	if i.Status == "incomplete" {
		charge = "checkout"
	}
	payment := e.random.id("cpa")
	attempt := e.paymentAttempt(s, *i, payment, charge, now)
	e.emit("paymentAttempt.created", now, attempt)
	if p.Status == "pending" {
		return attempt, nil
	}
	s.LatestPaymentID, s.UpdatedAt = &payment, now
	attempt["status"], attempt["updated_at"] = p.Status, now
	if p.Status == "failed" {
		attempt["failed_at"], attempt["failed_reason"] = now, values{"code": "card_declined", "decline_code": "generic_decline"}
		e.emit("paymentAttempt.updated", now, attempt)
		e.failPayment(s, i, now)
		return attempt, nil
	}
	attempt["paid_at"] = now
	e.emit("paymentAttempt.updated", now, attempt)
	e.paid(s, i, now)
	return attempt, nil
}

// failPayment makes what was in force past due. What waits for its first payment goes on waiting.
func (e *Emulator) failPayment(s *Subscription, i *SubscriptionItem, now int64) {
	if i.Status != "active" {
		return
	}
	i.Status, i.UpdatedAt, i.times.PastDue = "past_due", now, &now
	s.Status, s.PastDueAt = "past_due", &now
	e.emitItem("pastDue", s, *i, now)
	e.emit("subscription.pastDue", now, s)
}

// paid begins the next period of an item, or its first one, which ends what was in force before.
func (e *Emulator) paid(s *Subscription, i *SubscriptionItem, now int64) {
	was := i.Status
	start := now
	if was == "active" {
		start = max(now, or(i.PeriodEnd))
	}
	i.Status, i.UpdatedAt, i.IsFreeTrial, i.times.PastDue = "active", now, false, nil
	i.PeriodStart, i.PeriodEnd = start, new(nextPeriod(start, i.Interval))
	paid, activated := *i, s.activate(now)
	if was == "incomplete" {
		before := s.Items
		s.Items = []SubscriptionItem{paid}
		for _, x := range before {
			if x.ID != paid.ID {
				e.endItem(s, x, now)
			}
		}
	}
	if was == "active" {
		e.emitItem("updated", s, paid, now)
	} else {
		e.emitItem("active", s, paid, now)
	}
	if activated {
		e.emit("subscription.active", now, s)
	}
	e.emit("subscription.updated", now, s)
}

// paymentAttempt returns the data of an event, field by field as in Clerk's example.
func (e *Emulator) paymentAttempt(s *Subscription, i SubscriptionItem, payment, charge string, now int64) values {
	sum, none := money(i.Plan.Amount, i.Plan.Currency), money(0, i.Plan.Currency)
	item := e.subscriptionItem(s, i)
	return values{
		"id": e.random.id("pa"), "instance_id": e.ID, "payment_id": payment, "statement_id": e.random.id("stmt"), "gateway_external_id": "pi_emulated",
		"status": "pending", "created_at": now, "updated_at": now, "paid_at": nil, "failed_at": nil, "failed_reason": nil, "billing_date": now,
		"charge_type": charge,
		"payee": values{
			"id": "cpayee_" + strings.TrimPrefix(e.ID, "ins_"), "gateway_type": "stripe", "gateway_external_id": "acct_emulated", "gateway_status": "active",
		},
		"payer":  s.Payer,
		"totals": values{"subtotal": sum, "tax_total": none, "grand_total": sum},
		"payment_source": values{
			"id": "cps_" + strings.TrimPrefix(s.ID, "csub_"), "gateway": "stripe", "gateway_external_id": "pm_emulated", "gateway_external_account_id": "acct_emulated",
			"payment_method": "card", "status": "active", "card_type": "visa", "last4": "4242",
		},
		"subscription_items": []values{{
			"id": i.ID, "status": i.Status, "plan_period": i.Interval, "period_start": i.PeriodStart, "period_end": i.PeriodEnd,
			"canceled_at": item.CanceledAt, "past_due_at": item.PastDueAt, "amount": sum, "plan": i.Plan, "is_free_trial": i.IsFreeTrial,
		}},
	}
}

// listSubscriptionItems lists the items of all payers, newest first.
func (e *Emulator) listSubscriptionItems(c *call) (any, error) {
	e.settleBilling()
	q := c.query
	status := q.Get("status")
	if !slices.Contains([]string{"", "active", "ended", "past_due", "upcoming", "free_trial"}, status) {
		return nil, invalid("status", status+" does not match one of the allowed values for parameter status")
	}
	all := []SubscriptionItemAnswer{}
	for _, s := range e.payers() {
		for _, i := range s.Items {
			free := i.Plan.Amount == 0 && q.Get("include_free") != "true"
			named := strings.ToLower(s.Payer.Email + " " + s.Payer.FirstName + " " + s.Payer.LastName + " " + s.Payer.OrganizationName)
			if free || !strings.Contains(named, strings.ToLower(q.Get("query"))) || q.Get("plan_id") != "" && q.Get("plan_id") != i.Plan.ID ||
				q.Get("payer_type") != "" && q.Get("payer_type") != s.Payer.kind() {
				continue
			}
			if status == "" || status == i.Status || status == "free_trial" && i.IsFreeTrial {
				all = append(all, e.subscriptionItem(s, i))
			}
		}
	}
	slices.SortFunc(all, func(a, b SubscriptionItemAnswer) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return paged(c, all, false)
}

// cancelSubscriptionItem cancels an item at the end of its period, or ends it now.
func (e *Emulator) cancelSubscriptionItem(c *call) (any, error) {
	e.settleBilling()
	for _, s := range e.payers() {
		for n := range s.Items {
			i := &s.Items[n]
			if i.ID != c.id() {
				continue
			}
			now := c.query.Get("end_now") == "true"
			switch {
			case i.Status == "canceled" && !now:
				return nil, fail(http.StatusBadRequest, "commerce_subscription_item_already_canceled", "Subscription item already canceled",
					"You can't cancel a subscription item that is already canceled")
			case !slices.Contains([]string{"active", "past_due", "canceled"}, i.Status):
				return nil, fail(http.StatusUnprocessableEntity, "commerce_subscription_item_cannot_be_canceled", "Subscription item cannot be canceled",
					"Subscription item cannot be canceled because it is "+i.Status)
			case now:
				e.finish(s, i)
			default:
				at := e.after(max(i.UpdatedAt, s.UpdatedAt))
				i.Status, i.UpdatedAt, i.times.Canceled, s.UpdatedAt = "canceled", at, &at, at
				e.emitItem("canceled", s, *i, at)
				e.emit("subscription.updated", at, s)
			}
			return e.subscriptionItem(s, *i), nil
		}
	}
	return nil, fail(http.StatusNotFound, "subscription_item_not_found", "Subscription item not found", "Subscription item not found")
}

// listPlans lists the plans that someone has or had, by the order in which they were made.
func (e *Emulator) listPlans(c *call) (any, error) {
	kind := c.query.Get("payer_type")
	if !slices.Contains([]string{"", "user", "org"}, kind) {
		return nil, invalid("payer_type", kind+" does not match one of the allowed values for parameter payer_type")
	}
	all := []*PlanAnswer{}
	for _, s := range e.payers() {
		for _, i := range s.Items {
			known := slices.ContainsFunc(all, func(p *PlanAnswer) bool { return p.ID == i.Plan.ID })
			if !known && (kind == "" || kind == s.Payer.kind()) {
				all = append(all, i.Plan.answer(s.Payer.kind()))
			}
		}
	}
	slices.SortFunc(all, func(a, b *PlanAnswer) int { return cmp.Compare(b.ID, a.ID) })
	return paged(c, all, false)
}
