package emulator

import (
	"fmt"
	"slices"
)

// others are what stands beside users and organizations.
type others struct {
	invitations   []*Invitation
	templates     []*JWTTemplate
	actors        map[string]*ActorToken
	subscriptions map[string]*Subscription // by user or organization
}

func (o *others) init() {
	o.actors, o.subscriptions = map[string]*ActorToken{}, map[string]*Subscription{}
}

// template is found by its name or its id.
func (o *others) template(name string) *JWTTemplate {
	for _, t := range o.templates {
		if t.Name == name || t.ID == name {
			return t
		}
	}
	return nil
}

// planOf is the active plan of a payer.
func (o *others) planOf(payer string) *Plan {
	s, ok := o.subscriptions[payer]
	if !ok || s.Status != "active" {
		return nil
	}
	return s.Items[0].Plan
}

type templateParameters struct {
	Name             *string        `json:"name"`
	Claims           map[string]any `json:"claims"`
	Lifetime         *int           `json:"lifetime"`
	AllowedClockSkew *int           `json:"allowed_clock_skew"`
	CustomSigningKey *bool          `json:"custom_signing_key"`
	SigningAlgorithm *string        `json:"signing_algorithm"`
	SigningKey       *string        `json:"signing_key"`
}

func (p templateParameters) describe(t *JWTTemplate) error {
	if p.Name != nil {
		t.Name = *p.Name
	}
	if p.Claims != nil {
		t.Claims = p.Claims
	}
	if p.Lifetime != nil {
		if *p.Lifetime < 30 || *p.Lifetime > 315_360_000 {
			return invalid("lifetime", "lifetime must be between 30 and 315360000 seconds.")
		}
		t.Lifetime = *p.Lifetime
	}
	if p.AllowedClockSkew != nil {
		if *p.AllowedClockSkew < 0 || *p.AllowedClockSkew > 300 {
			return invalid("allowed_clock_skew", "allowed_clock_skew must be between 0 and 300 seconds.")
		}
		t.AllowedClockSkew = *p.AllowedClockSkew
	}
	if p.CustomSigningKey != nil {
		t.CustomSigningKey = *p.CustomSigningKey
	}
	if p.SigningKey != nil {
		t.signingKey = *p.SigningKey
	}
	if p.SigningAlgorithm != nil {
		t.SigningAlgorithm = *p.SigningAlgorithm
	}
	switch {
	case t.CustomSigningKey && t.SigningAlgorithm != "HS256":
		return invalid("signing_algorithm", "The emulator signs with a custom key by HS256 only.")
	case t.CustomSigningKey && len(t.signingKey) < 32:
		return invalid("signing_key", "signing_key must have at least 32 bytes.")
	case !t.CustomSigningKey:
		t.SigningAlgorithm = "RS256"
	}
	return nil
}

func (e *Emulator) createTemplate(c *call) (any, error) {
	var p templateParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if or(p.Name) == "" {
		return nil, missing("name")
	}
	if e.others.template(*p.Name) != nil {
		return nil, exists("name")
	}
	now := e.after(0)
	t := &JWTTemplate{Object: "jwt_template", ID: e.random.id("jtmp"), Claims: map[string]any{}, Lifetime: 60, AllowedClockSkew: 5, CreatedAt: now, UpdatedAt: now}
	if err := p.describe(t); err != nil {
		return nil, err
	}
	e.others.templates = append(e.others.templates, t)
	e.changed = true
	return t, nil
}

func (e *Emulator) templateByPath(c *call) (*JWTTemplate, error) {
	if t := e.others.template(c.id()); t != nil {
		return t, nil
	}
	return nil, notFound("JWT template", c.id())
}

func (e *Emulator) getTemplate(c *call) (any, error) { return some(e.templateByPath(c)) }

func (e *Emulator) updateTemplate(c *call) (any, error) {
	t, err := e.templateByPath(c)
	if err != nil {
		return nil, err
	}
	var p templateParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	next := *t
	if err := p.describe(&next); err != nil {
		return nil, err
	}
	next.UpdatedAt = e.after(t.UpdatedAt)
	*t = next
	e.changed = true
	return t, nil
}

func (e *Emulator) deleteTemplate(c *call) (any, error) {
	t, err := e.templateByPath(c)
	if err != nil {
		return nil, err
	}
	e.others.templates = slices.DeleteFunc(e.others.templates, func(x *JWTTemplate) bool { return x == t })
	e.changed = true
	return Deleted{Object: "jwt_template", ID: t.ID, Deleted: true}, nil
}

func (e *Emulator) listTemplates(c *call) (any, error) { return paged(c, e.others.templates, true) }

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
	s, ok := e.others.subscriptions[payer]
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

// subscribe puts a payer, a user or an organization, onto a plan.
func (e *Emulator) subscribe(id, plan string, features []string) (*Subscription, error) {
	payer := Payer{Object: "commerce_payer", ID: e.random.id("cpayer")}
	if r, ok := e.users.byID[id]; ok {
		payer.UserID, payer.FirstName, payer.LastName, payer.Email, payer.ImageURL = id, or(r.FirstName), or(r.LastName), or(r.primary()), r.ImageURL
	} else if o, ok := e.organizations.byID[id]; ok {
		payer.OrganizationID, payer.OrganizationName, payer.ImageURL = id, o.Name, o.ImageURL
	} else {
		return nil, notFound("user or organization", id)
	}
	s, known := e.others.subscriptions[id]
	event := "subscription.updated"
	if !known {
		now := e.after(0)
		payer.CreatedAt, payer.UpdatedAt = now, now
		s = &Subscription{Object: "commerce_subscription", ID: e.random.id("csub"), PayerID: payer.ID, Payer: payer, CreatedAt: now, UpdatedAt: now}
		e.others.subscriptions[id], event = s, "subscription.created"
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

// subscriptionItemEvent is an item with its payer, as webhooks write it.
type subscriptionItemEvent struct {
	SubscriptionItem
	Payer Payer `json:"payer"`
}
