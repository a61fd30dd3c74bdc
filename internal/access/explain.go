package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/internal/nearest"
	"github.com/clerksync/clerksync/mirror"
)

// Question asks why a caller is allowed or denied. The public package has a type of the same
// fields and documents them.
type Question struct {
	Token               string
	ClerkUserID         string
	ClerkSessionID      string
	ClerkOrganizationID string
	Rule                auth.Rule
}

// Explanation is the result of explaining a [Question]. The public package has a type of the same
// fields and documents them.
type Explanation struct {
	Allowed     bool
	Code        string
	Reason      string
	ClerkUserID string
	Unready     string
	Conditions  []auth.Condition
	Notes       []string
}

// errNoCaller means that a question names no caller.
var errNoCaller = errors.New("clerksync: explain: set a token or a user")

// Explain returns why a caller is allowed or denied. It changes nothing and sends no request to
// Clerk.
func (g *Gate) Explain(ctx context.Context, q Question) (*Explanation, error) {
	x := &Explanation{Unready: g.config.Unready, Allowed: true}
	claims, err := g.claimsOf(ctx, q, x)
	if err != nil || claims == nil {
		return x, err
	}
	x.ClerkUserID = claims.UserID()
	facts, err := g.facts(ctx, claims)
	if err != nil {
		return nil, unavailable(err)
	}
	x.addStored(g.check(claims, facts), facts, claims)
	if q.Rule == nil {
		return x, nil
	}
	subject := g.subject(claims, facts, g.cache.Ready())
	for _, c := range q.Rule.Explain(&subject) {
		x.add(c)
	}
	for _, role := range auth.Roles(q.Rule) {
		if len(subject.Ladder) > 0 && !slices.Contains(subject.Ladder, role) {
			x.Notes = append(x.Notes, fmt.Sprintf("There is no role %q. The ladder of roles is: %s. Did you mean %q?",
				role, strings.Join(subject.Ladder, ", "), nearest.Of(role, subject.Ladder)))
		}
	}
	x.noteStale(&subject, facts)
	return x, nil
}

// noteStale says of a denial that more is stored than was used, because it is not fresh.
func (x *Explanation) noteStale(used *auth.Subject, f live.Facts) {
	unused := used.Role == "" && f.User != nil && used.Claims.UserID() != "" && f.User.Found && f.User.Row.Role != "" && !f.User.Row.Stub ||
		used.Membership == nil && f.Membership != nil && f.Membership.Found && !f.Membership.Row.Stub
	switch {
	case x.Allowed || !unused:
	case x.Unready == Deny:
		x.Notes = append(x.Notes, "The stored role or membership grants nothing, because it is not fresh (CLERKSYNC_UNREADY=deny).")
	default:
		x.Notes = append(x.Notes, "The stored role or membership is not fresh, so it was not used here. A running server reads it from Clerk before it "+
			"decides (CLERKSYNC_UNREADY=ask), and may allow.")
	}
}

// claimsOf returns the claims that the question is about, nil where the token does not verify.
func (g *Gate) claimsOf(ctx context.Context, q Question, x *Explanation) (*auth.Claims, error) {
	if q.Token == "" {
		if q.ClerkUserID == "" {
			return nil, errNoCaller
		}
		claims := &auth.Claims{Subject: q.ClerkUserID, SessionID: q.ClerkSessionID, IssuedAt: g.config.Now(), Status: auth.StatusActive}
		if q.ClerkOrganizationID != "" {
			claims.Organization = &auth.ActiveOrganization{ID: q.ClerkOrganizationID}
		}
		return claims, nil
	}
	if auth.KindOf(q.Token) != auth.Session {
		return g.machineClaimsOf(ctx, q, x)
	}
	err := errNoKeys
	var claims *auth.Claims
	if g.config.Tokens != nil {
		claims, err = g.config.Tokens.Verify(ctx, q.Token)
	}
	if err == nil {
		if err = g.foreignKeys(); err != nil {
			claims = nil
		}
	}
	c := auth.Condition{Name: "token", Allowed: err == nil}
	if err != nil {
		d := invalidToken(err)
		c.Code, c.Reason = d.Code, d.Reason
		c.Facts = tokenFacts(q.Token, err)
	}
	x.add(c)
	return claims, nil
}

// tokenFacts returns why a token was refused, and its issuer where that is the reason: its
// signature was verified then.
func tokenFacts(token string, err error) (facts []auth.Fact) {
	refused, ok := errors.AsType[*auth.Error](err)
	if !ok || refused.Err == nil {
		return nil
	}
	fact := func(name, value string) {
		facts = append(facts, auth.Fact{Name: name, Value: value, Known: true, Source: auth.SourceToken})
	}
	if refused.Reason == auth.ReasonIssuer {
		_, payload, _ := strings.Cut(token, ".")
		payload, _, _ = strings.Cut(payload, ".")
		text, _ := base64.RawURLEncoding.DecodeString(payload)
		var claims struct {
			Issuer string `json:"iss"`
		}
		if json.Unmarshal(text, &claims) == nil {
			fact("iss", claims.Issuer)
		}
	}
	fact("cause", refused.Err.Error())
	return facts
}

// addStored adds what is stored for or against the caller.
func (x *Explanation) addStored(refusal *live.Refusal, f live.Facts, claims *auth.Claims) {
	fact := func(name, value string, known bool) auth.Fact {
		return auth.Fact{Name: name, Value: value, Known: known, Source: auth.SourceMirror}
	}
	overridden := func(facts []auth.Fact, list []mirror.Override) []auth.Fact {
		for _, o := range list {
			facts = append(facts, fact("override", fmt.Sprintf("%s is %s here, %s at Clerk", o.Field, o.Value, o.ClerkValue), true))
		}
		return facts
	}
	var conditions []auth.Condition
	if f.User != nil {
		user := []auth.Fact{fact("state", stateOf(f.User), f.User.Found || f.User.Deleted)}
		conditions = append(conditions, auth.Condition{Name: "user", Facts: overridden(user, f.User.Row.Overrides)})
	}
	if o := f.Organization; o != nil {
		state := "active"
		if o.Deleted {
			state = "deleted"
		}
		conditions = append(conditions, auth.Condition{Name: "organization", Facts: []auth.Fact{fact("state", state, o.Found || o.Deleted)}})
	}
	if f.Session != nil {
		session := []auth.Fact{fact("status", string(f.Session.Status), f.Session.Found)}
		conditions = append(conditions, auth.Condition{Name: "session", Facts: overridden(session, f.Session.Overrides)})
	}
	if f.Membership != nil {
		value := f.Membership.Row.Role
		if !f.Membership.Found && f.Membership.LostAt > 0 {
			value = "lost"
		}
		conditions = append(conditions, auth.Condition{Name: "membership", Facts: []auth.Fact{
			{Name: "role", Value: claims.Organization.Role, Known: claims.Organization.Role != "", Source: auth.SourceToken},
			fact("role", value, f.Membership.Found || f.Membership.LostAt > 0),
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

// stateOf names the state of a user.
func stateOf(p *live.UserFacts) string {
	switch {
	case p.Deleted:
		return "deleted"
	case p.Found && !p.Row.IsActive:
		return live.Inactive(&p.Row)
	case p.Row.Locked:
		return "locked"
	default:
		return "active"
	}
}

// add adds a condition. The first one that is not met decides.
func (x *Explanation) add(c auth.Condition) {
	x.Conditions = append(x.Conditions, c)
	if !c.Allowed && x.Allowed {
		x.Allowed, x.Code, x.Reason = false, c.Code, c.Reason
	}
}
