package emulator

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// policies is what a backend sets for the whole instance: who may sign up, and what organizations
// may do. A state file has it as it is.
type policies struct {
	Waitlist      []*WaitlistEntry     `json:"waitlist"` // oldest first
	Allowed       []*Identifier        `json:"allowed"`
	Blocked       []*Identifier        `json:"blocked"`
	Redirects     []*RedirectURL       `json:"redirect_urls"`
	Restrictions  Restrictions         `json:"restrictions"`
	Organizations OrganizationSettings `json:"organizations"`
	Instance      instanceSettings     `json:"instance"`
}

func newPolicies() policies {
	return policies{
		Restrictions: Restrictions{Object: "instance_restrictions", AllowlistBlocklistDisabledOnSignIn: true},
		Organizations: OrganizationSettings{
			Object: "organization_settings", Enabled: true, MaxAllowedRoles: 10, MaxAllowedDomains: 10, MaxAllowedPermissions: 50, CreatorRole: "org:admin",
			AdminDeleteEnabled: true, DomainsEnabled: true, DomainsDefaultRole: "org:member",
			DomainsEnrollmentModes: []string{"manual_invitation", "automatic_invitation", "automatic_suggestion"},
		},
	}
}

// fits reports whether nothing of a state file is null.
func (p *policies) fits() bool {
	return !slices.Contains(p.Waitlist, nil) && !slices.Contains(p.Allowed, nil) && !slices.Contains(p.Blocked, nil) && !slices.Contains(p.Redirects, nil)
}

// join lets the waitlist share its invitations with the list of all, after a state was loaded.
func (p *policies) join(all []*Invitation) {
	for _, w := range p.Waitlist {
		for _, i := range all {
			if w.Invitation != nil && w.Invitation.ID == i.ID {
				w.Invitation = i
			}
		}
	}
}

// Identifier is an address, a number, a wallet, or all addresses of a domain (*@example.com), in
// the allow-list or in the block-list.
type Identifier struct {
	Object         string `json:"object"`
	ID             string `json:"id"`
	InvitationID   string `json:"invitation_id,omitempty"`
	Identifier     string `json:"identifier"`
	IdentifierType string `json:"identifier_type"`
	InstanceID     string `json:"instance_id"`
	CreatedAt      int64  `json:"created_at"`
	UpdatedAt      int64  `json:"updated_at"`
}

// Restrictions is which lists decide about sign-ups.
type Restrictions struct {
	Object                             string `json:"object"`
	Allowlist                          bool   `json:"allowlist"`
	Blocklist                          bool   `json:"blocklist"`
	AllowlistBlocklistDisabledOnSignIn bool   `json:"allowlist_blocklist_disabled_on_sign_in"`
	BlockEmailSubaddresses             bool   `json:"block_email_subaddresses"`
	BlockDisposableEmailDomains        bool   `json:"block_disposable_email_domains"`
}

// matches reports whether an entry of a list covers an address, a number or a wallet.
func (i *Identifier) matches(value string) bool {
	if domain, all := strings.CutPrefix(i.Identifier, "*@"); all {
		_, of, _ := strings.Cut(value, "@")
		return strings.EqualFold(domain, of)
	}
	return strings.EqualFold(i.Identifier, value)
}

// admit refuses an address, a number or a wallet that the lists exclude. An entry of the block-list
// that is in the allow-list, too, does not count.
func (p *policies) admit(parameter, value string) error {
	allowed := slices.ContainsFunc(p.Allowed, func(i *Identifier) bool { return i.matches(value) })
	blocked := slices.ContainsFunc(p.Blocked, func(i *Identifier) bool {
		outweighed := p.Restrictions.Allowlist && slices.ContainsFunc(p.Allowed, func(a *Identifier) bool { return strings.EqualFold(a.Identifier, i.Identifier) })
		return !outweighed && (i.matches(value) || i.matches(baseAddress(value, false)))
	})
	if p.Restrictions.Blocklist && blocked || p.Restrictions.Allowlist && !allowed {
		return fail(http.StatusForbidden, "not_allowed_access", "Access not allowed.", value+" is not allowed to access this application.").about(parameter)
	}
	return nil
}

// maySignUp refuses a sign-up with an address, a number or a wallet that the policies exclude. Who
// was invited is admitted by the caller.
func (e *Emulator) maySignUp(parameter, value string) error {
	if err := e.policies.admit(parameter, value); err != nil {
		return err
	}
	if !e.policies.Restrictions.BlockEmailSubaddresses || !strings.Contains(value, "@") {
		return nil
	}
	base := baseAddress(value, true)
	for _, r := range e.users.created {
		for _, a := range r.EmailAddresses {
			if baseAddress(a.EmailAddress, true) == base {
				return fail(http.StatusForbidden, "not_allowed_access", "This email address is already in use.",
					"This email address is already in use. Creating multiple accounts with the same email address is not allowed.").about(parameter)
			}
		}
	}
	return nil
}

// baseAddress returns an e-mail address in lower case without its subaddress, and if dots is set,
// without the dots that Gmail ignores. Other texts are returned as they are.
func baseAddress(address string, dots bool) string {
	local, domain, isEmail := strings.Cut(strings.ToLower(address), "@")
	if !isEmail {
		return address
	}
	separators := "+=#"
	first, _, _ := strings.Cut(domain, ".")
	switch {
	case first == "yahoo", domain == "ymail.com", domain == "rocketmail.com", domain == "y7mail.com":
		separators += "-"
	case dots && (domain == "gmail.com" || domain == "googlemail.com"):
		local = strings.ReplaceAll(local, ".", "")
	}
	if i := strings.IndexAny(local, separators); i > 0 {
		local = local[:i]
	}
	return local + "@" + domain
}

var domainPattern = regexp.MustCompile(`^\*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)

// identifierType returns what a text identifies, or an empty text.
func identifierType(text string) string {
	switch {
	case domainPattern.MatchString(text), checkEmail("", text) == nil:
		return "email_address"
	case checkPhone("", text) == nil:
		return "phone_number"
	case checkWallet("", text) == nil:
		return "web3_wallet"
	}
	return ""
}

// listed makes an entry of a list.
func (e *Emulator) listed(all []*Identifier, kind, text string) (*Identifier, error) {
	of := identifierType(text)
	switch {
	case text == "":
		return nil, missing("identifier")
	case of == "":
		return nil, malformed("identifier", "identifier must be either a valid email address, a valid phone number according to "+
			"E.164 international standard or a valid web3 wallet.")
	case slices.ContainsFunc(all, func(i *Identifier) bool { return strings.EqualFold(i.Identifier, text) }):
		return nil, fail(http.StatusBadRequest, "duplicate_record", "duplicate "+kind+" identifier", "the identifier "+text+" already exists")
	}
	now := e.after(0)
	e.changed = true
	return &Identifier{
		Object: kind + "_identifier", ID: e.random.id(kind[:3] + "id"), Identifier: text, IdentifierType: of, InstanceID: e.ID, CreatedAt: now, UpdatedAt: now,
	}, nil
}

// createAllowed adds to the allow-list. With notify, an address is invited.
func (e *Emulator) createAllowed(c *call) (any, error) {
	var p struct {
		Identifier string `json:"identifier"`
		Notify     bool   `json:"notify"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	i, err := e.listed(e.policies.Allowed, "allowlist", p.Identifier)
	if err != nil {
		return nil, err
	}
	if p.Notify && checkEmail("", p.Identifier) == nil {
		invitation, err := e.inviteToInstance(invitationParameters{EmailAddress: p.Identifier, IgnoreExists: new(true)})
		if err != nil {
			return nil, err
		}
		i.InvitationID = invitation.ID
	}
	e.policies.Allowed = append(e.policies.Allowed, i)
	return i, nil
}

func (e *Emulator) createBlocked(c *call) (any, error) {
	var p struct {
		Identifier string `json:"identifier"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	i, err := e.listed(e.policies.Blocked, "blocklist", p.Identifier)
	if err != nil {
		return nil, err
	}
	e.policies.Blocked = append(e.policies.Blocked, i)
	return i, nil
}

func (e *Emulator) listAllowed(c *call) (any, error) {
	return paged(c, newestFirst(e.policies.Allowed), true)
}

// listBlocked returns the whole block-list: it has no pages.
func (e *Emulator) listBlocked(*call) (any, error) {
	all := newestFirst(e.policies.Blocked)
	return list{all, len(all)}, nil
}

func newestFirst[T any](oldestFirst []T) []T {
	all := append([]T{}, oldestFirst...)
	slices.Reverse(all)
	return all
}

func (e *Emulator) deleteAllowed(c *call) (any, error) {
	return e.unlist(c, &e.policies.Allowed)
}

func (e *Emulator) deleteBlocked(c *call) (any, error) {
	return e.unlist(c, &e.policies.Blocked)
}

func (e *Emulator) unlist(c *call, all *[]*Identifier) (any, error) {
	for n, i := range *all {
		if i.ID == c.id() {
			*all = slices.Delete(*all, n, n+1)
			e.changed = true
			return Deleted{Object: i.Object, ID: i.ID, Deleted: true}, nil
		}
	}
	return nil, notFound("identifier", c.id())
}

func (e *Emulator) updateRestrictions(c *call) (any, error) {
	var p struct {
		Allowlist     *bool `json:"allowlist"`
		Blocklist     *bool `json:"blocklist"`
		OffOnSignIn   *bool `json:"allowlist_blocklist_disabled_on_sign_in"`
		Subaddresses  *bool `json:"block_email_subaddresses"`
		DisposableOff *bool `json:"block_disposable_email_domains"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	r := &e.policies.Restrictions
	for _, x := range []struct {
		from *bool
		to   *bool
	}{
		{p.Allowlist, &r.Allowlist},
		{p.Blocklist, &r.Blocklist},
		{p.OffOnSignIn, &r.AllowlistBlocklistDisabledOnSignIn},
		{p.Subaddresses, &r.BlockEmailSubaddresses},
		{p.DisposableOff, &r.BlockDisposableEmailDomains},
	} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	e.changed = true
	return r, nil
}
