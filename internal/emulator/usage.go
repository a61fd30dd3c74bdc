package emulator

// Prices that Clerk publishes, in millionths of a dollar. OAuth access tokens have none.
const (
	priceCreated  = 1000
	priceVerified = 10
)

// tokenUsage counts what Clerk bills for one kind of tokens.
type tokenUsage struct {
	Created  int `json:"created"`
	Verified int `json:"verified"` // opaque tokens, by a call; also those that were refused
	Refused  int `json:"refused"`  // of those: unknown, revoked, expired or of others
}

// usages has the usage of each kind.
type usages struct {
	APIKeys tokenUsage `json:"api_key"`
	M2M     tokenUsage `json:"m2m_token"`
	OAuth   tokenUsage `json:"oauth_token"`
}

func (u *usages) of(kind string) *tokenUsage {
	switch kind {
	case kindAPIKey:
		return &u.APIKeys
	case kindM2M:
		return &u.M2M
	}
	return &u.OAuth
}

// bill counts a token that was made. Those of fixtures cost nothing.
func (e *Emulator) bill(kind string) {
	if e.building == 0 {
		e.usage.of(kind).Created++
	}
}

// TokenUsage is how many tokens of a kind were created and verified by calls that Clerk bills, and
// what that costs by the prices that Clerk publishes.
type TokenUsage struct {
	Created  int     `json:"created"`
	Verified int     `json:"verified"`
	Refused  int     `json:"refused"` // of those verified
	Dollars  float64 `json:"usd"`
}

// Usage returns what was used since the start, by kind: api_key, m2m_token and oauth_token.
func (e *Emulator) Usage() map[string]TokenUsage {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.used()
}

func (e *Emulator) used() map[string]TokenUsage {
	all := map[string]TokenUsage{}
	for _, kind := range []string{kindAPIKey, kindM2M, kindOAuth} {
		u := e.usage.of(kind)
		shown := TokenUsage{Created: u.Created, Verified: u.Verified, Refused: u.Refused}
		if kind != kindOAuth {
			shown.Dollars = float64(u.Created*priceCreated+u.Verified*priceVerified) / 1e6
		}
		all[kind] = shown
	}
	return all
}
