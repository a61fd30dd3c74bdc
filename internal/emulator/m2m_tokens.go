package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

const categoryM2M = "cl_B7d4PD333AAA"

// M2MToken is a token by which a machine calls others.
type M2MToken struct {
	Object  string          `json:"object"`
	ID      string          `json:"id"`
	Subject string          `json:"subject"`
	Claims  json.RawMessage `json:"claims"`
	Scopes  []string        `json:"scopes"`          // ids of the machines that may receive it
	Token   string          `json:"token,omitempty"` // once, when it is made
	tokenState
	LastUsedAt *int64 `json:"last_used_at"`
}

func (e *Emulator) m2mToken(t *machineToken) M2MToken {
	return M2MToken{
		Object: "machine_to_machine_token", ID: t.ID, Subject: t.Subject, Claims: shownClaims(t.Claims), Scopes: t.Scopes, tokenState: e.tokenState(t),
		LastUsedAt: timeOrNull(t.LastUsedAt),
	}
}

// m2mParameters describe an M2M token.
type m2mParameters struct {
	Format       string          `json:"token_format"`
	Seconds      *float64        `json:"seconds_until_expiration"`
	Claims       json.RawMessage `json:"claims"`
	MinRemaining *int            `json:"min_remaining_ttl_seconds"`
}

// createM2MToken makes a token of the machine whose secret key signs the request.
func (e *Emulator) createM2MToken(c *call) (any, error) {
	if c.machine == nil {
		return nil, fail(http.StatusForbidden, "authorization_invalid", "unauthorized", "M2M tokens are made with the secret key of a machine.")
	}
	var p m2mParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	shown, err := e.addM2MToken(c.machine, p)
	if err != nil {
		return nil, err
	}
	return created{shown}, nil
}

// addM2MToken makes a token, or returns one that lives long enough. Without a life, it is that of
// the machine: Clerk's documents contradict each other about null, which some say means for ever.
func (e *Emulator) addM2MToken(m *Machine, p m2mParameters) (shown M2MToken, err error) {
	seconds := float64(m.DefaultTokenTTL)
	if p.Seconds != nil {
		seconds = *p.Seconds
	}
	now := e.after(0)
	end, err := e.tokenEnd(&seconds, now)
	if err != nil {
		return shown, err
	}
	claims, err := tokenClaims(p.Claims)
	if err != nil {
		return shown, err
	}
	switch p.Format {
	case "", "opaque":
	case "jwt":
		return e.m2mJWT(m, claims, time.Duration(seconds*float64(time.Second)))
	default:
		return shown, invalid("token_format", "token_format must be opaque or jwt.")
	}
	receivers := []string{}
	for _, s := range m.scopes {
		receivers = append(receivers, s.To)
	}
	t := &machineToken{
		Kind: kindM2M, ID: e.random.tokenID("mt"), Secret: e.random.tokenSecret("mt"), Subject: m.ID, Claims: claims, Scopes: receivers,
		ExpiresAt: end, CreatedAt: now, UpdatedAt: now,
	}
	if p.MinRemaining != nil {
		if *p.MinRemaining < 0 || float64(*p.MinRemaining) >= seconds {
			return shown, invalid("min_remaining_ttl_seconds", "min_remaining_ttl_seconds must be at least 0, and less than the life of the token.")
		}
		if x := e.reusable(t, now+int64(*p.MinRemaining)*1000); x != nil {
			shown = e.m2mToken(x)
			shown.Token = x.Secret
			return shown, nil
		}
	}
	if err := e.keepToken(t); err != nil {
		return shown, err
	}
	e.bill(kindM2M)
	shown = e.m2mToken(t)
	shown.Token = t.Secret
	return shown, nil
}

// reusable returns a token like another one that is valid until a time, or nil.
func (e *Emulator) reusable(like *machineToken, until int64) *machineToken {
	for _, t := range slices.Backward(e.tokens.all) {
		if t.Kind == kindM2M && t.Subject == like.Subject && t.valid(until) && slices.Equal(t.Scopes, like.Scopes) && sameJSON(t.Claims, like.Claims) {
			return t
		}
	}
	return nil
}

// m2mJWT makes a token in the form of a JWT. It is not kept, its times are real, and it says
// nothing about receivers: Clerk adds neither aud nor scopes. What says who sends it cannot be
// overridden by the claims.
func (e *Emulator) m2mJWT(m *Machine, claims json.RawMessage, life time.Duration) (shown M2MToken, err error) {
	all := map[string]any{}
	if len(claims) > 0 {
		if err := json.Unmarshal(claims, &all); err != nil {
			return shown, malformed("claims", "claims of a JWT must be an object.")
		}
	}
	now := time.Now()
	end, id := now.Add(life), e.random.tokenID("mt")
	maps.Copy(all, map[string]any{
		"iss": e.Issuer, "sub": m.ID, "jti": id, "iat": now.Unix(), "nbf": now.Unix(), "exp": end.Unix(),
	})
	jwt, err := e.sign(all, categoryM2M, nil, 0)
	if err != nil {
		return shown, err
	}
	e.bill(kindM2M)
	return M2MToken{
		Object: "machine_to_machine_token", ID: id, Subject: m.ID, Claims: shownClaims(claims), Scopes: []string{}, Token: jwt,
		tokenState: tokenState{Expiration: new(end.UnixMilli()), CreatedAt: now.UnixMilli(), UpdatedAt: now.UnixMilli()},
	}, nil
}

func (e *Emulator) listM2MTokens(c *call) (any, error) {
	subject := c.query.Get("subject")
	if subject == "" {
		return nil, missing("subject")
	}
	if c.machine != nil && c.machine.ID != subject {
		return nil, fail(http.StatusForbidden, "authorization_invalid", "unauthorized", "The key of a machine lists the tokens of that machine only.")
	}
	if _, err := e.machine(subject); err != nil {
		return nil, err
	}
	revoked, err := c.flag("revoked")
	if err != nil {
		return nil, err
	}
	expired, err := c.flag("expired")
	if err != nil {
		return nil, err
	}
	limit, offset, err := c.tokenWindow()
	if err != nil {
		return nil, err
	}
	now, matching := e.clock.now().UnixMilli(), []M2MToken{}
	for _, t := range slices.Backward(e.tokens.all) {
		if t.Kind == kindM2M && t.Subject == subject && (revoked || !t.Revoked) && (expired || !t.expired(now)) {
			matching = append(matching, e.m2mToken(t))
		}
	}
	return struct {
		Tokens     []M2MToken `json:"m2m_tokens"`
		TotalCount int        `json:"total_count"`
	}{cut(matching, limit, offset), len(matching)}, nil
}

func (e *Emulator) revokeM2MToken(c *call) (any, error) {
	t := e.tokens.byID[c.id()]
	if t == nil || t.Kind != kindM2M || c.machine != nil && t.Subject != c.machine.ID {
		return nil, notFound("M2M token", c.id())
	}
	reason, err := c.revocationOf()
	if err != nil {
		return nil, err
	}
	e.revokeToken(t, reason)
	return e.m2mToken(t), nil
}

// verifyM2MToken verifies an opaque token. With the key of a machine, that machine must be one of
// the receivers; Clerk does not publish the status that it gets otherwise, nor that of a JWT.
func (e *Emulator) verifyM2MToken(c *call) (any, error) {
	var p struct {
		Token string `json:"token"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Token == "" {
		return nil, missing("token")
	}
	t, err := e.verified(c, kindM2M, p.Token, func(t *machineToken) bool {
		return c.machine == nil || slices.Contains(t.Scopes, c.machine.ID)
	})
	if err != nil {
		return nil, err
	}
	return e.m2mToken(t), nil
}

// orderM2MToken makes a token of a machine without its key. A negative life makes one that has
// expired already.
func (e *Emulator) orderM2MToken(c *call) (any, error) {
	var p struct {
		MachineID string          `json:"machine_id"`
		Format    string          `json:"token_format"`
		ExpiresIn *int            `json:"expires_in_seconds"`
		Claims    json.RawMessage `json:"claims"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	m, err := e.machine(p.MachineID)
	if err != nil {
		return nil, err
	}
	life := whole(m.DefaultTokenTTL)
	if p.ExpiresIn != nil {
		life = whole(*p.ExpiresIn)
	}
	if life.Abs() > whole(maxTokenTTL) {
		return nil, invalid("expires_in_seconds", fmt.Sprintf("expires_in_seconds must be at most %d.", maxTokenTTL))
	}
	claims, err := tokenClaims(p.Claims)
	if err != nil {
		return nil, err
	}
	if p.Format == "jwt" {
		shown, err := e.m2mJWT(m, claims, life)
		if err != nil {
			return nil, err
		}
		return shown, nil
	}
	shown, err := e.addM2MToken(m, m2mParameters{Format: p.Format, Claims: claims})
	if err != nil {
		return nil, err
	}
	t := e.tokens.byID[shown.ID]
	t.ExpiresAt = t.CreatedAt + life.Milliseconds()
	shown = e.m2mToken(t)
	shown.Token = t.Secret
	return shown, nil
}
