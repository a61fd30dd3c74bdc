package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// APIKey is an API key of a user, an organization or a machine.
type APIKey struct {
	Object      string          `json:"object"`
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Claims      json.RawMessage `json:"claims"`
	Scopes      []string        `json:"scopes"`
	Secret      string          `json:"secret,omitempty"` // once, when it is made
	tokenState
	CreatedBy  *string `json:"created_by"`
	LastUsedAt *int64  `json:"last_used_at"`
}

func (e *Emulator) apiKey(t *machineToken) APIKey {
	return APIKey{
		Object: "api_key", ID: t.ID, Type: t.Type, Subject: t.Subject, Name: t.Name, Description: t.Description, Claims: shownClaims(t.Claims),
		Scopes: t.Scopes, tokenState: e.tokenState(t), CreatedBy: t.CreatedBy, LastUsedAt: timeOrNull(t.LastUsedAt),
	}
}

// apiKeyParameters describe an API key.
type apiKeyParameters struct {
	Type        *string           `json:"type"`
	Name        string            `json:"name"`
	Description *string           `json:"description"`
	Subject     string            `json:"subject"`
	Claims      json.RawMessage   `json:"claims"`
	Scopes      []string          `json:"scopes"`
	CreatedBy   *string           `json:"created_by"`
	Seconds     nullable[float64] `json:"seconds_until_expiration"`

	secret string // of fixtures
}

var apiKeyName = regexp.MustCompile(`^\S(.*\S)?$`)

// The bounds of an API key. Clerk publishes no longest name.
const (
	maxAPIKeyName        = 255
	maxAPIKeyDescription = 255
)

func (p *apiKeyParameters) check() error {
	switch n := len([]rune(p.Name)); {
	case p.Name == "":
		return missing("name")
	case n < 3 || n > maxAPIKeyName || !apiKeyName.MatchString(p.Name):
		return invalid("name", fmt.Sprintf("name must be 3 to %d characters, without spaces around them.", maxAPIKeyName))
	case p.Subject == "":
		return missing("subject")
	case p.Type != nil && (len(*p.Type) < 3 || len(*p.Type) > 25):
		return invalid("type", "type must be 3 to 25 characters.")
	}
	return checkAPIKey(p.Description, p.Scopes)
}

func checkAPIKey(description *string, scopes []string) error {
	if len([]rune(or(description))) > maxAPIKeyDescription {
		return invalid("description", fmt.Sprintf("description must be at most %d characters.", maxAPIKeyDescription))
	}
	return checkScopes(scopes)
}

// checkSubject refuses subjects of keys that do not exist. Clerk documents their form only.
func (e *Emulator) checkSubject(parameter, id string, prefixes ...string) error {
	prefix, _, _ := strings.Cut(id, "_")
	known := false
	switch prefix {
	case "user":
		_, known = e.users.byID[id]
	case "org":
		_, known = e.organizations.byID[id]
	case "mch":
		_, err := e.machine(id)
		known = err == nil
	}
	if !known || !slices.Contains(prefixes, prefix) {
		return invalid(parameter, parameter+" must be an id that exists: "+strings.Join(prefixes, "_…, ")+"_….")
	}
	return nil
}

func (e *Emulator) createAPIKey(c *call) (any, error) {
	var p apiKeyParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	t, err := e.addAPIKey(p)
	if err != nil {
		return nil, err
	}
	shown := e.apiKey(t)
	shown.Secret = t.Secret
	return shown, nil
}

func (e *Emulator) addAPIKey(p apiKeyParameters) (*machineToken, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := e.checkSubject("subject", p.Subject, "user", "org", "mch"); err != nil {
		return nil, err
	}
	if p.CreatedBy != nil {
		if err := e.checkSubject("created_by", *p.CreatedBy, "user"); err != nil {
			return nil, err
		}
	}
	claims, err := tokenClaims(p.Claims)
	if err != nil {
		return nil, err
	}
	now := e.after(0)
	end, err := e.tokenEnd(p.Seconds.value, now)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(e.tokens.all, func(t *machineToken) bool {
		return t.Kind == kindAPIKey && t.Subject == p.Subject && t.Name == p.Name && t.valid(now)
	}) {
		return nil, fail(http.StatusConflict, "duplicate_record", "already exists", "The subject has an API key of this name.").about("name")
	}
	t := &machineToken{
		Kind: kindAPIKey, ID: e.random.tokenID("ak"), Subject: p.Subject, Type: "api_key", Name: p.Name, Description: p.Description, Claims: claims,
		Scopes: append([]string{}, p.Scopes...), CreatedBy: p.CreatedBy, ExpiresAt: end, CreatedAt: now, UpdatedAt: now,
	}
	if p.Type != nil {
		t.Type = *p.Type
	}
	if t.Secret = p.secret; t.Secret == "" {
		t.Secret = e.random.tokenSecret("ak")
	}
	if err := e.keepToken(t); err != nil {
		return nil, err
	}
	e.bill(kindAPIKey)
	return t, nil
}

func (e *Emulator) listAPIKeys(c *call) (any, error) {
	subject := c.query.Get("subject")
	if subject == "" {
		return nil, missing("subject")
	}
	all, err := c.flag("include_invalid")
	if err != nil {
		return nil, err
	}
	limit, offset, err := c.tokenWindow()
	if err != nil {
		return nil, err
	}
	kind, query, now := c.query.Get("type"), strings.ToLower(c.query.Get("query")), e.clock.now().UnixMilli()
	if kind == "" {
		kind = "api_key"
	}
	matching := []APIKey{}
	for _, t := range slices.Backward(e.tokens.all) {
		wanted := t.Kind == kindAPIKey && t.Subject == subject && t.Type == kind && strings.Contains(strings.ToLower(t.Name), query)
		if wanted && (all || t.valid(now)) {
			matching = append(matching, e.apiKey(t))
		}
	}
	return list{cut(matching, limit, offset), len(matching)}, nil
}

// apiKeyOf returns the API key that a request is about. Its id may begin with ak_ or api_key_.
func (e *Emulator) apiKeyOf(c *call) (*machineToken, error) {
	id := c.id()
	if rest, ok := strings.CutPrefix(id, "api_key_"); ok {
		id = "ak_" + rest
	}
	if t := e.tokens.byID[id]; t != nil && t.Kind == kindAPIKey {
		return t, nil
	}
	return nil, notFound("API key", c.id())
}

func (e *Emulator) getAPIKey(c *call) (any, error) {
	t, err := e.apiKeyOf(c)
	if err != nil {
		return nil, err
	}
	return e.apiKey(t), nil
}

// updateAPIKey changes a key. Clerk says that a key stays revoked or expired, so such a key cannot
// be changed here.
func (e *Emulator) updateAPIKey(c *call) (any, error) {
	t, err := e.apiKeyOf(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Claims      nullable[json.RawMessage] `json:"claims"`
		Scopes      *[]string                 `json:"scopes"`
		Description nullable[string]          `json:"description"`
		Subject     *string                   `json:"subject"`
		Seconds     nullable[float64]         `json:"seconds_until_expiration"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	now := e.after(t.UpdatedAt)
	if !t.valid(now) {
		return nil, invalid("id", "The API key is revoked or expired.")
	}
	next := *t
	if p.Claims.set {
		if next.Claims, err = tokenClaims(or(p.Claims.value)); err != nil {
			return nil, err
		}
	}
	if p.Scopes != nil {
		next.Scopes = append([]string{}, *p.Scopes...)
	}
	if p.Description.set {
		next.Description = p.Description.value
	}
	if p.Subject != nil {
		next.Subject = *p.Subject
		if err := e.checkSubject("subject", next.Subject, "user", "org", "mch"); err != nil {
			return nil, err
		}
	}
	if p.Seconds.set {
		if next.ExpiresAt, err = e.tokenEnd(p.Seconds.value, now); err != nil {
			return nil, err
		}
	}
	if err := checkAPIKey(next.Description, next.Scopes); err != nil {
		return nil, err
	}
	next.UpdatedAt = now
	*t, e.changed = next, true
	return e.apiKey(t), nil
}

func (e *Emulator) deleteAPIKey(c *call) (any, error) {
	t, err := e.apiKeyOf(c)
	if err != nil {
		return nil, err
	}
	e.tokens.remove(func(x *machineToken) bool { return x == t })
	e.changed = true
	return Deleted{Object: "api_key", ID: t.ID, Deleted: true}, nil
}

func (e *Emulator) getAPIKeySecret(c *call) (any, error) {
	t, err := e.apiKeyOf(c)
	if err != nil {
		return nil, err
	}
	return map[string]string{"secret": t.Secret}, nil
}

// revocation is the body of a request that revokes a token.
type revocation struct {
	Reason *string `json:"revocation_reason"`
}

const maxReason = 1024

// revocationOf reads the body of a request that revokes a token.
func (c *call) revocationOf() (*string, error) {
	var p revocation
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if len(or(p.Reason)) > maxReason {
		return nil, invalid("revocation_reason", fmt.Sprintf("revocation_reason must be at most %d bytes.", maxReason))
	}
	return p.Reason, nil
}

func (e *Emulator) revokeAPIKey(c *call) (any, error) {
	t, err := e.apiKeyOf(c)
	if err != nil {
		return nil, err
	}
	reason, err := c.revocationOf()
	if err != nil {
		return nil, err
	}
	e.revokeToken(t, reason)
	return e.apiKey(t), nil
}

func (e *Emulator) verifyAPIKey(c *call) (any, error) {
	var p struct {
		Secret string `json:"secret"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Secret == "" {
		return nil, missing("secret")
	}
	t, err := e.verified(c, kindAPIKey, p.Secret, nil)
	if err != nil {
		return nil, err
	}
	return e.apiKey(t), nil
}
