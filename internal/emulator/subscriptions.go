package emulator

import (
	"fmt"
	"slices"
	"time"
)

func (e *Emulator) userSubscription(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	return e.subscription(r.ID)
}

func (e *Emulator) organizationSubscription(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	return e.subscription(o.ID)
}

func (e *Emulator) subscription(payer string) (any, error) {
	e.settleBilling()
	s, ok := e.subscriptions[payer]
	if !ok {
		return nil, notFound("subscription of", payer)
	}
	answer := SubscriptionAnswer{
		Object: s.Object, ID: s.ID, InstanceID: e.ID, Status: s.Status, PayerID: s.PayerID,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, ActiveAt: s.ActiveAt, PastDueAt: s.PastDueAt,
		Items: []SubscriptionItemAnswer{},
	}
	for _, i := range s.Items {
		answer.Items = append(answer.Items, e.subscriptionItem(s, i))
	}
	return answer, nil
}

// kind returns what Clerk calls the payer: user or org.
func (p Payer) kind() string {
	if p.OrganizationID != "" {
		return "org"
	}
	return "user"
}

func money(amount int, currency string) Money {
	formatted := fmt.Sprintf("%d.%02d", amount/100, amount%100)
	return Money{amount, formatted, currency, "$"}
}

func (p *Plan) answer(kind string) *PlanAnswer {
	fee := money(p.Amount, p.Currency)
	plan := &PlanAnswer{
		Object: "commerce_plan", ID: p.ID, Name: p.Name, Slug: p.Slug, ProductID: "cprod_" + kind,
		IsRecurring: p.IsRecurring, HasBaseFee: p.Amount > 0, PubliclyVisible: true, Fee: &fee,
		ForPayerType: kind, Features: []Feature{},
	}
	for _, slug := range p.features {
		plan.Features = append(plan.Features, Feature{Object: "feature", ID: "feat_" + slug, Name: slug, Slug: slug})
	}
	return plan
}

func (e *Emulator) subscriptionItem(s *Subscription, i SubscriptionItem) SubscriptionItemAnswer {
	fee := money(i.Plan.Amount, i.Plan.Currency)
	return SubscriptionItemAnswer{
		Object: i.Object, ID: i.ID, InstanceID: e.ID, Status: i.Status, PlanID: i.PlanID, Plan: i.Plan.answer(s.Payer.kind()),
		PlanPeriod: i.Interval, PayerID: s.PayerID, IsFreeTrial: i.IsFreeTrial, Amount: &fee,
		PeriodStart: i.PeriodStart, PeriodEnd: i.PeriodEnd, CanceledAt: i.times.Canceled, EndedAt: i.times.Ended, PastDueAt: i.times.PastDue,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
}

// subscriptionOrder puts a payer onto a plan. Only the first two are required.
type subscriptionOrder struct {
	Payer         string   `json:"payer"` // a user's or an organization's id
	Plan          string   `json:"plan"`
	Features      []string `json:"features"`
	Amount        *int     `json:"amount"`          // in cents; default 1000
	Interval      string   `json:"interval"`        // month, the default, or annual
	FreeTrialDays int      `json:"free_trial_days"` // 0 is no trial
	Status        string   `json:"status"`          // active, the default, or upcoming or incomplete
}

func (o *subscriptionOrder) check() error {
	switch {
	case o.Plan == "":
		return missing("plan")
	case o.Amount != nil && *o.Amount < 0:
		return invalid("amount", "amount must be greater than or equal to 0.")
	case o.FreeTrialDays < 0 || o.FreeTrialDays > 365:
		return invalid("free_trial_days", "free_trial_days must be between 0 and 365.")
	case !slices.Contains([]string{"", "month", "annual"}, o.Interval):
		return invalid("interval", "interval is month or annual.")
	case !slices.Contains([]string{"", "active", "upcoming", "incomplete"}, o.Status):
		return invalid("status", "status is active, upcoming or incomplete.")
	}
	return nil
}

// subscribe gives a user or an organization a plan. An active one ends those before it; others wait
// beside them.
func (e *Emulator) subscribe(o subscriptionOrder) (*Subscription, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	payer, err := e.payer(o.Payer)
	if err != nil {
		return nil, err
	}
	s, known := e.subscriptions[o.Payer]
	event := "subscription.updated"
	if !known {
		now := e.after(0)
		payer.ID, payer.CreatedAt, payer.UpdatedAt = e.random.id("cpayer"), now, now
		s = &Subscription{
			Object: "commerce_subscription", ID: e.random.id("csub"), Status: "incomplete", PayerID: payer.ID, Payer: payer, CreatedAt: now, UpdatedAt: now,
		}
		e.subscriptions[o.Payer], event = s, "subscription.created"
	} else {
		s.UpdatedAt = e.after(s.UpdatedAt)
	}
	now := s.UpdatedAt
	item := e.order(s, o, now)
	before, activated := s.Items, false
	if item.Status == "active" {
		s.Items, activated = []SubscriptionItem{item}, s.activate(now)
	} else {
		s.Items, before = append(slices.Clone(before), item), nil
	}
	e.emit(event, now, s)
	if activated {
		e.emit("subscription.active", now, s)
	}
	for _, x := range before {
		e.endItem(s, x, now)
	}
	e.emitItem(item.Status, s, item, now)
	e.settleBilling()
	return s, nil
}

// payer returns the payer with the id of a user or of an organization.
func (e *Emulator) payer(id string) (Payer, error) {
	p := Payer{Object: "commerce_payer"}
	if r, ok := e.users.byID[id]; ok {
		p.UserID, p.FirstName, p.LastName, p.Email, p.ImageURL = id, or(r.FirstName), or(r.LastName), or(r.primary()), r.ImageURL
	} else if o, ok := e.organizations.byID[id]; ok {
		p.OrganizationID, p.OrganizationName, p.ImageURL = id, o.Name, o.ImageURL
	} else {
		return p, notFound("user or organization", id)
	}
	return p, nil
}

func (e *Emulator) order(s *Subscription, o subscriptionOrder, now int64) SubscriptionItem {
	item := SubscriptionItem{
		Object: "commerce_subscription_item", ID: e.random.id("csub_item"), Status: "active", Interval: "month", PeriodStart: now,
		SubscriptionID: &s.ID, CreatedAt: now, UpdatedAt: now, IsFreeTrial: o.FreeTrialDays > 0, Plan: e.plan(s.Payer.kind(), o),
	}
	item.PlanID = &item.Plan.ID
	if o.Interval != "" {
		item.Interval = o.Interval
	}
	if o.Status != "" {
		item.Status = o.Status
	}
	end := nextPeriod(now, item.Interval)
	if o.FreeTrialDays > 0 {
		end = now + (time.Duration(o.FreeTrialDays) * 24 * time.Hour).Milliseconds()
	}
	item.PeriodEnd = &end
	return item
}

// nextPeriod returns when a period ends that begins at a time.
func nextPeriod(start int64, interval string) int64 {
	at, months := time.UnixMilli(start).UTC(), 1
	if interval == "annual" {
		months = 12
	}
	return at.AddDate(0, months, 0).UnixMilli()
}

// plan returns the plan with a slug. Payers of a kind share it.
func (e *Emulator) plan(kind string, o subscriptionOrder) *Plan {
	p := &Plan{ID: e.random.id("cplan"), Slug: o.Plan, Name: o.Plan, IsRecurring: true, Amount: 1000, Currency: "USD", features: o.Features}
	for _, s := range e.payers() {
		for _, i := range s.Items {
			if s.Payer.kind() == kind && i.Plan.Slug == o.Plan {
				p.ID, p.Amount = i.Plan.ID, i.Plan.Amount
			}
		}
	}
	if o.Amount != nil {
		p.Amount = *o.Amount
	}
	return p
}

// subscriptionItemEvent is an item with its payer, as webhooks have it.
type subscriptionItemEvent struct {
	SubscriptionItem
	Payer Payer `json:"payer"`
}

func (e *Emulator) emitItem(change string, s *Subscription, i SubscriptionItem, now int64) {
	e.emit("subscriptionItem."+change, now, subscriptionItemEvent{i, s.Payer})
}

// planOf returns the plan of a payer, a user or an organization, or nil. A canceled one lasts until
// its period ends.
func (e *Emulator) planOf(payer string) *Plan {
	s, ok := e.subscriptions[payer]
	if !ok || s.Status != "active" {
		return nil
	}
	now := e.clock.now().UnixMilli()
	for _, i := range s.Items {
		if i.Status == "active" || i.Status == "canceled" && now < or(i.PeriodEnd) {
			return i.Plan
		}
	}
	return nil
}
