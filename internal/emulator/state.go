package emulator

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// snapshot is the content of a state file. It has no messages.
type snapshot struct {
	Version       int                       `json:"version"`
	ID            string                    `json:"id"`
	SecretKey     string                    `json:"secret_key"`
	Issuer        string                    `json:"issuer"`
	Random        []byte                    `json:"random"`
	KeyRandom     []byte                    `json:"key_random"`
	IDs           uint32                    `json:"ids"` // number of ids made
	Origin        savedOrigin               `json:"origin"`
	Ahead         time.Duration             `json:"ahead"` // of real time, in nanoseconds
	WebhookSecret string                    `json:"webhook_secret"`
	Keys          []savedKey                `json:"keys"`
	Users         []savedUser               `json:"users"`
	Sessions      []savedSession            `json:"sessions"`
	Browsers      []*browser                `json:"browsers"`
	DevBrowsers   map[string]int64          `json:"dev_browsers"`
	Checks        map[string]*check         `json:"checks"`
	SignInTokens  []savedSignInToken        `json:"sign_in_tokens"`
	Policies      *policies                 `json:"policies"`
	Organizations []*Organization           `json:"organizations"`
	Memberships   []savedMembership         `json:"memberships"`
	OrgInvites    []*OrganizationInvitation `json:"organization_invitations"`
	Domains       []*OrganizationDomain     `json:"domains"`
	Suggestions   []*suggestion             `json:"suggestions,omitempty"`
	Permissions   []*Permission             `json:"permissions"`
	Roles         []savedRole               `json:"roles"`
	Invitations   []*Invitation             `json:"invitations"`
	Templates     []savedTemplate           `json:"jwt_templates"`
	Actors        []*ActorToken             `json:"actor_tokens"`
	Subscriptions []savedSubscription       `json:"subscriptions"`
	Images        map[string]image          `json:"images,omitempty"`
	Machines      *machineState             `json:"machines,omitempty"`
}

// savedOrigin is what a reset makes the objects of the start from.
type savedOrigin struct {
	Random []byte    `json:"random"`
	IDs    uint32    `json:"ids"`
	At     time.Time `json:"at"`
}

type savedKey struct {
	ID    string `json:"id"`
	PKCS8 []byte `json:"pkcs8"`
}

type savedUser struct {
	User        *User       `json:"user"`
	LockedUntil time.Time   `json:"locked_until"`
	Secret      credentials `json:"secret"`
	Founded     string      `json:"founded,omitempty"`
}

type savedSignInToken struct {
	*SignInToken
	ExpireAt       int64  `json:"expire_at"`
	OrganizationID string `json:"organization_id,omitempty"`
}

type savedSession struct {
	*Session
	VerifiedAt [2]int64 `json:"verified_at,omitzero"`
}

type savedMembership struct {
	Membership     *Membership `json:"membership"`
	OrganizationID string      `json:"organization_id"`
	UserID         string      `json:"user_id"`
}

type savedRole struct {
	Role   *Role `json:"role"`
	Seeded bool  `json:"seeded"`
}

type savedTemplate struct {
	Template   *JWTTemplate `json:"template"`
	SigningKey string       `json:"signing_key"`
}

type savedSubscription struct {
	Payer        string        `json:"payer"`
	Subscription *Subscription `json:"subscription"`
	Features     []string      `json:"features,omitempty"` // of the only item, in older files
	Items        []savedItem   `json:"items"`
}

// savedItem is what an item of a subscription does not show.
type savedItem struct {
	Features []string  `json:"features"`
	Times    itemTimes `json:"times"`
}

// Save writes the state to a file that only its owner can read, because it contains the instance's
// keys. The file is replaced as a whole. Save writes nothing if nothing changed since the last
// call.
func (e *Emulator) Save(path string) error {
	e.mu.Lock()
	if !e.changed {
		e.mu.Unlock()
		return nil
	}
	body, err := e.snapshot()
	e.changed = false
	e.mu.Unlock()
	if err == nil {
		err = replaceFile(path, body)
	}
	if err != nil {
		e.mu.Lock()
		e.changed = true
		e.mu.Unlock()
		return fmt.Errorf("save the state: %w", err)
	}
	return nil
}

func replaceFile(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".clerksync-state-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (e *Emulator) snapshot() ([]byte, error) {
	randomState, err := e.random.source.MarshalBinary()
	if err != nil {
		return nil, err
	}
	s := snapshot{
		Version: 1, ID: e.ID, SecretKey: e.SecretKey, Issuer: e.Issuer, Random: randomState, IDs: *e.random.ids, Ahead: time.Until(e.clock.now()).Round(time.Second),
		WebhookSecret: cmp.Or(e.sender.secret(), e.webhook), Organizations: e.organizations.all, OrgInvites: e.organizations.invitations,
		Domains: e.organizations.domains, Permissions: e.access.permissions, Invitations: e.invitations,
		Images: e.images, Suggestions: e.organizations.suggestions, Machines: e.savedMachines(),
	}
	if s.Origin.Random, err = e.origin.random.source.MarshalBinary(); err != nil {
		return nil, err
	}
	s.Origin.IDs, s.Origin.At = *e.origin.random.ids, e.origin.at
	keys := e.published()
	if s.KeyRandom, err = e.keyRandom.source.MarshalBinary(); err != nil {
		return nil, err
	}
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.key)
		if err != nil {
			return nil, err
		}
		s.Keys = append(s.Keys, savedKey{k.id, der})
	}
	for _, r := range e.users.created {
		s.Users = append(s.Users, savedUser{&r.User, r.locked, r.secret, r.founded})
		for _, x := range e.sessions.byUser[r.ID] {
			s.Sessions = append(s.Sessions, savedSession{x, x.verifiedAt})
		}
	}
	for _, b := range e.browsers.byID {
		s.Browsers = append(s.Browsers, b)
	}
	for _, t := range e.signInTokens {
		s.SignInTokens = append(s.SignInTokens, savedSignInToken{t, t.expireAt, t.organizationID})
	}
	s.DevBrowsers, s.Checks, s.Policies = e.browsers.dev, e.checks, &e.policies
	for _, m := range e.organizations.memberships {
		s.Memberships = append(s.Memberships, savedMembership{m, m.organizationID, m.userID})
	}
	for _, r := range e.access.roles {
		s.Roles = append(s.Roles, savedRole{r, r.seeded})
	}
	for _, t := range e.templates {
		s.Templates = append(s.Templates, savedTemplate{t, t.signingKey})
	}
	for _, a := range e.actors {
		s.Actors = append(s.Actors, a)
	}
	for payer, x := range e.subscriptions {
		saved := savedSubscription{Payer: payer, Subscription: x}
		for _, i := range x.Items {
			saved.Items = append(saved.Items, savedItem{i.Plan.features, i.times})
		}
		s.Subscriptions = append(s.Subscriptions, saved)
	}
	return json.Marshal(s)
}

// Load loads a saved state, except for what the options set. The webhook secret that was in force
// becomes the default of endpoints. If the file does not exist, the error matches fs.ErrNotExist.
// Call it before anything else.
func (e *Emulator) Load(path string) error {
	body, err := os.ReadFile(path) //nolint:gosec // the file of --state
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	var s snapshot
	if err := json.Unmarshal(body, &s); err != nil {
		return fmt.Errorf("read the state of %s: %w", path, err)
	}
	if s.Version != 1 || len(s.Keys) == 0 {
		return fmt.Errorf("read the state of %s: it has another version", path)
	}
	if !s.fits() {
		return fmt.Errorf("read the state of %s: it is inconsistent", path)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.restoreIdentity(s); err != nil {
		return fmt.Errorf("read the state of %s: %w", path, err)
	}
	e.restoreObjects(s)
	e.changed = false
	return nil
}

// fits reports whether every object exists that another one names.
func (s *snapshot) fits() bool {
	users, organizations := map[string]bool{}, map[string]bool{}
	for _, u := range s.Users {
		if u.User == nil {
			return false
		}
		users[u.User.ID] = true
	}
	for _, o := range s.Organizations {
		if o == nil {
			return false
		}
		organizations[o.ID] = true
	}
	for _, r := range s.Roles {
		if r.Role == nil || slices.Contains(r.Role.Permissions, nil) {
			return false
		}
	}
	lost := slices.Contains(s.OrgInvites, nil) || slices.Contains(s.Domains, nil) || slices.Contains(s.Permissions, nil) ||
		slices.Contains(s.Invitations, nil) || slices.Contains(s.Actors, nil) ||
		slices.Contains(s.Browsers, nil) || s.Policies != nil && !s.Policies.fits() || s.Machines != nil && !s.Machines.fits() ||
		slices.ContainsFunc(s.SignInTokens, func(t savedSignInToken) bool { return t.SignInToken == nil }) ||
		slices.ContainsFunc(s.Suggestions, func(x *suggestion) bool { return x == nil || !users[x.UserID] || !organizations[x.OrganizationID] }) ||
		slices.ContainsFunc(s.Sessions, func(x savedSession) bool { return x.Session == nil || !users[x.UserID] }) ||
		slices.ContainsFunc(s.Memberships, func(m savedMembership) bool {
			return m.Membership == nil || !users[m.UserID] || !organizations[m.OrganizationID]
		}) ||
		slices.ContainsFunc(s.Templates, func(t savedTemplate) bool { return t.Template == nil }) ||
		slices.ContainsFunc(s.Subscriptions, func(x savedSubscription) bool {
			return x.Subscription == nil || len(x.Subscription.Items) == 0 || len(x.Items) > len(x.Subscription.Items) ||
				slices.ContainsFunc(x.Subscription.Items, func(i SubscriptionItem) bool { return i.Plan == nil })
		})
	return !lost
}

func (e *Emulator) restoreIdentity(s snapshot) error {
	var keys []signingKey
	for _, k := range s.Keys {
		key, err := x509.ParsePKCS8PrivateKey(k.PKCS8)
		if err != nil {
			return err
		}
		private, ok := key.(*rsa.PrivateKey)
		if !ok {
			return errors.New("a signing key is not RSA")
		}
		keys = append(keys, signingKey{k.ID, private})
	}
	if err := errors.Join(e.random.source.UnmarshalBinary(s.Random), e.keyRandom.source.UnmarshalBinary(s.KeyRandom)); err != nil {
		return err
	}
	*e.random.ids = s.IDs
	if len(s.Origin.Random) > 0 { // files of earlier versions have none
		if err := e.origin.random.source.UnmarshalBinary(s.Origin.Random); err != nil {
			return err
		}
		*e.origin.random.ids, e.origin.at = s.Origin.IDs, s.Origin.At
	}
	e.ID, e.keys = s.ID, keys
	e.webhook = cmp.Or(e.options.WebhookSecret, s.WebhookSecret)
	if e.options.SecretKey == "" { // options outweigh the file
		e.SecretKey = s.SecretKey
	}
	if e.options.Issuer == "" {
		e.Issuer = s.Issuer
	}
	e.sender.rename(s.ID)
	e.clock.advance(s.Ahead)
	return nil
}

func (e *Emulator) restoreObjects(s snapshot) {
	e.objects = noObjects()
	for _, u := range s.Users {
		e.users.add(&userRecord{User: *u.User, locked: u.LockedUntil, secret: u.Secret, founded: u.Founded})
	}
	for _, x := range s.Sessions {
		x.Session.verifiedAt = x.VerifiedAt
		e.sessions.add(x.Session)
	}
	e.restoreBrowsers(s)
	for _, t := range s.SignInTokens {
		t.SignInToken.expireAt, t.organizationID = t.ExpireAt, t.OrganizationID
		e.signInTokens = append(e.signInTokens, t.SignInToken)
	}
	for _, o := range s.Organizations {
		e.organizations.byID[o.ID] = o
	}
	e.organizations.all, e.organizations.invitations, e.organizations.domains = s.Organizations, s.OrgInvites, s.Domains
	e.organizations.suggestions = s.Suggestions
	for _, m := range s.Memberships {
		m.Membership.organizationID, m.Membership.userID = m.OrganizationID, m.UserID
		e.organizations.join(m.Membership)
	}
	e.access = access{permissions: s.Permissions}
	for _, saved := range s.Roles {
		r := saved.Role
		r.seeded = saved.Seeded
		for i, p := range r.Permissions { // roles share permissions with the list
			if shared := e.access.permission(p.ID); shared != nil {
				r.Permissions[i] = shared
			}
		}
		e.access.roles = append(e.access.roles, r)
	}
	e.invitations = s.Invitations
	if s.Policies != nil {
		e.policies = *s.Policies
		e.policies.join(e.invitations)
	}
	maps.Copy(e.images, s.Images)
	e.restoreMachines(s.Machines)
	for _, t := range s.Templates {
		t.Template.signingKey = t.SigningKey
		e.templates = append(e.templates, t.Template)
	}
	for _, a := range s.Actors {
		e.actors[a.ID] = a
	}
	for _, x := range s.Subscriptions {
		x.Subscription.Items[0].Plan.features = x.Features
		for n, i := range x.Items {
			x.Subscription.Items[n].Plan.features, x.Subscription.Items[n].times = i.Features, i.Times
		}
		e.subscriptions[x.Payer] = x.Subscription
	}
}
