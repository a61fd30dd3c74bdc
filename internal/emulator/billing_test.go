package emulator_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// payers is an instance whose receiver keeps the events about one payer, in their order.
type payers struct {
	*clerk
	events *receiver
	user   string
	seen   int
}

func newPayers(t *testing.T) *payers {
	t.Helper()
	c := newClerk(t, emulator.Options{Workers: 1})
	p := &payers{clerk: c, events: c.listen(nil), user: c.user("ada@example.com")}
	p.sent()
	return p
}

// sent returns the types of events since the last call.
func (p *payers) sent() string {
	p.t.Helper()
	p.settle()
	var types []string
	all := p.events.deliveries()
	for _, d := range all[p.seen:] {
		var event struct{ Type string }
		decode(p.t, d.body, &event)
		types = append(types, event.Type)
	}
	p.seen = len(all)
	return strings.Join(types, " ")
}

func (p *payers) order(body object) {
	p.t.Helper()
	body["payer"] = p.user
	p.call("POST", "/_emulator/subscriptions", body)
}

func (p *payers) pay(status string) {
	p.t.Helper()
	p.call("POST", "/_emulator/subscriptions/"+p.user+"/payments", object{"status": status})
}

// plan is the one that a token names, or nil.
func (p *payers) plan() any {
	p.t.Helper()
	parts, err := sdkDecode(p.t, p.token(emulator.TokenOrder{UserID: p.user, SessionID: p.signIn(p.user, nil)}))
	if err != nil {
		p.t.Fatal(err)
	}
	p.sent()
	return parts[1]["pla"]
}

func TestBillingEvents(t *testing.T) {
	t.Parallel()
	p := newPayers(t)
	const paid = "paymentAttempt.created paymentAttempt.updated "
	for _, step := range []struct {
		name string
		do   func()
		want string
		plan any
	}{
		{
			"a trial begins", func() { p.order(object{"plan": "pro", "free_trial_days": 14}) },
			"subscription.created subscription.active subscriptionItem.active", "u:pro",
		},
		{"it ends soon", func() { p.Advance(11*24*time.Hour + time.Minute) }, "subscriptionItem.freeTrialEnding", "u:pro"},
		{"and is told once", func() { p.Advance(time.Hour) }, "", "u:pro"},
		{"a payment", func() { p.pay("paid") }, paid + "subscriptionItem.updated subscription.updated", "u:pro"},
		{"a payment under way", func() { p.pay("pending") }, "paymentAttempt.created", "u:pro"},
		{"a failed payment", func() { p.pay("failed") }, paid + "subscriptionItem.pastDue subscription.pastDue", nil},
		{"a late payment", func() { p.pay("paid") }, paid + "subscriptionItem.active subscription.active subscription.updated", "u:pro"},
		{"a smaller plan to come", func() { p.order(object{"plan": "basic", "status": "upcoming"}) }, "subscription.updated subscriptionItem.upcoming", "u:pro"},
		{"a larger plan to pay", func() { p.order(object{"plan": "max", "status": "incomplete"}) }, "subscription.updated subscriptionItem.incomplete", "u:pro"},
		{
			"which is paid", func() { p.pay("paid") },
			paid + "subscriptionItem.ended subscriptionItem.abandoned subscriptionItem.active subscription.updated", "u:max",
		},
		{"another plan at once", func() { p.order(object{"plan": "team"}) }, "subscription.updated subscriptionItem.ended subscriptionItem.active", "u:team"},
	} {
		step.do()
		if got := p.sent(); got != step.want {
			t.Errorf("%s: the events are %q, want %q", step.name, got, step.want)
		}
		if got := p.plan(); got != step.plan {
			t.Errorf("%s: the plan is %v, want %v", step.name, got, step.plan)
		}
	}
}

func TestCanceledItems(t *testing.T) {
	t.Parallel()
	p := newPayers(t)
	p.order(object{"plan": "pro", "features": []string{"reports"}})
	item := p.list("/v1/billing/subscription_items?status=active&payer_type=user")[0]
	path := "/v1/billing/subscription_items/" + item["id"].(string)
	p.sent()
	if got := p.call("DELETE", path, nil); got["status"] != "canceled" || got["canceled_at"] == nil || got["ended_at"] != nil {
		t.Errorf("canceled: %v", got)
	}
	p.refused(400, "commerce_subscription_item_already_canceled", "DELETE", path, nil)
	if got := p.sent(); got != "subscriptionItem.canceled subscription.updated" || p.plan() != "u:pro" {
		t.Errorf("canceling sends %q, and the plan is %v", got, p.plan())
	}
	file := filepath.Join(t.TempDir(), "state.json")
	if err := p.Save(file); err != nil {
		t.Fatal(err)
	}
	p.Advance(32 * 24 * time.Hour)
	if got := p.sent(); got != "subscriptionItem.ended subscription.updated" || p.plan() != nil {
		t.Errorf("the end sends %q, and the plan is %v", got, p.plan())
	}
	p.refused(422, "commerce_subscription_item_cannot_be_canceled", "DELETE", path, nil)
	p.refused(404, "subscription_item_not_found", "DELETE", "/v1/billing/subscription_items/csub_item_x", nil)
	p.refused(422, "form_param_value_invalid", "POST", "/_emulator/subscriptions/"+p.user+"/payments", object{"status": "paid"})

	next := newClerk(t, emulator.Options{})
	if err := next.Load(file); err != nil {
		t.Fatal(err)
	}
	kept := next.list("/v1/billing/subscription_items")
	if len(kept) != 1 || kept[0]["status"] != "canceled" || kept[0]["canceled_at"] == nil || len(kept[0]["plan"].(object)["features"].([]any)) != 1 {
		t.Errorf("after a restart: %v", kept)
	}
}

func TestPlansAreShared(t *testing.T) {
	t.Parallel()
	p := newPayers(t)
	org := p.organization("Acme", p.user)
	p.order(object{"plan": "pro", "amount": 500})
	p.call("POST", "/_emulator/subscriptions", object{"payer": p.clerk.user("grace@example.com"), "plan": "pro"})
	p.call("POST", "/_emulator/subscriptions", object{"payer": org, "plan": "free", "amount": 0})
	if plans := p.list("/v1/billing/plans"); len(plans) != 2 {
		t.Errorf("plans %v", plans)
	}
	if plans := p.list("/v1/billing/plans?payer_type=user"); len(plans) != 1 || plans[0]["fee"].(object)["amount"] != 500.0 {
		t.Errorf("plans of users %v", plans)
	}
	statuses := func(query string) (all []string) {
		for _, o := range p.list("/v1/billing/subscription_items?" + query) {
			all = append(all, o["plan"].(object)["slug"].(string))
		}
		return all
	}
	if got := statuses(""); !slices.Equal(got, []string{"pro", "pro"}) {
		t.Errorf("items %v", got)
	}
	if got := statuses("include_free=true&payer_type=org"); !slices.Equal(got, []string{"free"}) {
		t.Errorf("items of organizations %v", got)
	}
}
