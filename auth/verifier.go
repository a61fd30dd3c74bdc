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
	maxLeeway     = 5 * time.Minute
)

// Config says which tokens a [Verifier] accepts. The zero value of each field but Keys is the strict or usual choice,
// apart from Issuer and AuthorizedParties: set both in production.
type Config struct {
	// Keys verify signatures. Required.
	Keys KeySet

	// Algorithm is the one algorithm accepted, RS256 if empty. HS256 is for tokens of a JWT template with a custom
	// signing key: they have no sid, outlive the revocation of their session, and their secret signs as well as verifies.
	Algorithm string

	// Issuer is compared exactly with iss. Empty: not checked, so that the keys alone tell the instance.
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

	// Leeway is how far clocks may be apart, for exp, nbf and iat. 0 means 5 seconds, the most is 5 minutes.
	Leeway time.Duration

	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Verifier verifies session tokens. It is immutable and safe for concurrent use.
type Verifier struct {
	config Config
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
	return &Verifier{config: config}, nil
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
	for _, origin := range c.AuthorizedParties {
		if !isOrigin(origin) {
			fault("authorized party %q is not an origin as browsers write it, like https://app.example.com", origin)
		}
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

// Verify returns the claims of a session token that the configured instance signed, that is valid now, and that is meant
// for us. Every error is an [*Error]. The signature comes first and the claims after it, so that a forged token learns
// nothing from the answer.
//
// It does not know whether the session was revoked or the user banned after the token was made: a token lives some 60
// seconds. The context bounds the wait for keys, where they have to be fetched.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	if token == "" {
		return nil, authenticationRequired()
	}
	t, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	keyID, err := checkHeader(t.header, v.config.Algorithm)
	if err != nil {
		return nil, err
	}
	switch err := v.config.Keys.VerifySignature(ctx, keyID, t.signed, t.signature); {
	case errors.Is(err, ErrSignature):
		return nil, invalidToken(ReasonSignature, err)
	case errors.Is(err, ErrUnknownKey):
		return nil, invalidToken(ReasonUnknownKey, err)
	case err != nil:
		return nil, invalidToken(ReasonKeysUnavailable, err)
	}
	claims, err := parseClaims(t.payload)
	if err != nil {
		return nil, err
	}
	if err := v.check(claims); err != nil {
		return nil, err
	}
	return claims, nil
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
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return invalidToken(ReasonExpired, nil)
	case c.NotBefore.After(now.Add(leeway)):
		return invalidToken(ReasonNotYetValid, nil)
	case c.IssuedAt.After(now.Add(leeway)):
		return invalidToken(ReasonIssuedInFuture, nil)
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
