package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The kinds of tokens that machines send, by the names of Clerk's SDKs.
const (
	kindAPIKey = "api_key"
	kindM2M    = "m2m_token"
	kindOAuth  = "oauth_token"
)

// machineToken is an opaque token of any kind: an API key, an M2M token or an OAuth access token.
// JWTs are not kept. Times are milliseconds by the instance's clock.
type machineToken struct {
	Kind        string          `json:"kind"`
	ID          string          `json:"id"`
	Secret      string          `json:"secret"`
	Subject     string          `json:"subject"`
	Type        string          `json:"type,omitempty"` // of an API key
	Name        string          `json:"name,omitempty"` // of an API key
	Description *string         `json:"description,omitempty"`
	Claims      json.RawMessage `json:"claims,omitempty"`
	Scopes      []string        `json:"scopes"`
	CreatedBy   *string         `json:"created_by,omitempty"`
	ClientID    string          `json:"client_id,omitempty"` // of an OAuth access token
	GrantID     string          `json:"grant_id,omitempty"`  // of an OAuth access token
	Audience    []string        `json:"aud,omitempty"`       // of an OAuth access token
	Revoked     bool            `json:"revoked"`
	Reason      *string         `json:"revocation_reason,omitempty"`
	ExpiresAt   int64           `json:"expires_at,omitempty"` // 0 is never
	LastUsedAt  int64           `json:"last_used_at,omitempty"`
	CreatedAt   int64           `json:"created_at"`
	UpdatedAt   int64           `json:"updated_at"`
}

func (t *machineToken) expired(now int64) bool { return t.ExpiresAt != 0 && now >= t.ExpiresAt }

func (t *machineToken) valid(now int64) bool { return !t.Revoked && !t.expired(now) }

// machineTokens has all opaque tokens.
type machineTokens struct {
	all      []*machineToken // oldest first
	bySecret map[string]*machineToken
	byID     map[string]*machineToken
}

// maxMachineTokens is how many opaque tokens of all kinds are kept. When there are more, those that
// are revoked or expired are forgotten.
const maxMachineTokens = 20_000

func (m *machineTokens) init() {
	m.bySecret, m.byID = map[string]*machineToken{}, map[string]*machineToken{}
}

func (m *machineTokens) add(t *machineToken) {
	m.all = append(m.all, t)
	m.bySecret[t.Secret], m.byID[t.ID] = t, t
}

// remove forgets the tokens that a function selects.
func (m *machineTokens) remove(which func(*machineToken) bool) {
	m.all = slices.DeleteFunc(m.all, func(t *machineToken) bool {
		if !which(t) {
			return false
		}
		delete(m.bySecret, t.Secret)
		delete(m.byID, t.ID)
		return true
	})
}

// keepToken adds a token, and refuses it if there are too many that are valid.
func (e *Emulator) keepToken(t *machineToken) error {
	if len(e.tokens.all) >= maxMachineTokens {
		now := e.clock.now().UnixMilli()
		e.tokens.remove(func(x *machineToken) bool { return !x.valid(now) })
	}
	if len(e.tokens.all) >= maxMachineTokens {
		return tooManyObjects("tokens of machines", maxMachineTokens)
	}
	e.tokens.add(t)
	e.changed = true
	return nil
}

func tooManyObjects(what string, most int) *APIError {
	return fail(http.StatusUnprocessableEntity, "quota_exceeded", "quota exceeded", fmt.Sprintf("The emulator keeps at most %d %s.", most, what))
}

// tokenID returns an id in the form of tokens of machines: a prefix and 32 hexadecimal digits.
func (r random) tokenID(prefix string) string {
	if strings.HasPrefix(r.given, prefix+"_") {
		return r.given
	}
	return prefix + "_" + hex.EncodeToString(r.bytes(16))
}

// tokenSecret returns an opaque token. Clerk documents the prefix only; its examples have 44
// characters of base64.
func (r random) tokenSecret(prefix string) string {
	return prefix + "_" + base64.StdEncoding.EncodeToString(r.bytes(32))
}

// verified returns the opaque token that a secret stands for, and counts the call, which Clerk
// bills. Clerk documents neither which status revoked and expired tokens get nor which code: here
// it is that of unknown ones, unless a fault lets them pass with their flags.
func (e *Emulator) verified(c *call, kind, secret string, admits func(*machineToken) bool) (*machineToken, error) {
	used := e.usage.of(kind)
	used.Verified++
	e.changed = true
	now := e.clock.now().UnixMilli()
	t := e.tokens.bySecret[secret]
	if t == nil || t.Kind != kind || !t.valid(now) && !c.flagged || admits != nil && !admits(t) {
		used.Refused++
		return nil, unknownToken(kind)
	}
	if t.valid(now) {
		t.LastUsedAt = now
	}
	return t, nil
}

func unknownToken(kind string) *APIError {
	name := map[string]string{kindAPIKey: "API key", kindM2M: "M2M token", kindOAuth: "OAuth access token"}[kind]
	return fail(http.StatusNotFound, "resource_not_found", "not found", "No valid "+name+" was found.")
}

// revokeToken revokes a token. A second revocation changes nothing.
func (e *Emulator) revokeToken(t *machineToken, reason *string) {
	if t.Revoked {
		return
	}
	t.Revoked, t.Reason, t.UpdatedAt = true, reason, e.after(t.UpdatedAt)
	e.changed = true
}

// tokenState is what all kinds of tokens show about their state.
type tokenState struct {
	Revoked    bool    `json:"revoked"`
	Reason     *string `json:"revocation_reason"`
	Expired    bool    `json:"expired"`
	Expiration *int64  `json:"expiration"`
	CreatedAt  int64   `json:"created_at"`
	UpdatedAt  int64   `json:"updated_at"`
}

func (e *Emulator) tokenState(t *machineToken) tokenState {
	return tokenState{
		Revoked: t.Revoked, Reason: t.Reason, Expired: t.expired(e.clock.now().UnixMilli()), Expiration: timeOrNull(t.ExpiresAt),
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
}

// timeOrNull returns nil for the time 0, which stands for none.
func timeOrNull(ms int64) *int64 {
	if ms == 0 {
		return nil
	}
	return &ms
}

// edge makes an endpoint of one whose refusals have another form: Clerk describes only 400 for
// malformed parameters of tokens, with the code bad_request.
func edge(handle func(*Emulator, *call) (any, error)) func(*Emulator, *call) (any, error) {
	return func(e *Emulator, c *call) (any, error) {
		value, err := handle(e, c)
		var failure *APIError
		if errors.As(err, &failure) && (failure.Status == http.StatusUnprocessableEntity || failure.Status == http.StatusUnsupportedMediaType) {
			failure.Status = http.StatusBadRequest
			for i := range failure.Errors {
				failure.Errors[i].Code = "bad_request"
			}
		}
		return value, err
	}
}

// nullable is a parameter that may be absent, null or a value.
type nullable[T any] struct {
	set   bool
	value *T
}

// UnmarshalJSON reads a value, or null.
func (p *nullable[T]) UnmarshalJSON(b []byte) error {
	p.set = true
	return json.Unmarshal(b, &p.value)
}

// The bounds of what callers choose. Clerk publishes none of them.
const (
	maxTokenLife  = 100 * 365 * 24 * 60 * 60 // seconds
	maxClaims     = 16 << 10                 // bytes
	maxScopes     = 150
	maxScopeBytes = 256
)

// tokenEnd returns when a token expires that lives for some seconds; nil means never, which is 0.
func (e *Emulator) tokenEnd(seconds *float64, from int64) (int64, error) {
	if seconds == nil {
		return 0, nil
	}
	if !(*seconds > 0 && *seconds <= maxTokenLife) {
		return 0, invalid("seconds_until_expiration", "seconds_until_expiration must be greater than 0, and at most a century.")
	}
	return from + max(1, int64(*seconds*1000)), nil
}

// tokenClaims returns claims without spaces, or nil for null, and refuses those that are too long.
func tokenClaims(claims json.RawMessage) (json.RawMessage, error) {
	if len(claims) > maxClaims {
		return nil, invalid("claims", fmt.Sprintf("claims must be at most %d bytes.", maxClaims))
	}
	var compact bytes.Buffer
	if len(claims) == 0 || string(claims) == "null" {
		return nil, nil
	}
	if err := json.Compact(&compact, claims); err != nil {
		return nil, malformed("claims", "claims must be JSON.")
	}
	return compact.Bytes(), nil
}

// shownClaims returns claims as they are shown: null if there are none.
func shownClaims(claims json.RawMessage) json.RawMessage {
	if len(claims) == 0 {
		return json.RawMessage("null")
	}
	return claims
}

func checkScopes(scopes []string) error {
	tooLong := func(s string) bool { return s == "" || len(s) > maxScopeBytes }
	if len(scopes) > maxScopes || slices.ContainsFunc(scopes, tooLong) {
		return invalid("scopes", fmt.Sprintf("scopes must be at most %d texts of 1 to %d bytes.", maxScopes, maxScopeBytes))
	}
	return nil
}

// tokenWindow reads limit and offset of a list of tokens, whose limit is 1 to 100.
func (c *call) tokenWindow() (limit, offset int, err error) {
	limit, offset, err = c.window()
	if n, _ := c.number("limit", 10); err == nil && n > 100 {
		return 0, 0, invalid("limit", "limit must be less than or equal to 100.")
	}
	return limit, offset, err
}

// flag reads a parameter that is true or false.
func (c *call) flag(name string) (bool, error) {
	switch c.query.Get(name) {
	case "", "false", "null":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalid(name, name+" must be true or false.")
}

// whole returns seconds as a duration.
func whole(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
