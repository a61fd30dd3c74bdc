package emulator

import (
	"fmt"
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

func (e *Emulator) subscriptionItem(s *Subscription, i SubscriptionItem) SubscriptionItemAnswer {
	kind := "user"
	if s.Payer.OrganizationID != "" {
		kind = "org"
	}
	fee := Money{i.Plan.Amount, fmt.Sprintf("%d.%02d", i.Plan.Amount/100, i.Plan.Amount%100), i.Plan.Currency, "$"}
	plan := &PlanAnswer{
		Object: "commerce_plan", ID: i.Plan.ID, Name: i.Plan.Name, Slug: i.Plan.Slug,
		IsRecurring: i.Plan.IsRecurring, HasBaseFee: true, PubliclyVisible: true, Fee: &fee,
		ForPayerType: kind, Features: []Feature{},
	}
	for _, slug := range i.Plan.features {
		plan.Features = append(plan.Features, Feature{Object: "feature", ID: "feat_" + slug, Name: slug, Slug: slug})
	}
	return SubscriptionItemAnswer{
		Object: i.Object, ID: i.ID, InstanceID: e.ID, Status: i.Status, PlanID: i.PlanID, Plan: plan,
		PlanPeriod: i.Interval, PayerID: s.PayerID, IsFreeTrial: i.IsFreeTrial, Amount: &fee,
		PeriodStart: i.PeriodStart, PeriodEnd: i.PeriodEnd, CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
}

// subscribe gives a user or an organization a plan.
func (e *Emulator) subscribe(id, plan string, features []string) (*Subscription, error) {
	payer := Payer{Object: "commerce_payer", ID: e.random.id("cpayer")}
	if r, ok := e.users.byID[id]; ok {
		payer.UserID, payer.FirstName, payer.LastName, payer.Email, payer.ImageURL = id, or(r.FirstName), or(r.LastName), or(r.primary()), r.ImageURL
	} else if o, ok := e.organizations.byID[id]; ok {
		payer.OrganizationID, payer.OrganizationName, payer.ImageURL = id, o.Name, o.ImageURL
	} else {
		return nil, notFound("user or organization", id)
	}
	s, known := e.subscriptions[id]
	event := "subscription.updated"
	if !known {
		now := e.after(0)
		payer.CreatedAt, payer.UpdatedAt = now, now
		s = &Subscription{Object: "commerce_subscription", ID: e.random.id("csub"), PayerID: payer.ID, Payer: payer, CreatedAt: now, UpdatedAt: now}
		e.subscriptions[id], event = s, "subscription.created"
	} else {
		s.UpdatedAt = e.after(s.UpdatedAt)
	}
	now := s.UpdatedAt
	item := SubscriptionItem{
		Object: "commerce_subscription_item", ID: e.random.id("csub_item"), Status: "active", Interval: "month", PeriodStart: now,
		PlanID: new(e.random.id("cplan")), SubscriptionID: &s.ID, CreatedAt: now, UpdatedAt: now,
	}
	item.Plan = &Plan{ID: *item.PlanID, Slug: plan, Name: plan, IsRecurring: true, Amount: 1000, Currency: "USD", features: features}
	s.Status, s.ActiveAt, s.Items = "active", &now, []SubscriptionItem{item}
	e.emit(event, now, s)
	e.emit("subscriptionItem.active", now, subscriptionItemEvent{item, s.Payer})
	return s, nil
}

// subscriptionItemEvent is an item with its payer, as webhooks have it.
type subscriptionItemEvent struct {
	SubscriptionItem
	Payer Payer `json:"payer"`
}

// planOf returns the active plan of a payer, a user or an organization, or nil.
func (e *Emulator) planOf(payer string) *Plan {
	s, ok := e.subscriptions[payer]
	if !ok || s.Status != "active" {
		return nil
	}
	return s.Items[0].Plan
}
