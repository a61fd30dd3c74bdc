package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Algorithms of [Config] and [KeySet] (RFC 7518 section 3.1).
const (
	RS256 = "RS256"
	HS256 = "HS256"
)

const (
	defaultLeeway = 5 * time.Second
	maxLeeway     = time.Minute
	maxOverdue    = 5 * time.Second // how long a token may outlive exp, whatever the leeway
)

// Config says which tokens a [Verifier] accepts. The zero value of each field but Keys is the strict or usual choice,
// apart from Issuer and AuthorizedParties: set both in production.
type Config struct {
	// Keys verify signatures. Required.
	Keys KeySet

	// Algorithm is the one algorithm accepted, RS256 if empty. HS256 is for tokens of a JWT template with a custom
	// signing key: they have no sid, outlive the revocation of their session, and their secret signs as well as verifies.
	Algorithm string

	// Issuer is compared exactly with iss, so that it must be in the form of [CanonicalIssuer]. Empty: not checked, so that
	// the keys alone tell the instance.
	Issuer string

	// AuthorizedParties are the origins (https://app.example.com) of the pages whose tokens are accepted, compared exactly
	// with azp. Without them a token that a sibling subdomain got hold of is accepted. HS256 tokens need not have azp.
	AuthorizedParties []string

	// DangerouslyAllowMissingAuthorizedParty accepts RS256 tokens without azp though AuthorizedParties is set. Native
	// apps and tokens made by the Backend API have none; so has a token got from a page whose Origin was null.
	DangerouslyAllowMissingAuthorizedParty bool

	// Audience: if set, aud must hold one of these.
	Audience []string

	// DangerouslyAllowPendingSessions accepts sessions that still have tasks open (choosing an organization, setting up
	// multi-factor), which Clerk treats as signed out.
	DangerouslyAllowPendingSessions bool

	// Leeway is how far clocks may be apart, for nbf and iat. 0 means 5 seconds, the most is a minute. It does not let
	// tokens live longer: exp has the same leeway, but never more than 5 seconds.
	Leeway time.Duration

	// CacheEntries and CacheBytes bound the memory for verified tokens, so that a token sent again costs no RSA operation.
	// 0 means 8192 tokens and 16 MiB; negative entries switch it off. It is also off for a KeySet without Generation.
	CacheEntries, CacheBytes int

	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Verifier verifies session tokens. It is safe for concurrent use. It remembers the tokens that it accepted, which only
// saves time: no answer differs from what verifying anew would say.
type Verifier struct {
	config Config
	keys   VersionedKeySet // nil: nothing is remembered
	cache  *tokenCache
	stats  tokenStats
}

// NewVerifier checks the configuration and reports all its faults together.
func NewVerifier(config Config) (*Verifier, error) {
	if config.Algorithm == "" {
		config.Algorithm = RS256
	}
	if config.Leeway == 0 {
		config.Leeway = defaultLeeway
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	config.AuthorizedParties = slices.Clone(config.AuthorizedParties)
	config.Audience = slices.Clone(config.Audience)
	if err := errors.Join(config.faults()...); err != nil {
		return nil, err
	}
	v := &Verifier{config: config}
	if keys, ok := config.Keys.(VersionedKeySet); ok && config.CacheEntries >= 0 {
		v.keys, v.cache = keys, newTokenCache(config.CacheEntries, config.CacheBytes)
	}
	return v, nil
}

func (c *Config) faults() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("auth: "+format, args...)) }
	if c.Algorithm != RS256 && c.Algorithm != HS256 {
		fault("algorithm %q is neither RS256 nor HS256", c.Algorithm)
	}
	if c.Keys == nil {
		fault("keys are required")
	} else if have := c.Keys.Algorithm(); have != c.Algorithm {
		fault("algorithm is %s, but the keys are for %s", c.Algorithm, have)
	}
	if keys, ok := c.Keys.(*staticKey); ok && keys.err != nil {
		faults = append(faults, keys.err)
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		fault("leeway %s is not within 0 and %s", c.Leeway, maxLeeway)
	}
	if err := checkIssuer(c.Issuer); err != nil {
		faults = append(faults, err)
	}
	for _, origin := range c.AuthorizedParties {
		if !isOrigin(origin) {
			fault("authorized party %q is not an origin as browsers write it, like https://app.example.com", origin)
		}
	}
	if c.CacheBytes < 0 {
		fault("a cache of %d bytes", c.CacheBytes)
	}
	if slices.Contains(c.Audience, "") {
		fault("an audience must not be empty")
	}
	return faults
}

// isOrigin accepts the one form in which browsers send an origin. Any other would never match and is a mistake.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Hostname() != "" && text == strings.ToLower(u.Scheme+"://"+u.Host) &&
		(u.Scheme != "https" || u.Port() != "443") && (u.Scheme != "http" || u.Port() != "80")
}

// Verify returns the claims of a session token that the configured instance signed, that is valid now, and that is
// meant for us. The token came in a header: for cookies see [Verifier.VerifyFrom]. Every error is an [*Error]. The
// signature comes first and the claims after it, so that a forged token learns nothing from the answer.
//
// It does not know whether the session was revoked or the user banned after the token was made: a token lives some 60
// seconds. The context bounds the wait for keys, where they have to be fetched.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	return v.VerifyFrom(ctx, FromHeader, token)
}

// VerifyFrom is [Verifier.Verify] for a token found at this place of a request, as [TokenReader.Token] returns both.
//
// Browsers send cookies along whoever made the page, and sibling subdomains can set them. So a token from anywhere but
// a header is accepted only if AuthorizedParties are configured and the token names one of them; none of the options
// that forgive a missing azp applies.
func (v *Verifier) VerifyFrom(ctx context.Context, from TokenSource, token string) (*Claims, error) {
	claims, err := v.verifyFrom(ctx, from, token)
	if err != nil {
		v.stats.refuse(err)
	}
	return claims, err
}

func (v *Verifier) verifyFrom(ctx context.Context, from TokenSource, token string) (*Claims, error) {
	switch {
	case from == NoToken || token == "":
		return nil, authenticationRequired()
	case from != FromHeader && len(v.config.AuthorizedParties) == 0:
		return nil, invalidToken(ReasonAuthorizedParty, errCookie)
	}
	claims, err := v.verifyCached(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case from != FromHeader && claims.AuthorizedParty == "":
		return nil, invalidToken(ReasonAuthorizedParty, nil)
	}
	return claims, nil
}

var errCookie = errors.New("cookies are accepted only with a list of authorized parties")

// remembered looks whether the token was accepted before and would be again, and else verifies it.
func (v *Verifier) verifyCached(ctx context.Context, token string) (*Claims, error) {
	if v.cache == nil || len(token) > maxTokenSize {
		return v.verify(ctx, token)
	}
	generation, usable := v.keys.Generation() // before the signature is verified, so that it is not of newer keys
	if !usable {
		return v.verify(ctx, token)
	}
	hash := v.cache.hash(token)
	if claims := v.cache.get(hash, token, generation, v.config.Now()); claims != nil {
		return claims, nil
	}
	epoch := v.cache.epoch.Load()
	claims, err := v.verify(ctx, token)
	if err == nil {
		v.cache.put(epoch, v.config.Now(), v.entry(hash, token, generation, claims))
	}
	return claims, err
}

// entry is what to remember of an accepted token. Within its times, check accepts the claims; outside them it is asked.
func (v *Verifier) entry(hash uint64, token string, generation uint64, c *Claims) *cached {
	from := c.NotBefore
	if c.IssuedAt.After(from) {
		from = c.IssuedAt
	}
	return &cached{
		hash: hash, token: strings.Clone(token), generation: generation, claims: c, size: len(token) + claimsSize(c),
		from: from.Add(-v.config.Leeway), until: c.ExpiresAt.Add(v.overdue()),
	}
}

// Forget drops what is remembered of the tokens of these sessions and users, by their ids. A token that is being
// verified meanwhile is not remembered. It does not make a token invalid: the next Verify reads it anew and comes to
// the same answer.
func (v *Verifier) Forget(ids ...string) {
	if v.cache != nil {
		v.cache.forget(ids)
	}
}

// ForgetAll is [Verifier.Forget] for all tokens.
func (v *Verifier) ForgetAll() {
	if v.cache != nil {
		v.cache.clear()
	}
}

func (v *Verifier) verify(ctx context.Context, token string) (*Claims, error) {
	claims, err := v.readClaims(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := v.check(claims); err != nil {
		return nil, err
	}
	v.stats.verified.Add(1)
	return claims, nil
}

// readClaims returns what a token says that one of the keys signed; whether it is acceptable is not known then.
func (v *Verifier) readClaims(ctx context.Context, token string) (*Claims, error) {
	payload, err := verifyJWS(ctx, v.config.Keys, token)
	if err != nil {
		return nil, err
	}
	return parseClaims(payload)
}

// verifyJWS returns the payload of a token that one of the keys signed with their algorithm.
func verifyJWS(ctx context.Context, keys KeySet, token string) (payload []byte, err error) {
	t, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	keyID, err := checkHeader(t.header, keys.Algorithm())
	if err != nil {
		return nil, err
	}
	switch err := keys.VerifySignature(ctx, keyID, t.signed, t.signature); {
	case errors.Is(err, ErrSignature):
		return nil, invalidToken(ReasonSignature, err)
	case errors.Is(err, ErrUnknownKey):
		return nil, invalidToken(ReasonUnknownKey, err)
	case err != nil:
		return nil, invalidToken(ReasonKeysUnavailable, err)
	}
	return t.payload, nil
}

// check asks whether the claims are those of a session token, valid now and meant for us.
func (v *Verifier) check(c *Claims) error {
	if strings.HasPrefix(c.Subject, "mch_") {
		return invalidToken(ReasonCategory, errors.New("a machine's token"))
	}
	// Template tokens are signed by the instance key too. What tells them from session tokens is that they lack sid.
	if c.SessionID == "" && v.config.Algorithm == RS256 {
		return invalidPayload(errors.New("claim sid is missing"))
	}
	now, leeway := v.config.Now(), v.config.Leeway
	switch {
	case !now.Before(c.ExpiresAt.Add(v.overdue())):
		return invalidToken(ReasonExpired, nil)
	case c.NotBefore.After(now.Add(leeway)):
		return invalidToken(ReasonNotYetValid, nil)
	case c.IssuedAt.After(now.Add(leeway)):
		return invalidToken(ReasonIssuedInFuture, nil)
	}
	return v.checkMeaning(c)
}

// overdue is how long a token is accepted after it expired.
func (v *Verifier) overdue() time.Duration { return min(v.config.Leeway, maxOverdue) }

// checkMeaning checks that the claims are those of a session token that is meant for us, whatever the time is.
func (v *Verifier) checkMeaning(c *Claims) error {
	switch {
	case v.config.Issuer != "" && c.Issuer != v.config.Issuer:
		return invalidToken(ReasonIssuer, nil)
	case !v.partyAllowed(c.AuthorizedParty):
		return invalidToken(ReasonAuthorizedParty, nil)
	case len(v.config.Audience) > 0 && !v.audienceAllowed(c.Audience):
		return invalidToken(ReasonAudience, nil)
	case c.Status == StatusPending && !v.config.DangerouslyAllowPendingSessions:
		return invalidToken(ReasonPending, nil)
	case c.Status != StatusActive && c.Status != StatusPending:
		return invalidToken(ReasonStatus, nil)
	}
	return nil
}

func (v *Verifier) partyAllowed(party string) bool {
	if len(v.config.AuthorizedParties) == 0 {
		return true
	}
	if party == "" {
		return v.config.DangerouslyAllowMissingAuthorizedParty || v.config.Algorithm == HS256
	}
	return slices.Contains(v.config.AuthorizedParties, party)
}

func (v *Verifier) audienceAllowed(audience []string) bool {
	return slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.config.Audience, a) })
}
