package clerksync

import (
	"context"
	"errors"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/reconcile"
)

// Question asks why somebody may or may not do something: whom a token names, or a user in an organization as if
// just signed in, by a token that says nothing more.
type Question struct {
	Token               string    // verified as at any request, and not kept
	ClerkUserID         string    // where there is no token
	ClerkSessionID      string    // optional
	ClerkOrganizationID string    // optional: as the active organization
	Rule                auth.Rule // nil: is anybody signed in at all?
}

// Explanation answers a [Question]: every condition, the facts it looked at, and where those came from. It is for
// operators: it names what is stored.
type Explanation struct {
	Allowed     bool             `json:"allowed"`
	Code        string           `json:"code,omitempty"`   // of the refusal
	Reason      string           `json:"reason,omitempty"` // of the refusal
	ClerkUserID string           `json:"clerk_user_id,omitempty"`
	Unready     string           `json:"unready"`    // what unproven facts may grant: ask, allow or deny
	Conditions  []auth.Condition `json:"conditions"` // in the order in which they are asked
}

// errNobody says that a question names nobody.
var errNobody = errors.New("clerksync: explain: name a token or a user")

// Explain answers why somebody may or may not do something. It changes nothing and asks Clerk nothing.
func (m *Mirror) Explain(ctx context.Context, q Question) (*Explanation, error) {
	x := &Explanation{Unready: m.config.Unready, Allowed: true}
	claims, err := m.asked(ctx, q, x)
	if err != nil || claims == nil {
		return x, err
	}
	x.ClerkUserID = claims.Subject
	facts, err := m.facts(ctx, claims)
	if err != nil {
		return nil, unavailable(err)
	}
	x.stored(live.Judge(claims, facts, m.config.Now()), facts, claims)
	if q.Rule == nil {
		return x, nil
	}
	subject := m.subject(claims, facts, m.live.Ready())
	for _, c := range q.Rule.Explain(&subject) {
		x.add(c)
	}
	return x, nil
}

// asked is whom the question is about; nil where the token names nobody.
func (m *Mirror) asked(ctx context.Context, q Question, x *Explanation) (*auth.Claims, error) {
	if q.Token == "" {
		if q.ClerkUserID == "" {
			return nil, errNobody
		}
		claims := &auth.Claims{Subject: q.ClerkUserID, SessionID: q.ClerkSessionID, IssuedAt: m.config.Now(), Status: auth.StatusActive}
		if q.ClerkOrganizationID != "" {
			claims.Organization = &auth.ActiveOrganization{ID: q.ClerkOrganizationID}
		}
		return claims, nil
	}
	err := errNoKeys
	var claims *auth.Claims
	if m.tokens != nil {
		claims, err = m.tokens.Verify(ctx, q.Token)
	}
	if other := m.foreignTokenKeys(); err == nil && other != "" {
		claims, err = nil, reconcile.OtherInstanceError(m.db.Settings().Instance, other)
	}
	c := auth.Condition{Name: "token", Allowed: err == nil}
	if err != nil {
		d := invalidToken(err)
		c.Code, c.Reason = d.Code, d.Reason
	}
	x.add(c)
	return claims, nil
}

// stored tells what the mirror has for or against the caller.
func (x *Explanation) stored(refusal *live.Refusal, f live.Facts, claims *auth.Claims) {
	fact := func(name, value string, known bool) auth.Fact {
		return auth.Fact{Name: name, Value: value, Known: known, Source: auth.SourceMirror}
	}
	state := "active"
	switch {
	case f.Person.Deleted:
		state = "deleted"
	case f.Person.Found && !f.Person.User.IsActive:
		state = live.Inactive(&f.Person.User)
	case f.Person.User.Locked:
		state = "locked"
	}
	conditions := []auth.Condition{{Name: "user", Facts: []auth.Fact{fact("state", state, f.Person.Found || f.Person.Deleted)}}}
	if f.Session != nil {
		conditions = append(conditions, auth.Condition{Name: "session", Facts: []auth.Fact{fact("status", f.Session.Status, f.Session.Found)}})
	}
	if f.Seat != nil {
		value := f.Seat.Membership.Role
		if !f.Seat.Found && f.Seat.LostAt > 0 {
			value = "lost"
		}
		conditions = append(conditions, auth.Condition{Name: "membership", Facts: []auth.Fact{
			{Name: "role", Value: claims.Organization.Role, Known: claims.Organization.Role != "", Source: auth.SourceToken},
			fact("role", value, f.Seat.Found || f.Seat.LostAt > 0),
		}})
	}
	for _, c := range conditions {
		c.Allowed = refusal == nil || refusal.Fact != c.Name && refusal.Fact != c.Name+".role"
		if !c.Allowed {
			c.Code = refusal.Code
		}
		x.add(c)
	}
}

func (x *Explanation) add(c auth.Condition) {
	x.Conditions = append(x.Conditions, c)
	if !c.Allowed && x.Allowed {
		x.Allowed, x.Code, x.Reason = false, c.Code, c.Reason
	}
}
