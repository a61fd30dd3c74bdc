package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fixtureMachine is a machine. Others refer to it by its name or its id.
type fixtureMachine struct {
	ID              string   `json:"id"`
	Name            string   `json:"name"`
	SecretKey       string   `json:"secret_key"`
	ScopedMachines  []string `json:"scoped_machines"`
	DefaultTokenTTL *int     `json:"default_token_ttl"`
}

// fixtureAPIKey is an API key of a user, an organization or a machine.
type fixtureAPIKey struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Subject     string         `json:"subject"`
	Secret      string         `json:"secret"`
	Description string         `json:"description"`
	Scopes      []string       `json:"scopes"`
	Claims      map[string]any `json:"claims"`
	CreatedBy   string         `json:"created_by"`
	Seconds     *int           `json:"seconds_until_expiration"`
}

// fixtureOAuth is what the instance does as an identity provider.
type fixtureOAuth struct {
	Registration  bool     `json:"dynamic_oauth_client_registration"`
	JWT           *bool    `json:"oauth_jwt_access_tokens"`
	DefaultScopes []string `json:"default_scopes"`
}

type fixtureApplication struct {
	Name         string   `json:"name"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	RedirectURIs []string `json:"redirect_uris"`
	Scopes       string   `json:"scopes"`
	Consent      *bool    `json:"consent_screen_enabled"`
	PKCE         bool     `json:"pkce_required"`
	Public       bool     `json:"public"`
}

const maxFixtureSecret = 256

// machines reports what is wrong with machines, API keys and OAuth applications.
func (c *fixtureCheck) machines() {
	f := &c.Fixtures.file
	c.ids.subjects = map[string]string{}
	for i, id := range c.ids.organizations {
		for _, name := range []string{id, f.Organizations[i].Slug, f.Organizations[i].Name} {
			c.ids.subjects[name] = id
		}
	}
	c.ids.machineNames = map[string]string{}
	for i, m := range f.Machines {
		path := fmt.Sprintf("machines[%d]", i)
		c.unique(path+".name", "machine", m.Name, "give each machine a name of its own")
		c.secret(path+".secret_key", m.SecretKey)
		id := c.id(path, "mch", m.ID, m.Name)
		c.ids.machines = append(c.ids.machines, id)
		c.ids.machineNames[m.Name], c.ids.machineNames[id] = id, id
	}
	maps.Copy(c.ids.subjects, c.ids.machineNames)
	for i, m := range f.Machines {
		for j, to := range m.ScopedMachines {
			c.names(fmt.Sprintf("machines[%d].scoped_machines[%d]", i, j), "machine", to, c.ids.machineNames[to], c.ids.machineNames)
		}
	}
	for i, k := range f.APIKeys {
		path := fmt.Sprintf("api_keys[%d]", i)
		if k.ID != "" {
			c.id(path, "ak", k.ID, "")
		}
		c.secret(path+".secret", k.Secret)
		c.known(path+".created_by", k.CreatedBy)
		c.names(path+".subject", "user, organization or machine", k.Subject, c.ids.subject(k.Subject), c.ids.subjects)
	}
	for i, a := range f.OAuthApplications {
		path := fmt.Sprintf("oauth_applications[%d]", i)
		c.unique(path+".client_id", "client", a.ClientID, "give each client an id of its own")
		if len(a.ClientID) > maxFixtureSecret || len(a.ClientSecret) > maxFixtureSecret {
			c.document.Wrong(path, "has too long an id or secret", "write at most 256 characters")
		}
	}
}

// subject returns the id of the holder of a key by any name, or an empty text.
func (ids *fixtureIDs) subject(name string) string {
	if id := ids.user(name); id != "" {
		return id
	}
	return ids.subjects[name]
}

// names reports a name that nothing has.
func (c *fixtureCheck) names(path, kind, name, id string, all map[string]string) {
	if name == "" || id != "" {
		return
	}
	c.document.Wrong(path, fmt.Sprintf("names %q, but no %s is called that", name, kind),
		meant(name, slices.Sorted(maps.Keys(all)), "name one of this file"))
}

// secret reports a secret that is not one of a machine or a key.
func (c *fixtureCheck) secret(path, secret string) {
	if secret == "" {
		return
	}
	if !strings.HasPrefix(secret, "ak_") || len(secret) > maxFixtureSecret || strings.ContainsAny(secret, " \t\n.") {
		c.document.Wrong(path, "is not a secret", "write ak_ and up to 250 characters without spaces and full stops, or leave it out")
	}
	c.unique(path, "secret", secret, "give each a secret of its own")
}

// machines makes machines, API keys and OAuth applications.
func (b fixtureBuilder) machines() {
	f := &b.fixtures.file
	for i, m := range f.Machines {
		b.make("machines", i, "mch", b.fixtures.ids.machines[i], m.Name, func() error {
			_, err := b.addMachine(machineParameters{Name: given(m.Name), TTL: m.DefaultTokenTTL, secret: m.SecretKey})
			return err
		})
	}
	for i, m := range f.Machines {
		b.make("machines", i, "mch", "", m.Name+" scopes", func() error { return b.scopes(b.fixtures.ids.machines[i], m.ScopedMachines) })
	}
	for i, k := range f.APIKeys {
		b.make("api_keys", i, "ak", k.ID, k.Subject+"\x00"+k.Name, func() error { return b.apiKey(k) })
	}
	if o := f.OAuth; o.Registration || o.JWT != nil || o.DefaultScopes != nil {
		b.oauth.settings.Registration, b.oauth.settings.DefaultScopes = o.Registration, o.DefaultScopes
		if o.JWT != nil {
			b.oauth.settings.JWT = *o.JWT
		}
	}
	for i, a := range f.OAuthApplications {
		b.make("oauth_applications", i, "oauthapp", "", a.ClientID+"\x00"+a.Name, func() error {
			_, err := b.addApplication(applicationParameters{
				Name: given(a.Name), Redirects: a.RedirectURIs, Scopes: given(a.Scopes), Consent: a.Consent, PKCE: &a.PKCE, Public: &a.Public,
				clientID: a.ClientID, secret: a.ClientSecret,
			})
			return err
		})
	}
}

func (b fixtureBuilder) scopes(id string, to []string) error {
	m, err := b.machine(id)
	if err != nil {
		return err
	}
	for _, name := range to {
		if other := b.fixtures.ids.machineNames[name]; other != "" && m.scope(other) == nil && len(m.scopes) < maxScopes {
			m.scopes = append(m.scopes, machineScope{other, b.after(0)})
		}
	}
	return nil
}

func (b fixtureBuilder) apiKey(k fixtureAPIKey) error {
	p := apiKeyParameters{
		Name: k.Name, Subject: b.fixtures.ids.subject(k.Subject), Description: given(k.Description), Scopes: k.Scopes,
		CreatedBy: given(b.fixtures.ids.user(k.CreatedBy)), secret: k.Secret,
	}
	if k.Claims != nil {
		claims, err := json.Marshal(k.Claims)
		if err != nil {
			return err
		}
		p.Claims = claims
	}
	if k.Seconds != nil {
		p.Seconds = nullable[float64]{true, new(float64(*k.Seconds))}
	}
	_, err := b.addAPIKey(p)
	return err
}
