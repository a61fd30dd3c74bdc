package emulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// organizations has all organizations with their members, invitations and domains.
type organizations struct {
	byID        map[string]*Organization
	all         []*Organization // oldest first
	memberships []*Membership   // oldest first
	ofUser      map[string][]*Membership
	inside      map[string][]*Membership // by organization
	invitations []*OrganizationInvitation
	domains     []*OrganizationDomain
	suggestions []*suggestion // oldest first
}

func (o *organizations) init() {
	o.byID, o.ofUser, o.inside = map[string]*Organization{}, map[string][]*Membership{}, map[string][]*Membership{}
}

// of returns the ids of a user's organizations.
func (o *organizations) of(user string) []string {
	var ids []string
	for _, m := range o.ofUser[user] {
		ids = append(ids, m.organizationID)
	}
	return ids
}

func (o *organizations) add(x *Organization) {
	o.byID[x.ID] = x
	o.all = append(o.all, x)
}

func (o *organizations) join(m *Membership) {
	o.memberships = append(o.memberships, m)
	o.ofUser[m.userID] = append(o.ofUser[m.userID], m)
	o.inside[m.organizationID] = append(o.inside[m.organizationID], m)
}

func (o *organizations) leave(m *Membership) {
	gone := func(x *Membership) bool { return x == m }
	o.memberships = slices.DeleteFunc(o.memberships, gone)
	o.ofUser[m.userID] = slices.DeleteFunc(o.ofUser[m.userID], gone)
	o.inside[m.organizationID] = slices.DeleteFunc(o.inside[m.organizationID], gone)
}

// organization returns the organization with an id or a slug.
func (e *Emulator) organization(id string) (*Organization, error) {
	if o, ok := e.organizations.byID[id]; ok {
		return o, nil
	}
	for _, o := range e.organizations.all {
		if o.Slug == id && id != "" {
			return o, nil
		}
	}
	return nil, notFound("organization", id)
}

// counted returns a copy with the present counts.
func (e *Emulator) counted(o *Organization) *Organization {
	c := *o
	c.MembersCount = new(len(e.organizations.inside[o.ID]))
	pending := 0
	for _, i := range e.organizations.invitations {
		if i.OrganizationID == o.ID && i.Status == "pending" {
			pending++
		}
	}
	c.PendingInvitationsCount = &pending
	return &c
}

type organizationParameters struct {
	Name                  *string  `json:"name"`
	Slug                  *string  `json:"slug"`
	CreatedBy             *string  `json:"created_by"`
	MaxAllowedMemberships *int     `json:"max_allowed_memberships"`
	AdminDeleteEnabled    *bool    `json:"admin_delete_enabled"`
	PublicMetadata        optional `json:"public_metadata"`
	PrivateMetadata       optional `json:"private_metadata"`
	CreatedAt             *string  `json:"created_at"`
	RoleSetKey            *string  `json:"role_set_key"`
}

func (e *Emulator) createOrganization(c *call) (any, error) {
	if err := e.organizationsEnabled(); err != nil {
		return nil, err
	}
	var p organizationParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	o, err := e.addOrganization(&p)
	if err != nil {
		return nil, err
	}
	return e.counted(o), nil
}

// addOrganization makes an organization, of which the creator, if one is named, becomes an admin,
// and sends the events.
func (e *Emulator) addOrganization(p *organizationParameters) (*Organization, error) {
	if or(p.Name) == "" {
		return nil, missing("name")
	}
	var creator *userRecord
	if or(p.CreatedBy) != "" {
		var err error
		if creator, err = e.user(*p.CreatedBy); err != nil {
			return nil, err
		}
	}
	now, err := e.createdAt(p.CreatedAt)
	if err != nil {
		return nil, err
	}
	o := e.newOrganization(*p.Name, or(p.CreatedBy), now)
	if p.Slug == nil { // a generated slug is changed if it exists, as at Clerk; a given one is refused
		if _, err := e.organization(o.Slug); err == nil {
			o.Slug += "-" + strings.ToLower(e.random.text(8))
		}
	}
	if err := e.describeOrganization(o, p); err != nil {
		return nil, err
	}
	e.organizations.add(o)
	e.emit("organization.created", e.after(o.UpdatedAt-1), o)
	if creator != nil {
		if _, err := e.join(o, creator, e.policies.Organizations.CreatorRole, nil, nil); err != nil {
			return nil, err
		}
		creator.founded = o.ID
	}
	return o, nil
}

func (e *Emulator) newOrganization(name, creator string, now int64) *Organization {
	id := e.random.id("org")
	settings := e.policies.Organizations
	o := &Organization{
		Object: "organization", ID: id, Name: name, ImageURL: placeholder(id, name), CreatedBy: creator,
		AdminDeleteEnabled: settings.AdminDeleteEnabled, MaxAllowedMemberships: settings.MaxAllowedMemberships, CreatedAt: now, UpdatedAt: now,
	}
	if !settings.SlugDisabled {
		o.Slug = slug(name)
	}
	return o
}

func slug(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}

func (e *Emulator) describeOrganization(o *Organization, p *organizationParameters) error {
	if or(p.MaxAllowedMemberships) < 0 {
		return invalid("max_allowed_memberships", "max_allowed_memberships must be greater than or equal to 0.")
	}
	if err := checkName("name", or(p.Name)); err != nil {
		return err
	}
	if p.Name != nil && *p.Name == "" {
		return invalid("name", "name is invalid. Must be not empty")
	}
	if err := checkAllMetadata(p.PublicMetadata.value, p.PrivateMetadata.value, nil); err != nil {
		return err
	}
	if p.Slug != nil {
		if *p.Slug != "" {
			if err := checkSlug("slug", *p.Slug); err != nil {
				return err
			}
			if e.policies.Organizations.SlugDisabled {
				return fail(http.StatusForbidden, "organization_slugs_disabled", "organization slugs not enabled",
					"This instance does not have slugs enabled for organizations.").about("slug")
			}
		}
		if other, err := e.organization(*p.Slug); err == nil && other != o && *p.Slug != "" {
			return exists("slug")
		}
		o.Slug = *p.Slug
	}
	if p.Name != nil {
		o.Name = *p.Name
		o.depict()
	}
	if p.MaxAllowedMemberships != nil {
		o.MaxAllowedMemberships = *p.MaxAllowedMemberships
	}
	if p.AdminDeleteEnabled != nil {
		o.AdminDeleteEnabled = *p.AdminDeleteEnabled
	}
	if p.PublicMetadata.set {
		o.PublicMetadata = p.PublicMetadata.value
	}
	if p.PrivateMetadata.set {
		o.PrivateMetadata = p.PrivateMetadata.value
	}
	return nil
}

// depict gives an organization without a logo the placeholder of the present name.
func (o *Organization) depict() {
	if !o.HasImage {
		o.ImageURL = placeholder(o.ID, o.Name)
	}
}

func (e *Emulator) getOrganization(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	return e.shown(c, o), nil
}

// shown returns the organization, with counts if the request asks for them.
func (e *Emulator) shown(c *call, o *Organization) *Organization {
	if c.query.Get("include_members_count") == "true" {
		return e.counted(o)
	}
	return o
}

func (e *Emulator) listOrganizations(c *call) (any, error) {
	byUser, err := c.filter("user_id")
	if err != nil {
		return nil, err
	}
	byID, err := c.filter("organization_id")
	if err != nil {
		return nil, err
	}
	query := strings.ToLower(c.query.Get("query"))
	matching := []*Organization{}
	for _, o := range e.organizations.all {
		var members []string
		if !byUser.empty() {
			for _, m := range e.organizations.inside[o.ID] {
				members = append(members, m.userID)
			}
		}
		if byID.match(o.ID) && byUser.match(members...) && (query == "" || o.ID == c.query.Get("query") ||
			strings.Contains(strings.ToLower(o.Name), query) || strings.Contains(o.Slug, query)) {
			matching = append(matching, e.shown(c, o))
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b *Organization) int{
		"created_at": func(a, b *Organization) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
		"name":       func(a, b *Organization) int { return cmp.Compare(a.Name, b.Name) },
		"members_count": func(a, b *Organization) int {
			return cmp.Compare(len(e.organizations.inside[a.ID]), len(e.organizations.inside[b.ID]))
		},
	}); err != nil {
		return nil, err
	}
	return paged(c, matching, false)
}

// sorted sorts a list by the parameter order_by: a name, with - for descending.
func sorted[T any](c *call, all []T, otherwise string, orders map[string]func(a, b T) int) error {
	order := c.query.Get("order_by")
	if order == "" {
		order = otherwise
	}
	compare, ok := orders[strings.TrimLeft(order, "+- ")]
	if !ok {
		return invalid("order_by", "order_by does not take "+order+".")
	}
	slices.SortStableFunc(all, compare)
	if strings.HasPrefix(order, "-") {
		slices.Reverse(all)
	}
	return nil
}

func (e *Emulator) updateOrganization(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	var p organizationParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if err := c.noMetadata(metadataParameters{Public: p.PublicMetadata, Private: p.PrivateMetadata}); err != nil {
		return nil, err
	}
	if err := e.describeOrganization(o, &p); err != nil {
		return nil, err
	}
	return e.touched(o), nil
}

// touched sends the event of a changed organization.
func (e *Emulator) touched(o *Organization) *Organization {
	o.UpdatedAt = e.after(o.UpdatedAt)
	e.emit("organization.updated", o.UpdatedAt, o)
	return o
}

func (e *Emulator) mergeOrganizationMetadata(c *call) (any, error) {
	return e.organizationMetadata(c, func(old, next Metadata) Metadata { return merged(old, next) })
}

func (e *Emulator) replaceOrganizationMetadata(c *call) (any, error) {
	return e.organizationMetadata(c, func(_, next Metadata) Metadata { return next })
}

func (e *Emulator) organizationMetadata(c *call, combine func(old, next Metadata) Metadata) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	var p metadataParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	public, private := o.PublicMetadata, o.PrivateMetadata
	if p.Public.set {
		public = combine(public, p.Public.value)
	}
	if p.Private.set {
		private = combine(private, p.Private.value)
	}
	if err := checkAllMetadata(public, private, nil); err != nil {
		return nil, err
	}
	o.PublicMetadata, o.PrivateMetadata = public, private
	return e.touched(o), nil
}

// deleteOrganization deletes an organization with its memberships, invitations and domains. It is
// no longer the active organization of its members' sessions.
func (e *Emulator) deleteOrganization(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	for _, m := range slices.Clone(e.organizations.inside[o.ID]) {
		e.leave(m, !e.options.NoChildEvents)
	}
	e.organizations.invitations = slices.DeleteFunc(e.organizations.invitations, func(i *OrganizationInvitation) bool { return i.OrganizationID == o.ID })
	e.organizations.domains = slices.DeleteFunc(e.organizations.domains, func(d *OrganizationDomain) bool { return d.OrganizationID == o.ID })
	delete(e.organizations.byID, o.ID)
	delete(e.organizations.inside, o.ID)
	e.organizations.all = slices.DeleteFunc(e.organizations.all, func(x *Organization) bool { return x == o })
	e.forgetImage(o.ImageURL)
	e.forgetSuggestions(o.ID)
	gone := Deleted{Object: "organization", ID: o.ID, Slug: text(o.Slug), Deleted: true}
	e.emit("organization.deleted", e.after(o.UpdatedAt), gone)
	return gone, nil
}

func publicData(o *Organization) *PublicOrganizationData {
	return &PublicOrganizationData{ID: o.ID, Name: o.Name, Slug: o.Slug, ImageURL: o.ImageURL, HasImage: o.HasImage}
}
