package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Values of [Claims].Status.
const (
	StatusActive  = "active"  // the session is active
	StatusPending = "pending" // the session has open tasks, such as choosing an organization
)

// Claims are the claims of a verified token, in one form for Clerk's token versions 1 and 2 and for
// all kinds of tokens. A claim that is absent, or not in Clerk's form, has the zero value. Do not
// change a Claims value: it may be shared.
//
// Source: https://clerk.com/docs/guides/sessions/session-tokens.
type Claims struct {
	Kind            Kind     // the kind of the token
	Subject         string   // sub: never empty; user_…, of an API key also org_…, of an M2M token mch_…
	SessionID       string   // sid: never empty in a session token with RS256; others have none
	Issuer          string   // iss: the URL of the instance's Frontend API
	AuthorizedParty string   // azp: the origin of the page that requested the token
	Audience        []string // aud
	TokenID         string   // jti

	// IssuedAt, NotBefore and ExpiresAt are the claims iat, nbf and exp, in whole seconds and UTC.
	// They are zero if absent. Only an API key may have no ExpiresAt: it is valid until it is
	// revoked.
	IssuedAt, NotBefore, ExpiresAt time.Time

	Version int    // v: 2, or 1 for every token that does not say 2
	Status  string // sts: StatusActive, also if absent, or StatusPending if the verifier allows it

	Organization *ActiveOrganization // o: nil if no organization is active in the session
	Features     Scoped              // fea
	Plans        Scoped              // pla

	// FactorAges (fva) are the minutes since the first and the second factor were checked, -1 for
	// never. nil means that the token does not say. It does not mean 0, which is "just now".
	FactorAges *[2]int

	// Actor (act) is the party that acts in the name of Subject. It is set if the token has the
	// claim in any form but null.
	Actor *Actor

	// Scopes are what an API key or an OAuth access token was granted, and what the configuration
	// grants a machine. See [Scope].
	Scopes []string

	KeyID     string // Clerk's id of an API key or of another opaque token (ak_…, oat_…, mt_…); "" for JWTs
	CreatedBy string // the user (user_…) who made an API key, "" if a backend did
	ClientID  string // the OAuth application to which the user granted the token
	MachineID string // the machine (mch_…) that an M2M token identifies

	// Raw is the payload as signed. Of an opaque token, it is what the creator stored with it as
	// claims, or null.
	Raw json.RawMessage
}

// ActiveOrganization is the organization that is active in the session. Tokens name no other
// organization of the user.
type ActiveOrganization struct {
	ID   string // org_…
	Slug string // "" if the instance has no slugs
	Role string // org:<role>, or "" if the token names none

	// Permissions are org:<feature>:<permission>. Tokens never hold Clerk's system permissions
	// (org:sys_…).
	Permissions []string
}

// Actor is the party that acts in the name of a user (RFC 8693 section 4.1). Clerk calls this
// impersonation.
type Actor struct {
	Subject   string // sub: the user id of the actor
	Issuer    string // iss
	SessionID string // sid: the session of the actor
	Type      string // type: "agent" for an agent, usually ""
}

// UserID returns the user (user_…) who makes the request, or in whose name an API key or an OAuth
// application makes it. It returns "" for a machine and for the API key of an organization.
func (c *Claims) UserID() string {
	if c.Kind == Session || strings.HasPrefix(c.Subject, "user_") {
		return c.Subject
	}
	return ""
}

// Decode unmarshals the payload into a value of your own. Use it for the custom claims of a session
// token template. It follows encoding/json, which ignores the case of keys. For standard claims use
// the fields of Claims.
func (c *Claims) Decode(into any) error {
	if err := json.Unmarshal(c.Raw, into); err != nil {
		return fmt.Errorf("auth: custom claims: %w", err)
	}
	return nil
}

// parseClaims reads a payload whose signature has been verified. It checks types only. The verifier
// checks the values.
func parseClaims(payload []byte) (*Claims, error) {
	doc, err := parseObject(string(payload))
	if err != nil {
		return nil, invalidToken(ReasonMalformed, fmt.Errorf("payload: %w", err))
	}
	r := &claimReader{doc: doc}
	c := &Claims{Raw: payload, Version: 1, Status: StatusActive}
	c.Subject, c.SessionID = r.text("sub"), r.text("sid")
	if c.Subject == "" && r.err == nil {
		r.err = errors.New("claim sub is missing")
	}
	if r.err != nil {
		return nil, invalidPayload(r.err)
	}
	c.Issuer, c.AuthorizedParty, c.Audience, c.TokenID = r.text("iss"), r.text("azp"), r.texts("aud"), r.text("jti")
	c.IssuedAt, c.NotBefore, c.ExpiresAt = r.seconds("iat"), r.seconds("nbf"), r.seconds("exp")
	if c.ExpiresAt.IsZero() && r.err == nil {
		r.err = errors.New("claim exp is missing")
	}
	if _, found := doc.get("sts"); found {
		c.Status = r.text("sts")
	}
	if r.err != nil {
		return nil, invalidToken(ReasonMalformed, r.err)
	}
	factorAges, _ := doc.get("fva")
	actor, _ := doc.get("act")
	c.FactorAges, c.Actor = parseFactorAges(factorAges), parseActor(actor)
	if version, _ := doc.get("v"); version == "2" {
		c.Version = 2
		features, _ := doc.get("fea")
		plans, _ := doc.get("pla")
		c.Features, c.Plans = parseScoped(features), parseScoped(plans)
		organization, _ := doc.get("o")
		list, _ := unquote(features)
		c.Organization = organizationV2(organization, list)
	} else {
		c.Organization = organizationV1(doc)
	}
	return c, nil
}

// organizationV2 reads the claim o of a version 2 token. It returns nil if the claim is malformed.
func organizationV2(value, features string) *ActiveOrganization {
	o, err := parseObject(value)
	id, _ := o.text("id")
	if err != nil || id == "" {
		return nil
	}
	slug, _ := o.text("slg")
	role, _ := o.text("rol")
	names, _ := o.text("per")
	masks, _ := o.text("fpm")
	return &ActiveOrganization{
		ID: id, Slug: slug, Role: prefixedRole(role), Permissions: decodePermissions(features, names, masks),
	}
}

// organizationV1 reads the organization of a version 1 token, or nil.
func organizationV1(doc object) *ActiveOrganization {
	id, _ := doc.text("org_id")
	if id == "" {
		return nil
	}
	slug, _ := doc.text("org_slug")
	role, _ := doc.text("org_role")
	list, _ := doc.get("org_permissions")
	permissions, ok := parseTexts(list)
	if !ok {
		permissions = nil
	}
	return &ActiveOrganization{ID: id, Slug: slug, Role: prefixedRole(role), Permissions: permissions}
}

func prefixedRole(role string) string {
	if role = strings.TrimPrefix(role, "org:"); role == "" {
		return ""
	}
	return "org:" + role
}

// parseFactorAges reads two numbers of minutes, each -1 or more. It returns nil for anything else,
// which must not be taken for "just checked".
func parseFactorAges(value string) *[2]int {
	elements, err := parseArray(value)
	if err != nil || len(elements) != 2 {
		return nil
	}
	var ages [2]int
	for i, element := range elements {
		if ages[i], err = strconv.Atoi(element); err != nil || ages[i] < -1 {
			return nil
		}
	}
	return &ages
}

// parseActor returns an actor for every claim act, whatever it contains, so that no impersonation
// is overlooked.
func parseActor(value string) *Actor {
	if value == "" || value == "null" {
		return nil
	}
	o, err := parseObject(value)
	if err != nil {
		return &Actor{}
	}
	a := &Actor{}
	a.Subject, _ = o.text("sub")
	a.Issuer, _ = o.text("iss")
	a.SessionID, _ = o.text("sid")
	a.Type, _ = o.text("type")
	return a
}

// claimReader reads claims that may be absent but must not have a wrong type. null is a wrong type:
// Clerk leaves out what it does not say, and libraries disagree about the meaning of null. err is
// the first error.
type claimReader struct {
	doc object
	err error
}

func (r *claimReader) text(name string) string {
	value, found := r.doc.get(name)
	text, ok := unquote(value)
	if found && !ok {
		r.fail(name, "is not a string")
	}
	return text
}

// texts reads a string or a list of strings, the two forms of aud.
func (r *claimReader) texts(name string) []string {
	value, found := r.doc.get(name)
	if !found {
		return nil
	}
	if text, ok := unquote(value); ok {
		return []string{text}
	}
	texts, ok := parseTexts(value)
	if !ok {
		r.fail(name, "is neither a string nor a list of strings")
	}
	return texts
}

// maxSeconds is the last second of the year 9999.
const maxSeconds = 253402300799

// seconds reads a NumericDate (RFC 7519 section 2).
func (r *claimReader) seconds(name string) time.Time {
	value, found := r.doc.get(name)
	if !found {
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !isDigit(value[0]) || seconds > maxSeconds {
		r.fail(name, "is not a plausible number of seconds")
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

func (r *claimReader) fail(name, fault string) {
	if r.err == nil {
		r.err = fmt.Errorf("claim %s %s", name, fault)
	}
}

// parseTexts reads a list of strings. It returns false for anything else.
func parseTexts(value string) ([]string, bool) {
	elements, err := parseArray(value)
	if err != nil {
		return nil, false
	}
	texts := make([]string, len(elements))
	for i, element := range elements {
		var ok bool
		if texts[i], ok = unquote(element); !ok {
			return nil, false
		}
	}
	return texts, true
}
