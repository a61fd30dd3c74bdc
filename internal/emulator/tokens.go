package emulator

import (
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenOrder says what a token must contain.
type tokenOrder struct {
	session  *Session
	template string
	version  int           // 1 or 2; 0 means 2
	life     time.Duration // 0 means a minute, or the template's
	azp      string
	ages     *[2]int // of the factors; nil means those of the session
}

const (
	tokenLife       = time.Minute
	notBeforeSkew   = 10 * time.Second // as in Clerk's example of a session token
	categorySession = "cl_B7d4PD111AAA"
	categoryOther   = "cl_B7d4PD222AAA" // of a JWT template
)

// token returns a signed session token, or one made from a template. Its times are real, not of the
// instance's clock.
func (e *Emulator) token(order tokenOrder) (string, error) {
	now := time.Now()
	if order.template != "" {
		return e.templateToken(order, now)
	}
	life := order.life
	if life == 0 {
		life = tokenLife
	}
	s := order.session
	claims := map[string]any{
		"iss": e.Issuer, "sub": s.UserID, "sid": s.ID, "jti": e.random.text(20), "fva": e.factorAges(s),
		"iat": now.Unix(), "nbf": now.Add(-notBeforeSkew).Unix(), "exp": now.Add(life).Unix(),
	}
	if order.azp != "" {
		claims["azp"] = order.azp
	}
	if order.ages != nil {
		claims["fva"] = order.ages
	}
	if s.Actor != nil {
		claims["act"] = s.Actor
	}
	var m *Membership
	if s.LastActiveOrganizationID != nil {
		m, _ = e.membership(*s.LastActiveOrganizationID, s.UserID)
	}
	switch order.version {
	case 1:
		e.claimsV1(claims, m)
	case 0, 2:
		e.claimsV2(claims, s, m)
	default:
		return "", invalid("version", "version is 1 or 2.")
	}
	return e.sign(claims, categorySession, nil, now.Unix())
}

func (e *Emulator) claimsV1(claims map[string]any, m *Membership) {
	if m == nil {
		return
	}
	claims["org_id"], claims["org_role"] = m.organizationID, m.Role
	claims["org_permissions"] = append([]string{}, e.custom(m)...)
	if o := e.organizations.byID[m.organizationID]; o.Slug != "" {
		claims["org_slug"] = o.Slug
	}
}

func (e *Emulator) claimsV2(claims map[string]any, s *Session, m *Membership) {
	claims["v"], claims["sts"] = 2, "active"
	if s.Status == "pending" {
		claims["sts"] = "pending"
	}
	var plans, features []string
	plan := func(payer, scope string) []string {
		x := e.planOf(payer)
		if x == nil {
			return nil
		}
		plans = append(plans, scope+":"+x.Slug)
		return x.features
	}
	userFeatures := plan(s.UserID, "u")
	if m != nil {
		organization := map[string]any{"id": m.organizationID, "rol": strings.TrimPrefix(m.Role, "org:")}
		if o := e.organizations.byID[m.organizationID]; o.Slug != "" {
			organization["slg"] = o.Slug
		}
		names, per, fpm := compact(e.custom(m), plan(m.organizationID, "o"))
		for _, name := range names {
			scope := "o"
			if slices.Contains(userFeatures, name) {
				scope = "uo"
			}
			features = append(features, scope+":"+name)
		}
		if len(per) > 0 {
			organization["per"], organization["fpm"] = strings.Join(per, ","), strings.Join(fpm, ",")
		}
		claims["o"] = organization
		userFeatures = slices.DeleteFunc(slices.Clone(userFeatures), func(f string) bool { return slices.Contains(names, f) })
	}
	for _, f := range userFeatures {
		features = append(features, "u:"+f)
	}
	if len(plans) > 0 {
		claims["pla"] = strings.Join(plans, ",")
	}
	if len(features) > 0 {
		claims["fea"] = strings.Join(features, ",")
	}
}

// compact returns permissions org:<feature>:<action> in the form of tokens of version 2: the
// features, the actions, and for each feature a mask in which bit j stands for action j.
func compact(permissions, features []string) (names, actions, masks []string) {
	names = slices.Clone(features)
	for _, p := range permissions {
		parts := strings.SplitN(p, ":", 3)
		if !slices.Contains(names, parts[1]) {
			names = append(names, parts[1])
		}
		if !slices.Contains(actions, parts[2]) {
			actions = append(actions, parts[2])
		}
	}
	for _, name := range names {
		mask := new(big.Int)
		for j, action := range actions {
			if slices.Contains(permissions, "org:"+name+":"+action) {
				mask.SetBit(mask, j, 1)
			}
		}
		masks = append(masks, mask.String())
	}
	return names, actions, masks
}

// sign signs claims. at, in seconds, is when a session token was issued, for the header oiat: by it
// clerk-js knows which of two tokens is newer. Other tokens have 0.
func (e *Emulator) sign(claims map[string]any, category string, t *JWTTemplate, at int64) (string, error) {
	current := e.signing()
	key := jose.SigningKey{Algorithm: jose.RS256, Key: current.key}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", current.id).WithHeader("cat", category)
	if at > 0 {
		options = options.WithHeader("oiat", at)
	}
	if t != nil && t.CustomSigningKey {
		key = jose.SigningKey{Algorithm: jose.HS256, Key: []byte(t.signingKey)}
		options = (&jose.SignerOptions{}).WithType("JWT").WithHeader("cat", category)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

var shortcode = regexp.MustCompile(`{{\s*([a-z_.]+)\s*}}`)

func (e *Emulator) templateToken(order tokenOrder, now time.Time) (string, error) {
	t := e.template(order.template)
	if t == nil {
		return "", notFound("JWT template", order.template)
	}
	life := order.life
	if life == 0 {
		life = time.Duration(t.Lifetime) * time.Second
	}
	claims := map[string]any{}
	for name, value := range t.Claims {
		claims[name] = e.filled(value, order.session)
	}
	maps.Copy(claims, map[string]any{ // these cannot be overridden
		"iss": e.Issuer, "sub": order.session.UserID, "jti": e.random.text(20), "iat": now.Unix(),
		"nbf": now.Add(-time.Duration(t.AllowedClockSkew) * time.Second).Unix(), "exp": now.Add(life).Unix(),
	})
	if order.azp != "" {
		claims["azp"] = order.azp
	}
	return e.sign(claims, categoryOther, t, 0)
}

// filled replaces shortcodes such as {{user.first_name}}. A text that is only a shortcode becomes a
// value of its own type; an unknown shortcode becomes null.
func (e *Emulator) filled(value any, s *Session) any {
	switch v := value.(type) {
	case map[string]any:
		result := map[string]any{}
		for name, inner := range v {
			result[name] = e.filled(inner, s)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, inner := range v {
			result[i] = e.filled(inner, s)
		}
		return result
	case string:
		if m := shortcode.FindStringSubmatch(v); m != nil && m[0] == v {
			return e.lookup(m[1], s)
		}
		return shortcode.ReplaceAllStringFunc(v, func(code string) string {
			value := e.lookup(shortcode.FindStringSubmatch(code)[1], s)
			if p, ok := value.(*string); ok {
				value = or(p)
			}
			return fmt.Sprint(value)
		})
	}
	return value
}

func (e *Emulator) lookup(name string, s *Session) any {
	r := e.users.byID[s.UserID]
	if rest, ok := strings.CutPrefix(name, "user.public_metadata"); ok {
		return dig(r.PublicMetadata, rest)
	}
	if rest, ok := strings.CutPrefix(name, "user.unsafe_metadata"); ok {
		return dig(r.UnsafeMetadata, rest)
	}
	var m *Membership
	if s.LastActiveOrganizationID != nil {
		m, _ = e.membership(*s.LastActiveOrganizationID, s.UserID)
	}
	switch name {
	case "user.id":
		return r.ID
	case "user.first_name":
		return r.FirstName
	case "user.last_name":
		return r.LastName
	case "user.full_name":
		return strings.TrimSpace(or(r.FirstName) + " " + or(r.LastName))
	case "user.username":
		return r.Username
	case "user.external_id":
		return r.ExternalID
	case "user.image_url":
		return r.ImageURL
	case "user.primary_email_address":
		return r.primary()
	case "session.actor":
		return s.Actor
	case "org.id", "org.role", "org.name", "org.slug":
		if m == nil {
			return nil
		}
		o := e.organizations.byID[m.organizationID]
		return map[string]any{"org.id": o.ID, "org.role": m.Role, "org.name": o.Name, "org.slug": o.Slug}[name]
	}
	return nil
}

// dig returns the value at a path such as .plan.name in metadata.
func dig(m Metadata, path string) any {
	var value any = map[string]any(m)
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		if name == "" {
			continue
		}
		inner, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = inner[name]
	}
	return value
}

// publish serves GET /jwks.
func (e *Emulator) publish(*call) (any, error) { return e.jwks(), nil }

func (e *Emulator) createTestingToken(*call) (any, error) {
	now := time.Now().Unix()
	return map[string]any{"object": "testing_token", "token": fmt.Sprintf("%d-c_%s", now, e.random.text(27)), "expires_at": now + 3600}, nil
}
