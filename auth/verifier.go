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
	RS256 = "RS256" // RSA with SHA-256, which Clerk uses for session tokens
	HS256 = "HS256" // HMAC with SHA-256, for JWT templates with a custom signing key
)

const (
	defaultLeeway = 5 * time.Second
	maxLeeway     = time.Minute
	maxOverdue    = 5 * time.Second // how long a token is accepted after exp, whatever the leeway
)

// Config says which tokens a [Verifier] accepts. Set Keys, and in production also Issuer and
// AuthorizedParties. The zero value of every other field is the strict or usual choice.
type Config struct {
	// Keys verifies signatures. Required.
	Keys KeySet

	// Algorithm is the accepted algorithm: RS256 if empty. HS256 is for the tokens of a JWT
	// template with a custom signing key. Those tokens have no sid and stay valid when their
	// session is revoked, and anyone who has the secret can make them.
	Algorithm string

	// Issuer is compared exactly with the claim iss. It must be in the form of [CanonicalIssuer].
	// If it is empty, iss is not checked, and the keys alone determine the instance.
	Issuer string

	// AuthorizedParties are the origins of the pages whose tokens are accepted, such as
	// https://app.example.com. They are compared exactly with the claim azp. If there are none, a
	// token that a sibling subdomain obtained is accepted too. HS256 tokens need not have azp.
	AuthorizedParties []string

	// DangerouslyAllowMissingAuthorizedParty accepts RS256 tokens without azp although
	// AuthorizedParties is set. Tokens of native apps and of the Backend API have no azp. Neither
	// has the token of a page whose Origin was null.
	DangerouslyAllowMissingAuthorizedParty bool

	// Audience lists the accepted values of the claim aud, one of which it must hold. If it is
	// empty, aud is not checked.
	Audience []string

	// DangerouslyAllowPendingSessions accepts sessions with open tasks, such as choosing an
	// organization or setting up a second factor. Clerk treats them as signed out.
	DangerouslyAllowPendingSessions bool

	// Leeway is the tolerated difference between clocks, for the claims nbf, iat and exp. 0 means 5
	// seconds. It is at most a minute, and for exp at most 5 seconds, so that tokens do not live
	// longer.
	Leeway time.Duration

	// CacheEntries and CacheBytes bound the memory for accepted tokens, which saves the RSA
	// operation for a token that comes again. 0 means 8192 tokens and 16 MiB. Negative entries turn
	// the cache off. It is also off if Keys is not a [VersionedKeySet].
	CacheEntries, CacheBytes int

	// Now returns the current time. nil means [time.Now].
	Now func() time.Time
}

// Verifier verifies session tokens. It is safe for concurrent use. It remembers the tokens that it
// accepted. That saves time and changes no result.
type Verifier struct {
	config Config
	keys   VersionedKeySet // nil if nothing is remembered
	cache  *tokenCache
	stats  tokenStats
}

// NewVerifier returns a verifier. The error lists everything that is wrong with the configuration.
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
		fault("the cache size %d is negative", c.CacheBytes)
	}
	if slices.Contains(c.Audience, "") {
		fault("an audience must not be empty")
	}
	return faults
}

// isOrigin reports whether a text has the form in which browsers send an origin. Any other form
// would never match.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Hostname() != "" && text == strings.ToLower(u.Scheme+"://"+u.Host) &&
		(u.Scheme != "https" || u.Port() != "443") && (u.Scheme != "http" || u.Port() != "80")
}

// Verify verifies the token of a header and returns its claims: the configured instance signed the
// token, it is valid now, and it is meant for this application. For the token of a cookie use
// [Verifier.VerifyFrom]. Every error is an [*Error]. Verify checks the signature before the claims,
// so that errors reveal nothing to a client that forges tokens.
//
// Verify does not know whether the session was revoked or the user was banned after the token was
// made. Clerk's tokens live about 60 seconds. The context bounds the wait for keys that have to be
// fetched.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	return v.VerifyFrom(ctx, FromHeader, token)
}

// VerifyFrom is [Verifier.Verify] for a token and its source, as [TokenReader.Token] returns them.
//
// Browsers send cookies with the requests of any page, and sibling subdomains can set them. So
// VerifyFrom accepts the token of a cookie only if AuthorizedParties is set and the token names one
// of them. No option that allows a missing azp applies to cookies.
func (v *Verifier) VerifyFrom(ctx context.Context, source TokenSource, token string) (*Claims, error) {
	claims, err := v.verifyFrom(ctx, source, token)
	if err != nil {
		v.stats.refuse(err)
	}
	return claims, err
}

func (v *Verifier) verifyFrom(ctx context.Context, source TokenSource, token string) (*Claims, error) {
	switch {
	case source == NoToken || token == "":
		return nil, authenticationRequired()
	case source != FromHeader && len(v.config.AuthorizedParties) == 0:
		return nil, invalidToken(ReasonAuthorizedParty, errCookie)
	}
	claims, err := v.verifyCached(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case source != FromHeader && claims.AuthorizedParty == "":
		return nil, invalidToken(ReasonAuthorizedParty, nil)
	}
	return claims, nil
}

var errCookie = errors.New("cookies are accepted only with a list of authorized parties")

// verifyCached returns the claims of a remembered token that is still acceptable. It verifies any
// other token.
func (v *Verifier) verifyCached(ctx context.Context, token string) (*Claims, error) {
	if v.cache == nil || len(token) > maxTokenSize {
		return v.verify(ctx, token)
	}
	generation, usable := v.keys.Generation() // before verification, so that it is not that of newer keys
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
		v.cache.put(epoch, v.config.Now(), newCached(hash, token, generation, claims, v.config.Leeway))
	}
	return claims, err
}

// Forget removes the remembered tokens of these session ids and user ids. Tokens that are being
// verified meanwhile are not remembered either. Forget does not invalidate tokens: the next Verify
// verifies them again, with the same result.
func (v *Verifier) Forget(ids ...string) {
	if v.cache != nil {
		v.cache.forget(ids)
	}
}

// ForgetAll removes all remembered tokens. See [Verifier.Forget].
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

// readClaims verifies the signature of a token and returns its claims. It does not check the
// claims.
func (v *Verifier) readClaims(ctx context.Context, token string) (*Claims, error) {
	payload, err := verifyJWS(ctx, v.config.Keys, token, Session)
	if err != nil {
		return nil, err
	}
	return parseClaims(payload)
}

// verifyJWS verifies the signature of a token of a kind and returns its payload.
func verifyJWS(ctx context.Context, keys KeySet, token string, kind Kind) (payload []byte, err error) {
	t, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	keyID, err := checkHeader(t.header, keys.Algorithm(), kind)
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

// check checks that the claims are those of a session token that is valid now and meant for this
// application.
func (v *Verifier) check(c *Claims) error {
	if strings.HasPrefix(c.Subject, "mch_") {
		return invalidToken(ReasonCategory, errors.New("a machine's token"))
	}
	// Template tokens are signed by the instance key too. Unlike session tokens they have no sid.
	if c.SessionID == "" && v.config.Algorithm == RS256 {
		return invalidPayload(errors.New("claim sid is missing"))
	}
	if err := checkTimes(c, v.config.Now(), v.config.Leeway); err != nil {
		return err
	}
	return v.checkMeaning(c)
}

// checkTimes checks that a token is valid now. A token without an expiry never expires: those that
// Clerk signs have one, which their parser requires.
func checkTimes(c *Claims, now time.Time, leeway time.Duration) error {
	switch {
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt.Add(overdue(leeway))):
		return invalidToken(ReasonExpired, nil)
	case c.NotBefore.After(now.Add(leeway)):
		return invalidToken(ReasonNotYetValid, nil)
	case c.IssuedAt.After(now.Add(leeway)):
		return invalidToken(ReasonIssuedInFuture, nil)
	}
	return nil
}

// overdue returns how long a token is accepted after it expired.
func overdue(leeway time.Duration) time.Duration { return min(leeway, maxOverdue) }

// checkMeaning checks all claims but the times.
func (v *Verifier) checkMeaning(c *Claims) error {
	switch {
	case v.config.Issuer != "" && c.Issuer != v.config.Issuer:
		return invalidToken(ReasonIssuer, fmt.Errorf("it is not the configured one, %q", v.config.Issuer))
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
