package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Session states of [Claims.Status].
const (
	StatusActive  = "active"
	StatusPending = "pending"
)

// Claims is what a verified session token says, alike for Clerk's token versions 1 and 2. Treat it as read-only: it may
// be shared. What the token does not say, or says in a form that is not Clerk's, is the zero value.
//
// Source: https://clerk.com/docs/guides/sessions/session-tokens.
type Claims struct {
	Subject         string // sub: the user id, never empty
	SessionID       string // sid: never empty with RS256; template tokens (HS256) have none
	Issuer          string // iss
	AuthorizedParty string // azp: the origin of the page that asked for the token
	Audience        []string
	TokenID         string // jti

	// Times are whole seconds in UTC, fractions dropped. ExpiresAt is always set; the others are zero if absent.
	IssuedAt, NotBefore, ExpiresAt time.Time

	Version int    // 2, or 1 for tokens that do not say 2
	Status  string // sts: active (also if absent), or pending if the verifier allows it

	Organization *ActiveOrganization // nil: no organization is active in the session
	Features     Scoped              // fea
	Plans        Scoped              // pla

	// FactorAges are the minutes since the first and the second factor were checked, -1 for never. nil means that the
	// token does not say: not the same as 0, "just now".
	FactorAges *[2]int

	// Actor is who really acts in the name of Subject. It is set whenever the token has an act claim of any form but null.
	Actor *Actor

	Raw json.RawMessage // the payload as signed
}

// ActiveOrganization is the organization that is active in the session. It does not list the other ones that the user
// belongs to, and Permissions never holds Clerk's system permissions (org:sys_…): tokens lack both.
type ActiveOrganization struct {
	ID          string
	Slug        string
	Role        string   // with the prefix "org:"; "" if the token names none
	Permissions []string // org:<feature>:<permission>
}

// Actor is the party that acts in the name of another one (RFC 8693 section 4.1), Clerk's impersonation.
type Actor struct {
	Subject   string
	Issuer    string
	SessionID string
	Type      string // "agent" for an agent; usually empty
}

// Decode unmarshals the payload into a value of yours, for the custom claims of a session token template. It goes by
// the rules of encoding/json, which also takes keys in another case; rely on the fields of Claims for the standard
// ones.
func (c *Claims) Decode(into any) error {
	if err := json.Unmarshal(c.Raw, into); err != nil {
		return fmt.Errorf("auth: custom claims: %w", err)
	}
	return nil
}

// parseClaims reads a payload whose signature has been verified. It checks types; whether the values are acceptable is
// the verifier's affair.
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

// organizationV2 reads the claim o. An unreadable one is no organization.
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

// parseFactorAges reads two minutes, -1 or more each; nil for anything else, which must not read as "just checked".
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

// parseActor returns an actor for whatever an act claim holds: overlooking one would hide an impersonation.
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

// claimReader reads claims that may be absent but must not be of a wrong type. Null is a wrong type: Clerk leaves out
// what it does not say, and libraries do not agree on what null means. The first fault is kept, to be asked for once.
type claimReader struct {
	doc object
	err error
}

func (r *claimReader) text(name string) string {
	value, found := r.doc.get(name)
	text, ok := unquote(value)
	if found && !ok {
		r.fail(name, "is not text")
	}
	return text
}

// texts reads one text or a list of texts, the two forms of aud.
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
		r.fail(name, "is neither text nor a list of texts")
	}
	return texts
}

// maxSeconds is the end of the year 9999.
const maxSeconds = 253402300799

// seconds reads a NumericDate (RFC 7519 section 2).
func (r *claimReader) seconds(name string) time.Time {
	value, found := r.doc.get(name)
	if !found {
		return time.Time{}
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !isDigit(value[0]) || seconds > maxSeconds {
		r.fail(name, "is not a sane count of seconds")
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

func (r *claimReader) fail(name, fault string) {
	if r.err == nil {
		r.err = fmt.Errorf("claim %s %s", name, fault)
	}
}

// parseTexts reads a list of texts; false if it is anything else.
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
