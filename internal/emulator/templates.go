package emulator

import (
	"slices"
)

// template returns the JWT template with a name or an id, or nil.
func (e *Emulator) template(name string) *JWTTemplate {
	for _, t := range e.templates {
		if t.Name == name || t.ID == name {
			return t
		}
	}
	return nil
}

type templateParameters struct {
	Name             *string        `json:"name"`
	Claims           map[string]any `json:"claims"`
	Lifetime         *int           `json:"lifetime"`
	AllowedClockSkew *int           `json:"allowed_clock_skew"`
	CustomSigningKey *bool          `json:"custom_signing_key"`
	SigningAlgorithm *string        `json:"signing_algorithm"`
	SigningKey       *string        `json:"signing_key"`
}

func (p templateParameters) describe(t *JWTTemplate) error {
	if p.Name != nil {
		t.Name = *p.Name
	}
	if err := checkClaims(p.Claims); err != nil {
		return err
	}
	if p.Claims != nil {
		t.Claims = p.Claims
	}
	if p.Lifetime != nil {
		if *p.Lifetime < 30 || *p.Lifetime > 315_360_000 {
			return invalid("lifetime", "lifetime must be between 30 and 315360000 seconds.")
		}
		t.Lifetime = *p.Lifetime
	}
	if p.AllowedClockSkew != nil {
		if *p.AllowedClockSkew < 0 || *p.AllowedClockSkew > 300 {
			return invalid("allowed_clock_skew", "allowed_clock_skew must be between 0 and 300 seconds.")
		}
		t.AllowedClockSkew = *p.AllowedClockSkew
	}
	if p.CustomSigningKey != nil {
		t.CustomSigningKey = *p.CustomSigningKey
	}
	if p.SigningKey != nil {
		t.signingKey = *p.SigningKey
	}
	if p.SigningAlgorithm != nil {
		t.SigningAlgorithm = *p.SigningAlgorithm
	}
	switch {
	case t.CustomSigningKey && t.SigningAlgorithm != "HS256":
		return invalid("signing_algorithm", "The emulator signs with a custom key by HS256 only.")
	case t.CustomSigningKey && len(t.signingKey) < 32:
		return invalid("signing_key", "signing_key must have at least 32 bytes.")
	case !t.CustomSigningKey:
		t.SigningAlgorithm = "RS256"
	}
	return nil
}

func (e *Emulator) createTemplate(c *call) (any, error) {
	var p templateParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return some(e.addTemplate(p))
}

func (e *Emulator) addTemplate(p templateParameters) (*JWTTemplate, error) {
	if or(p.Name) == "" {
		return nil, missing("name")
	}
	if e.template(*p.Name) != nil {
		return nil, exists("name")
	}
	now := e.after(0)
	t := &JWTTemplate{Object: "jwt_template", ID: e.random.id("jtmp"), Claims: map[string]any{}, Lifetime: 60, AllowedClockSkew: 5, CreatedAt: now, UpdatedAt: now}
	if err := p.describe(t); err != nil {
		return nil, err
	}
	e.templates = append(e.templates, t)
	e.changed = true
	return t, nil
}

func (e *Emulator) templateByPath(c *call) (*JWTTemplate, error) {
	if t := e.template(c.id()); t != nil {
		return t, nil
	}
	return nil, notFound("JWT template", c.id())
}

func (e *Emulator) getTemplate(c *call) (any, error) { return some(e.templateByPath(c)) }

func (e *Emulator) updateTemplate(c *call) (any, error) {
	t, err := e.templateByPath(c)
	if err != nil {
		return nil, err
	}
	var p templateParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	next := *t
	if err := p.describe(&next); err != nil {
		return nil, err
	}
	next.UpdatedAt = e.after(t.UpdatedAt)
	*t = next
	e.changed = true
	return t, nil
}

func (e *Emulator) deleteTemplate(c *call) (any, error) {
	t, err := e.templateByPath(c)
	if err != nil {
		return nil, err
	}
	e.templates = slices.DeleteFunc(e.templates, func(x *JWTTemplate) bool { return x == t })
	e.changed = true
	return Deleted{Object: "jwt_template", ID: t.ID, Deleted: true}, nil
}

func (e *Emulator) listTemplates(c *call) (any, error) { return paged(c, e.templates, true) }
