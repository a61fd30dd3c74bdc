package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// MachineConfig says which API keys, OAuth access tokens and M2M tokens a [MachineVerifier]
// accepts.
type MachineConfig struct {
	// Keys verifies the signatures of JWTs. If it is nil, JWTs cannot be verified.
	Keys KeySet

	// Issuer is compared exactly with the claim iss of JWTs. It must be in the form of
	// [CanonicalIssuer]. Required with Keys.
	Issuer string

	// Resources are the URLs of this application as OAuth clients name it (RFC 8707), one of which
	// the audience of an OAuth access token must hold, exactly but for the slash after a host
	// without a path. Clerk writes an audience only for clients
	// that name a resource, as those of MCP do. If Resources is empty, the audience is not checked,
	// and a token that a user granted for another application of the instance is accepted.
	Resources []string

	// Callers are the machines (mch_…) that may call, each with the scopes that it has here. If it
	// is empty, M2M tokens that are JWTs are refused: any machine of the instance can make one for
	// itself, for it holds no list of receivers.
	Callers map[string][]string

	// MachineID (mch_…) is this application's own machine. It must be among the receivers of an
	// opaque M2M token. M2M tokens are refused if both MachineID and Callers are empty.
	MachineID string

	// Opaque verifies the tokens that only Clerk can read. If it is nil, they cannot be verified.
	Opaque OpaqueVerifier

	// Leeway and the cache are those of [Config].
	Leeway                   time.Duration
	CacheEntries, CacheBytes int

	// Now returns the current time. nil means [time.Now].
	Now func() time.Time
}

// OpaqueToken is a token that only Clerk can read.
type OpaqueToken struct {
	Kind  Kind   // not Session
	Token string // it has the form of a secret of this kind

	// Address is the address of the client, for limits of tokens that were never seen. It may be
	// the zero value.
	Address netip.Addr
}

// OpaqueVerifier verifies tokens that only Clerk can read, such as by asking Clerk. An
// implementation must be safe for concurrent use.
type OpaqueVerifier interface {
	// VerifyOpaque returns the claims of a token that Clerk accepts now: neither revoked nor
	// expired. Of an M2M token, Audience are the machines that may receive it.
	//
	// An [*Error] refuses the token. With an [*UnavailableError], or any other error, it is unknown
	// whether the token is valid.
	VerifyOpaque(ctx context.Context, token OpaqueToken) (*Claims, error)
}

// UnavailableError means that it cannot be known now whether a token is valid.
type UnavailableError struct {
	RetryAfter time.Duration // when to try again; 0 if that is unknown
	Err        error         // the cause, for the log
}

// Error returns the cause.
func (e *UnavailableError) Error() string {
	return "auth: the token cannot be verified now: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// MachineVerifier verifies API keys, OAuth access tokens and M2M tokens. It is safe for concurrent
// use.
type MachineVerifier struct {
	config MachineConfig
	keys   VersionedKeySet // nil if nothing is remembered
	cache  *tokenCache
	stats  tokenStats
}

// NewMachineVerifier returns a verifier. The error lists everything that is wrong with the
// configuration.
func NewMachineVerifier(config MachineConfig) (*MachineVerifier, error) {
	if config.Leeway == 0 {
		config.Leeway = defaultLeeway
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	config.Resources, config.Callers = slices.Clone(config.Resources), maps.Clone(config.Callers)
	for machine, scopes := range config.Callers {
		config.Callers[machine] = slices.Clone(scopes)
	}
	if err := errors.Join(config.faults()...); err != nil {
		return nil, err
	}
	v := &MachineVerifier{config: config}
	if keys, ok := config.Keys.(VersionedKeySet); ok && config.CacheEntries >= 0 {
		v.keys, v.cache = keys, newTokenCache(config.CacheEntries, config.CacheBytes)
	}
	return v, nil
}

func (c *MachineConfig) faults() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("auth: "+format, args...)) }
	if c.Keys == nil && c.Opaque == nil {
		fault("keys or an opaque verifier are required")
	}
	if c.Keys != nil && c.Keys.Algorithm() != RS256 {
		fault("machine tokens are signed with RS256, but the keys are for %s", c.Keys.Algorithm())
	}
	if keys, ok := c.Keys.(*staticKey); ok && keys.err != nil {
		faults = append(faults, keys.err)
	}
	if c.Keys != nil && c.Issuer == "" {
		fault("the issuer is required")
	}
	if err := checkIssuer(c.Issuer); err != nil {
		faults = append(faults, err)
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		fault("leeway %s is not within 0 and %s", c.Leeway, maxLeeway)
	}
	if c.CacheBytes < 0 {
		fault("the cache size %d is negative", c.CacheBytes)
	}
	if slices.Contains(c.Resources, "") {
		fault("a resource must not be empty")
	}
	if c.MachineID != "" {
		if err := checkMachineID(c.MachineID); err != nil {
			fault("machine id: %w", err)
		}
	}
	for id, scopes := range c.Callers {
		if err := checkMachineID(id); err != nil {
			fault("callers: %w", err)
		}
		if slices.ContainsFunc(scopes, func(scope string) bool { return !isScope(scope) }) {
			fault("callers: a scope of %s is empty, or has a character that no scope has", id)
		}
	}
	return faults
}

// Verify verifies a token of one of the accepted kinds and returns its claims. It refuses a token
// of another kind by its form, before anything else. It always refuses session tokens: they have a
// [Verifier]. The address is that of the client; see [OpaqueToken].
//
// Every error is an [*Error] that refuses the token, or an [*UnavailableError].
//
// Verify does not know whether the user or the organization still exists, and whether a JWT was
// revoked: Clerk's JWTs stay valid until they expire.
func (v *MachineVerifier) Verify(ctx context.Context, accepted Kinds, token string, address netip.Addr) (*Claims, error) {
	claims, err := v.verify(ctx, accepted, OpaqueToken{Kind: KindOf(token), Token: token, Address: address})
	if err == nil {
		return claims, nil
	}
	v.stats.refuse(err)
	_, refused := errors.AsType[*Error](err)
	_, unavailable := errors.AsType[*UnavailableError](err)
	if !refused && !unavailable {
		err = &UnavailableError{Err: err}
	}
	return nil, err
}

func (v *MachineVerifier) verify(ctx context.Context, accepted Kinds, token OpaqueToken) (*Claims, error) {
	switch {
	case token.Token == "":
		return nil, authenticationRequired()
	case token.Kind == Session || !accepted.Has(token.Kind):
		return nil, invalidToken(ReasonKind, fmt.Errorf("a token of the kind %s; accepted are: %s", token.Kind, accepted))
	case !isOpaque(token.Token):
		return v.verifyJWT(ctx, token)
	case !plausible(token.Token):
		return nil, invalidToken(ReasonMalformed, errors.New("not in the form of a secret of Clerk"))
	case v.config.Opaque == nil:
		return nil, &UnavailableError{Err: errors.New("opaque tokens need a secret key")}
	}
	if token.Kind == M2M && v.config.MachineID == "" && len(v.config.Callers) == 0 {
		return nil, invalidToken(ReasonMachine, errNoCallers)
	}
	claims, err := v.config.Opaque.VerifyOpaque(ctx, token)
	if err != nil {
		return nil, err
	}
	return v.check(token.Kind, claims)
}

var errNoCallers = errors.New("the configuration names no machines that may call")

// verifyJWT returns the claims of a remembered token, or verifies the token.
func (v *MachineVerifier) verifyJWT(ctx context.Context, token OpaqueToken) (*Claims, error) {
	if v.config.Keys == nil {
		return nil, &UnavailableError{Err: errors.New("tokens that are JWTs need keys and an issuer")}
	}
	var generation, hash, epoch uint64
	remember := false
	if v.cache != nil {
		if generation, remember = v.keys.Generation(); remember {
			hash, epoch = v.cache.hash(token.Token), v.cache.epoch.Load()
			if claims := v.cache.get(hash, token.Token, generation, v.config.Now()); claims != nil {
				return claims, nil
			}
		}
	}
	payload, err := verifyJWS(ctx, v.config.Keys, token.Token, token.Kind)
	if err != nil {
		return nil, err
	}
	claims, err := parseMachineClaims(token.Kind, payload)
	if err != nil {
		return nil, err
	}
	if claims.Issuer != v.config.Issuer {
		return nil, invalidToken(ReasonIssuer, fmt.Errorf("it is not the configured one, %q", v.config.Issuer))
	}
	if claims, err = v.check(token.Kind, claims); err != nil {
		return nil, err
	}
	v.stats.verified.Add(1)
	if remember {
		v.cache.put(epoch, v.config.Now(), newCached(hash, token.Token, generation, claims, v.config.Leeway))
	}
	return claims, nil
}

// check checks that claims are those of a token of this kind that is valid now and meant for this
// application. It returns them with the scopes that they have here.
func (v *MachineVerifier) check(kind Kind, c *Claims) (*Claims, error) {
	if err := checkTimes(c, v.config.Now(), v.config.Leeway); err != nil {
		return nil, err
	}
	if c.Kind != kind || !subjectAllowed(kind, c.Subject) {
		return nil, invalidPayload(fmt.Errorf("the subject is none of the kind %s", kind))
	}
	switch kind {
	case OAuth:
		held := func(audience string) bool {
			return slices.ContainsFunc(v.config.Resources, func(resource string) bool { return sameResource(resource, audience) })
		}
		if len(v.config.Resources) > 0 && !slices.ContainsFunc(c.Audience, held) {
			return nil, invalidToken(ReasonAudience, nil)
		}
	case M2M:
		return v.checkMachine(c)
	default:
	}
	return c, nil
}

// checkMachine checks who may call and who may receive, and returns the claims with the scopes of
// the configuration: a machine writes the claims of its tokens itself.
func (v *MachineVerifier) checkMachine(c *Claims) (*Claims, error) {
	scopes, listed := v.config.Callers[c.Subject]
	switch {
	case len(v.config.Callers) > 0 && !listed:
		return nil, invalidToken(ReasonMachine, errors.New("the machine is not among the callers"))
	case c.KeyID == "" && !listed: // a JWT names no receivers
		return nil, invalidToken(ReasonMachine, errNoCallers)
	case c.KeyID != "" && v.config.MachineID != "" && !slices.Contains(c.Audience, v.config.MachineID):
		return nil, invalidToken(ReasonAudience, errors.New("the token is for other machines"))
	}
	if c.MachineID == c.Subject && slices.Equal(c.Scopes, scopes) { // as a verifier that knows the callers returns them
		return c, nil
	}
	mine := *c
	mine.MachineID, mine.Scopes = c.Subject, scopes
	return &mine, nil
}

func subjectAllowed(kind Kind, subject string) bool {
	switch kind {
	case APIKey:
		return strings.HasPrefix(subject, "user_") || strings.HasPrefix(subject, "org_")
	case OAuth:
		return strings.HasPrefix(subject, "user_")
	case M2M:
		return checkMachineID(subject) == nil
	default:
		return false
	}
}

// Issuer returns [MachineConfig].Issuer.
func (v *MachineVerifier) Issuer() string { return v.config.Issuer }

// sameResource reports whether two URLs of resources are the same. Without a path, a slash at the
// end makes no difference (RFC 3986 section 6.2.3): clients in JavaScript always write it.
func sameResource(a, b string) bool {
	return a == b || a == b+"/" && strings.Count(a, "/") == 3 || b == a+"/" && strings.Count(b, "/") == 3
}

// Resources returns [MachineConfig].Resources.
func (v *MachineVerifier) Resources() []string { return slices.Clone(v.config.Resources) }

// Stats returns the counts of the tokens so far.
func (v *MachineVerifier) Stats() TokenStats { return v.stats.snapshot() }

// parseMachineClaims reads the payload of an OAuth access token or an M2M token whose signature has
// been verified. It checks types only.
func parseMachineClaims(kind Kind, payload []byte) (*Claims, error) {
	doc, err := parseObject(string(payload))
	if err != nil {
		return nil, invalidToken(ReasonMalformed, fmt.Errorf("payload: %w", err))
	}
	r := &claimReader{doc: doc}
	c := &Claims{Raw: payload, Kind: kind, Subject: r.text("sub"), Issuer: r.text("iss"), TokenID: r.text("jti"), Audience: r.texts("aud")}
	c.IssuedAt, c.NotBefore, c.ExpiresAt = r.seconds("iat"), r.seconds("nbf"), r.seconds("exp")
	if c.ExpiresAt.IsZero() && r.err == nil {
		r.err = errors.New("claim exp is missing")
	}
	if kind == OAuth {
		c.ClientID, c.Scopes = r.text("client_id"), r.scopes()
		if id := r.text("org_id"); id != "" {
			c.Organization = &ActiveOrganization{ID: id}
		}
		actor, _ := doc.get("act")
		c.Actor = parseActor(actor)
	}
	if r.err != nil {
		return nil, invalidToken(ReasonMalformed, r.err)
	}
	return c, nil
}

// scopes reads the scopes of an OAuth access token: the list scp if there is one, or else the text
// scope with spaces between them.
func (r *claimReader) scopes() []string {
	if _, found := r.doc.get("scp"); found {
		return r.texts("scp")
	}
	return strings.FieldsFunc(r.text("scope"), func(c rune) bool { return c == ' ' })
}
